package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/service"
)

func (a *app) alertCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "alert",
		Short: "Notify about overdue rotations",
		Long: `Notifies about every overdue secret: due for longer than the policy's late_after,
or never looked at. Run it from a different cron job than rota run, or from
another machine with the same data folder, so that you notice when rota run stops
running. Exit code 1 if something is overdue.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.alert(c.Context()) },
	}
}

func (a *app) alert(ctx context.Context) error {
	return a.withOperations(ctx, toWork, func(o service.Operations) error {
		doc, err := o.Alert(ctx)
		if err != nil {
			return err
		}
		code := exitDone
		if len(doc.Late)+len(doc.Errors) > 0 {
			code = exitFailed
		}
		if a.json() {
			if err := a.document(doc); err != nil {
				return err
			}
			return silently(code)
		}
		for _, name := range doc.Late {
			a.printf("%s %s", a.paint(a.outStyle, red, "late:"), name)
		}
		for _, e := range doc.Errors {
			a.note("%s %s", a.paint(a.errStyle, red, "rota:"), hint.Add(e.Secret+": "+e.Error, e.Remedies))
		}
		a.printf("%s, %d late", plural(doc.Secrets, "secret"), len(doc.Late))
		return silently(code)
	})
}
