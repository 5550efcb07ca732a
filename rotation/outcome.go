package rotation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// pendingAttempts is how often setting or testing a new credential is tried
// before it is given up.
const pendingAttempts = 5

// failed notes a failure for the planner, and passes the error on. A new
// credential that will never work is given up.
func (t *turn) failed(d Decision, err error) error {
	if errors.Is(err, rota.ErrFenced) || errors.Is(err, context.Canceled) {
		return err
	}
	err = concerning(err, t.s.Name)
	p, traits := &t.ledger.progress, t.s.Issuer.Traits()
	step := cmp.Or(d.Step, StepObserve)
	if step == StepObserve {
		p.StepFailure = p.stepFailure() // its attempts aren't forgotten, and none is added
	}
	f := failureAfter(p.Failure, step, t.ledger.clean(err), traits, t.Now())
	p.Failure = f
	policy := t.s.Policy.WithDefaults()
	putsBack := t.view().putsBack(d)
	switch {
	case putsBack:
		f.RetryAt = retryPutBack(f, policy)
	case step == rota.StepCreate:
		f.RetryAt = earlier(f.RetryAt, t.view().retryEnding(f.At))
	}
	switch {
	case step != StepObserve && !putsBack && (!t.lost && !t.view().isEnding() || step != rota.StepCreate) && f.Attempts == policy.MaxAttempts: // a look changes nothing, and is never given up
		t.ledger.event(rota.EventQuarantined, d.Version, d.Credential,
			fmt.Sprintf("%s failed %d times and won't be retried; the last error: %s", step, f.Attempts, f.Error), resumed(t.s.Name, f.Remedies)...)
		p.Held = HoldQuarantined // so it isn't notified again
	case f.Attempts == 1:
		t.ledger.event(rota.EventFailed, d.Version, d.Credential, string(step)+" failed: "+f.Error, f.Remedies...)
	}
	if t.seen.holder(rota.LabelPending) == d.Version && d.Version != "" && t.givesUp(d.Version, f, err) {
		t.ledger.reject(d.Version, f)
	}
	return err
}

// concerning names the secret in an error's remedies that are Rota's own actions: a
// provider doesn't know what it's called.
func concerning(err error, secret string) error {
	remedies := slices.Clone(rota.RemediesOf(err))
	for i, r := range remedies {
		switch r.Action {
		case rota.RemedyCommand, rota.RemedyConfigure, rota.RemedyCorrect, rota.RemedyOutside, rota.RemedyWait, rota.RemedyThaw, rota.RemedyRun:
		default:
			remedies[i].Secret = cmp.Or(r.Secret, secret)
		}
	}
	if slices.Equal(remedies, rota.RemediesOf(err)) {
		return err
	}
	return rota.WithRemedies(err, remedies)
}

// failureAfter is the failure to remember, which counts on from the one before
// if it was of the same step.
func failureAfter(before *Failure, step rota.Step, err error, traits rota.Traits, now time.Time) *Failure {
	f := &Failure{Step: step, Class: rota.ClassOf(err), Error: rota.OneLine(err.Error()), Remedies: rota.RemediesOf(err), At: now, Attempts: 1}
	f.Refused = step == rota.StepReload && errors.Is(err, rota.ErrRefused)
	if before != nil && before.Step == step {
		f.Attempts = before.Attempts + 1
	}
	if step == rota.StepCreate && errors.Is(err, rota.ErrLimit) {
		f.Class = rota.ClassWait // a lost answer of our own may have taken the slot
	}
	wait := failureBackoff(f.Class, f.Attempts)
	if rota.ClassOf(err) == rota.ClassWait { // the system will answer later
		wait = max(wait, askedWait(err))
	}
	f.RetryAt = now.Add(retryWithin(traits, wait))
	return f
}

// maxBackoff is the longest wait between two attempts, of a step or to send an event.
const maxBackoff = 6 * time.Hour

// askedWait is how long a system asks to wait, within what Rota ever waits. To go on
// before that only makes it longer.
func askedWait(err error) time.Duration {
	if e, ok := errors.AsType[*rota.Error](err); ok {
		return min(e.RetryAfter, maxBackoff)
	}
	return 0
}

func failureBackoff(c rota.Class, attempts int) time.Duration {
	if c == rota.ClassStop {
		return time.Hour
	}
	return min(30*time.Second<<min(attempts-1, 12), maxBackoff)
}

// rejects reports whether the failure means that the new credential it is about
// will never work.
func (f *Failure) rejects(traits rota.Traits) bool {
	switch {
	case f.Step != rota.StepSet && f.Step != rota.StepTest:
		return false
	case f.Class == rota.ClassRegenerate, f.Attempts >= pendingAttempts:
		return true
	case f.Class != rota.ClassStop:
		return false
	}
	return f.Attempts >= 2 || f.Step == rota.StepTest && !traits.Overlap()
}

