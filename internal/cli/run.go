package cli

import (
	"context"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/hint"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/service"
)

func (a *app) runCommand() *cobra.Command {
	var r api.RunRequest
	var s selection
	c := &cobra.Command{
		Use:   "run [NAME...]",
		Short: "Do everything that's due, once",
		Long: `Does everything that's due, once: for cron, a timer or a pipeline. One failure
never stops the others. Skips secrets that aren't due yet, unless rota.yaml has
changed. Exit code 1 if something failed, 3 if something is due but held; a
failure that's waiting for a retry counts as held.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.traced(c.Context(), "rota run", func(ctx context.Context) error { return a.run(ctx, s, r) })
		},
	}
	a.selects(c, &s, false)
	c.Flags().BoolVar(&r.All, "all", false, "look at every selected secret, due or not")
	return c
}

func (a *app) run(ctx context.Context, s selection, r api.RunRequest) (err error) {
	return a.withOperations(ctx, toWork, func(o service.Operations) error {
		if r.Secrets, err = s.resolve(ctx, o); err != nil {
			return err
		}
		doc, err := o.Run(ctx, r)
		if err != nil {
			return err
		}
		err = a.report(doc)
		if !a.json() {
			a.printf("%s looked at, %d not due yet", plural(len(doc.Secrets), "secret"), doc.NotDue)
			if len(doc.Waiting) > 0 {
				a.printf("%s", hint.Add("of these, still held or failed: "+strings.Join(doc.Waiting, ", "), rota.Command("rota status")))
			}
		}
		return err
	})
}
