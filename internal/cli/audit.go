package cli

import (
	"context"

	"github.com/spf13/cobra"

	"rota/store"
)

func (a *app) auditCommand() *cobra.Command {
	var verify bool
	q := store.AuditQuery{Limit: 100}
	c := &cobra.Command{
		Use:   "audit",
		Short: "The audit: every effect, in order",
		Long: `Shows the newest entries of the audit, in order. With --verify, it recomputes the
whole chain instead, and says whether an entry was changed, put in or taken out
behind Rota's back. Note the head that it prints elsewhere: nothing inside the
store can tell that all of it was put back to an older state.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if verify {
				return a.verifyAudit(c.Context())
			}
			return a.audit(c.Context(), q)
		},
	}
	c.Flags().BoolVar(&verify, "verify", false, "recompute the chain of all entries")
	c.Flags().StringVar(&q.Secret, "secret", "", "only the entries of this secret")
	c.Flags().IntVar(&q.Limit, "limit", q.Limit, "show at most so many entries, the newest")
	_ = c.RegisterFlagCompletionFunc("secret", a.completeNames)
	return c
}

func (a *app) audit(ctx context.Context, q store.AuditQuery) error {
	records, err := a.entries(ctx, q)
	if err != nil {
		return err
	}
	if a.json() {
		return a.document(entriesDoc(records))
	}
	var rows [][]cell
	for _, r := range records {
		e := r.Entry
		row := cells(at(e.At), e.Actor, e.Secret, e.Step, e.Object, e.Credential, string(e.Outcome), e.Detail)
		row[6].color = outcomeColors[e.Outcome]
		rows = append(rows, row)
	}
	a.table([]string{"TIME", "BY", "SECRET", "STEP", "AT", "CREDENTIAL", "OUTCOME", "WHY"}, rows)
	return nil
}

func (a *app) verifyAudit(ctx context.Context) error {
	db, err := a.peekStore(ctx)
	if err != nil {
		return err
	}
	doc := verifyDoc{Verified: true}
	if db != nil {
		defer func() { _ = db.Close() }()
		chain, err := db.Verify(ctx)
		if err != nil {
			return err
		}
		doc.Entries, doc.Head = chain.Entries, chain.Head
	}
	if a.json() {
		return a.document(doc)
	}
	if doc.Entries == 0 {
		a.printf("the audit is empty")
		return nil
	}
	a.printf("the chain of %d entries is whole; its head is %s", doc.Entries, doc.Head)
	return nil
}
