package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/internal/store/anchor"
)

func (a *app) auditCommand() *cobra.Command {
	var verify bool
	var secrets []string
	limit := 100
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
			return a.audit(c.Context(), secrets, limit)
		},
	}
	c.Flags().BoolVar(&verify, "verify", false, "recompute the chain of all entries")
	secretFlag(c, &secrets, "only the entries of this `secret`, or of those that match a pattern; repeatable")
	c.Flags().IntVar(&limit, "limit", limit, "show at most this many entries, the newest")
	_ = c.RegisterFlagCompletionFunc("secret", a.completeNames)
	c.AddCommand(a.auditVerifyCommand(), a.auditAcknowledgeCommand(), a.auditExportCommand())
	return c
}

// secretFlag adds --secret, which takes names and patterns.
func secretFlag(c *cobra.Command, secrets *[]string, usage string) {
	c.Flags().StringSliceVar(secrets, "secret", nil, usage)
}

func (a *app) audit(ctx context.Context, secrets []string, limit int) error {
	doc, err := a.auditOf(ctx, secrets, limit)
	if err != nil {
		return err
	}
	if a.json() {
		return a.document(doc)
	}
	a.printAudit(doc)
	return nil
}

func (a *app) auditOf(ctx context.Context, secrets []string, limit int) (api.HistoryDoc, error) {
	if len(secrets) == 0 {
		return a.entries(ctx, toRead, api.HistoryRequest{Limit: limit})
	}
	names, n, err := a.auditedNames(ctx, secrets)
	if err != nil {
		return api.HistoryDoc{}, err
	}
	doc, err := a.entriesOf(ctx, n, names, limit)
	if extra := len(doc.Entries) - limit; extra > 0 {
		doc.Entries = doc.Entries[extra:]
	}
	return doc, err
}

// auditedNames are the secrets that names and patterns stand for, and what it
// takes to read about them. A pattern matches secrets of rota.yaml and those
// that the store knows from earlier.
func (a *app) auditedNames(ctx context.Context, secrets []string) ([]string, need, error) {
	s := selection{names: secrets}
	if err := s.validate(); err != nil {
		return nil, 0, err
	}
	if s.named() {
		return secrets, toRead, nil
	}
	var names []string
	err := a.withOperations(ctx, toLook, func(o service.Operations) error {
		doc, err := o.Status(ctx, api.StatusRequest{})
		if err == nil {
			names, err = matching(secrets, append(namesOf(doc.Secrets), doc.Unknown...))
		}
		return err
	})
	return names, toLook, err
}

// entriesOf gets the newest entries of each secret, in chain order.
func (a *app) entriesOf(ctx context.Context, n need, names []string, limit int) (api.HistoryDoc, error) {
	all := api.HistoryDoc{Entries: []api.EntryDoc{}}
	for _, name := range names {
		doc, err := a.entries(ctx, n, api.HistoryRequest{Secret: name, Limit: limit})
		if err != nil {
			return all, err
		}
		all.Entries = append(all.Entries, doc.Entries...)
	}
	slices.SortFunc(all.Entries, func(x, y api.EntryDoc) int { return cmp.Compare(x.Seq, y.Seq) })
	return all, nil
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
			a.printf("the chain of %d entries is intact; its head is %s", doc.Entries, doc.Head)
		} else {
			a.printf("the chain of %d entries is intact except for %s; its head is %s", doc.Entries, plural(len(doc.Breaks), "acknowledged break"), doc.Head)
			a.printBreaks(doc.Breaks)
		}
		if len(doc.Places) > 0 {
			a.printf("the chain contains %s kept in %s", plural(doc.Anchored, "signed head"), strings.Join(doc.Places, " and "))
		}
		return nil
	})
}
