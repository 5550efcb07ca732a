package cli

import (
	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/api"
)

func (a *app) deliverCommand() *cobra.Command {
	r := api.WorkRequest{Operation: api.OpDeliver}
	var s selection
	c := &cobra.Command{
		Use:   "deliver NAME...",
		Short: "Deliver the current credential again",
		Long:  "Delivers the current credential to every target again, and reloads the consumers.",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.work(c.Context(), s, r, question{
				tell: func(s api.SecretDoc) string {
					return s.Secret + ": delivered to " + plural(s.Targets, "target") + " again, reloaded by " + plural(s.Reloaders, "reloader") + "\n"
				},
				askMany: "Deliver all %d again?", onlyMany: true,
			})
		},
	}
	a.selects(c, &s, true)
	noWaitFlag(c, &r.NoWait)
	return c
}
