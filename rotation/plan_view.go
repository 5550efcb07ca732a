package rotation

import (
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// view is a state at one moment, with the values that all rules need.
type view struct {
	State
	policy Policy
	now    time.Time
	idle   proof // of the chain

	current, pending, previous          rota.Version
	hasCurrent, hasPending, hasPrevious bool

	// keptAlive means that renewals aren't planned, and assumed to succeed.
	keptAlive bool

	// unseen means that the store can't be read: the contents are what's remembered of
	// the credentials in use.
	unseen bool

	waits []Decision // what will be due later, and when to look again
}

func newView(st State, p Policy, now time.Time) *view {
	v := view{State: st}
	v.complete(p, now)
	return &v
}

// complete works out everything but the state.
func (v *view) complete(p Policy, now time.Time) {
	v.policy, v.now = p.ForLifetime(v.Traits.Lifetime).WithDefaults(), now
	versions := v.Contents.Versions
	v.current, v.hasCurrent = findCredential(versions, rota.LabelCurrent)
	v.pending, v.hasPending = rota.Find(versions, rota.LabelPending)
	v.previous, v.hasPrevious = findCredential(versions, rota.LabelPrevious)
}

// findCredential returns the version that carries the label, unless it holds no
// credential and there's nothing to plan for.
func findCredential(versions []rota.Version, l rota.Label) (rota.Version, bool) {
	v, ok := rota.Find(versions, l)
	if v.CredentialID == rota.NoCredential {
		return rota.Version{}, false
	}
	return v, ok
}

// issued returns the issuer's list entry for a credential.
func (v *view) issued(credentialID string) (rota.Issued, bool) {
	return findIssued(v.Issued, credentialID)
}

func findIssued(issued []rota.Issued, credentialID string) (rota.Issued, bool) {
	i := slices.IndexFunc(issued, func(c rota.Issued) bool { return c.ID == credentialID })
	if i < 0 {
		return rota.Issued{}, false
	}
	return issued[i], true
}

// dead reports whether a version's credential is missing from the issuer's list
// or inactive, and old enough for the list to be trusted.
func (v *view) dead(version rota.Version) bool {
	c, _ := v.issued(version.CredentialID)
	return v.Listed && !c.Active && !v.mayYetShow(version)
}

// mayYetShow reports whether a version's credential is missing from the issuer's
// list, which may be too old to have it.
func (v *view) mayYetShow(version rota.Version) bool {
	_, there := v.issued(version.CredentialID)
	return v.Listed && !there && v.now.Before(v.shows(version))
}

// shows is when the issuer's list shows a version's credential, if there is one.
func (v *view) shows(version rota.Version) time.Time {
	return maxTime(version.CreatedAt, v.Progress.Versions[version.ID].PromotedAt).Add(v.Traits.ConsistencyDelay)
}

// waitToShow waits until the issuer's list shows the version's credential.
func (v *view) waitToShow(version rota.Version) (Decision, bool) {
	which := "current"
	if version.ID == v.previous.ID {
		which = "previous"
	}
	v.look(rota.StepCreate, v.now, v.shows(version), "waiting until the issuer's list shows the "+which+" credential "+version.CredentialID)
	return v.waits[len(v.waits)-1], true
}

// unlisted reports whether the issuer can list but hasn't been asked yet.
func (v *view) unlisted() bool { return v.Lists && !v.Listed }

// wait records that a step will be due, in case no rule decides.
func (v *view) wait(next rota.Step, at time.Time, reason string) { v.look(next, at, at, reason) }

// look records when to look again, which can be earlier than the step is due.
func (v *view) look(next rota.Step, due, at time.Time, reason string) {
	v.waits = append(v.waits, Decision{Next: next, Due: due, At: at, Reason: reason})
}

func (v *view) do(step rota.Step, version rota.Version, due time.Time, format string, args ...any) (Decision, bool) {
	return Decision{
		Step: step, Version: version.ID, Credential: version.CredentialID,
		Due: due, Reason: fmt.Sprintf(format, args...),
	}, true
}

// hold decides that next is due but blocked. remedies are what a person can do
// about it, nil if it just takes time, and at is when to look again.
func (v *view) hold(kind HoldKind, next rota.Step, due, at time.Time, remedies []rota.Remedy, format string, args ...any) (Decision, bool) {
	return Decision{
		Remedies: remedies, Next: next, Hold: kind, Due: due, At: at, Reason: holdPrefix + fmt.Sprintf(format, args...),
	}, true
}

// holdPrefix begins the reason of each hold.
const holdPrefix = "hold: "

var observe = Decision{Observe: true, Reason: "the issuer's list is needed"}

// holdRecheck is how often a hold that only a person can end is checked again.
const holdRecheck = time.Hour

// readyRecheck is how often it's checked whether what follows an irreversible
// step would succeed by now. That logs in each time.
const readyRecheck = 10 * time.Minute

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
