package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
)

func (a *app) rotateCommand() *cobra.Command {
	r := api.WorkRequest{Operation: api.OpRotate}
	var s selection
	c := &cobra.Command{
		Use:   "rotate NAME...",
		Short: "Rotate secrets now, regardless of dates and windows",
		Long: `Rotates secrets now, regardless of dates and windows: creates the new credential,
tests it, promotes it, delivers it and reloads the consumers. The previous one is
retired by policy, as always. Exit code 3 if a rotation must not happen now; the
reason is in the output.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.work(c.Context(), s, r, question{tell: tellRotation, ask: "Rotate now?", askMany: "Rotate all %d now?"})
		},
	}
	a.selects(c, &s, true)
	noWaitFlag(c, &r.NoWait)
	return c
}

// tellRotation says what a rotation will do.
func tellRotation(s api.SecretDoc) string {
	if s.Error != "" {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: a new %s", s.Secret, s.Kind)
	if s.Targets > 0 {
		fmt.Fprintf(&b, ", delivered to %s", plural(s.Targets, "target"))
	}
	if s.Reloaders > 0 {
		fmt.Fprintf(&b, ", reloaded by %s", plural(s.Reloaders, "reloader"))
	}
	switch grace := time.Duration(s.GraceSeconds) * time.Second; {
	case !s.Overlap:
		b.WriteString("; the previous one stops working as soon as the new one is set\n")
	case grace > 0:
		fmt.Fprintf(&b, "; the previous one stays valid for at least %s\n", rota.FormatDuration(grace))
	default:
		b.WriteString("; the previous one stays valid until the next rotation\n")
	}
	return b.String()
}
