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

// forever is the patience of a caller that waits until its context ends.
const forever = time.Duration(math.MaxInt64)

// act decides and takes steps until there is nothing to do now. It is the only
// loop that does: the daemon, a driver and an event differ in the chain they
// plan by, and in whether they can wait.
func (t *turn) act(ctx context.Context) error {
	t.proves, t.tells, t.asksHolders, t.asksInstances = true, true, true, true
	var rejected error // why a new credential was given up in this turn
	for range maxSteps {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := t.decide(ctx)
		if err != nil && t.blind && t.goesOn(ctx, err) {
			return errors.Join(err, t.renewUnseen(ctx))
		}
		if err != nil {
			return err
		}
		t.result.Last = d
		switch {
		case d.Step == rota.StepNone && t.waitsFor(ctx, d):
			if err := t.Sleep(ctx, max(d.At.Sub(t.Now()), 0)); err != nil {
				return err
			}
			t.seen.invalidateList()
			continue
		case d.Step == rota.StepNone, rejected != nil && d.Step == rota.StepCreate:
			return rejected // the next credential is for the next turn
		}
		err = t.take(ctx, d)
		switch {
		case errors.Is(err, rota.ErrPeer):
			// Another worker was quicker with a peer: decide again.
			if err := t.ledger.reloadPeers(ctx); err != nil {
				return err
			}
		case err == nil && t.isDriven(d):
			return nil
		case err == nil:
		case d.Step == rota.StepRenew && t.goesOn(ctx, err):
			if t.unrenewed != nil {
				err = errors.Join(t.unrenewed, err)
			}
			t.unrenewed = err
		case rejected == nil && t.mustPutBack(d):
			rejected = err
		default:
			return err
		}
	}
	return &rota.Error{Op: "advance", Class: rota.ClassStop, Err: fmt.Errorf("still not done after %d steps, the last of them %s", maxSteps, t.result.Last.Step)}
}

// decide looks outside and plans.
func (t *turn) decide(ctx context.Context) (Decision, error) {
	err := t.observe(ctx)
	if t.blind = err != nil; t.blind {
		return Decision{}, t.failed(Decision{}, err)
	}
	if driver := t.asked.driver; driver != nil {
		if err := t.recognizeRehearsal(ctx); err != nil {
			return Decision{}, t.failed(Decision{Step: driver.Step, Version: driver.Version}, err)
		}
		if err := newView(t.state(), t.s.Policy, t.Now()).refuseDriver(); err != nil {
			return Decision{}, t.failed(Decision{Step: driver.Step, Version: driver.Version}, err)
		}
	}
	t.endFulfilledRequest()
	d, err := t.planKnowing(ctx)
	if err != nil {
		return d, err
	}
	t.forgetOvertakenFailure()
	if len(t.result.Done) == 0 {
		t.ledger.noteInterrupted(d)
	}
	return d, nil
}

// planKnowing plans, and asks what the planner needs to know for that.
func (t *turn) planKnowing(ctx context.Context) (Decision, error) {
	d := t.plan()
	for range 6 { // there are as many questions, and each is asked once
		about := Decision{}
		var err error
		switch {
		case d.Observe:
			err = t.list(ctx)
		case d.Tell:
			err = t.askInForce(ctx)
		case d.FindHolders:
			t.findHolders(ctx)
		case d.CountInstances:
			err = t.countInstances(ctx)
		case d.Prove:
			about, t.result.Last = Decision{Step: d.Next, Version: d.Version, Credential: d.Credential}, d
			err = t.askReady(ctx)
		default:
			return d, nil
		}
		if err != nil {
			return d, t.failed(about, err)
		}
		d = t.plan()
	}
	return d, nil
}

// waitsFor reports whether the turn itself waits until the decision's moment:
// whoever asked can't come back later, what they asked for isn't done, and there
// is enough time.
func (t *turn) waitsFor(ctx context.Context, d Decision) bool {
	if t.asked.patience == 0 || d.Hold != HoldNone || d.At.IsZero() || t.asked.driver == nil && t.asked.force != rota.StepCreate {
		return false
	}
	left := d.At.Sub(t.Now())
	deadline, bounded := ctx.Deadline()
	return left <= t.asked.patience && (!bounded || time.Until(deadline) >= left)
}

