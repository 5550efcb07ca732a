package cli

import (
	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/api"
)

func (a *app) deactivateCommand() *cobra.Command {
	r := api.WorkRequest{Operation: api.OpDeactivate}
	var s selection
	c := &cobra.Command{
		Use:   "deactivate NAME...",
		Short: "Deactivate the previous credential before its grace period ends",
		Long: `Deactivates the previous credential before its grace period ends, but only if the
issuer reports that it's unused. rota rollback undoes it.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.work(c.Context(), s, r, question{
				tell: func(s api.SecretDoc) string {
					return s.Secret + ": logins with the previous credential will fail\n"
				},
				ask: "Deactivate it?", askMany: "Deactivate all %d?",
			})
		},
	}
	a.selects(c, &s, true)
	noWaitFlag(c, &r.NoWait)
	return c
}

func (a *app) deleteCommand() *cobra.Command {
	r := api.WorkRequest{Operation: api.OpDelete}
	var s selection
	c := &cobra.Command{
		Use:   "delete NAME...",
		Short: "Delete the previous credential before its second grace period ends",
		Long: `Deletes the previous credential before its second grace period ends. It must
already be inactive, by policy or by rota deactivate. If the issuer can't deactivate
credentials, it must be unused. This can't be undone.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.work(c.Context(), s, r, question{
				tell: func(s api.SecretDoc) string {
					return s.Secret + ": the previous credential is deleted for good; it can't be rolled back\n"
				},
				ask: "Delete it?", askMany: "Delete all %d?",
			})
		},
	}
	a.selects(c, &s, true)
	noWaitFlag(c, &r.NoWait)
	return c
}
