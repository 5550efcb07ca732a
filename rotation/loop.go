package rotation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/rota-dev/rota"
)

// maxSteps bounds one Advance: a whole life is 16 steps, and nothing sane
// needs three of them.
const maxSteps = 48

// forever is the patience of who waits until the context ends.
const forever = time.Duration(math.MaxInt64)

// act plans and carries out what the plan says, until there is nothing to do
// now. It is the only loop that does: the daemon, a driver and an event differ
// in the chain that they plan by, and in whether they can wait.
func (w *turn) act(ctx context.Context) error {
	var given error // why a credential was given up in this turn
	for range maxSteps {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := w.decide(ctx)
		if err != nil {
			return err
		}
		w.result.Last = d
		switch {
		case d.Step == rota.StepNone && w.waits(ctx, d):
			if err := w.Sleep(ctx, max(d.At.Sub(w.Now()), 0)); err != nil {
				return err
			}
			w.invalidateList()
			continue
		case d.Step == rota.StepNone, given != nil && d.Step == rota.StepCreate:
			return given // the next one is for the next turn
		}
		err = w.take(ctx, d)
		switch {
		case errors.Is(err, rota.ErrPeer):
			// Another worker was quicker with that one: decide anew.
			if err := w.reloadPeers(ctx); err != nil {
				return err
			}
		case err == nil && w.driven(d):
			return nil
		case err == nil:
		case given == nil && w.putsBack(d):
			given = err
		default:
			return err
		}
	}
	return &rota.Error{Op: "advance", Class: rota.ClassStop, Err: fmt.Errorf("still not done after %d steps, the last of them %s", maxSteps, w.result.Last.Step)}
}

// decide looks at the outside and plans.
func (w *turn) decide(ctx context.Context) (Decision, error) {
	if err := w.observe(ctx); err != nil {
		return Decision{}, w.failed(Decision{}, err)
	}
	if w.driver != nil {
		if err := newView(w.state, w.s.Policy, w.Now()).refuseDriver(); err != nil {
			return Decision{}, w.failed(Decision{Step: w.driver.Step, Version: w.driver.Version}, err)
		}
	}
	w.endFulfilledRequest()
	d := w.Plan(w.state, w.s.Policy, w.Now())
	if d.Observe {
		if err := w.list(ctx); err != nil {
			return d, w.failed(d, err)
		}
		d = w.Plan(w.state, w.s.Policy, w.Now())
	}
	w.forgetOvertakenFailure(d)
	if d.Step != rota.StepNone && (w.force == rota.StepNone && (w.requested == rota.StepDeactivate || w.requested == rota.StepDelete) || w.repeated(d)) {
		// What was asked for is done; what else is due is for the next turn.
		d = Decision{Next: d.Step, Due: d.Due, At: w.Now(), Reason: d.Reason}
	}
	return d, nil
}

// repeated tells that what was asked for was done in an earlier turn, and that d is
// the step after it: a deactivation that is asked for again deletes nothing.
func (w *turn) repeated(d Decision) bool {
	previous, ok := rota.Find(w.state.Contents.Versions, rota.LabelPrevious)
	return w.requested == rota.StepDeactivate && d.Step == rota.StepDelete && ok && d.Version == previous.ID
}

// waits tells whether the turn waits for that moment itself: whoever asked can't
// come back later, what they asked for is not done, and there is the time.
func (w *turn) waits(ctx context.Context, d Decision) bool {
	if w.patience == 0 || d.Hold != HoldNone || d.At.IsZero() || w.driver == nil && w.force != rota.StepCreate {
		return false
	}
	left := d.At.Sub(w.Now())
	deadline, bounded := ctx.Deadline()
	return left <= w.patience && (!bounded || time.Until(deadline) >= left)
}

// take carries out one step, and keeps how it went.
func (w *turn) take(ctx context.Context, d Decision) error {
	if d.Step == rota.StepCreate && w.force != rota.StepCreate && w.driver == nil {
		if len(w.deferred) > 0 && len(w.peers) > 0 {
			if err := w.save(ctx); err != nil { // what waits for a commit can't be in one that compares peers
				return err
			}
		}
		w.peersAtSave = w.peers
	}
	err := w.doPatiently(ctx, d)
	w.peersAtSave = nil
	switch {
	case errors.Is(err, rota.ErrPeer):
		return err
	case err != nil:
		return w.failed(d, err)
	}
	w.succeeded(d)
	return nil
}

// doPatiently carries out one step. What a driver's step needs first is tried
// again where it may only need time, such as a list that lags.
func (w *turn) doPatiently(ctx context.Context, d Decision) error {
	retirement := d.Step == rota.StepDeactivate || d.Step == rota.StepDelete
	backoff := time.Second
	for try := 1; ; try++ {
		err := w.do(ctx, d)
		if err == nil || w.driver == nil || !retirement || try == 4 || rota.ClassOf(err) != rota.ClassWait {
			return err
		}
		if sleepErr := w.Sleep(ctx, backoff); sleepErr != nil {
			return err
		}
		backoff *= 2
	}
}

// putsBack tells that the step that failed gave up a new credential, and the
// turn goes on: without overlap the old one is dead, and is put back at once.
func (w *turn) putsBack(d Decision) bool {
	return w.driver == nil && w.progress.Versions[d.Version].Rejected != "" && !w.state.Traits.Overlap()
}

// driven tells that the step was the one that the driver asked for. A promotion
// still has to be served.
func (w *turn) driven(d Decision) bool {
	if w.driver == nil {
		return false
	}
	w.driver.Taken = append(w.driver.Taken, d.Step)
	if d.Step != w.driver.Step || d.Step == rota.StepPromote {
		return false
	}
	w.result.Last = Decision{Version: d.Version, Reason: string(d.Step) + " is done"}
	return true
}

// do carries out one step.
func (w *turn) do(ctx context.Context, d Decision) error {
	w.Report(Report{Secret: w.s.Name, Decision: d})
	span := Span{Name: "step." + string(d.Step), Step: d.Step, Version: d.Version, Credential: d.Credential}
	err := w.traced(ctx, span, func(ctx context.Context) error { return w.step(ctx, d) })
	err = rota.Sanitize(err, w.redactions...)
	w.Report(Report{Secret: w.s.Name, Decision: d, Done: true, Err: err})
	if err != nil {
		// Info: the error goes back to the caller, who tells of it.
		w.Log.InfoContext(ctx, string(d.Step), "secret", w.s.Name, "version", d.Version, "credential", d.Credential, "error", err)
	} else {
		w.Log.InfoContext(ctx, string(d.Step), "secret", w.s.Name, "version", d.Version, "credential", d.Credential, "reason", d.Reason)
	}
	return err
}

func (w *turn) step(ctx context.Context, d Decision) error {
	switch d.Step {
	case rota.StepCreate:
		return w.create(ctx, d)
	case rota.StepSet:
		return w.set(ctx, d)
	case rota.StepTest:
		return w.test(ctx, d)
	case rota.StepPromote:
		return w.promote(ctx, d)
	case rota.StepDeliver:
		return w.deliver(ctx, d)
	case rota.StepReload:
		return w.reload(ctx, d)
	case rota.StepDeactivate:
		return w.deactivate(ctx, d)
	case rota.StepDelete:
		return w.delete(ctx, d)
	case rota.StepRollback:
		return w.rollback(ctx, d)
	case StepAdopt:
		return w.takeOver(ctx, d)
	}
	return fmt.Errorf("no such step: %q", d.Step)
}
