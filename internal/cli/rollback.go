package cli

import (
	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/api"
)

func (a *app) rollbackCommand() *cobra.Command {
	r := api.WorkRequest{Operation: api.OpRollback}
	var s selection
	c := &cobra.Command{
		Use:   "rollback NAME...",
		Short: "Undo a rotation",
		Long: `Undoes a rotation: reactivates the previous credential, proves it works, moves the
labels back, delivers it and reloads the consumers. If the new credential hasn't
been promoted yet, it's discarded instead. You can roll back until the previous
credential is deleted. Afterwards no rotation starts by itself until rota rotate.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.work(c.Context(), s, r, question{
				tell: func(s api.SecretDoc) string {
					return s.Secret + ": the previous credential becomes current again, is delivered, and all consumers reload it\n"
				},
				ask: "Roll back?", askMany: "Roll back all %d?",
			})
		},
	}
	a.selects(c, &s, true)
	noWaitFlag(c, &r.NoWait)
	return c
}
