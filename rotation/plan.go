package rotation

import (
	"cmp"
	"fmt"
	"github.com/rota-dev/rota"
	"slices"
	"strings"
	"time"
)

// State is all that the planner may know of a secret: what the store and the
// issuer told when they were last asked, and what Rota remembers.
type State struct {
	Secret    string
	Owner     string // who has to act where no program can
	Traits    rota.Traits
	Targets   []string // names, in the order of delivery
	Reloaders []string // names, in the order of reloading

	// Contents is the store's; its versions' CredentialID are filled in.
	Contents rota.Contents

	// Lists tells that the issuer can list, Listed that Issued is its answer.
	Lists, Listed bool
	Issued        []rota.Issued
	// CanDeactivate tells that the issuer's credentials can be switched off.
	CanDeactivate bool

	Progress Progress

	// Halts are a person's words that nothing new is to begin.
	Halts Halts
	// Neighbors are the secrets that this one is kept apart from.
	Peers []Peer

	// Outdated is when the store was restored from a backup, where its current
	// credential was replaced since; zero otherwise.
	Outdated time.Time

	// Force is the step that a person asked for now: Create, Deactivate or
	// Delete ahead of the policy's dates, never ahead of the proof of non-use.
	Force rota.Step
}

// Decision is what is to be done now, or when to look again, and why.
type Decision struct {
	// Step is what to do now; None to wait.
	Step rota.Step `json:"step,omitempty"`
	// Version is the version concerned, Credential the issuer's name of its
	// credential. An orphan has no version.
	Version    string `json:"version,omitempty"`
	Credential string `json:"credential,omitempty"`
	// Reason is one sentence for people.
	Reason string `json:"reason"`
	// Due is since when Next, or Step, is due, or when it will be; zero for
	// never.
	Due time.Time `json:"due,omitzero"`
	// At is when to look again, where Step is None; zero for never: no date
	// changes this decision. ([Progress].NextAt is another thing: there zero is
	// at once.)
	At time.Time `json:"at,omitzero"`
	// Next is the step that is waited for, where Step is None.
	Next rota.Step `json:"next,omitempty"`
	// Hold tells that Next is due but may not be done, and why.
	Hold HoldKind `json:"hold,omitempty"`
	// Observe asks for the issuer's list, without which nothing can be
	// decided.
	Observe bool `json:"observe,omitempty"`
}

// HoldKind is why something that is due may not be done.
type HoldKind string

// The kinds of holds.
const (
	HoldNone          HoldKind = ""
	HoldNotAdopted    HoldKind = "not adopted"
	HoldNeverIssued   HoldKind = "never issued"
	HoldForeignChange HoldKind = "changed by somebody else"
	HoldInUse         HoldKind = "previous in use"
	HoldStillActive   HoldKind = "previous still active"
	HoldNoFreeSlot    HoldKind = "no free place"
	HoldNotAtIssuer   HoldKind = "current not active at the issuer"
	HoldRolledBack    HoldKind = "rolled back"
	HoldRetrying      HoldKind = "waiting to try again"
	HoldQuarantined   HoldKind = "quarantined" // given up after the last retry, until a person or a change of the configuration lifts it
	HoldPaused        HoldKind = "paused"
	HoldFrozen        HoldKind = "frozen"
	HoldManual        HoldKind = "to be rotated by a person"
	HoldOutdated      HoldKind = "restored from an old backup"
)

// Plan decides what is to be done for a secret now. It is pure: the same state,
// policy and moment give the same decision.
//
// It is a chain of rules; the first that has something to say decides. When
// none has, the earliest moment at which one of them will is the decision.
func Plan(st State, p Policy, now time.Time) Decision {
	v := newView(st, p, now)
	for _, rule := range []func(*view) (Decision, bool){
		ruleManual,
		ruleOutdated,
		ruleRollback,
		ruleOwnership,
		rulePending,
		ruleServe,
		ruleOrphans,
		ruleFirst,
		ruleCurrentAtIssuer,
		ruleRetire,
		ruleRotate,
	} {
		if d, decided := rule(v); decided {
			return v.applyFailure(d)
		}
	}
	slices.SortStableFunc(v.waits, func(a, b Decision) int { return a.At.Compare(b.At) })
	if len(v.waits) == 0 {
		return Decision{Reason: "nothing to do: the policy has no rotate_every"}
	}
	return v.waits[0]
}

