package rotation

import (
	"cmp"
	"time"

	"github.com/rota-dev/rota"
)

// ruleOwnership holds if a version isn't one that Rota made or adopted.
func ruleOwnership(v *view) (Decision, bool) {
	if v.hasPending && !v.pending.Ours() {
		return v.hold(HoldForeignChange, rota.StepCreate, v.pending.CreatedAt, v.now.Add(holdRecheck),
			v.finishPending(), "version %s is AWSPENDING and not Rota's: another rotation is under way or was abandoned", v.pending.ID)
	}
	if v.replaced(v.pending) {
		return v.hold(HoldForeignChange, rota.StepCreate, v.pending.CreatedAt, v.now.Add(holdRecheck),
			[]rota.Remedy{{Action: rota.RemedyOutside, Verb: rota.VerbUnlabel, Object: v.pending.ID, Text: "take AWSPENDING off that version"}}, "version %s is AWSPENDING, but it was current before: a credential that was replaced isn't taken for a new one", v.pending.ID)
	}
	if !v.foreignCurrent() {
		return Decision{}, false
	}
	if v.asksReplacement() || v.Traits.Replaces && v.undoes() {
		switch {
		case v.unlisted():
			return observe, true // to see whether it can still be in use
		case v.mayYetShow(v.current):
			return v.waitToShow(v.current)
		case v.replaceable():
			return Decision{}, false
		}
	}
	if v.Force == rota.StepDelete && v.previous.Ours() && !v.hasPending {
		if v.unlisted() {
			return observe, true
		}
		if d, makes := v.makesPlace(); makes {
			return d, true
		}
	}
	if vp := v.Progress.Versions[v.pending.ID]; vp.Rejected != "" {
		return v.discard(vp) // it's Rota's own and would block an adoption
	}
	if v.previous.Ours() {
		return v.hold(HoldForeignChange, rota.StepCreate, v.current.CreatedAt, v.now.Add(holdRecheck),
			v.takenOver(), "AWSCURRENT was changed by someone else: version %s is not Rota's", v.current.ID)
	}
	return v.hold(HoldNotAdopted, rota.StepCreate, v.current.CreatedAt, v.now.Add(holdRecheck),
		v.takenOver(), "the current credential was not made by Rota")
}

// replaced reports whether a version was current before and isn't now.
func (v *view) replaced(version rota.Version) bool {
	before := version.Has(rota.LabelPrevious) || !v.Progress.Versions[version.ID].PromotedAt.IsZero()
	return before && !version.Has(rota.LabelCurrent)
}

// ruleServable checks the issuer after serving consumers failed: if the credential
// has been deactivated in the meantime, retrying won't help.
func ruleServable(v *view) (Decision, bool) {
	f := v.Progress.stepFailure()
	if !v.hasCurrent || f == nil || f.Step != rota.StepDeliver && f.Step != rota.StepReload {
		return Decision{}, false
	}
	return ruleCurrentAtIssuer(v)
}

// ruleCurrentAtIssuer holds if the credential that consumers use is no longer
// valid: someone else changed it, and further changes would only make it worse.
func ruleCurrentAtIssuer(v *view) (Decision, bool) {
	if v.unlisted() {
		return observe, true
	}
	if !v.Lists || v.Force == rota.StepCreate {
		return Decision{}, false
	}
	if c, locked := v.locked(); locked {
		return v.holdLocked(c, rota.StepCreate)
	}
	c, ok := v.issued(v.current.CredentialID)
	if v.isLost() {
		return ruleOrphans(v)
	}
	if !c.Active && v.now.Before(v.shows(v.current)) {
		return v.waitToShow(v.current)
	}
	if d, makes := v.makesPlace(); makes {
		return d, true
	}
	if _, early := v.early(); early && v.over(v.current) && (c.Active || !v.Traits.Replaces) { // nothing is made from a dead one
		return Decision{}, false // it's replaced, whatever the issuer's list makes of it
	}
	if !c.Active {
		what := "is not at the issuer any more"
		if ok {
			what = "is inactive at the issuer"
		}
		return v.hold(HoldNotAtIssuer, rota.StepCreate, v.now, v.now.Add(10*time.Minute),
			v.currentDead(), "the current credential %s %s", v.current.CredentialID, what)
	}
	return Decision{}, false
}

// makesPlace deletes the previous credential if a person asks for that and it's as
// dead as the current one: the next one needs its place.
func (v *view) makesPlace() (Decision, bool) {
	previous, there := v.issued(v.previous.CredentialID)
	if v.Force != rota.StepDelete || !v.retirable() || !v.previous.Ours() || !there || previous.Active || !v.dead(v.current) {
		return Decision{}, false
	}
	return v.do(rota.StepDelete, v.previous, v.now, "%s: neither it nor the current one is active", v.askedFor())
}

// locked returns the current credential if somebody locked its account.
func (v *view) locked() (rota.Issued, bool) {
	c, _ := v.issued(v.current.CredentialID)
	return c, c.Unlock != ""
}

