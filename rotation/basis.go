package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// basis is how a secret stood when a decision about it was made. It is worked
// out once per decision; everything that is written down about the decision's
// outcome comes from here. It doesn't ask the planner, so that a bug there can't
// hide that something is late.
type basis struct {
	// current and previous are the versions that hold those credentials; zero
	// where there is none.
	current, previous rota.Version
	// issuedAt is since when the current credential exists, and rotateAt when
	// the policy wants the next one. Both come from the store alone while the
	// issuer, which could list, is unlisted.
	issuedAt, rotateAt time.Time
	unlisted           bool
	// expiresAt is when the current credential expires by its own date, or else by
	// the issuer's; zero for never. warnAt is when to warn about it.
	expiresAt, warnAt time.Time
	// renewAt is when a credential is renewed, and lastsUntil when it ends otherwise.
	renewAt, lastsUntil time.Time
	// failureOver says that the step which failed last is done, or isn't due any
	// more.
	failureOver bool
}

func newBasis(v *view, d Decision) basis {
	b := basis{current: v.current, previous: v.previous, unlisted: v.unlisted(), failureOver: v.overtakesFailure(d)}
	if v.hasCurrent {
		b.issuedAt = v.issuedAt()
		b.rotateAt, _ = v.rotateAt()
		b.expiresAt, _ = v.endOf(v.current)
	}
	if b.expiresAt.IsZero() {
		c, _ := v.issued(v.current.CredentialID)
		b.expiresAt = c.ExpiresAt
		if end, ends := v.endsAt(v.current); ends {
			b.expiresAt = end
		}
	}
	if version, due := v.nextRenewal(); !due.IsZero() {
		b.renewAt, b.lastsUntil = due, v.Progress.Versions[version.ID].Renewed.Until
	}
	b.warnAt = b.expiresAt.Add(-v.policy.WarnBefore)
	if v.Traits.Lifetime == 0 && !b.rotateAt.IsZero() && b.rotateAt.Before(b.expiresAt) { // only trouble is news
		b.warnAt = maxTime(b.warnAt, b.rotateAt.Add(b.expiresAt.Sub(b.rotateAt)/2))
	}
	return b
}

// overtakesFailure reports whether the decision means that the last step that failed is
// done or isn't due any more, so that the failure is over.
func (v *view) overtakesFailure(d Decision) bool {
	f := v.Progress.stepFailure()
	if f == nil || d.Step == f.Step || d.Step == rota.StepRenew { // which says nothing about what's due otherwise
		return false
	}
	var over, early bool
	switch f.Step {
	case rota.StepCreate:
		at, ever := v.rotateAt()
		over = !ever || at.After(v.now)
		early = over
	case rota.StepDeactivate:
		over = !v.hasPending && (!v.retirable() || v.off() || v.deletesActive())
		early = v.offAt().After(v.now)
	case rota.StepDelete:
		over = !v.hasPending && (!v.retirable() || !v.off() && !v.deletesActive())
		early = v.deleteAt().After(v.now)
		if end, ends := v.endOf(v.previous); ends {
			early = !v.hasPending && v.hasPrevious && end.Add(EndMargin).After(v.now)
		}
	case rota.StepDeliver, rota.StepReload:
		over = !v.hasPending && (!v.hasCurrent || v.isServed())
	default:
		over = !v.hasPending
	}
	// What was tried ahead of its date, because a person asked for it in an
	// earlier turn, isn't due any more.
	early = early && d.Hold == HoldNone && v.Requested == rota.StepNone
	return early || over && d.Next != f.Step
}