// view is a state seen at one moment, with what all rules ask for.
type view struct {
	State
	policy Policy
	now    time.Time

	current, pending, previous          rota.Version
	hasCurrent, hasPending, hasPrevious bool

	waits []Decision // what will be due later, and when to look
}

func newView(st State, p Policy, now time.Time) *view {
	v := &view{State: st, policy: p.ForLifetime(st.Traits.Lifetime).WithDefaults(), now: now}
	v.current, v.hasCurrent = findCredential(st.Contents.Versions, rota.LabelCurrent)
	v.pending, v.hasPending = rota.Find(st.Contents.Versions, rota.LabelPending)
	v.previous, v.hasPrevious = findCredential(st.Contents.Versions, rota.LabelPrevious)
	return v
}

// findCredential gives the version that carries the label, unless it holds no
// credential: then there is none to plan for.
func findCredential(versions []rota.Version, l rota.Label) (rota.Version, bool) {
	v, ok := rota.Find(versions, l)
	if v.CredentialID == rota.NoCredential {
		return rota.Version{}, false
	}
	return v, ok
}

// issued is the issuer's entry for a credential.
func (v *view) issued(credentialID string) (rota.Issued, bool) {
	i := slices.IndexFunc(v.Issued, func(c rota.Issued) bool { return c.ID == credentialID })
	if i < 0 {
		return rota.Issued{}, false
	}
	return v.Issued[i], true
}

// unlisted tells that the issuer could list but has not been asked yet.
func (v *view) unlisted() bool { return v.Lists && !v.Listed }

// wait notes that a step will be due, for when no rule decides.
func (v *view) wait(next rota.Step, at time.Time, reason string) { v.look(next, at, at, reason) }

// look notes that the state should be looked at again, ahead of what is due.
func (v *view) look(next rota.Step, due, at time.Time, reason string) {
	v.waits = append(v.waits, Decision{Next: next, Due: due, At: at, Reason: reason})
}

func (v *view) do(step rota.Step, version rota.Version, due time.Time, format string, args ...any) (Decision, bool) {
	return Decision{
		Step: step, Version: version.ID, Credential: version.CredentialID,
		Due: due, Reason: fmt.Sprintf(format, args...),
	}, true
}

// hold says that next is due but may not be done; look again at that moment.
func (v *view) hold(kind HoldKind, next rota.Step, due, at time.Time, format string, args ...any) (Decision, bool) {
	return Decision{
		Next: next, Hold: kind, Due: due, At: at, Reason: "hold: " + fmt.Sprintf(format, args...),
	}, true
}

var observe = Decision{Observe: true, Reason: "the issuer's list is needed"}

// holdRecheck is how long a hold that only a person can lift stays unexamined.
const holdRecheck = time.Hour

// applyFailure holds back a step that has failed and may not be tried again yet.
func (v *view) applyFailure(d Decision) Decision {
	if held, halted := v.halted(d); halted {
		return held
	}
	f := v.Progress.stepFailure()
	if d.Step == rota.StepNone || f == nil || f.Step != d.Step || v.Force != rota.StepNone {
		return d
	}
	due := d.Due
	if due.IsZero() {
		due = f.At
	}
	if f.Attempts >= v.policy.MaxAttempts {
		held, _ := v.hold(HoldQuarantined, d.Step, due, v.now.Add(holdRecheck), "%s failed %d times, the last time: %s (try: mend it, then rota rotate %s)",
			d.Step, f.Attempts, f.Error, v.Secret)
		return held
	}
	if v.now.Before(f.RetryAt) {
		held, _ := v.hold(HoldRetrying, d.Step, due, f.RetryAt, "%s failed (%d of %d), to be tried again at %s: %s",
			d.Step, f.Attempts, v.policy.MaxAttempts, stamp(f.RetryAt), f.Error)
		return held
	}
	return d
}

