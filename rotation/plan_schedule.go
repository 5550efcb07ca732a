package rotation

import (
	"fmt"
	"github.com/rota-dev/rota"
	"time"
)

// when says when the policy rotates, for people.
func (p Policy) when() string {
	if p.RotateAt != nil {
		return fmt.Sprintf("rotate by the schedule %q in %s", p.RotateAt.Spec, p.RotateAt.Zone)
	}
	return "rotate when it is " + rota.FormatDuration(p.RotateEvery) + " old"
}

// putOff says which blackouts put the rotation off until it is due, and from
// when; "" where none does.
func (v *view) putOff(due time.Time) string {
	ripe, ever := v.policy.ripe(v.Secret, v.issuedAt(), v.Progress.NotBefore)
	free := v.policy
	free.Blackouts = nil
	if at, _ := free.due(v.Secret, v.issuedAt(), v.Progress.NotBefore); !ever || !at.Before(due) {
		return "" // the window alone does
	}
	by := v.policy.blackouts(ripe, due)
	if by == "" {
		return ""
	}
	return ", put off from " + stamp(ripe) + " by " + by
}

// old says why the current credential is rotated now, and that it could not be
// when it was due.
func (v *view) old(due time.Time) string {
	reason := fmt.Sprintf("it is %s old, the policy says %s", rota.FormatDuration(v.now.Sub(v.issuedAt())), rota.FormatDuration(v.policy.RotateEvery))
	if v.policy.RotateAt != nil {
		reason = "its time by the schedule " + v.policy.RotateAt.Spec + " has come"
	}
	if w := v.policy.Window; w != nil && w.missed(due, v.now) {
		reason += "; the window of " + stamp(due) + " was missed, so this one catches up"
	}
	return reason
}

// keepApart waits while a secret that this one is to be kept apart from was just
// rotated, is being rotated, or is due as well and goes first by its name.
func (v *view) keepApart() bool {
	for _, n := range v.Peers {
		end := n.IssuedAt.Add(n.By)
		switch {
		case !n.BegunAt.IsZero():
			v.wait(rota.StepCreate, v.now.Add(5*time.Minute), n.Secret+" is being rotated, and is to be kept "+rota.FormatDuration(n.By)+" apart")
		case !n.IssuedAt.IsZero() && v.now.Before(end):
			v.wait(rota.StepCreate, v.policy.open(end), n.Secret+" was rotated at "+stamp(n.IssuedAt)+", and is to be kept "+rota.FormatDuration(n.By)+" apart")
		case !n.RotateAt.IsZero() && !v.now.Before(n.RotateAt) && v.now.Before(n.RotateAt.Add(n.By)) && n.Secret < v.Secret:
			v.wait(rota.StepCreate, v.now.Add(5*time.Minute), n.Secret+" is due as well and goes first, and is to be kept "+rota.FormatDuration(n.By)+" apart")
		default:
			continue
		}
		return true
	}
	return false
}

// halted holds back what a person wants held back. What has begun is finished,
// and what a person asks for is done, unless everything is frozen.
func (v *view) halted(d Decision) (Decision, bool) {
	discards := v.hasPending && d.Version == v.pending.ID
	if discards || d.Step != rota.StepCreate && d.Step != rota.StepDeactivate && d.Step != rota.StepDelete {
		return Decision{}, false
	}
	switch h := v.Halts; {
	case h.Frozen != nil:
		return v.hold(HoldFrozen, d.Step, d.Due, v.now.Add(holdRecheck), "frozen by %s since %s%s (try: rota thaw)", h.Frozen.By, stamp(h.Frozen.At), because(h.Frozen))
	case h.Paused != nil && v.Force == rota.StepNone:
		return v.hold(HoldPaused, d.Step, d.Due, v.now.Add(holdRecheck), "paused by %s since %s%s (try: rota resume %s)", h.Paused.By, stamp(h.Paused.At), because(h.Paused), v.Secret)
	}
	return Decision{}, false
}

func because(h *Halt) string {
	if h.Why == "" {
		return ""
	}
	return ": " + h.Why
}

// ruleManual plans for a secret that no program can rotate: all there is to do
// is to remind.
func ruleManual(v *view) (Decision, bool) {
	if !v.Traits.Manual {
		return Decision{}, false
	}
	done := v.Progress.DoneAt
	if done.IsZero() {
		return v.hold(HoldManual, rota.StepCreate, v.now, v.now.Add(rota.Day), "nobody has said when it was last rotated (try: rota done %s, once it is)", v.Secret)
	}
	due, ever := v.policy.due(v.Secret, done, v.Progress.NotBefore)
	if !ever {
		return Decision{Reason: "nothing to do: the policy has no rotate_every"}, true
	}
	if !v.now.Before(due) {
		return v.hold(HoldManual, rota.StepCreate, due, v.now.Add(rota.Day), "a person has to rotate it%s: it was last done on %s (try: rota done %s, once it is)", v.owned(), stamp(done), v.Secret)
	}
	d := Decision{Next: rota.StepCreate, Due: due, At: due, Reason: "a person has to rotate it" + v.owned()}
	if warn := due.Add(-v.policy.WarnBefore); v.now.Before(warn) {
		d.At = warn
	}
	return d, true
}

func (v *view) owned() string {
	if v.Owner == "" {
		return ""
	}
	return " (owner: " + v.Owner + ")"
}
