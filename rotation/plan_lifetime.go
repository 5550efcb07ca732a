package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// endOf returns when a version's credential expires, or false if it doesn't: when it's
// meant to, or before that if it can't be kept alive so long.
func (v *view) endOf(version rota.Version) (time.Time, bool) {
	if end, cut := v.cutShort(version); cut {
		return end, true
	}
	return v.meantToEnd(version)
}

// meantToEnd returns when a version's credential is meant to expire, or false if it
// isn't. If the credential doesn't contain its expiry, it's assumed to have been issued
// when it was stored.
func (v *view) meantToEnd(version rota.Version) (time.Time, bool) {
	switch {
	case v.Traits.Lifetime == 0:
		return time.Time{}, false
	case version.ExpiresAt.IsZero():
		return version.CreatedAt.Add(v.Traits.Lifetime), true
	}
	return version.ExpiresAt, true
}

// ended reports whether a version's credential has expired, or will before
// consumers could pick it up.
func (v *view) ended(version rota.Version) bool {
	end, ends := v.endOf(version)
	return ends && !v.now.Before(end.Add(-EndMargin))
}

// revokes reports whether deleting the previous credential ends it before it expires.
func (v *view) revokes() bool { return v.Traits.Revocable && !v.ended(v.previous) }

// mustRenew reports whether the current credential expires soon, which makes its
// successor more urgent than delivering it to the remaining targets.
func (v *view) mustRenew() bool {
	if v.Traits.Lifetime == 0 {
		return v.isEnding()
	}
	at, _ := v.rotateAt()
	return !v.now.Before(at)
}

// ruleRevoked replaces a credential that expires, and that somebody revoked before
// that. There's no other one in force that its consumers could have, as there may be
// for a password that somebody changed, so replacing it locks nobody out.
func ruleRevoked(v *view) (Decision, bool) {
	if !v.isRevoked() {
		return Decision{}, false
	}
	return v.create(v.now, "the current credential "+v.current.CredentialID+" was revoked outside Rota, before it expires")
}

// isRevoked reports whether the issuer said just now that the current credential, which
// expires, isn't in force.
func (v *view) isRevoked() bool {
	return v.Traits.Lifetime > 0 && v.canDrift() && v.Told && v.Drifted && v.Driver == nil
}

// asksReplacement reports whether a person is asking to replace the current
// credential, or did when the pending one was made.
func (v *view) asksReplacement() bool {
	return v.Force == rota.StepCreate || v.Progress.Versions[v.pending.ID].Base == v.current.ID
}

// replaceable reports whether a current credential that isn't Rota's can be
// replaced when a person asks for it. It can't be adopted once it has expired or
// is no longer active at the issuer, and replacing it then takes nothing away from
// its consumers. Nor can a rotation be given up that nothing brings back the old one
// from, so a person may have it finished.
func (v *view) replaceable() bool {
	finishes := isOneWay(v.Traits) && v.undoes() && v.asksReplacement()
	return v.Traits.Lifetime > 0 || v.dead(v.current) || finishes || v.overwritten()
}

// overwritten reports whether the pending credential is one of the same account as the
// current one, which was dead when a person asked to replace it. What the issuer lists
// is the pending one.
func (v *view) overwritten() bool {
	vp := v.Progress.Versions[v.pending.ID]
	return v.Traits.Overlap() && v.pending.CredentialID != "" && v.pending.CredentialID == v.current.CredentialID && vp.Base == v.current.ID && !vp.SetBegunAt.IsZero()
}

// retireEnded drops the previous version once its credential has expired. Until
// then there's nothing to do: a credential like that can't be deactivated, and
// deleted only if the issuer can revoke it and a person asks.
func (v *view) retireEnded() (Decision, bool) {
	end, _ := v.endOf(v.previous)
	end = end.Add(EndMargin)
	switch over := !v.now.Before(end); {
	case over && v.previous.Ours():
		return v.do(rota.StepDelete, v.previous, end, "%s has expired", v.previous.CredentialID)
	case over:
		return Decision{}, false
	}
	if v.Force == rota.StepDelete && v.Traits.Revocable && v.previous.Ours() {
		return v.do(rota.StepDelete, v.previous, v.now, "%s, before it expires at %s", v.askedFor(), stamp(end.Add(-EndMargin)))
	}
	if v.Force == rota.StepDeactivate && v.Traits.Revocable && v.previous.Ours() {
		return v.hold(HoldStillActive, v.Force, v.now, end, []rota.Remedy{v.remedy(rota.RemedyDelete, "to end it now")}, "the previous credential %s can't be deactivated, only deleted: it expires by itself at %s",
			v.previous.CredentialID, stamp(end.Add(-EndMargin)))
	}
	if v.Force == rota.StepDeactivate || v.Force == rota.StepDelete {
		return v.hold(HoldStillActive, v.Force, v.now, end, rota.Outside("revoke all sessions of its role at the issuer"), "the previous credential %s can't be deactivated: it expires by itself at %s",
			v.previous.CredentialID, stamp(end.Add(-EndMargin)))
	}
	if v.previous.Ours() {
		v.wait(rota.StepDelete, end, "drop the previous credential "+v.previous.CredentialID+", which expires by itself")
	}
	return Decision{}, false
}
