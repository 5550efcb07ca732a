package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// endOf is when a version's credential ends by itself; false where it does not.
// One that does not say its end is taken for made when it was stored.
func (v *view) endOf(version rota.Version) (time.Time, bool) {
	switch {
	case v.Traits.Lifetime == 0 || version.ID == "":
		return time.Time{}, false
	case version.ExpiresAt.IsZero():
		return version.CreatedAt.Add(v.Traits.Lifetime), true
	}
	return version.ExpiresAt, true
}

// ended tells that a version's credential has ended by itself, or will before
// anybody could take it up.
func (v *view) ended(version rota.Version) bool {
	end, ends := v.endOf(version)
	return ends && !v.now.Before(end.Add(-EndMargin))
}

// mustRenew tells that the current credential ends by itself soon: its
// successor is more urgent than to hand it to those who do not have it yet.
func (v *view) mustRenew() bool {
	if v.Traits.Lifetime == 0 || !v.hasCurrent {
		return false
	}
	at, _ := v.rotateAt()
	return !v.now.Before(at)
}

// asksReplacement tells that a person asks for another credential in the place of
// the current one, or asked when the new one was made.
func (v *view) asksReplacement() bool {
	asked := v.hasPending && v.pending.Ours() && v.Progress.Versions[v.pending.ID].Base == v.current.ID
	return v.Force == rota.StepCreate || asked
}

// replaceable tells that a current credential that is not Rota's may be replaced,
// since a person asks for it: it can't be adopted once it has ended by itself or
// is not active at the issuer any more, and nothing is taken from those who hold
// it.
func (v *view) replaceable() bool {
	return v.asksReplacement() && (v.Traits.Lifetime > 0 || v.dead(v.current))
}

// retireEnded drops the previous version once its credential has ended by
// itself. Before that there is nothing that could be done: such a credential
// can be neither switched off nor deleted.
func (v *view) retireEnded() (Decision, bool) {
	end, _ := v.endOf(v.previous)
	end = end.Add(EndMargin)
	switch over := !v.now.Before(end); {
	case over && v.previous.Ours():
		return v.do(rota.StepDelete, v.previous, end, "%s has expired", v.previous.CredentialID)
	case over:
		return Decision{}, false
	}
	if v.Force == rota.StepDeactivate || v.Force == rota.StepDelete {
		return v.hold(HoldStillActive, v.Force, v.now, end, rota.Outside("revoke all sessions of its role at the issuer"), "the previous credential %s can't be deactivated: it expires by itself at %s",
			v.previous.CredentialID, stamp(end))
	}
	v.wait(rota.StepDelete, end, "drop the previous credential "+v.previous.CredentialID+", which expires by itself")
	return Decision{}, false
}
