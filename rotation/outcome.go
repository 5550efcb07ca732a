package rotation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// pendingAttempts is how often setting or testing a new credential is tried
// before it is given up.
const pendingAttempts = 5

// failed keeps a failure for the planner, and passes the error on. A new
// credential that will never work is marked as rejected.
func (w *turn) failed(d Decision, err error) error {
	if errors.Is(err, rota.ErrFenced) || errors.Is(err, context.Canceled) {
		return err
	}
	step := cmp.Or(d.Step, StepObserve)
	clean := rota.Sanitize(err, w.redactions...)
	f := &Failure{Step: step, Class: rota.ClassOf(err), Error: clean.Error(), Remedies: rota.RemediesOf(clean), At: w.Now(), Attempts: 1}
	before := w.progress.Failure
	if before != nil && before.Step == step {
		f.Attempts = before.Attempts + 1
	}
	if step == StepObserve {
		w.progress.StepFailure = w.progress.stepFailure() // its tries are not forgotten, and none is added
	}
	if step == rota.StepCreate && errors.Is(err, rota.ErrLimit) {
		f.Class = rota.ClassWait // a lost reply of our own may have taken the place
	}
	f.RetryAt = f.At.Add(retryWithin(w.s.Issuer.Traits(), failureBackoff(f.Class, f.Attempts)))
	w.progress.Failure = f
	switch {
	case step != StepObserve && f.Attempts == w.s.Policy.WithDefaults().MaxAttempts: // a look changes nothing, and is never given up
		w.event(rota.EventQuarantined, d.Version, d.Credential, fmt.Sprintf("%s failed %d times and is not tried any more, the last time: %s", step, f.Attempts, f.Error), append(f.Remedies[:len(f.Remedies):len(f.Remedies)], rota.Remedy{Action: rota.RemedyResume, Secret: w.s.Name, Text: "once it is mended"})...)
		w.progress.Held = HoldQuarantined // that is said
	case f.Attempts == 1:
		w.event(rota.EventFailed, d.Version, d.Credential, string(step)+" failed: "+f.Error, f.Remedies...)
	}
	if pending, ok := rota.Find(w.state.Contents.Versions, rota.LabelPending); ok && pending.ID == d.Version && (step == rota.StepSet || step == rota.StepTest) {
		never := f.Class == rota.ClassStop && (f.Attempts >= 2 || step == rota.StepTest && !w.state.Traits.Overlap())
		if f.Class == rota.ClassRegenerate || f.Attempts >= pendingAttempts || never {
			w.reject(pending.ID, f)
		}
	}
	return err
}

// reject gives a pending credential up: the planner discards it.
func (w *turn) reject(version string, f *Failure) {
	w.update(version, func(vp *VersionProgress) { vp.Rejected = string(f.Step) + " failed: " + f.Error })
	w.progress.Rejections++
	w.progress.RejectedAt = f.At
	if f.Class == rota.ClassRegenerate {
		w.progress.RejectedAt = time.Time{} // another value may do at once
	}
	w.progress.Failure = nil
}

func failureBackoff(c rota.Class, attempts int) time.Duration {
	if c == rota.ClassStop {
		return time.Hour
	}
	return min(30*time.Second<<min(attempts-1, 12), 6*time.Hour)
}

// succeeded notes a step that went well.
func (w *turn) succeeded(d Decision) {
	w.result.Done = append(w.result.Done, d)
	if d.Step == rota.StepCreate {
		w.progress.Requested = nil
	}
	if d.Step == w.force || d.Step == rota.StepPromote && w.force == rota.StepCreate {
		w.force = rota.StepNone // what was asked for is done, and is not done twice
	}
	if f := w.progress.Failure; f != nil && f.Step == d.Step {
		w.progress.Failure = nil
	}
}

// forgetOvertakenFailure forgets a failure that the decision has overtaken: the outside can be
// seen again, or the step that failed is not due any more. Otherwise the next
// failure, perhaps months later, would count as one more of the old ones.
func (w *turn) forgetOvertakenFailure(d Decision) {
	f := w.progress.Failure
	if f != nil && f.Step == StepObserve {
		f = w.progress.StepFailure
		w.progress.Failure, w.progress.StepFailure = f, nil
	}
	if f == nil {
		return
	}
	v := newView(w.state, w.s.Policy.WithDefaults(), w.Now())
	rotate, ever := v.rotateAt()
	var over, early bool
	switch f.Step {
	case rota.StepCreate:
		over = !ever || rotate.After(w.Now())
	case rota.StepDeactivate:
		over = !v.hasPending && (!v.retirable() || v.off())
		early = !over && v.offAt().After(w.Now())
	case rota.StepDelete:
		over = !v.hasPending && (!v.retirable() || !v.off())
		early = !over && v.deleteAt().After(w.Now())
	default:
		over = !v.hasPending
	}
	// What was tried ahead of its date, for a person's wish that is over, is due
	// no more.
	early = early && d.Hold == HoldNone && w.requested == rota.StepNone
	if d.Step != f.Step && (early || over && d.Next != f.Step) {
		w.progress.Failure = nil
	}
}

