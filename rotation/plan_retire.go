package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// retirable tells whether the previous version holds a credential of its own
// that still takes a place at the issuer. Two versions may hold the same one,
// where a person changed another field of the secret. And of one that is not
// Rota's, as after a deletion that was stopped half-way, or a person's, nothing
// is left to retire once it is gone.
func (v *view) retirable() bool {
	if !v.hasPrevious || !v.Traits.Overlap() || v.previous.CredentialID == v.current.CredentialID {
		return false
	}
	_, there := v.issued(v.previous.CredentialID)
	return there || !v.Listed || v.previous.Ours()
}

// deletesActive tells that the issuer can't switch a credential off: the previous
// one stays active until it is deleted.
func (v *view) deletesActive() bool {
	return !v.CanDeactivate && v.Traits.Overlap() && v.Traits.Lifetime == 0
}

// retirement is the step that ends logins with the previous credential.
func (v *view) retirement() rota.Step {
	if v.deletesActive() {
		return rota.StepDelete
	}
	return rota.StepDeactivate
}

// off tells that the previous credential is switched off, as far as is known.
// Where Rota can't have done that, only the issuer's list can tell: what is
// remembered may be from a version that took every credential for one that can
// be deactivated.
func (v *view) off() bool {
	if v.deletesActive() {
		return v.dead(v.previous)
	}
	c, _ := v.issued(v.previous.CredentialID)
	return !v.Progress.Versions[v.previous.ID].DeactivatedAt.IsZero() && !c.Active
}

// ruleRetire deactivates the previous credential after its grace and only when
// the issuer reports that nobody uses it, and deletes it after the second
// grace. Where the issuer can't deactivate it, the deletion needs that proof.
func ruleRetire(v *view) (Decision, bool) {
	if !v.retirable() {
		return Decision{}, false
	}
	if v.Traits.Lifetime > 0 {
		return v.retireEnded()
	}
	if v.mayYetShow(v.previous) { // it may be in use
		return v.waitToShow(v.previous)
	}
	if v.Force == rota.StepCreate && v.spent() {
		why := "inactive for good"
		if v.gone() {
			why = "not at the issuer any more"
		}
		return v.do(rota.StepDelete, v.previous, v.now, "the next is asked for, and it is %s", why)
	}
	if v.deletesActive() {
		return v.deleteActive()
	}
	if !v.off() {
		c, listed := v.issued(v.previous.CredentialID)
		return v.deactivate(c, listed, v.offAt())
	}
	deleteAt := v.deleteAt()
	if v.now.Before(deleteAt) && v.Force != rota.StepDelete {
		v.wait(rota.StepDelete, deleteAt, "delete the previous credential "+v.previous.CredentialID+" when its second grace period is over")
		return Decision{}, false
	}
	if !v.previous.Ours() {
		return v.foreignPrevious(rota.StepDelete, deleteAt)
	}
	if v.Force == rota.StepDelete {
		return v.do(rota.StepDelete, v.previous, deleteAt, "%s; inactive since %s", v.forcedBefore(deleteAt, "second grace period was over"), stamp(v.offSince()))
	}
	if v.over(v.previous) {
		return v.do(rota.StepDelete, v.previous, deleteAt, "it has ended by itself")
	}
	return v.do(rota.StepDelete, v.previous, deleteAt, "inactive since %s, and its second grace period is over", stamp(v.offSince()))
}

// deleteActive decides on the previous credential of an issuer that can't
// deactivate it.
func (v *view) deleteActive() (Decision, bool) {
	at, off, forced := v.deleteAt(), v.off(), v.Force == rota.StepDelete
	if v.Force == rota.StepDeactivate && !off {
		return v.hold(HoldStillActive, rota.StepDeactivate, v.now, v.now.Add(holdRecheck), []rota.Remedy{v.remedy(rota.RemedyDelete, "when nobody uses it")},
			"the previous credential %s can't be deactivated: the issuer can only delete it", v.previous.CredentialID)
	}
	c, _ := v.issued(v.previous.CredentialID)
	if v.now.Before(at) && !forced {
		when := "its grace periods are over"
		if v.policy.Retire == RetireBeforeCreate {
			when = "the next rotation is due"
		}
		v.wait(rota.StepDelete, at, "delete the previous credential "+v.previous.CredentialID+" when "+when)
		v.sampleUse(c, at)
		return Decision{}, false
	}
	if v.waitsForWindow(at) {
		return Decision{}, false
	}
	if !v.previous.Ours() {
		return v.foreignPrevious(rota.StepDelete, at)
	}
	if off {
		return v.do(rota.StepDelete, v.previous, at, "the issuer no longer lists it as active")
	}
	if v.isOverUnused(c.Use) {
		return v.do(rota.StepDelete, v.previous, at, "it has ended by itself")
	}
	if d, held := v.proveUnused(c.Use, at); held {
		return d, true
	}
	if forced {
		return v.do(rota.StepDelete, v.previous, at, "%s%s", v.forcedBefore(at, "grace periods were over"), nobody(!v.neverKnows() && !c.Use.Ambiguous))
	}
	return v.do(rota.StepDelete, v.previous, at, "its grace periods are over, and nobody uses it")
}

// sampleUse has the issuer asked between now and a retirement, where it only
// shows who is logged in right now.
func (v *view) sampleUse(c rota.Issued, at time.Time) {
	if c.Use.Evidence == rota.EvidenceSampled {
		v.look(v.retirement(), at, v.now.Add(v.policy.UnusedFor/4), "look whether the previous credential is in use")
	}
}

