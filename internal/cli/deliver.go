package cli

import (
	"github.com/spf13/cobra"

	"rota"
)

func (a *app) deliverCommand() *cobra.Command {
	var noWait bool
	c := &cobra.Command{
		Use:   "deliver NAME",
		Short: "Deliver the current credential again",
		Long:  "Delivers the current credential to every target again, and reloads the consumers.",
		Args:  argCount(1, 1), ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withSecrets(c.Context(), args, func(s *session, list []chosen) error {
				done := s.work(c.Context(), list, s.patiently(noWait, s.rotator.Redeliver))
				return a.report(done, lastDelivery(list), 0)
			})
		},
	}
	noWaitFlag(c, &noWait)
	return c
}

// lastDelivery is the step that tells that a delivery came true.
func lastDelivery(list []chosen) rota.Step {
	switch s := list[0].secret; {
	case s == nil:
		return rota.None
	case len(s.Reloaders) > 0:
		return rota.Reload
	case len(s.Targets) > 0:
		return rota.Deliver
	}
	return rota.None
}