// conclude keeps what the turn found, for tables and for when to look again.
func (w *turn) conclude(err error) {
	d, now := w.result.Last, w.Now()
	w.settleRequest(d, err)
	s := w.status(d, now, err)
	if w.requested != rota.StepNone && d.Hold != HoldNone && err == nil && len(w.result.Done) == 0 && !w.progress.Status.LookedAt.IsZero() {
		w.result.Status = s // a person's wish was refused: that is no state of the secret
		w.progress.Status.BegunAt = time.Time{}
		return
	}
	w.progress.Status, w.progress.NextAt = s, s.NextAt
	if s.NextAt.IsZero() {
		w.progress.NextAt = now.Add(rota.Day) // no date changes anything, but somebody may outside
	}
	if soon := now.Add(holdRecheck); len(w.result.Done) > 0 && s.NextAt.After(soon) {
		w.progress.NextAt = soon // the outside may have answered with what was before
	}
	if errors.Is(err, context.Canceled) || w.progress.Requested != nil && w.requested != rota.StepCreate {
		w.progress.NextAt = time.Time{} // interrupted, or something else is wanted: go on at once
	}
	w.result.Status = s

	// What waits for a person by its nature is told of by reminders.
	if d.Hold != w.progress.Held && d.Hold != HoldNone && d.Hold != HoldRetrying && d.Hold != HoldManual && err == nil {
		kind := rota.EventHeld
		if d.Hold == HoldQuarantined {
			kind = rota.EventQuarantined
		}
		w.event(kind, s.Version, s.Credential, d.Reason, d.Remedies...)
	}
	if err == nil {
		w.progress.Held = d.Hold
	}
	if t := w.progress.Trouble; t != "" && err == nil && d.Hold == HoldNone && w.progress.Failure == nil {
		w.progress.Trouble = ""
		w.event(rota.EventRecovered, s.Version, s.Credential, "what was "+string(t)+" is well again")
	}
	w.warn(s, now)
}

// status is what the turn found, with what only an earlier look could tell.
func (w *turn) status(d Decision, now time.Time, err error) Status {
	old := w.progress.Status
	s := Status{LookedAt: now, DueAt: d.Due, Next: d.Next, NextAt: d.At, Hold: d.Hold, Reason: d.Reason, Remedies: d.Remedies}
	if d.Step != rota.StepNone {
		s.Next = d.Step
	}
	if f := w.progress.Failure; err != nil && f != nil {
		s.NextAt, s.Reason, s.Remedies = f.RetryAt, string(f.Step)+" failed: "+f.Error, f.Remedies
		if s.DueAt.IsZero() {
			s.DueAt = f.At
		}
		if f.Attempts > 1 && !old.DueAt.IsZero() && old.DueAt.Before(s.DueAt) {
			s.DueAt = old.DueAt // the same failure, since then
		}
	}
	if err != nil && s.NextAt.IsZero() {
		s.NextAt = now.Add(failureBackoff(rota.ClassWait, 1)) // a rejected credential: on to the next
	}
	if d.Hold != HoldNone && d.Hold == old.Hold && !old.DueAt.IsZero() && old.DueAt.Before(s.DueAt) {
		s.DueAt = old.DueAt // the same hold, since then
	}
	v := newView(w.state, w.s.Policy.WithDefaults(), now)
	if v.hasCurrent {
		s.Version, s.Credential, s.IssuedAt = v.current.ID, v.current.CredentialID, v.issuedAt()
		s.RotateAt, _ = v.rotateAt()
		s.ExpiresAt, _ = v.endOf(v.current)
	}
	if v.hasPrevious {
		s.PreviousID = v.previous.CredentialID
		s.PreviousOff = !w.progress.Versions[v.previous.ID].DeactivatedAt.IsZero()
	}
	if err != nil && s.Version == "" {
		// The outside could not be seen: keep what was known.
		s.Version, s.Credential, s.IssuedAt, s.RotateAt = old.Version, old.Credential, old.IssuedAt, old.RotateAt
		s.ExpiresAt = old.ExpiresAt
	}
	if w.state.Lists && !w.state.Listed && old.Version == s.Version {
		// Only the issuer knows since when an adopted credential exists.
		s.IssuedAt, s.RotateAt = old.IssuedAt, old.RotateAt
	}
	return s
}
