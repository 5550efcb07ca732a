package cli

import (
	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/api"
)

func (a *app) deactivateCommand() *cobra.Command {
	r := api.WorkRequest{Operation: api.OpDeactivate}
	c := &cobra.Command{
		Use:   "deactivate NAME",
		Short: "Deactivate the previous credential before its grace period ends",
		Long: `Deactivates the previous credential before its grace period ends, but only if the
issuer reports that it's unused. rota rollback undoes it.`,
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
		Short: "Delete the previous credential before its second grace period ends",
		Long: `Deletes the previous credential before its second grace period ends. It must
already be inactive, by policy or by rota deactivate. If the issuer can't deactivate
credentials, it must be unused. This can't be undone.`,
		Args:              argCount(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			r.Secrets = args
			return a.work(c.Context(), r, &question{
				tell: func(s api.SecretDoc) string {
					return s.Secret + ": the previous credential is deleted for good; it can't be rolled back\n"
				},
				ask: "Delete it?",
			})
		},
	}
	noWaitFlag(c, &r.NoWait)
	return c
}
