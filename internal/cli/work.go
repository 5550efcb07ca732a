package cli

import (
	"context"
	"fmt"

	"github.com/rota-dev/rota/api"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/rotation"
)

func noWaitFlag(c *cobra.Command, noWait *bool) {
	c.Flags().BoolVar(noWait, "no-wait", false, "exit with code 4 if another worker holds the secret, instead of waiting for it")
}

// work does one thing to the selected secrets, once a person has agreed, and
// reports how it went.
func (a *app) work(ctx context.Context, s selection, r api.WorkRequest, q question) error {
	return a.traced(ctx, "rota "+string(r.Operation), func(ctx context.Context) error { return a.workOn(ctx, s, r, q) })
}

func (a *app) workOn(ctx context.Context, s selection, r api.WorkRequest, q question) (err error) {
	return a.withOperations(ctx, toWork, func(o service.Operations) error {
		if r.Secrets, err = s.resolve(ctx, o); err != nil {
			return err
		}
		if err := a.confirmEach(ctx, o, r.Secrets, q); err != nil {
			return err
		}
		doc, err := o.Work(ctx, r)
		if err != nil {
			return err
		}
		return a.report(doc)
	})
}

// note tells the person something along the way.
func (a *app) note(format string, args ...any) {
	if a.json() {
		a.log.InfoContext(context.Background(), fmt.Sprintf(format, args...))
		return
	}
	escapeAll(args)
	fmt.Fprintf(a.Stderr, format+"\n", args...)
}

// tryLine prints what to do about an error, on a line of its own.
func (a *app) tryLine(indent string, remedies []rota.Remedy) {
	if line := hint.Line(remedies); line != "" {
		a.printf("%s%s", indent, line)
	}
}

func codeOfWork(s api.WorkState) int {
	switch s {
	case api.WorkFailed, api.WorkSkipped:
		return exitFailed
	case api.WorkBusy:
		return exitBusy
	case api.WorkHeld:
		return exitHeld
	}
	return exitDone
}

// report prints how it went and returns the exit code.
func (a *app) report(doc api.WorkDoc) error {
	var codes []int
	for _, d := range doc.Secrets {
		codes = append(codes, codeOfWork(d.State))
	}
	if len(doc.Waiting) > 0 {
		codes = append(codes, exitHeld)
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

var workColors = map[api.WorkState]color{
	api.WorkDone: green, api.WorkHeld: yellow, api.WorkFailed: red, api.WorkBusy: yellow, api.WorkSkipped: red,
}

func (a *app) reportSecret(d api.WorkSecretDoc) {
	state := a.paint(a.outStyle, workColors[d.State], string(d.State))
	a.printf("%s: %s", d.Secret, state)
	for _, step := range d.Done {
		line := "  " + string(step.Step)
		if step.Credential != "" {
			line += " " + step.Credential
		}
		a.printf("%s%s", line, a.paint(a.outStyle, faint, "  "+step.Reason))
	}
	switch {
	case d.Error != "":
		a.printf("  %s", rota.OneLine(d.Error))
		a.tryLine("  ", d.Remedies)
	case d.Hold != rotation.HoldNone:
		a.printf("  %s", hint.Add(d.Reason, d.Remedies))
	case !d.NextAt.IsZero():
		a.printf("  next: %s %s, %s", d.Next, when(d.NextAt, a.Now()), hint.Add(because(d.Next, d.Reason), d.Remedies))
	case d.Next != rota.StepNone:
		a.printf("  next: %s, %s", d.Next, hint.Add(because(d.Next, d.Reason), d.Remedies))
	case d.Reason != "":
		a.printf("  %s", d.Reason)
	}
}

// progress prints the steps as they're taken, on a terminal.
func (a *app) progress() func(rotation.Report) {
	if !a.errStyle.terminal || a.json() {
		return nil
	}
	return func(r rotation.Report) {
		switch {
		case !r.Done:
			a.note("%s %s %s", a.paint(a.errStyle, faint, a.errStyle.symbol("…", "...")), r.Secret, r.Decision.Step)
		case r.Err != nil:
			a.note("%s %s %s", a.paint(a.errStyle, red, a.errStyle.symbol("✗", "x")), r.Secret, r.Decision.Step)
		default:
			a.note("%s %s %s", a.paint(a.errStyle, green, a.errStyle.symbol("✓", "+")), r.Secret, r.Decision.Step)
		}
	}
}
