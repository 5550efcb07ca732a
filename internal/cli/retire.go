package cli

import (
	"context"

	"github.com/spf13/cobra"

	"rota"
)

func (a *app) deactivateCommand() *cobra.Command {
	var noWait bool
	c := &cobra.Command{
		Use:   "deactivate NAME",
		Short: "Deactivate the previous credential ahead of its grace",
		Long: `Deactivates the previous credential ahead of its grace, but only if the issuer
reports that nobody uses it. rota rollback undoes it.`,
		Args:              argCount(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			told := args[0] + ": logins with the previous credential will fail\n"
			return a.retire(c.Context(), args, told, "Deactivate it?", rota.Deactivate, noWait)
		},
	}
	noWaitFlag(c, &noWait)
	return c
}

func (a *app) deleteCommand() *cobra.Command {
	var noWait bool
	c := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete the previous credential ahead of its second grace",
		Long: `Deletes the previous credential ahead of its second grace. It must be inactive
already, by the policy or by rota deactivate. This can't be undone.`,
		Args:              argCount(1, 1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			told := args[0] + ": the previous credential is deleted for good; there will be no rollback\n"
			return a.retire(c.Context(), args, told, "Delete it?", rota.Delete, noWait)
		},
	}
	noWaitFlag(c, &noWait)
	return c
}

func (a *app) retire(ctx context.Context, names []string, told, question string, step rota.Step, noWait bool) error {
	return a.withSecrets(ctx, names, func(s *session, list []chosen) error {
		if err := a.confirm(told, question); err != nil {
			return err
		}
		done := s.work(ctx, list, s.patiently(noWait, func(ctx context.Context, secret *rota.Secret) (rota.Result, error) {
			return s.rotator.Advance(ctx, secret, rota.Options{Force: step})
		}))
		err := a.report(done, step, 0)
		// There is something to retire, and it was not: that is a no.
		if err == nil && done[0].state(step) == workNothing && retirable(list[0].secret, done[0].result.Status, step) {
			return silently(exitHeld)
		}
		return err
	})
}

// retirable tells whether there is a previous credential that could still take
// the step. Where setting the new one kills the old one, there is none.
func retirable(s *rota.Secret, status rota.Status, step rota.Step) bool {
	if s == nil || !s.Issuer.Traits().Overlap() || status.PreviousID == "" {
		return false
	}
	return step == rota.Delete || !status.PreviousOff
}
