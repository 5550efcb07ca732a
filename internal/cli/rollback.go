package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rota"
)

func (a *app) rollbackCommand() *cobra.Command {
	var noWait bool
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
			return a.withSecrets(c.Context(), args, func(s *session, list []chosen) error {
				told := fmt.Sprintf("%s: the previous credential becomes the current one again, is delivered and taken up by all consumers\n", list[0].name)
				if err := a.confirm(told, "Roll back?"); err != nil {
					return err
				}
				done := s.work(c.Context(), list, s.patiently(noWait, func(ctx context.Context, secret *rota.Secret) (rota.Result, error) {
					return s.rotator.Rollback(ctx, secret)
				}))
				// Giving up a new credential ends with its deletion.
				return a.report(done, rolledBack(done), 0)
			})
		},
	}
	noWaitFlag(c, &noWait)
	return c
}

// rolledBack is the step that tells that a rollback came true.
func rolledBack(done []worked) rota.Step {
	for _, w := range done {
		for _, d := range w.result.Done {
			if d.Step == rota.Delete || d.Step == rota.Rollback {
				return d.Step
			}
		}
	}
	return rota.Rollback
}