// holdLocked waits until a person ends the lock: only they know what it's for.
func (v *view) holdLocked(c rota.Issued, next rota.Step) (Decision, bool) {
	return v.hold(HoldNotAtIssuer, next, v.now, v.now.Add(10*time.Minute), v.currentDead(),
		"somebody locked %s at the issuer, and Rota doesn't unlock it", c.ID)
}

// guardLocked holds what would unlock the account of the current credential, even
// if a person asked for a rotation: where there's no overlap, the new credential is
// the same account's.
func guardLocked(v *view, d Decision) (Decision, bool) {
	if v.setsAgain(d) {
		return v.lockedMeanwhile(d.Step)
	}
	if v.Traits.Overlap() || !v.hasCurrent || d.Step != rota.StepCreate && d.Step != rota.StepSet {
		return Decision{}, false
	}
	if v.unlisted() {
		return observe, true
	}
	if c, locked := v.locked(); locked {
		return v.holdLocked(c, d.Step)
	}
	return Decision{}, false
}

// setsAgain reports whether a step sets the new credential of a pair again, or tests it
// again: somebody may have locked its account since it was set first, and setting it would
// undo that.
func (v *view) setsAgain(d Decision) bool {
	vp := v.Progress.Versions[v.pending.ID]
	begun := v.hasPending && d.Version == v.pending.ID && !vp.SetBegunAt.IsZero() && vp.Rejected == ""
	f := v.Progress.stepFailure()
	again := d.Step == rota.StepSet || d.Step == rota.StepTest && f != nil && f.Step == rota.StepTest
	return begun && again && v.Lists && v.Traits.Overlap() && !v.Traits.IssuerChooses && v.pending.CredentialID != v.current.CredentialID
}

// lockedMeanwhile holds a step that sets or tests the new credential while somebody's lock
// is on its account.
func (v *view) lockedMeanwhile(next rota.Step) (Decision, bool) {
	if v.unlisted() {
		return observe, true
	}
	c, there := v.issued(v.pending.CredentialID)
	if !there || c.Active && c.Unlock == "" {
		return Decision{}, false
	}
	remedies := []rota.Remedy{v.reactivate(c.ID)}
	if c.Unlock != "" {
		remedies = []rota.Remedy{unlock(c)}
	}
	return v.hold(HoldNotAtIssuer, next, v.pending.CreatedAt, v.now.Add(10*time.Minute), remedies,
		"somebody locked %s at the issuer after its new password was set, and Rota doesn't unlock it", c.ID)
}

// ruleRollback finishes a rollback that has begun. If the credential that it went
// back to doesn't work, the one it killed is put back.
func ruleRollback(v *view) (Decision, bool) {
	rb := v.Progress.Rollback
	if rb == nil {
		return Decision{}, false
	}
	if rb.Rejected != "" {
		return v.do(rota.StepSet, v.current, rb.At, "put the current credential back: %s", rb.Rejected)
	}
	to, _ := rota.FindID(v.Contents.Versions, rb.To)
	return v.do(rota.StepRollback, to, rb.At, "put %s back in the place of the current credential", cmp.Or(to.CredentialID, rb.To))
}

// ruleOutdated holds everything while the current credential of a restored store
// is dead, except for a replacement that a person started.
func ruleOutdated(v *view) (Decision, bool) {
	if v.Outdated.IsZero() || v.Force == rota.StepCreate || v.hasPending {
		return Decision{}, false
	}
	if v.Traits.Readable && v.Outdated.Equal(v.Progress.WentBackAt) {
		return v.hold(HoldOutdated, rota.StepCreate, v.Outdated, v.now.Add(holdRecheck),
			[]rota.Remedy{v.remedy(rota.RemedyRotate, ""), v.remedy(rota.RemedyAdoptGiven, "with the one in force")}, "the store went back to an older state, seen at %s, and the issuer may have gone back with it: its current credential %s may not be in force",
			stamp(v.Outdated), v.current.CredentialID)
	}
	return v.hold(HoldOutdated, rota.StepCreate, v.Outdated, v.now.Add(holdRecheck),
		[]rota.Remedy{v.remedy(rota.RemedyRotate, ""), v.remedy(rota.RemedyAdoptGiven, "with the one in force")}, "the store was restored from a backup at %s, and its current credential %s is refused: it was replaced since the backup",
		stamp(v.Outdated), v.current.CredentialID)
}

// rolledBack reports whether the last rotation was undone. Either the journal
// remembers that, or the current version is older than the previous one.
//
// Credentials that expire, or are about to end, are replaced anyway. Otherwise their
// consumers would soon be left without one.
func (v *view) rolledBack() bool {
	if v.Traits.Lifetime > 0 || v.isEnding() {
		return false
	}
	return !v.Progress.RolledBackAt.IsZero() || v.previous.CreatedAt.After(v.current.CreatedAt)
}