// reject gives a pending credential up: the planner discards it.
func (l *ledger) reject(version string, f *Failure) {
	l.update(version, func(vp *VersionProgress) { vp.Rejected = string(f.Step) + " failed: " + f.Error })
	l.progress.Rejections++
	l.progress.RejectedAt, l.progress.RejectedFor, l.progress.RejectedWhy = f.At, f.Remedies, string(f.Step)+" failed: "+f.Error
	if f.Class == rota.ClassRegenerate {
		l.progress.RejectedAt = time.Time{} // another value may work at once
	}
	l.progress.Failure = nil
}

// succeeded notes that a step was taken.
func (t *turn) succeeded(d Decision) {
	p := &t.ledger.progress
	t.result.Done = append(t.result.Done, d)
	v, _ := t.seen.version(d.Version)
	if onlyMarked := d.Step == rota.StepPromote && v.Has(rota.LabelCurrent) && !v.Has(rota.LabelPending); !onlyMarked {
		t.asked.taken(d.Step) // to mark a version as served is nobody's rotation
	}
	if d.Step == rota.StepCreate {
		p.Requested = nil
	}
	if f := p.Failure; f != nil && f.Step == d.Step {
		p.Failure = nil
	}
}

// forgetOvertakenFailure drops a failure that is over: the outside can be seen
// again, or the step that failed isn't due any more. Otherwise the next failure,
// perhaps months later, would count on from the old ones.
func (t *turn) forgetOvertakenFailure() {
	p := &t.ledger.progress
	p.Failure, p.StepFailure = p.stepFailure(), nil
	if t.basis.failureOver {
		p.Failure = nil
	}
}

// conclude writes down what the turn found, for the status and for when to look
// again, and notifies about it.
func (t *turn) conclude(err error) {
	d, now, p := t.result.Last, t.Now(), &t.ledger.progress
	t.forgetIntents()
	t.settleRequest(d, err)
	s := statusOf(d, t.basis, p.Status)
	_, canDeactivate := t.s.Issuer.(rota.Deactivator)
	previous := t.ledger.version(t.basis.previous.ID)
	s.PreviousOff = canDeactivate && !previous.DeactivatedAt.IsZero() && previous.ActiveAt.IsZero()
	if err != nil {
		s = s.afterFailure(p.Failure, p.Status, now)
		s.NextAt = earlier(s.NextAt, s.renewsBy(now))
	}
	s.LookedAt = now
	t.result.Status = s
	refused := t.asked.step != rota.StepNone && d.Hold != HoldNone && err == nil && len(t.result.Done) == 0
	if refused && !p.Status.LookedAt.IsZero() {
		p.Status.BegunAt = time.Time{} // what a person was refused says nothing about the secret
		return
	}
	p.Status, p.NextAt = s, t.nextAt(s, err)
	if err == nil {
		t.ledger.notifyHold(d, s)
	}
	t.warn(s, now)
}

// mayBeLost reports whether a call that failed may have ended the credential in use.
func (t *turn) mayBeLost(err error) bool {
	f := t.ledger.progress.Failure
	return err != nil && f != nil && f.Step == rota.StepCreate && f.Class == rota.ClassWait && t.s.Issuer.Traits().Replaces
}

// nextAt is when the secret is looked at next.
func (t *turn) nextAt(s Status, err error) time.Time {
	soon := t.Now().Add(holdRecheck)
	switch {
	case errors.Is(err, context.Canceled), t.ledger.progress.Requested != nil && t.asked.step != rota.StepCreate:
		return time.Time{} // interrupted, or something else is wanted: go on at once
	case t.mayBeLost(err):
		return earlier(s.NextAt, t.Now().Add(t.s.Policy.WithDefaults().TestWithin))
	case s.NextAt.IsZero():
		return t.Now().Add(rota.Day) // no date changes anything, but somebody outside may
	case len(t.result.Done) > 0 && s.NextAt.After(soon):
		return soon // what the outside said may have been from before the steps
	case t.looksDaily() && s.NextAt.After(t.Now().Add(t.lookEvery())):
		return t.Now().Add(t.lookEvery())
	}
	return s.NextAt
}

// recoveredFrom says, for people, what a secret no longer is after that kind of
// trouble.
func recoveredFrom(trouble rota.EventKind) string {
	if trouble == rota.EventFailed {
		return "failing"
	}
	return string(trouble)
}

// notifyHold raises an event when a hold begins, and when trouble is over. For
// what always waits for a person there are reminders instead.
func (l *ledger) notifyHold(d Decision, s Status) {
	p := &l.progress
	if d.Hold != p.Held && d.Hold != HoldNone && d.Hold != HoldRetrying && d.Hold != HoldManual {
		kind := rota.EventHeld
		if d.Hold == HoldQuarantined {
			kind = rota.EventQuarantined
		}
		l.event(kind, s.Version, s.Credential, d.Reason, d.Remedies...)
	}
	p.Held = d.Hold
	if over := p.Trouble; over != "" && d.Hold == HoldNone && p.Failure == nil {
		p.Trouble = ""
		l.event(rota.EventRecovered, s.Version, s.Credential, "it is no longer "+recoveredFrom(over))
	}
}