// ruleRollback finishes a rollback that has begun.
func ruleRollback(v *view) (Decision, bool) {
	rb := v.Progress.Rollback
	if rb == nil {
		return Decision{}, false
	}
	to, _ := rota.FindID(v.Contents.Versions, rb.To)
	return v.do(rota.StepRollback, to, rb.At, "put %s back in the place of the current credential", cmp.Or(to.CredentialID, rb.To))
}

// ruleOwnership stops before anything that Rota neither made nor adopted.
func ruleOwnership(v *view) (Decision, bool) {
	if v.hasPending && !v.pending.Ours() {
		return v.hold(HoldForeignChange, rota.StepCreate, v.pending.CreatedAt, v.now.Add(holdRecheck),
			"version %s is AWSPENDING and not Rota's: another rotation is under way or was left (try: finish it, or take AWSPENDING off that version)", v.pending.ID)
	}
	if v.hasCurrent && !v.current.Ours() && !v.replaceable() {
		if vp := v.Progress.Versions[v.pending.ID]; v.hasPending && !v.pending.Has(rota.LabelCurrent) && vp.Rejected != "" {
			return v.discard(vp) // it is Rota's own, and in the way of an adoption
		}
		if v.hasPrevious && v.previous.Ours() {
			return v.hold(HoldForeignChange, rota.StepCreate, v.current.CreatedAt, v.now.Add(holdRecheck),
				"AWSCURRENT was changed by somebody else: version %s is not Rota's (try: rota adopt %s)", v.current.ID, v.Secret)
		}
		return v.hold(HoldNotAdopted, rota.StepCreate, v.current.CreatedAt, v.now.Add(holdRecheck),
			"the current credential was not made by Rota (try: rota adopt %s)", v.Secret)
	}
	return Decision{}, false
}

// ruleServe hands the current credential to everyone who uses it.
func ruleServe(v *view) (Decision, bool) {
	if !v.hasCurrent {
		return Decision{}, false
	}
	if v.Force == rota.StepCreate && !v.Traits.Overlap() {
		return Decision{}, false // a person replaces it, perhaps because consumers can't use it
	}
	if v.mustRenew() {
		return Decision{}, false
	}
	vp := v.Progress.Versions[v.current.ID]
	since := cmp.Or(vp.PromotedAt, v.current.CreatedAt)
	if missing := missing(v.Targets, vp.Delivered); len(missing) > 0 {
		return v.do(rota.StepDeliver, v.current, since, "%d of %d targets do not have it yet", len(missing), len(v.Targets))
	}
	if missing := missing(v.Reloaders, vp.Reloaded); len(missing) > 0 {
		return v.do(rota.StepReload, v.current, since, "%d of %d consumers have not taken it up yet", len(missing), len(v.Reloaders))
	}
	if vp.ServedAt.IsZero() || !v.current.Has(rota.LabelServed) {
		return v.do(lastServing(v.State), v.current, since, "mark the current credential as served")
	}
	return Decision{}, false
}

// lastServing is the step after which a credential counts as served.
func lastServing(st State) rota.Step {
	switch {
	case len(st.Reloaders) > 0:
		return rota.StepReload
	case len(st.Targets) > 0:
		return rota.StepDeliver
	default:
		return rota.StepPromote
	}
}

func missing(names []string, done map[string]time.Time) []string {
	var out []string
	for _, n := range names {
		if done[n].IsZero() {
			out = append(out, n)
		}
	}
	return out
}

