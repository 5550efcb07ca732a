package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// Drift is a current credential that isn't in force any more, because someone
// changed it outside Rota. The next rotation would be held for that, and consumers
// that log in anew fail now. So every look that finds nothing else to do asks, and
// there's one at least once a day.

// DriftCheck says how to find out whether the current credential is in force.
type DriftCheck string

// The ways.
const (
	// DriftLogin logs in with it if neither the issuer's list nor a verifier shows
	// it.
	DriftLogin DriftCheck = "login"
	// DriftPassive never logs in for that.
	DriftPassive DriftCheck = "passive"
)

// InForce is the last answer to whether a version's credential is in force.
type InForce struct {
	Version string    `json:"version,omitempty"`
	At      time.Time `json:"at,omitzero"`
	Drifted bool      `json:"drifted,omitempty"`
	// Unverified is why the looks after that got no answer; nil if they did.
	Unverified *Unverified `json:"unverified,omitempty"`
}

// refuses reports whether the last answer was that this version isn't in force.
func (i InForce) refuses(version string) bool { return i.Drifted && i.Version == version }

// guardDrift holds if the current credential isn't in force, whatever else there is
// to wait for. Most steps go on: a new credential ends the drift, and whatever takes
// the previous one away logs in with the current one first. Only a password that
// would be replaced in place, though someone else uses another one by now, is left
// to a person.
func guardDrift(v *view, d Decision) (Decision, bool) {
	if !v.canDrift() || !v.leavesDrift(d) {
		return Decision{}, false
	}
	if !v.Told {
		return Decision{Tell: true, Next: d.Next, Reason: "it has to be known whether the current credential is in force"}, v.Tells
	}
	if !v.Drifted {
		return v.unverified(d)
	}
	replaces := v.isRevoked() && (d.Step == rota.StepCreate || d.Next == rota.StepCreate)
	if v.takesOver() || replaces {
		return Decision{}, false // it does, or says what keeps it from that
	}
	return v.hold(HoldDrifted, rota.StepCreate, earlier(d.Due, v.now), earlier(d.At, v.now.Add(holdRecheck)), v.drifted(),
		"the current credential %s isn't in force any more: someone changed it outside Rota", v.current.CredentialID)
}

// ruleTakesOver makes the credential in force the current one if the issuer shows
// it and somebody replaced the current one outside Rota. It waits for no window, and
// there's no use in serving the current one: consumers can't log in until they have the
// one in force.
func ruleTakesOver(v *view) (Decision, bool) {
	if !v.takesOver() {
		return Decision{}, false
	}
	if v.Force == rota.StepCreate { // that makes a new one
		return v.create(v.now, v.askedFor())
	}
	return v.create(v.now, "the current credential "+v.current.CredentialID+" was replaced outside Rota: take over the one in force")
}

// takesOver reports whether the issuer shows a credential that replaced the current one.
func (v *view) takesOver() bool { return v.Traits.Readable && v.Drifted }

// canDrift reports whether the current credential may stop being in force without
// the issuer's list showing it. If the issuer chose it, the list shows it.
func (v *view) canDrift() bool {
	shown := v.Lists && v.Traits.IssuerChooses
	settled := !v.hasPending && v.Progress.Rollback == nil // else the one on its way may be in force
	return v.hasCurrent && v.current.Ours() && settled && !shown && endsEarly(v.Traits) && !v.ended(v.current) && !v.over(v.current)
}

// endsEarly reports whether a credential may stop working before Rota retires it. One
// that expires can't, unless the issuer can revoke it: so can others.
func endsEarly(t rota.Traits) bool { return !t.Manual && (t.Lifetime == 0 || t.Revocable) }

// leavesDrift reports whether a decision would leave drift as it is, unnoticed, or
// lock out whoever uses the credential in force.
func (v *view) leavesDrift(d Decision) bool {
	switch {
	case d.Observe, v.Force == rota.StepCreate:
		return false
	case d.Step == rota.StepCreate, d.Prove:
		return !v.Traits.Overlap()
	case d.Step == rota.StepDeliver: // the one in force can be had instead
		return v.Traits.Readable
	}
	known := d.Hold == HoldNotAtIssuer || d.Hold == HoldOutdated || d.Hold == HoldRival
	return d.Step == rota.StepNone && !known
}

