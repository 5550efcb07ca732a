package cli

import (
	"context"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/internal/store/anchor"
)

func (a *app) auditCommand() *cobra.Command {
	var verify bool
	r := api.HistoryRequest{Limit: 100}
	c := &cobra.Command{
		Use:   "audit",
		Short: "Show the audit: every effect, in order",
		Long: `Shows the newest entries of the audit, in order. With --verify, recomputes the
whole chain instead, and says whether entries were changed, inserted or removed
behind Rota's back. Keep the head it prints somewhere else: from inside the store,
nothing can detect that all of it was reset to an older state.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if verify {
				return a.verifyAudit(c.Context(), nil)
			}
			return a.audit(c.Context(), r)
		},
	}
	c.Flags().BoolVar(&verify, "verify", false, "recompute the chain of all entries")
	c.Flags().StringVar(&r.Secret, "secret", "", "only the entries of this secret")
	c.Flags().IntVar(&r.Limit, "limit", r.Limit, "show at most this many entries, the newest")
	_ = c.RegisterFlagCompletionFunc("secret", a.completeNames)
	c.AddCommand(a.auditVerifyCommand(), a.auditAcknowledgeCommand(), a.auditExportCommand())
	return c
}

func (a *app) audit(ctx context.Context, r api.HistoryRequest) error {
	doc, err := a.entries(ctx, toRead, r)
	if err != nil {
		return err
	}
	if a.json() {
		return a.document(doc)
	}
	a.printAudit(doc)
	return nil
}

func (a *app) printAudit(doc api.HistoryDoc) {
	var rows [][]cell
	for _, e := range doc.Entries {
		row := cells(at(e.At), e.Actor, e.Secret, e.Step, e.Object, e.Credential, string(e.Outcome), e.Detail)
		row[6].color = outcomeColors[e.Outcome]
		rows = append(rows, row)
	}
	a.table([]string{"TIME", "BY", "SECRET", "STEP", "AT", "CREDENTIAL", "OUTCOME", "WHY"}, rows)
}

// entries gets the newest entries of the audit, in chain order.
func (a *app) entries(ctx context.Context, n need, r api.HistoryRequest) (doc api.HistoryDoc, err error) {
	if r.Limit < 1 {
		return doc, usage("--limit %d: must be at least 1", r.Limit)
	}
	err = a.withOperations(ctx, n, func(o service.Operations) error {
		doc, err = o.History(ctx, r)
		return err
	})
	return doc, err
}

func (a *app) verifyAudit(ctx context.Context, heads []string) error {
	var places []anchor.Destination
	if a.serverURL() == "" {
		var err error
		if places, err = a.places(ctx, heads); err != nil {
			return err
		}
	} else if len(heads) > 0 {
		return rota.WithRemedies(usage("--heads compares with the store on this machine; a server compares with the heads kept according to its rota.yaml"), rota.Outside("run it on the server's machine, or leave out --heads"))
	}
	return a.withOperations(ctx, toRead, func(o service.Operations) error {
		if local, ok := o.(*service.Local); ok {
			local.Anchors = places
		}
		doc, err := o.Verify(ctx)
		if err != nil {
			return err
		}
		if a.json() {
			return a.document(doc)
		}
		if doc.Entries == 0 {
			a.printf("the audit is empty")
			return nil
		}
		if len(doc.Breaks) == 0 {
			a.printf("the chain of %d entries is whole; its head is %s", doc.Entries, doc.Head)
		} else {
			a.printf("the chain of %d entries is whole except for %s; its head is %s", doc.Entries, plural(len(doc.Breaks), "acknowledged break"), doc.Head)
			a.printBreaks(doc.Breaks)
		}
		if len(doc.Places) > 0 {
			a.printf("the chain contains %s kept in %s", plural(doc.Anchored, "signed head"), strings.Join(doc.Places, " and "))
		}
		return nil
	})
}
