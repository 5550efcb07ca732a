package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rota"
	"rota/engine"
)

func (a *app) planCommand() *cobra.Command {
	var until, length string
	c := &cobra.Command{
		Use:   "plan [NAME...]",
		Short: "What would happen, when and why",
		Long: `Looks at the systems, changes nothing, and says what would happen, when and why:
what is due now and the next step after it, or all until a day. What lies ahead
takes for granted that every step succeeds and that the previous credentials go
out of use in time.`,
		ValidArgsFunction: a.completeNames,
		RunE: func(c *cobra.Command, args []string) error {
			end, err := a.horizon(until, length)
			if err != nil {
				return err
			}
			return a.plan(c.Context(), args, end)
		},
	}
	c.Flags().StringVar(&until, "until", "", "plan until the end of this `day`, such as 2027-03-31")
	c.Flags().StringVar(&length, "for", "", "plan for this `long`, such as 400d")
	return c
}

// horizon is where the plan ends; zero for after the next step.
func (a *app) horizon(until, length string) (time.Time, error) {
	now := a.Now()
	switch {
	case length != "" && until != "":
		return time.Time{}, usage("--until and --for say the same thing (try: one of them)")
	case length != "":
		d, err := rota.ParseDuration(length)
		if err != nil {
			return time.Time{}, refused(fmt.Errorf("--for: %w", err))
		}
		return now.Add(d), nil
	case until != "":
		day, err := time.ParseInLocation(time.DateOnly, until, time.Local)
		if err != nil {
			return time.Time{}, usage("--until %s: not a day (try: 2027-03-31)", until)
		}
		if end := day.AddDate(0, 0, 1).Add(-time.Second); end.After(now) {
			return end, nil
		}
		return time.Time{}, usage("--until %s: that day is over", until)
	}
	return time.Time{}, nil
}

// nextOnly bounds the look ahead for the next step alone.
const nextOnly = 20 * 365 * rota.Day

func (a *app) plan(ctx context.Context, names []string, end time.Time) error {
	return a.withSecrets(ctx, names, func(s *session, list []chosen) error {
		now := a.Now()
		plans, errs := s.foresee(ctx, list, now, end)
		return a.showPlan(list, plans, errs, now, end)
	})
}

func (a *app) showPlan(list []chosen, plans [][]rota.Planned, errs []error, now, end time.Time) error {
	doc := planDoc{From: now, Until: end, Secrets: []planSecretDoc{}}
	code := exitDone
	for i, c := range list {
		p := planSecretDoc{Secret: c.name, Steps: []stepDoc{}}
		if errs[i] != nil {
			code = exitFailed
			p.Error, p.Hint = splitHint(errs[i].Error())
		}
		for _, planned := range plans[i] {
			p.Steps = append(p.Steps, plannedDoc(planned))
		}
		doc.Secrets = append(doc.Secrets, p)
	}
	if a.json() {
		if err := a.document(doc); err != nil {
			return err
		}
		return silently(code)
	}
	a.printPlan(doc)
	return silently(code)
}

// foresee plans every chosen secret, several at once.
func (s *session) foresee(ctx context.Context, list []chosen, now, end time.Time) ([][]rota.Planned, []error) {
	plans, errs := make([][]rota.Planned, len(list)), make([]error, len(list))
	var place []int
	for i, c := range list {
		if errs[i] = c.err; c.err == nil {
			place = append(place, i)
		}
	}
	secrets := working(list)
	failed := engine.Each(ctx, engine.Limits{}, secrets, func(ctx context.Context, i int) error {
		state, decision, err := s.rotator.Observe(ctx, secrets[i])
		if err == nil {
			plans[place[i]] = ahead(state, secrets[i].Policy, decision, now, end)
		}
		return err
	})
	for i, err := range failed {
		errs[place[i]] = err
	}
	return plans, errs
}

// ahead is what lies ahead of one secret until the end, or up to the next step
// after now. Nothing at all is told as the reason why.
func ahead(state rota.State, policy rota.Policy, decision rota.Decision, now, end time.Time) []rota.Planned {
	var out []rota.Planned
	if end.IsZero() {
		for _, p := range rota.Project(state, policy, now, now.Add(nextOnly)) {
			if len(out) > 0 && p.At.After(now) && out[len(out)-1].At.After(now) {
				break
			}
			out = append(out, p)
		}
	} else {
		out = rota.Project(state, policy, now, end)
	}
	if len(out) == 0 {
		out = append(out, rota.Planned{At: decision.At, Decision: decision})
	}
	return out
}

func plannedDoc(p rota.Planned) stepDoc {
	d := p.Decision
	doc := stepDoc{At: p.At, Step: d.Step, Version: d.Version, Credential: d.Credential, Hold: d.Hold, Reason: d.Reason}
	if d.Step == rota.None {
		doc.Step = d.Next
	}
	return doc
}

// printPlan prints the steps by days, and within a day by secrets.
func (a *app) printPlan(doc planDoc) {
	type line struct {
		day, secret string
		stepDoc
	}
	var lines []line
	for _, s := range doc.Secrets {
		if s.Error != "" {
			a.printf("%s %s", a.paint(a.outStyle, red, "failed:"), s.Error)
			if s.Hint != "" {
				a.printf("  try: %s", s.Hint)
			}
		}
		for _, step := range s.Steps {
			day := "never"
			if !step.At.IsZero() {
				day = step.At.Local().Format(time.DateOnly) + " (" + relative(step.At, doc.From) + ")"
			}
			lines = append(lines, line{day, s.Secret, step})
		}
	}
	// Stable, so that a secret's steps of a day stay together and in order.
	slices.SortStableFunc(lines, func(x, y line) int { return startOfDay(x.At).Compare(startOfDay(y.At)) })
	var rows [][]cell
	var last line
	for _, l := range lines {
		row := cells(l.day, l.secret, "", string(l.Step), l.Credential, l.Reason)
		if !l.At.IsZero() {
			row[2].text = l.At.Local().Format("15:04")
		}
		if l.Hold != rota.NotHeld {
			row[3] = cell{row[3].text + " (held)", yellow}
		}
		if startOfDay(l.At).Equal(startOfDay(last.At)) && last.day != "" {
			row[0].text = ""
			if l.secret == last.secret {
				row[1].text = ""
			}
		}
		last = l
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		a.table([]string{"DAY", "SECRET", "TIME", "STEP", "CREDENTIAL", "WHY"}, rows)
	}
}

// startOfDay puts what never comes last.
func startOfDay(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(1<<40, 0)
	}
	year, month, day := t.Local().Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.Local)
}
