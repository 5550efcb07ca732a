package cli

import (
	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/api"
)

func (a *app) rollbackCommand() *cobra.Command {
	r := api.WorkRequest{Operation: api.OpRollback}
	c := &cobra.Command{
		Use:   "rollback NAME",
		Short: "Put the previous credential back",
		Long: `Undoes a rotation: reactivates the previous credential, proves that it works,
moves the labels back, delivers it and reloads the consumers. Where the new
credential is not promoted yet, that one is given up instead. It can be done
until the previous credential is deleted. Afterwards no rotation begins by
itself until rota rotate.`,
		Args:              argCount(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			r.Secrets = args
			return a.work(c.Context(), r, &question{
				tell: func(s api.SecretDoc) string {
					return s.Secret + ": the previous credential becomes the current one again, is delivered and taken up by all consumers\n"
				},
				ask: "Roll back?",
			})
		},
	}
	noWaitFlag(c, &r.NoWait)
	return c
}
