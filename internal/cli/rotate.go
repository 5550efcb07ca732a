package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rota"
)

func (a *app) rotateCommand() *cobra.Command {
	var noWait bool
	c := &cobra.Command{
		Use:   "rotate NAME...",
		Short: "Rotate secrets now, ahead of their dates",
		Long: `Rotates secrets now, ahead of their dates and windows: creates the new
credential, tests it, promotes it, delivers it and reloads the consumers. The
previous one is retired by the policy, as ever. Exit code 3 if it may not be
done now; the reason is in the output.`,
		Args:              argCount(1, -1),
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withSecrets(c.Context(), args, func(s *session, list []chosen) error {
				if err := a.confirm(tellRotation(list), "Rotate now?"); err != nil {
					return err
				}
				return a.force(c.Context(), s, list, rota.Create, rota.Promote, noWait)
			})
		},
	}
	noWaitFlag(c, &noWait)
	return c
}

func noWaitFlag(c *cobra.Command, noWait *bool) {
	c.Flags().BoolVar(noWait, "no-wait", false, "exit with code 4 where another worker is at the secret, instead of waiting for it")
}

// withSecrets opens a session for the named secrets.
func (a *app) withSecrets(ctx context.Context, names []string, do func(*session, []chosen) error) error {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	list, err := s.choose(names)
	if err != nil {
		return err
	}
	return do(s, list)
}

// force takes a step ahead of the policy's dates. wanted is the step that
// tells that the wish came true.
func (a *app) force(ctx context.Context, s *session, list []chosen, step, wanted rota.Step, noWait bool) error {
	done := s.work(ctx, list, s.patiently(noWait, func(ctx context.Context, secret *rota.Secret) (rota.Result, error) {
		return s.rotator.Advance(ctx, secret, rota.Options{Force: step})
	}))
	return a.report(done, wanted, 0)
}

// tellRotation says what a rotation will mean.
func tellRotation(list []chosen) string {
	var b strings.Builder
	for _, c := range list {
		if c.err != nil {
			continue
		}
		s := c.secret
		traits := s.Issuer.Traits()
		fmt.Fprintf(&b, "%s: a new %s", s.Name, traits.Kind)
		if n := len(s.Targets); n > 0 {
			fmt.Fprintf(&b, ", delivered to %s", plural(n, "target"))
		}
		if n := len(s.Reloaders); n > 0 {
			fmt.Fprintf(&b, ", taken up by %s", plural(n, "reloader"))
		}
		if traits.Overlap() {
			after := cmp.Or(s.Policy.Retire, rota.AfterGrace)
			if after == rota.AfterGrace {
				fmt.Fprintf(&b, "; the previous one stays valid for at least %s\n", rota.FormatDuration(s.Policy.DeactivatePreviousAfter))
			} else {
				b.WriteString("; the previous one stays valid until the next rotation\n")
			}
			continue
		}
		b.WriteString("; the previous one stops working as soon as the new one is set\n")
	}
	return b.String()
}
