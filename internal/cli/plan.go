package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/rotation"
)

func (a *app) planCommand() *cobra.Command {
	var until, length string
	var s selection
	c := &cobra.Command{
		Use:   "plan [NAME...]",
		Short: "Show what will happen, when and why",
		Long: `Looks at the systems, changes nothing, and says what will happen, when and why:
what's due now and the next step after it, or everything until a given day. The
forecast assumes that every step succeeds and that nothing uses the previous
credentials by the time they're retired.`,
		RunE: func(c *cobra.Command, _ []string) error {
			end, err := a.horizon(until, length)
			if err != nil {
				return err
			}
			return a.plan(c.Context(), s, end)
		},
	}
	a.selects(c, &s, false)
	c.Flags().StringVar(&until, "until", "", "plan until the end of this `day`, such as 2027-03-31")
	c.Flags().StringVar(&length, "for", "", "plan for this `long`, such as 400d")
	return c
}

// horizon is where the plan ends; zero means after the next step.
func (a *app) horizon(until, length string) (time.Time, error) {
	now := a.Now()
	switch {
	case length != "" && until != "":
		return time.Time{}, rota.WithRemedies(usage("--until and --for can't be combined"), rota.Outside("give only one of them"))
	case length != "":
		d, err := rota.ParseDuration(length)
		if err != nil {
			return time.Time{}, refused(fmt.Errorf("--for: %w", err))
		}
		return now.Add(d), nil
	case until != "":
		day, err := time.ParseInLocation(time.DateOnly, until, time.Local)
		if err != nil {
			return time.Time{}, rota.WithRemedies(usage("--until %s: not a day", until), rota.Command("--until 2027-03-31"))
		}
		if end := day.AddDate(0, 0, 1).Add(-time.Second); end.After(now) {
			return end, nil
		}
		return time.Time{}, usage("--until %s: that day has passed", until)
	}
	return time.Time{}, nil
}

func (a *app) plan(ctx context.Context, s selection, until time.Time) error {
	return a.withOperations(ctx, toWork, func(o service.Operations) error {
		names, err := s.resolve(ctx, o)
		if err != nil {
			return err
		}
		doc, err := o.Plan(ctx, api.PlanRequest{Names: names, Until: until})
		if err != nil {
			return err
		}
		code := exitDone
		for _, s := range doc.Secrets {
			if s.Error != "" {
				code = exitFailed
			}
		}
		if a.json() {
			if err := a.document(doc); err != nil {
				return err
			}
			return silently(code)
		}
		a.printPlan(doc)
		return silently(code)
	})
}

// printPlan prints the steps under their day and secret.
func (a *app) printPlan(doc api.PlanDoc) {
	type line struct {
		day, secret string
		api.StepDoc
	}
	var lines []line
	for _, s := range doc.Secrets {
		if s.Error != "" {
			a.printf("%s %s", a.paint(a.outStyle, red, "failed:"), rota.OneLine(s.Secret+": "+s.Error))
			a.tryLine("  ", s.Remedies)
		}
		for _, step := range s.Steps {
			day := "never"
			if !step.At.IsZero() {
				day = step.At.Local().Format(time.DateOnly) + " (" + relative(step.At, doc.From) + ")"
			}
			lines = append(lines, line{day, s.Secret, step})
		}
	}
	// Stable, so that a secret's steps on a day stay together and in order.
	slices.SortStableFunc(lines, func(x, y line) int { return startOfDay(x.At).Compare(startOfDay(y.At)) })
	var parts []section
	var last line
	for _, l := range lines {
		same := len(parts) > 0 && l.day == last.day
		if !same {
			parts = append(parts, section{title: cell{l.day, bold}})
		}
		if !same || l.secret != last.secret {
			parts = append(parts, section{title: cell{"  " + l.secret, plain}})
		}
		row := cells("    ", string(l.Step), l.Credential, hint.Add(because(l.Step, l.Reason), l.Remedies))
		if !l.At.IsZero() {
			row[0].text += l.At.Local().Format("15:04")
		}
		if l.Hold != rotation.HoldNone {
			row[1] = cell{row[1].text + " (held)", yellow}
		}
		of := &parts[len(parts)-1]
		of.rows = append(of.rows, row)
		last = l
	}
	if len(parts) > 0 {
		a.sections([]string{"    TIME", "STEP", "CREDENTIAL", "WHY"}, parts)
	}
	for _, s := range doc.Secrets {
		if s.Next != nil {
			a.printf("%s: nothing until %s; next after that: %s %s, %s", s.Secret, at(doc.Until), s.Next.Step, when(s.Next.At, doc.From), hint.Add(because(s.Next.Step, s.Next.Reason), s.Next.Remedies))
		}
	}
}

// startOfDay sorts what never happens last.
func startOfDay(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(1<<40, 0)
	}
	year, month, day := t.Local().Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.Local)
}
