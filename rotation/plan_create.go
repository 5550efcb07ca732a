package rotation

import (
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// ruleFirst issues the first credential if that's safe.
func ruleFirst(v *view) (Decision, bool) {
	if v.hasCurrent {
		return Decision{}, false
	}
	if v.Traits.Replaces {
		return v.hold(HoldNeverIssued, rota.StepCreate, v.now, v.now.Add(holdRecheck), []rota.Remedy{v.remedy(rota.RemedyAdoptGiven, "with the one in use, or with one made by hand")},
			"the store holds no credential that the next one could be made from: the first one is made by hand")
	}
	// The password of a lone role is replaced in place, but one of two roles that
	// can log in may be in use.
	full := v.Traits.Limit > 0 && len(v.Issued) >= v.Traits.Limit && (v.Traits.IssuerChooses || v.Traits.Overlap())
	switch {
	case v.Force == rota.StepCreate && !full:
		return v.create(v.now, "the first credential, "+v.askedFor())
	case v.Force == rota.StepCreate:
		remedies := append([]rota.Remedy{v.remedy(rota.RemedyAdoptGiven, "for the one in use")}, v.strangers()...)
		return v.hold(HoldNoFreeSlot, rota.StepCreate, v.now, v.now.Add(holdRecheck), remedies, "all %d places are taken, and the store holds none of these: %s",
			v.Traits.Limit, names(v.Issued))
	case v.Lists && len(v.Issued) == 0, v.Traits.Lifetime > 0:
		return v.create(v.now, "the first credential")
	}
	remedies := []rota.Remedy{v.remedy(rota.RemedyAdoptGiven, "to keep it")}
	switch {
	case full:
		remedies = append(remedies, v.strangers()...)
	default:
		remedies = append(remedies, v.remedy(rota.RemedyRotate, "to issue the first"))
	}
	if broken, there := rota.Find(v.Contents.Versions, rota.LabelCurrent); there {
		if v.previous.Ours() {
			remedies = append([]rota.Remedy{v.remedy(rota.RemedyRollBack, "to the previous one")}, remedies...)
		}
		return v.hold(HoldNeverIssued, rota.StepCreate, v.now, v.now.Add(holdRecheck), remedies, "version %s, which is AWSCURRENT, does not say which credential it is", broken.ID)
	}
	return v.hold(HoldNeverIssued, rota.StepCreate, v.now, v.now.Add(holdRecheck), remedies, "the store holds no credential yet, but the issuer may have one that someone uses")
}

// ruleRotate creates the next credential once the current one is old enough and
// the issuer has room for it.
func ruleRotate(v *view) (Decision, bool) {
	due, ever := v.rotateAt()
	forced := v.Force == rota.StepCreate
	if forced {
		due = v.now
	} else if !ever {
		return Decision{}, false
	}
	if v.now.Before(due) {
		v.wait(rota.StepCreate, due, v.when(due))
		return Decision{}, false
	}
	if v.rolledBack() && !forced {
		return v.holdRolledBack(due)
	}
	if v.retirable() && v.Traits.Lifetime == 0 {
		return v.hold(HoldNoFreeSlot, rota.StepCreate, due, v.now.Add(holdRecheck),
			v.makeRoomForNext(), "the previous credential %s is not yet retired", v.previous.CredentialID)
	}
	if v.isFull() {
		return v.full(due)
	}
	if open := v.policy.open(v.now); !forced && open.After(v.now) && v.canWait(open) {
		v.wait(rota.StepCreate, open, "due since "+stamp(due)+", waiting until "+v.policy.closed(v.now, open))
		return Decision{}, false
	}
	if forced {
		return v.create(due, v.askedFor())
	}
	if v.keepApart() {
		return Decision{}, false
	}
	if e, early := v.early(); early {
		return v.create(due, e.why(v.now)+", sooner than the policy rotates it")
	}
	return v.create(due, v.old(due))
}

// holdRolledBack waits for a person after a rollback. The credential that was
// given up might have to be retired first.
func (v *view) holdRolledBack(due time.Time) (Decision, bool) {
	graceOver := v.Progress.Versions[v.current.ID].ServedAt.Add(v.policy.DeactivatePreviousAfter)
	if v.retirable() && (v.policy.Retire != RetireBeforeCreate || v.now.Before(graceOver) || !v.previous.Ours()) {
		return v.hold(HoldRolledBack, rota.StepCreate, due, v.now.Add(holdRecheck), v.makeRoom(),
			"the last rotation was rolled back, and %s, which was given up, is not yet retired", v.previous.CredentialID)
	}
	if v.isFull() && (!v.retirable() || v.gone()) {
		return v.hold(HoldRolledBack, rota.StepCreate, due, v.now.Add(holdRecheck), v.strangers(),
			"the last rotation was rolled back, and all %d places are taken: %s", v.Traits.Limit, names(v.Issued))
	}
	return v.hold(HoldRolledBack, rota.StepCreate, due, v.now.Add(holdRecheck),
		[]rota.Remedy{v.remedy(rota.RemedyRotate, "once the cause is fixed")}, "the last rotation was rolled back")
}

// full holds because every place at the issuer is taken.
func (v *view) full(due time.Time) (Decision, bool) {
	return v.hold(HoldNoFreeSlot, rota.StepCreate, due, v.now.Add(holdRecheck), v.strangers(), "all %d places are taken: %s%s",
		v.Traits.Limit, names(v.Issued), v.unretired())
}

// unretired says why Rota doesn't retire those credentials at the issuer that
// aren't current, pending or previous.
func (v *view) unretired() string {
	var foreign, displaced []rota.Issued
	for _, c := range v.Issued {
		switch {
		case v.knows(c.ID):
		case v.made(c.ID):
			displaced = append(displaced, c)
		default:
			foreign = append(foreign, c)
		}
	}
	why := ""
	if len(foreign) > 0 {
		why += "; Rota neither made nor adopted " + names(foreign)
	}
	if len(displaced) > 0 {
		why += "; the rotation that made " + names(displaced) + " was canceled, so Rota can't know who uses it"
	}
	return why
}

// made reports whether a version that's Rota's holds the credential.
func (v *view) made(credentialID string) bool {
	return slices.ContainsFunc(v.Contents.Versions, func(version rota.Version) bool {
		return version.CredentialID == credentialID && version.Ours()
	})
}

// askedFor says who asked for a step ahead of the policy's date: a person, or
// something that acts for one, such as a schedule or an application.
func (v *view) askedFor() string {
	if v.By == "" {
		return "asked for"
	}
	return "asked for by " + v.By
}

// maxRejections is how many new credentials in a row can be given up before only
// a person can start the next one.
const maxRejections = 4

// create decides to create a new credential, unless recent ones were given up.
func (v *view) create(due time.Time, reason string) (Decision, bool) {
	if v.unlisted() {
		return observe, true
	}
	if v.rolledBack() && !v.Progress.RolledBackAt.IsZero() && v.Force != rota.StepCreate {
		return v.holdRolledBack(due)
	}
	if n := v.Progress.Rejections; n > 0 && v.Force != rota.StepCreate {
		retry := earlier(v.Progress.RejectedAt.Add(retryWithin(v.Traits, rejectionBackoff(n))), v.retryEnding(v.Progress.RejectedAt))
		if n >= maxRejections {
			return v.hold(HoldQuarantined, rota.StepCreate, due, v.now.Add(holdRecheck), resumed(v.Secret, v.Progress.RejectedFor), "%d new credentials in a row did not work%s", n, because(v.Progress.RejectedWhy))
		}
		if v.now.Before(retry) {
			return v.hold(HoldRetrying, rota.StepCreate, due, retry, v.Progress.RejectedFor, "the last new credential did not work%s", because(v.Progress.RejectedWhy))
		}
	}
	if at := v.consistentAt(); v.now.Before(at) {
		v.look(rota.StepCreate, due, at, "waiting until the issuer's list shows what the last call did")
		wait := v.waits[len(v.waits)-1]
		wait.Unfinished = true
		return wait, true
	}
	switch {
	case v.Traits.Readable && v.Drifted: // the old one has stopped working already
		reason += "; consumers can't log in until they pick it up"
	case isOneWay(v.Traits) && v.hasCurrent:
		reason += "; the old one stops working when the new one is made and can't be put back, so consumers can't log in until they pick it up"
	case !v.Traits.Overlap() && v.hasCurrent:
		reason += "; the old one stops working when the new one is set, so consumers can't log in until they pick it up; if the new one doesn't pass its test within " +
			rota.FormatDuration(v.policy.TestWithin) + ", the old one is put back"
	}
	return Decision{Step: rota.StepCreate, Due: due, Reason: reason}, true
}

// consistentAt returns when the issuer's list will show the effect of every call
// of unknown outcome.
func (v *view) consistentAt() time.Time {
	var at time.Time
	for _, i := range v.Progress.Intents {
		if !hasValue(v.Contents.Versions, i.Version) {
			at = maxTime(at, i.Until.Add(v.Traits.ConsistencyDelay))
		}
	}
	return at
}

func rejectionBackoff(n int) time.Duration {
	return min(5*time.Minute<<(2*(n-1)), rota.Day)
}

// rotateAt returns when the current credential becomes too old, or has to be
// replaced because it ends.
func (v *view) rotateAt() (time.Time, bool) {
	if e, early := v.early(); early {
		return e.due, true
	}
	at, ever := v.policy.due(v.Secret, v.issuedAt(), v.Progress.NotBefore)
	if end, ends := v.endOf(v.current); ends && end.Add(-EndMargin).Before(at) {
		return end.Add(-EndMargin), true
	}
	return at, ever
}

// issuedAt returns when the current credential was issued. That's the issuer's
// date if it has one, otherwise the version's, or an earlier one that follows
// from the expiry.
func (v *view) issuedAt() time.Time {
	if end, ends := v.meantToEnd(v.current); ends {
		return earlier(end.Add(-v.Traits.Lifetime), v.current.CreatedAt)
	}
	if c, _ := v.issued(v.current.CredentialID); !c.CreatedAt.IsZero() && v.Traits.IssuerChooses {
		return c.CreatedAt
	}
	return v.current.CreatedAt
}

// peerRecheck is how often it's checked whether another secret is rotated by now.
const peerRecheck = 5 * time.Minute

// when says, for people, when the current credential is rotated, and what makes it
// sooner or later than the policy's own date.
func (v *view) when(due time.Time) string {
	if e, early := v.early(); early {
		return "rotate before it ends at " + stamp(e.end) + ", sooner than the policy says"
	}
	return v.policy.when() + v.putOff(due)
}

// keepApart waits if a secret that this one must be kept apart from was just
// rotated, is being rotated, or is also due and goes first by name.
func (v *view) keepApart() bool {
	for _, n := range v.Peers {
		end := n.IssuedAt.Add(n.By)
		switch {
		case v.isEnding(), v.now.Before(end) && !v.canWait(v.policy.open(end)): // being locked out is worse
			continue
		case n.isBeingRotated():
			v.wait(rota.StepCreate, v.now.Add(peerRecheck), n.Secret+" is being rotated, and the two must be "+rota.FormatDuration(n.By)+" apart")
		case v.now.Before(end):
			v.wait(rota.StepCreate, v.policy.open(end), n.Secret+" was rotated at "+stamp(n.IssuedAt)+", and the two must be "+rota.FormatDuration(n.By)+" apart")
		case n.goesFirst(v.Secret, v.now):
			v.wait(rota.StepCreate, v.now.Add(peerRecheck), n.Secret+" is due as well and goes first, and the two must be "+rota.FormatDuration(n.By)+" apart")
		default:
			continue
		}
		return true
	}
	return false
}

// old says why the current credential is rotated now, and mentions a missed
// window.
func (v *view) old(due time.Time) string {
	age := v.now.Sub(v.issuedAt())
	reason := fmt.Sprintf("it is %s old, the policy says %s", rota.FormatDuration(age), rota.FormatDuration(v.policy.RotateEvery))
	switch {
	case v.policy.RotateAt != nil:
		reason = "it is due by the schedule " + v.policy.RotateAt.Spec
	case age < v.policy.RotateEvery:
		reason += " less its jitter"
	}
	if w := v.policy.Window; w != nil && w.missed(due, v.now) {
		reason += "; the window of " + stamp(due) + " was missed, so this one catches up"
	}
	return reason
}

// putOff says which blackouts postponed the rotation until due, and from when. It
// returns "" if none did.
func (v *view) putOff(due time.Time) string {
	ripe, _ := v.policy.ripe(v.Secret, v.issuedAt(), v.Progress.NotBefore)
	free := v.policy
	free.Blackouts = nil
	if at, _ := free.due(v.Secret, v.issuedAt(), v.Progress.NotBefore); !at.Before(due) {
		return "" // the window alone postponed it
	}
	return ", postponed from " + stamp(ripe) + " by " + v.policy.blackouts(ripe, due)
}
