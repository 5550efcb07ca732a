package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

// outcome is how it went for one secret.
type outcome struct {
	name   string
	result rotation.Result
	err    error
}

// operation is one operation on one secret.
type operation func(ctx context.Context, s *rotation.Secret) (rotation.Result, error)

// Work does one thing to the named secrets.
func (l *Local) Work(ctx context.Context, r api.WorkRequest) (api.WorkDoc, error) {
	if len(r.Secrets) == 0 {
		return api.WorkDoc{}, &UsageError{Err: errors.New("no secret named")}
	}
	rotator := l.rotator()
	force := func(step rota.Step) operation {
		return func(ctx context.Context, s *rotation.Secret) (rotation.Result, error) {
			return rotator.Advance(ctx, s, rotation.Options{Force: step})
		}
	}
	action := access.Rotate
	var do operation
	var wanted func(w outcome, s *rotation.Secret) rota.Step // the step that shows the request was fulfilled
	switch r.Operation {
	case api.OpRotate:
		do, wanted = force(rota.StepCreate), final(rota.StepCreate)
	case api.OpRollback:
		do, wanted = rotator.Rollback, rolledBack
	case api.OpDeliver:
		do, wanted = rotator.Redeliver, lastDelivery
	case api.OpDeactivate:
		action = access.Retire
		do, wanted = force(rota.StepDeactivate), final(rota.StepDeactivate)
	case api.OpDelete:
		action = access.Retire
		do, wanted = force(rota.StepDelete), final(rota.StepDelete)
	default:
		return api.WorkDoc{}, &UsageError{Err: rota.WithRemedies(fmt.Errorf("no operation %q", r.Operation), rota.Outside("rotate, rollback, deliver, deactivate, delete"))}
	}
	list, err := l.choose(ctx, action, string(r.Operation), r.Secrets)
	if err != nil {
		return api.WorkDoc{}, err
	}
	doc := api.WorkDoc{Secrets: []api.WorkSecretDoc{}}
	for i, w := range l.work(ctx, list, r.NoWait, do) {
		step := wanted(w, list[i].secret)
		d := w.doc(step)
		if d.State == api.WorkNothing && (step == rota.StepDeactivate || step == rota.StepDelete) && retirable(list[i].secret, w.result.Status, step) {
			d.State = api.WorkHeld // there's something to retire, and it wasn't retired: the answer is no
		}
		doc.Secrets = append(doc.Secrets, d)
	}
	return doc, nil
}

// Adopt takes over an existing credential.
func (l *Local) Adopt(ctx context.Context, r api.AdoptRequest) (api.WorkDoc, error) {
	list, err := l.choose(ctx, access.Rotate, string(rotation.StepAdopt), []string{r.Secret})
	if err != nil {
		return api.WorkDoc{}, err
	}
	o := rotation.AdoptOptions{NotBefore: r.NotBefore}
	if len(r.Fields) > 0 {
		o.Credential = rota.NewCredential(r.Fields)
	}
	done := l.work(ctx, list, r.NoWait, func(ctx context.Context, s *rotation.Secret) (rotation.Result, error) {
		return l.rotator().Adopt(ctx, s, o)
	})
	return api.WorkDoc{Secrets: []api.WorkSecretDoc{done[0].doc("adopt")}}, nil
}

// work does one thing to every chosen secret. A secret that logs in with
// another's value comes after that one, with the new value.
func (l *Local) work(ctx context.Context, list []chosen, noWait bool, do operation) []outcome {
	var names []string
	place := map[string]int{}
	for i, c := range list {
		names, place[c.name] = append(names, c.name), i
	}
	out := make([]outcome, len(list))
	for n, wave := range l.File.Waves(names) {
		if n > 0 {
			end := l.rewireWave(ctx, list, wave, place)
			defer end()
		}
		var now []chosen
		for _, name := range wave {
			now = append(now, list[place[name]])
		}
		for i, w := range l.workWave(ctx, now, noWait, do) {
			out[place[wave[i]]] = w
		}
	}
	return out
}

// rewireWave makes the secrets of a wave log in with the values that earlier
// waves created. If that fails, they keep their old ones. The returned function
// closes what it opened.
func (l *Local) rewireWave(ctx context.Context, list []chosen, wave []string, place map[string]int) func() {
	if l.Rewire == nil {
		return func() {}
	}
	wired, err := l.Rewire(ctx)
	if err != nil {
		l.message("the new values can't be read: %s", hint.Text(err))
		return func() {}
	}
	for _, name := range wave {
		c := &list[place[name]]
		c.secret, c.err = wired.ByName[name], wired.Broken[name]
	}
	return func() { _ = wired.Close() }
}