// ruleFirst issues the first credential where that harms nobody.
func ruleFirst(v *view) (Decision, bool) {
	if v.hasCurrent {
		return Decision{}, false
	}
	if v.unlisted() {
		return observe, true
	}
	full := v.Traits.Limit > 0 && len(v.Issued) >= v.Traits.Limit
	switch {
	case v.Force == rota.StepCreate && (!full || !v.Traits.IssuerChooses):
		return v.create(v.now, "the first credential, asked for by a person")
	case v.Force == rota.StepCreate:
		return v.hold(HoldNoFreeSlot, rota.StepCreate, v.now, v.now.Add(holdRecheck), "all %d places are taken, and Rota made none of what is there: %s (try: rota adopt %s --from - for the one in use, and delete the other by hand)",
			v.Traits.Limit, names(v.Issued), v.Secret)
	case v.Lists && len(v.Issued) == 0, v.Traits.Lifetime > 0:
		return v.create(v.now, "the first credential")
	}
	return v.hold(HoldNeverIssued, rota.StepCreate, v.now, v.now.Add(holdRecheck),
		"the store holds no credential yet, but the issuer may have one that somebody uses (try: rota adopt %s to keep it, or rota rotate %s to issue the first)", v.Secret, v.Secret)
}

func names(issued []rota.Issued) string {
	ids := make([]string, len(issued))
	for i, c := range issued {
		ids[i] = c.ID
	}
	return strings.Join(ids, ", ")
}

// ruleCurrentAtIssuer stops when the credential that consumers hold is not
// valid any more: somebody changed it, and more changes would help nobody.
func ruleCurrentAtIssuer(v *view) (Decision, bool) {
	if v.unlisted() {
		return observe, true
	}
	if !v.Lists || v.Force == rota.StepCreate {
		return Decision{}, false
	}
	c, ok := v.issued(v.current.CredentialID)
	shows := maxTime(v.current.CreatedAt, v.Progress.Versions[v.current.ID].PromotedAt).Add(v.Traits.ConsistencyDelay)
	if (!ok || !c.Active) && v.now.Before(shows) {
		v.look(rota.StepCreate, v.now, shows, "waiting until the issuer's list shows the current credential "+v.current.CredentialID)
		return v.waits[len(v.waits)-1], true
	}
	if !ok || !c.Active {
		what := "is not at the issuer any more"
		if ok {
			what = "is inactive at the issuer"
		}
		return v.hold(HoldNotAtIssuer, rota.StepCreate, v.now, v.now.Add(10*time.Minute),
			"the current credential %s %s (try: reactivate it there, or rota rotate %s)", v.current.CredentialID, what, v.Secret)
	}
	return Decision{}, false
}

// rotateAt is when the current credential grows too old, or must be renewed
// because it ends by itself.
func (v *view) rotateAt() (time.Time, bool) {
	at, ever := v.policy.due(v.Secret, v.issuedAt(), v.Progress.NotBefore)
	if end, ends := v.endOf(v.current); ends && end.Add(-EndMargin).Before(at) {
		return end.Add(-EndMargin), true
	}
	return at, ever
}

// issuedAt is since when the current credential exists: the issuer's date
// where it has one, else the version's, or what its end tells.
func (v *view) issuedAt() time.Time {
	if end, ends := v.endOf(v.current); ends {
		if issued := end.Add(-v.Traits.Lifetime); issued.Before(v.current.CreatedAt) {
			return issued
		}
	}
	if c, ok := v.issued(v.current.CredentialID); ok && !c.CreatedAt.IsZero() && v.Traits.IssuerChooses {
		return c.CreatedAt
	}
	return v.current.CreatedAt
}