// drifted returns the remedies. Where there's only one credential, rotating locks
// out whoever uses the one in force. Where there are two, the previous one may still
// work, and a new one would need its place.
func (v *view) drifted() []rota.Remedy {
	if !v.Traits.Overlap() || v.hasPrevious && !v.previous.Ours() {
		return keepOrReplace(v.Secret, v.Traits)
	}
	return v.refusedCurrent()
}

// askInForce asks whether the current credential is in force: the issuer, if it
// can tell without a login, or else by logging in, if the policy allows that. An
// answer is remembered with its date. A system that gives none changes nothing
// about the last one.
func (t *turn) askInForce(ctx context.Context) error {
	current, _ := t.seen.credential(rota.LabelCurrent)
	c, err := t.outside.get(ctx, current.ID)
	if err != nil {
		return fmt.Errorf("read version %s: %w", current.ID, err)
	}
	before := t.ledger.progress.InForce.refuses(current.ID)
	refusals := t.sureRefusals()
	if before {
		refusals = 1
	}
	inForce, known, err := t.s.Policy.DriftCheck.inForce(
		func() (bool, bool, error) { return t.outside.tell(ctx, c) },
		func() error { return t.outside.logIn(ctx, refusals, c) })
	switch {
	case errors.Is(err, rota.ErrFenced):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		t.noteUnverified(current.ID, before, err)
		t.Log.InfoContext(ctx, "see whether the current credential is in force", "secret", t.s.Name, "version", current.ID, "credential", current.CredentialID, "error", t.ledger.clean(err))
	case !known:
		t.seen.told, t.ledger.progress.InForce = told{version: current.ID}, InForce{}
	default:
		t.noteInForce(current.ID, inForce)
	}
	return nil
}

// inForce asks the issuer whether a credential is in force. known is false if only
// a login could tell, and the policy rules that out. logIn tries one. Where the
// issuer keeps another credential, a login that works nevertheless outweighs that:
// the server may ask somebody else.
func (d DriftCheck) inForce(tell func() (kept, known bool, err error), logIn func() error) (inForce, known bool, err error) {
	kept, known, err := tell()
	if err != nil || known && kept || d == DriftPassive {
		return kept, known, err
	}
	switch err := logIn(); {
	case err == nil:
		return true, true, nil
	case errors.Is(err, rota.ErrFenced):
		return false, false, err
	case known, errors.Is(err, rota.ErrRefused):
		return false, true, nil
	default:
		return false, false, err
	}
}

// noteInForce remembers whether a version's credential is in force.
func (t *turn) noteInForce(version string, inForce bool) {
	t.seen.told = told{version: version, drifted: !inForce}
	t.ledger.progress.InForce = InForce{Version: version, At: t.Now(), Drifted: !inForce}
}

// told is what a turn found out about the version that was current.
type told struct {
	version string // "" if nobody has asked
	drifted bool
}

// inForce returns what the planner knows about the current version. If nobody asks
// in this turn, it's the last answer.
func (t *turn) inForce() (asked, drifted bool, unverified *Unverified) {
	current, last := t.seen.holder(rota.LabelCurrent), t.ledger.progress.InForce
	if last.Version == current {
		unverified = last.Unverified
	}
	if t.seen.told.version == current {
		return true, t.seen.told.drifted, unverified
	}
	return !t.tells, last.refuses(current), unverified
}

// looksDaily reports whether the secret's current credential can drift or be taken
// away, so that it's looked at once a day or more often.
func (t *turn) looksDaily() bool {
	_, ok := t.seen.credential(rota.LabelCurrent)
	return ok && endsEarly(t.s.Issuer.Traits())
}

// lookEvery is how often that is: more often than daily where a day is a long time in
// a credential's life.
func (t *turn) lookEvery() time.Duration {
	if life := t.s.Issuer.Traits().Lifetime; life > 0 {
		return min(rota.Day, life/8)
	}
	return rota.Day
}