// workWave does one thing to every chosen secret, several at once. If another
// worker has one of them, it is retried later, unless noWait is set.
func (l *Local) workWave(ctx context.Context, list []chosen, noWait bool, do operation) []outcome {
	workers := l.Workers
	if workers == nil {
		workers = engine.NewPool(engine.Limits{})
	}
	out := make([]outcome, len(list))
	var later sync.WaitGroup
	errs := each(ctx, workers, list, func(ctx context.Context, i int, s *rotation.Secret) error {
		var err error
		out[i].result, err = do(ctx, s)
		return err
	})
	for i, err := range errs {
		out[i].name, out[i].err = list[i].name, err
		if errors.Is(err, rota.ErrBusy) && !noWait {
			later.Go(func() { l.retryWhileBusy(ctx, workers, list[i:i+1], &out[i], do) })
		}
	}
	later.Wait()
	return out
}

// retryWhileBusy does one thing to a secret that another worker holds: it retries until
// that worker's lease has ended, for as long as a lease can last without being
// extended. It occupies no worker slot in the meantime.
func (l *Local) retryWhileBusy(ctx context.Context, workers Workers, one []chosen, out *outcome, do operation) {
	patience := cmp.Or(l.LeaseWait, 65*time.Second)
	l.message("%s: another worker holds it; waiting for up to %s", out.name, patience.Truncate(time.Minute))
	out.err = engine.WhileBusy(ctx, patience, func(ctx context.Context) error {
		return each(ctx, workers, one, func(ctx context.Context, _ int, s *rotation.Secret) error {
			var err error
			out.result, err = do(ctx, s)
			return err
		})[0]
	})
}

// final is the step that shows that a forced step succeeded.
func final(forced rota.Step) func(outcome, *rotation.Secret) rota.Step {
	return func(outcome, *rotation.Secret) rota.Step { return rotation.FinalStep(forced) }
}

// rolledBack is the step that shows a rollback succeeded. Discarding a new
// credential ends with its deletion.
func rolledBack(w outcome, _ *rotation.Secret) rota.Step {
	for _, d := range w.result.Done {
		if d.Step == rota.StepDelete || d.Step == rota.StepRollback {
			return d.Step
		}
	}
	return rota.StepRollback
}

// lastDelivery is the step that shows a delivery succeeded.
func lastDelivery(_ outcome, s *rotation.Secret) rota.Step {
	switch {
	case s == nil:
		return rota.StepNone
	case len(s.Reloaders) > 0:
		return rota.StepReload
	case len(s.Targets) > 0:
		return rota.StepDeliver
	}
	return rota.StepNone
}

// retirable reports whether there's a previous credential that could still
// take the step. If setting the new one kills the old one, there is none.
func retirable(s *rotation.Secret, status rotation.Status, step rota.Step) bool {
	if s == nil || !s.Issuer.Traits().Overlap() || status.PreviousID == "" {
		return false
	}
	return step == rota.StepDelete || !status.PreviousOff
}

// state sums up how it went. A step in wanted shows that the request was
// fulfilled, whatever has been held since.
func (w outcome) state(wanted rota.Step) api.WorkState {
	_, skipped := errors.AsType[*engine.SkippedError](w.err)
	switch {
	case skipped:
		return api.WorkSkipped
	case errors.Is(w.err, rota.ErrAdopted):
		return api.WorkNothing
	case errors.Is(w.err, rota.ErrBusy), errors.Is(w.err, rota.ErrFenced):
		return api.WorkBusy
	case w.err != nil:
		return api.WorkFailed
	case wanted != rota.StepNone && w.result.Took(wanted):
		return api.WorkDone
	case w.result.Last.Hold != rotation.HoldNone && blocks(w.result.Last.Next, wanted):
		return api.WorkHeld
	case w.result.Last.Unfinished && blocks(w.result.Last.Next, wanted):
		return api.WorkHeld
	case len(w.result.Done) > 0:
		return api.WorkDone
	default:
		return api.WorkNothing
	}
}

// blocks reports whether a held step stands in the way of a request. For
// retiring a credential, it doesn't matter that the next rotation is held.
func blocks(held, wanted rota.Step) bool {
	if wanted == rota.StepDeactivate || wanted == rota.StepDelete {
		return held == rota.StepDeactivate || held == rota.StepDelete
	}
	return true
}

func (w outcome) doc(wanted rota.Step) api.WorkSecretDoc {
	last := w.result.Last
	doc := api.WorkSecretDoc{Secret: w.name, State: w.state(wanted), Done: []api.StepDoc{}, Hold: last.Hold}
	for _, d := range w.result.Done {
		doc.Done = append(doc.Done, api.StepDoc{Step: d.Step, Version: d.Version, Credential: d.Credential, Reason: d.Reason})
	}
	if w.err != nil {
		doc.Error, doc.Hint, doc.Remedies = DescribeIn(w.err)
		if doc.State == api.WorkNothing {
			doc.Reason, doc.Error = doc.Error, ""
		}
		return doc
	}
	doc.Next, doc.NextAt, doc.Reason = last.Next, last.Due, last.Reason
	doc.Remedies = last.Remedies
	if last.Hold == rotation.HoldInUse && len(last.Remedies) == 0 {
		doc.Remedies = []rota.Remedy{{Action: rota.RemedyWait, Secret: w.name, Text: "wait: each run looks again, and retires it once it's unused"}}
	}
	return doc
}