// ruleRotate creates the next credential when the current one is old enough
// and there is a place for it.
func ruleRotate(v *view) (Decision, bool) {
	due, ever := v.rotateAt()
	forced := v.Force == rota.StepCreate
	if forced {
		due = v.now
	} else if !ever {
		return Decision{}, false
	}
	if v.now.Before(due) {
		v.wait(rota.StepCreate, due, v.policy.when()+v.putOff(due))
		return Decision{}, false
	}
	if v.rolledBack() && !forced {
		first := ""
		if v.retirable() {
			first = fmt.Sprintf("when %s, which was given up, is retired by the policy or by rota deactivate and rota delete, ", v.previous.CredentialID)
		}
		return v.hold(HoldRolledBack, rota.StepCreate, due, v.now.Add(holdRecheck),
			"the last rotation was rolled back (try: mend what was wrong, then %srota rotate %s)", first, v.Secret)
	}
	if v.retirable() && v.Traits.Lifetime == 0 {
		return v.hold(HoldNoFreeSlot, rota.StepCreate, due, v.now.Add(holdRecheck),
			"the previous credential %s is not yet retired (try: wait for its grace, or rota deactivate %s and rota delete %s)", v.previous.CredentialID, v.Secret, v.Secret)
	}
	if v.Lists && v.Traits.Limit > 1 && len(v.Issued) >= v.Traits.Limit {
		return v.hold(HoldNoFreeSlot, rota.StepCreate, due, v.now.Add(holdRecheck), "all %d places are taken: %s; what is not in the store is not Rota's to delete (try: delete the one that nobody uses)",
			v.Traits.Limit, names(v.Issued))
	}
	if open := v.policy.open(v.now); !forced && open.After(v.now) {
		v.wait(rota.StepCreate, open, "due since "+stamp(due)+", waiting until "+v.policy.closed(v.now, open))
		return Decision{}, false
	}
	if forced {
		return v.create(due, "asked for by a person")
	}
	if v.keepApart() {
		return Decision{}, false
	}
	return v.create(due, v.old(due))
}

// maxRejections is how many new credentials may be given up in a row before
// only a person can start the next.
const maxRejections = 4

// create decides on a new credential, unless the last ones were given up.
func (v *view) create(due time.Time, reason string) (Decision, bool) {
	if !v.Progress.RolledBackAt.IsZero() && v.Force != rota.StepCreate && v.Traits.Lifetime == 0 {
		return v.hold(HoldRolledBack, rota.StepCreate, due, v.now.Add(holdRecheck),
			"the last rotation was rolled back (try: mend what was wrong, then rota rotate %s)", v.Secret)
	}
	if n := v.Progress.Rejections; n > 0 && v.Force != rota.StepCreate {
		retry := v.Progress.RejectedAt.Add(retryWithin(v.Traits, rejectionBackoff(n)))
		if n >= maxRejections {
			return v.hold(HoldQuarantined, rota.StepCreate, due, v.now.Add(holdRecheck), "%d new credentials in a row did not work (try: rota history %s, then rota rotate %s)", n, v.Secret, v.Secret)
		}
		if v.now.Before(retry) {
			return v.hold(HoldRetrying, rota.StepCreate, due, retry, "the last new credential did not work")
		}
	}
	if at := v.consistentAt(); v.now.Before(at) {
		v.look(rota.StepCreate, due, at, "waiting until the issuer's list shows what the last call did")
		return v.waits[len(v.waits)-1], true
	}
	if v.unlisted() {
		return observe, true
	}
	if !v.Traits.Overlap() && v.hasCurrent {
		reason += "; the old one stops working as the new one is set, so consumers cannot log in anew until they take it up"
	}
	return Decision{Step: rota.StepCreate, Due: due, Reason: reason}, true
}

// consistentAt is when every call of unknown outcome shows in the issuer's list.
func (v *view) consistentAt() time.Time {
	var at time.Time
	for _, i := range v.Progress.Intents {
		if hasValue(v.Contents.Versions, i.Version) {
			continue
		}
		if end := i.At.Add(v.Traits.ConsistencyDelay); end.After(at) && v.now.Before(i.Until.Add(rota.Day)) {
			at = end
		}
	}
	return at
}

func rejectionBackoff(n int) time.Duration {
	return min(5*time.Minute<<(2*(n-1)), rota.Day)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
