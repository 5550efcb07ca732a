package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

func (a *app) auditAcknowledgeCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "acknowledge --reason TEXT",
		Short: "Record that you know where the audit was tampered with",
		Long: `If the audit was changed behind Rota's back, entries are still added, but
rota audit verify and rota check fail until a person acknowledges it. This command
records who did and why. From then on they succeed again, and name the break every
time. Anything that's changed later makes them fail again.`,
		Args: noArgs, Annotations: inPlace(placeHere),
		RunE: func(c *cobra.Command, _ []string) error { return a.acknowledge(c.Context(), reason) },
	}
	c.Flags().StringVar(&reason, "reason", "", "what happened: a `text` for the audit")
	return c
}

func (a *app) acknowledge(ctx context.Context, reason string) error {
	if reason == "" {
		return rota.WithRemedies(usage("an acknowledgment needs a reason"), rota.Command("rota audit acknowledge --reason TEXT"))
	}
	const told = "Entries up to the break no longer prove anything by themselves. Keep a copy of the database first.\n"
	if err := a.confirm(ctx, told, "Go on with this audit?"); err != nil {
		return err
	}
	db, err := a.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	breaks, err := db.Audit().Acknowledge(ctx, rotation.Entry{At: db.Now(), Actor: a.actor(), Detail: reason})
	if errors.Is(err, store.ErrNoBreak) {
		return refused(err)
	}
	if err != nil {
		return err
	}
	doc := acknowledgeDoc{}
	for _, b := range breaks {
		doc.Breaks = append(doc.Breaks, api.BreakDoc(b))
	}
	if a.json() {
		return a.document(doc)
	}
	a.printf("acknowledged")
	a.printBreaks(doc.Breaks)
	return nil
}

func (a *app) printBreaks(breaks []api.BreakDoc) {
	for _, b := range breaks {
		a.printf("  entry %d: %s; acknowledged by %s at %s", b.Seq, b.Reason, b.Actor, at(b.At))
	}
}