// take takes one step and notes how it went.
func (t *turn) take(ctx context.Context, d Decision) error {
	if d.Step == rota.StepCreate && t.asked.force != rota.StepCreate && t.asked.driver == nil {
		if err := t.ledger.guardPeers(ctx); err != nil {
			return err
		}
	}
	err := t.doPatiently(ctx, d)
	t.ledger.peersAtSave = nil
	switch {
	case errors.Is(err, rota.ErrPeer):
		return err
	case err != nil && d.Step == rota.StepRenew:
		return t.notRenewed(d, err)
	case err != nil:
		return t.failed(d, err)
	}
	t.succeeded(d)
	return nil
}

// doPatiently takes one step. For a driver, which can't come back, it retries a
// retirement that may only need time, such as for a list that lags.
func (t *turn) doPatiently(ctx context.Context, d Decision) error {
	retirement := d.Step == rota.StepDeactivate || d.Step == rota.StepDelete
	if t.asked.driver == nil || !retirement {
		return t.do(ctx, d)
	}
	backoff := time.Second
	for try := 1; ; try++ {
		err := t.do(ctx, d)
		if err == nil || try == 4 || rota.ClassOf(err) != rota.ClassWait {
			return err
		}
		if sleepErr := t.Sleep(ctx, backoff); sleepErr != nil {
			return err
		}
		backoff *= 2
	}
}

// mustPutBack reports whether the step that failed gave up a credential whose
// setting killed the one in use: the turn goes on to put that one back at once.
func (t *turn) mustPutBack(d Decision) bool {
	if rb := t.ledger.progress.Rollback; rb != nil {
		return rb.Rejected != "" && d.Step == rota.StepRollback
	}
	return t.asked.driver == nil && t.ledger.version(d.Version).Rejected != "" && !t.s.Issuer.Traits().Overlap()
}

// goesOn reports whether a renewal's failure leaves the turn's other steps to be taken.
func (t *turn) goesOn(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !errors.Is(err, rota.ErrFenced) && !errors.Is(err, context.Canceled)
}

// isDriven reports whether the step was the one that the driver asked for. After
// a promotion the credential still has to be served.
func (t *turn) isDriven(d Decision) bool {
	driver := t.asked.driver
	if driver == nil {
		return false
	}
	driver.Taken = append(driver.Taken, d.Step)
	if d.Step != driver.Step || d.Step == rota.StepPromote {
		return false
	}
	t.result.Last = Decision{Version: d.Version, Reason: string(d.Step) + " is done"}
	return true
}

// do takes one step, and tells whoever watches.
func (t *turn) do(ctx context.Context, d Decision) error {
	t.Report(Report{Secret: t.s.Name, Decision: d})
	span := Span{Name: "step." + string(d.Step), Step: d.Step, Version: d.Version, Credential: d.Credential}
	err := t.outside.traced(ctx, span, func(ctx context.Context) error { return t.step(ctx, d) })
	err = t.ledger.clean(err)
	t.Report(Report{Secret: t.s.Name, Decision: d, Done: true, Err: err})
	if err != nil {
		// Info, because the caller gets the error and reports it.
		t.Log.InfoContext(ctx, string(d.Step), "secret", t.s.Name, "version", d.Version, "credential", d.Credential, "error", err)
	} else {
		t.Log.InfoContext(ctx, string(d.Step), "secret", t.s.Name, "version", d.Version, "credential", d.Credential, "reason", d.Reason)
	}
	return err
}

func (t *turn) step(ctx context.Context, d Decision) error {
	switch d.Step {
	case rota.StepCreate:
		return t.create(ctx, d)
	case rota.StepSet:
		return t.set(ctx, d)
	case rota.StepTest:
		if driver := t.asked.driver; driver != nil && driver.Rehearsal {
			return t.rehearse(ctx, d)
		}
		return t.test(ctx, d)
	case rota.StepPromote:
		return t.promote(ctx, d)
	case rota.StepDeliver:
		return t.deliver(ctx, d)
	case rota.StepReload:
		return t.reload(ctx, d)
	case rota.StepDeactivate:
		return t.deactivate(ctx, d)
	case rota.StepDelete:
		return t.delete(ctx, d)
	case rota.StepRenew:
		return t.renew(ctx, d)
	case rota.StepRollback:
		return t.rollback(ctx, d)
	case StepAdopt:
		return t.takeOver(ctx, d)
	}
	return fmt.Errorf("no such step: %q", d.Step)
}
