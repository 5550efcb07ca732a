package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// guardFailure holds back a step that failed and mustn't be retried yet.
func guardFailure(v *view, d Decision) (Decision, bool) {
	f := v.Progress.stepFailure()
	if f == nil || f.Step != d.Step || v.Force != rota.StepNone {
		return Decision{}, false
	}
	lost, retryAt := d.Step == rota.StepCreate && v.isLost(), f.RetryAt
	if lost && f.Class == rota.ClassWait {
		retryAt = v.retryLost(f)
	}
	goesOn := lost || d.Step == rota.StepCreate && v.isEnding() || v.putsBack(d) // consumers can't log in until it succeeds, or soon can't
	switch {
	case f.Attempts >= v.policy.MaxAttempts && !goesOn:
		return v.hold(HoldQuarantined, d.Step, d.Due, v.now.Add(holdRecheck), resumed(v.Secret, f.Remedies), "%s failed %d times; the last error: %s",
			d.Step, f.Attempts, f.Error)
	case v.now.Before(retryAt):
		return v.hold(HoldRetrying, d.Step, d.Due, retryAt, f.Remedies, "%s failed (%d of %d) and will be retried at %s: %s",
			d.Step, f.Attempts, v.policy.MaxAttempts, stamp(retryAt), f.Error)
	}
	return Decision{}, false
}

// retryLost is when to make the next credential after an answer was lost that ended
// the one in use: promptly after the loss, however often the calls before failed, and
// then every ten minutes. It isn't given up: until it succeeds, consumers can't log in.
func (v *view) retryLost(f *Failure) time.Time {
	wait := 10 * time.Minute
	id, _ := v.lost()
	c, _ := v.issued(id)
	if n := len(v.Progress.Intents); n > 0 && (v.Progress.Intents[n-1].Covers(c) || v.Progress.Intents[n-1].Version == c.Mark) {
		wait = v.policy.TestWithin
	}
	return earlier(f.RetryAt, f.At.Add(wait))
}

// failing shows the failure of a step that's overdue and waits for the window:
// what a person can do about it has to be known before that opens.
func failing(v *view, wait Decision) (Decision, bool) {
	f := v.Progress.stepFailure()
	if f == nil || f.Step != wait.Next || v.overtakesFailure(wait) {
		return Decision{}, false
	}
	wait.Step = wait.Next
	next := v.waits[0].At
	held, holds := guardFailure(v, wait)
	if !holds {
		return v.hold(HoldRetrying, wait.Next, wait.Due, next, f.Remedies, "%s failed (%d of %d), %s: %s",
			f.Step, f.Attempts, v.policy.MaxAttempts, wait.Reason, f.Error)
	}
	held.At = earlier(held.At, next)
	return held, true
}

// guardHalts enforces pauses and freezes. In-flight work is finished either way,
// and requests from a person are carried out unless everything is frozen.
func guardHalts(v *view, d Decision) (Decision, bool) {
	if v.hasPending || d.Step != rota.StepCreate && d.Step != rota.StepDeactivate && d.Step != rota.StepDelete {
		return Decision{}, false
	}
	switch h := v.Halts; {
	case h.Frozen != nil:
		return v.hold(HoldFrozen, d.Step, d.Due, v.now.Add(holdRecheck), []rota.Remedy{{Action: rota.RemedyThaw}}, "frozen by %s since %s%s", h.Frozen.By, stamp(h.Frozen.At), because(h.Frozen.Why))
	case h.Paused != nil && v.Force == rota.StepNone:
		return v.hold(HoldPaused, d.Step, d.Due, v.now.Add(holdRecheck), []rota.Remedy{v.remedy(rota.RemedyResume, "")}, "paused by %s since %s%s", h.Paused.By, stamp(h.Paused.At), because(h.Paused.Why))
	}
	return Decision{}, false
}

// guardRequest ends the turn after a retirement that a person asked for, leaving
// whatever is due to the next turn. Asking for a deactivation again doesn't
// delete the credential, and no retirement makes one.
func guardRequest(v *view, d Decision) (Decision, bool) {
	retirement := v.Requested == rota.StepDeactivate || v.Requested == rota.StepDelete
	done := v.Force == rota.StepNone && retirement
	repeated := v.Requested == rota.StepDeactivate && d.Step == rota.StepDelete && v.hasPrevious && d.Version == v.previous.ID
	makes := retirement && d.Step == rota.StepCreate
	if d.Step == rota.StepNone || !done && !repeated && !makes {
		return Decision{}, false
	}
	return Decision{Next: d.Step, Due: d.Due, At: v.now, Reason: d.Reason}, true
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// retryWithin caps the wait before a retry at a quarter of the credential's
// lifetime: if it expires in an hour, the retry can't wait until tomorrow.
func retryWithin(t rota.Traits, wait time.Duration) time.Duration {
	if t.Lifetime == 0 {
		return wait
	}
	return min(wait, t.Lifetime/4)
}