// waitsForWindow notes that a retirement that is due waits for the window, unless
// a person asks for it.
func (v *view) waitsForWindow(due time.Time) bool {
	open := v.policy.open(v.now)
	if !open.After(v.now) || v.Force != rota.StepNone {
		return false
	}
	v.wait(v.retirement(), open, "due since "+stamp(due)+", waiting until "+v.policy.closed(v.now, open))
	return true
}

// offAt is when the previous credential's first grace is over and it is to be
// deactivated, whatever the window and the blackouts say.
func (v *view) offAt() time.Time {
	served := v.Progress.Versions[v.current.ID].ServedAt
	if served.IsZero() {
		return v.someday() // the previous one may be all that consumers have
	}
	at := served.Add(v.policy.DeactivatePreviousAfter)
	if end, ends := v.endsAt(v.previous); ends && end.Before(at) {
		return maxTime(served, end.Add(EndMargin)) // there's no grace after that
	}
	if e, early := v.early(); early && v.now.After(e.last) { // a part of it is left, for those that read just before
		at = earlier(at, served.Add(e.end.Sub(e.last)/2))
	}
	if v.policy.Retire != RetireBeforeCreate {
		return at
	}
	rotate, ever := v.rotateAt()
	switch {
	case v.Force == rota.StepCreate:
		rotate = v.now
	case !ever, v.rolledBack():
		// After a rollback nothing is created until a person says so.
		rotate = v.someday()
	}
	return maxTime(at, rotate)
}

// someday is later than anything that's planned.
func (v *view) someday() time.Time { return v.now.AddDate(100, 0, 0) }

// offSince is when the previous credential was deactivated.
func (v *view) offSince() time.Time { return v.Progress.Versions[v.previous.ID].DeactivatedAt }

// deleteAt is when the previous credential is to be deleted. The second grace
// counts from the deactivation, which lies a grace after the successor was served,
// unless a person was quicker. Where nothing can be deactivated, it counts from
// the end of the first.
func (v *view) deleteAt() time.Time {
	since := v.offSince()
	if v.deletesActive() {
		since = v.offAt()
	}
	if v.policy.Retire == RetireBeforeCreate {
		return since
	}
	at := since.Add(v.policy.DeletePreviousAfter - v.policy.DeactivatePreviousAfter)
	if end, ends := v.endsAt(v.previous); ends {
		at = maxTime(since, earlier(at, end.Add(EndMargin)))
	}
	return maxTime(since, v.makesWay(at))
}

func (v *view) foreignPrevious(next rota.Step, due time.Time) (Decision, bool) {
	return v.hold(HoldNotAdopted, next, due, v.now.Add(holdRecheck),
		v.takenOverToo(), "the previous credential %s was not made by Rota, so Rota does not retire it", v.previous.CredentialID)
}

// deactivate decides on the previous credential, which is active as far as is
// known.
func (v *view) deactivate(c rota.Issued, listed bool, at time.Time) (Decision, bool) {
	if v.Force == rota.StepDelete && listed && !c.Active && v.previous.Ours() {
		return v.do(rota.StepDeactivate, v.previous, at, "it's to be deleted, and is inactive already")
	}
	if v.Force == rota.StepDelete {
		return v.hold(HoldStillActive, rota.StepDelete, at, v.now.Add(holdRecheck), []rota.Remedy{v.remedy(rota.RemedyDeactivate, "first")}, "the previous credential %s is still active", v.previous.CredentialID)
	}
	if v.now.Before(at) && v.Force != rota.StepDeactivate {
		when := "its grace period is over"
		if v.policy.Retire == RetireBeforeCreate {
			when = "the next rotation is due"
		}
		v.wait(rota.StepDeactivate, at, "deactivate the previous credential "+v.previous.CredentialID+" when "+when)
		v.sampleUse(c, at)
		return Decision{}, false
	}
	if v.waitsForWindow(at) {
		return Decision{}, false
	}
	if !v.previous.Ours() {
		return v.foreignPrevious(rota.StepDeactivate, at)
	}
	if v.isOverUnused(c.Use) {
		return v.do(rota.StepDeactivate, v.previous, at, "it has ended by itself")
	}
	if c.Active {
		if d, held := v.proveUnused(c.Use, at); held {
			return d, true
		}
	}
	why := "its grace period is over"
	if v.Force == rota.StepDeactivate {
		why = v.forcedBefore(at, "grace period was over")
	}
	switch {
	case listed && !c.Active:
		why += ", and it is inactive at the issuer already"
	case v.Listed && !listed:
		why += ", and it is not at the issuer any more"
	default:
		why += nobody(listed && !v.ReportsNoUse && (v.Force != rota.StepDeactivate || !c.Use.Ambiguous))
	}
	return v.do(rota.StepDeactivate, v.previous, at, "%s", why)
}

// forcedBefore says who asked for a retirement, and whether its date hadn't come.
func (v *view) forcedBefore(at time.Time, over string) string {
	if v.now.Before(at) {
		return v.askedFor() + " before its " + over
	}
	return v.askedFor()
}

// nobody says that the issuer proved the previous credential unused, if it could.
func nobody(proven bool) string {
	if proven {
		return ", and nobody uses it"
	}
	return ", and the issuer can't say whether it's used"
}
