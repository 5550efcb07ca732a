package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rota"
	"rota/engine"
)

// act is one command's work on one secret.
type act func(ctx context.Context, s *rota.Secret) (rota.Result, error)

// worked is how it went.
type worked struct {
	name   string
	result rota.Result
	err    error
}

// work lets every chosen secret be worked, several at once, and gives how it
// went in their order.
func (s *session) work(ctx context.Context, list []chosen, do act) []worked {
	out := make([]worked, len(list))
	var place []int
	for i, c := range list {
		out[i] = worked{name: c.name, err: c.err}
		if c.err == nil {
			place = append(place, i)
		}
	}
	secrets := working(list)
	errs := engine.Each(ctx, engine.Limits{}, secrets, func(ctx context.Context, i int) error {
		var err error
		out[place[i]].result, err = do(ctx, secrets[i])
		return err
	})
	for i, err := range errs {
		out[place[i]].err = err
	}
	return out
}

// patiently waits for another worker's lease to end, as long as one may last
// without a sign of life.
func (s *session) patiently(noWait bool, do act) act {
	if noWait {
		return do
	}
	return func(ctx context.Context, secret *rota.Secret) (rota.Result, error) {
		pause, deadline := 200*time.Millisecond, time.Now().Add(leaseTTL+5*time.Second)
		for said := false; ; said = true {
			result, err := do(ctx, secret)
			if !errors.Is(err, rota.ErrBusy) || time.Now().After(deadline) {
				return result, err
			}
			if !said {
				s.app.note("%s: another worker is at it; waiting for up to %s", secret.Name, leaseTTL)
			}
			select {
			case <-ctx.Done():
				return result, fmt.Errorf("%s: %w", secret.Name, ctx.Err())
			case <-time.After(pause):
			}
			pause = min(2*pause, 2*time.Second)
		}
	}
}

// note tells a person something on the way.
func (a *app) note(format string, args ...any) {
	if a.json() {
		a.log.InfoContext(context.Background(), fmt.Sprintf(format, args...))
		return
	}
	fmt.Fprintf(a.Stderr, format+"\n", args...)
}

// state sums up how it went. A step of wanted tells that a wish was fulfilled,
// whatever is held since.
func (w worked) state(wanted rota.Step) workState {
	took := func(step rota.Step) bool {
		return slices.ContainsFunc(w.result.Done, func(d rota.Decision) bool { return d.Step == step })
	}
	_, skipped := errors.AsType[*engine.SkippedError](w.err)
	switch {
	case skipped:
		return workSkipped
	case errors.Is(w.err, rota.ErrBusy), errors.Is(w.err, rota.ErrFenced):
		return workBusy
	case w.err != nil:
		return workFailed
	case wanted != rota.None && took(wanted):
		return workDone
	case w.result.Last.Hold != rota.NotHeld && concerns(w.result.Last.Next, wanted):
		return workHeld
	case len(w.result.Done) > 0:
		return workDone
	default:
		return workNothing
	}
}

// concerns tells whether a held step stands in the way of a wish. Who wants a
// credential retired does not care that the next rotation is held.
func concerns(held, wanted rota.Step) bool {
	if wanted == rota.Deactivate || wanted == rota.Delete {
		return held == rota.Deactivate || held == rota.Delete
	}
	return true
}

func (s workState) code() int {
	switch s {
	case workFailed, workSkipped:
		return exitFailed
	case workBusy:
		return exitBusy
	case workHeld:
		return exitHeld
	}
	return exitDone
}

func (w worked) doc(wanted rota.Step) workSecretDoc {
	last := w.result.Last
	doc := workSecretDoc{Secret: w.name, State: w.state(wanted), Done: []stepDoc{}, Hold: last.Hold}
	for _, d := range w.result.Done {
		doc.Done = append(doc.Done, stepDoc{Step: d.Step, Version: d.Version, Credential: d.Credential, Reason: d.Reason})
	}
	if w.err != nil {
		doc.Error, doc.Hint = splitHint(w.err.Error())
		doc.Error = strings.TrimPrefix(strings.TrimPrefix(doc.Error, "secret "), w.name+": ")
		return doc
	}
	doc.Next, doc.NextAt, doc.Reason = last.Next, last.Due, last.Reason
	return doc
}

// report prints how it went and gives the exit code. notDue is how many more
// secrets were not looked at.
func (a *app) report(list []worked, wanted rota.Step, notDue int) error {
	doc := workDoc{Secrets: []workSecretDoc{}, NotDue: notDue}
	var codes []int
	for _, w := range list {
		d := w.doc(wanted)
		doc.Secrets = append(doc.Secrets, d)
		codes = append(codes, d.State.code())
	}
	if a.json() {
		if err := a.document(doc); err != nil {
			return err
		}
		return silently(worst(codes...))
	}
	for _, d := range doc.Secrets {
		a.reportSecret(d)
	}
	return silently(worst(codes...))
}

var workColors = map[workState]color{
	workDone: green, workHeld: yellow, workFailed: red, workBusy: yellow, workSkipped: red,
}

func (a *app) reportSecret(d workSecretDoc) {
	state := a.paint(a.outStyle, workColors[d.State], string(d.State))
	a.printf("%s: %s", d.Secret, state)
	for _, step := range d.Done {
		line := "  " + string(step.Step)
		if step.Credential != "" {
			line += " " + step.Credential
		}
		a.printf("%s", line+a.paint(a.outStyle, faint, "  "+step.Reason))
	}
	switch {
	case d.Error != "":
		a.printf("  %s", d.Error)
		if d.Hint != "" {
			a.printf("  try: %s", d.Hint)
		}
	case d.Hold != rota.NotHeld:
		a.printf("  %s", d.Reason)
	case !d.NextAt.IsZero():
		a.printf("  next: %s %s, %s", d.Next, when(d.NextAt, a.Now()), d.Reason)
	case d.Reason != "":
		a.printf("  next: %s", d.Reason)
	}
}

// progress tells the steps as they are taken, on a terminal.
func (a *app) progress() func(rota.Report) {
	if !a.errStyle.terminal || a.json() {
		return nil
	}
	return func(r rota.Report) {
		switch {
		case !r.Done:
			fmt.Fprintf(a.Stderr, "%s %s %s\n", a.paint(a.errStyle, faint, a.errStyle.symbol("…", "...")), r.Secret, r.Decision.Step)
		case r.Err != nil:
			fmt.Fprintf(a.Stderr, "%s %s %s\n", a.paint(a.errStyle, red, a.errStyle.symbol("✗", "x")), r.Secret, r.Decision.Step)
		default:
			fmt.Fprintf(a.Stderr, "%s %s %s\n", a.paint(a.errStyle, green, a.errStyle.symbol("✓", "+")), r.Secret, r.Decision.Step)
		}
	}
}
