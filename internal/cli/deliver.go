package cli

import (
	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/api"
)

func (a *app) deliverCommand() *cobra.Command {
	r := api.WorkRequest{Operation: api.OpDeliver}
	c := &cobra.Command{
		Use:   "deliver NAME",
		Short: "Deliver the current credential again",
		Long:  "Delivers the current credential to every target again, and reloads the consumers.",
		Args:  argCount(1, 1), ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			r.Secrets = args
			return a.work(c.Context(), r, nil)
		},
	}
	noWaitFlag(c, &r.NoWait)
	return c
}
