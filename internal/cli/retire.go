package cli

import (
	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/api"
)

func (a *app) deactivateCommand() *cobra.Command {
	r := api.WorkRequest{Operation: api.OpDeactivate}
	c := &cobra.Command{
		Use:   "deactivate NAME",
		Short: "Deactivate the previous credential ahead of its grace",
		Long: `Deactivates the previous credential ahead of its grace, but only if the issuer
reports that nobody uses it. rota rollback undoes it.`,
		Args:              argCount(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			r.Secrets = args
			return a.work(c.Context(), r, &question{
				tell: func(s api.SecretDoc) string {
					return s.Secret + ": logins with the previous credential will fail\n"
				},
				ask: "Deactivate it?",
			})
		},
	}
	noWaitFlag(c, &r.NoWait)
	return c
}

func (a *app) deleteCommand() *cobra.Command {
	r := api.WorkRequest{Operation: api.OpDelete}
	c := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete the previous credential ahead of its second grace",
		Long: `Deletes the previous credential ahead of its second grace. It must be inactive
already, by the policy or by rota deactivate. This can't be undone.`,
		Args:              argCount(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			r.Secrets = args
			return a.work(c.Context(), r, &question{
				tell: func(s api.SecretDoc) string {
					return s.Secret + ": the previous credential is deleted for good; there will be no rollback\n"
				},
				ask: "Delete it?",
			})
		},
	}
	noWaitFlag(c, &r.NoWait)
	return c
}
