package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/service"
)

func (a *app) statusCommand() *cobra.Command {
	var s selection
	c := &cobra.Command{
		Use:   "status [NAME...]",
		Short: "Show the state of every secret",
		Long: `Shows the state of every secret as of the last look: ok, due, late (due for longer
than the policy's late_after), held (due, but must not be done), paused, failed,
or quarantined (given up after the last retry, until rota resume). A secret whose
worker was stopped midway is due. Reads rota.yaml and Rota's own store, and
contacts no other system; use rota plan for that.`,
		RunE: func(c *cobra.Command, _ []string) error { return a.status(c.Context(), s) },
	}
	a.selects(c, &s, false)
	return c
}

func (a *app) status(ctx context.Context, s selection) error {
	return a.withOperations(ctx, toLook, func(o service.Operations) error {
		var r api.StatusRequest
		if s.named() {
			r.Names = s.names
		}
		doc, err := o.Status(ctx, r)
		if err != nil {
			return err
		}
		if !s.named() {
			if doc.Secrets, err = s.from(doc.Secrets); err != nil {
				return err
			}
		}
		if a.json() {
			return a.document(doc)
		}
		a.printStatus(doc)
		return nil
	})
}

var stateColors = map[api.SecretState]color{
	api.StateOK: green, api.StateDue: plain, api.StatePaused: yellow, api.StateHeld: yellow,
	api.StateLate: red, api.StateFailed: red, api.StateQuarantined: red,
}

func (a *app) printStatus(doc api.StatusDoc) {
	var rows [][]cell
	for _, s := range doc.Secrets {
		age := ""
		if !s.IssuedAt.IsZero() {
			age = minutes(doc.At.Sub(s.IssuedAt))
		}
		if left := s.ExpiresAt.Sub(doc.At); !s.ExpiresAt.IsZero() {
			age += ", ends in " + minutes(left)
		}
		if !s.RenewAt.IsZero() {
			age += ", renewed " + soon(s.RenewAt.Sub(doc.At))
		}
		previous := s.Previous
		if s.PreviousInactive {
			previous += " (inactive)"
		}
		s.Reason = hint.Add(because(s.Next, s.Reason), s.Remedies)
		if s.Worker != "" {
			s.Reason = s.Worker + " is working on it now; " + s.Reason
		}
		if s.Instances > 0 {
			s.Reason += heldBy(s.Instances, s.Older)
		}
		row := cells(s.Secret, string(s.State), s.Credential, age, previous, string(s.Next), when(s.NextAt, doc.At), s.Reason)
		row[1].color = stateColors[s.State]
		rows = append(rows, row)
	}
	a.table([]string{"SECRET", "STATE", "CREDENTIAL", "AGE", "PREVIOUS", "NEXT", "WHEN", "WHY"}, rows)
	if doc.Refused != nil {
		a.printf("")
		a.printf("%s %s", a.paint(a.outStyle, red, "the newest rota.yaml is refused since "+when(doc.Refused.Since, doc.At)+", and an earlier one is in force:"), escapeLines(doc.Refused.Error))
	}
	if doc.Frozen != "" {
		a.printf("")
		a.printf("%s %s", a.paint(a.outStyle, yellow, "frozen, nothing new starts:"), hint.Add(doc.Frozen, []rota.Remedy{{Action: rota.RemedyThaw}}))
	}
	if len(doc.Unknown) > 0 {
		a.printf("")
		a.printf("known from earlier, but no longer in rota.yaml: %s", strings.Join(doc.Unknown, ", "))
	}
}

// heldBy says how many instances report a secret.
func heldBy(instances, older int) string {
	text := fmt.Sprintf("; held by %d instances", instances)
	if instances == 1 {
		text = "; held by one instance"
	}
	switch older {
	case 0:
		return text
	case instances:
		return text + ", in an older version"
	}
	return text + fmt.Sprintf(", %d of them in an older version", older)
}

// soon is when something happens, "now" if it's due.
func soon(left time.Duration) string {
	if left <= 0 {
		return "now"
	}
	return "in " + minutes(left)
}

// minutes is a duration without seconds.
func minutes(d time.Duration) string {
	if d < time.Minute {
		return "<1m"
	}
	return rota.FormatDuration(d.Truncate(time.Minute))
}
