package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// Where there's no overlap, setting the new credential kills the one that
// consumers hold. From then on, either the new one passes its test within the
// policy's TestWithin, or the old one is put back.

// killsCurrent reports whether setting the pending credential kills one that
// could be put back.
func (t *turn) killsCurrent() bool {
	_, ok := t.seen.credential(rota.LabelCurrent)
	traits := t.s.Issuer.Traits()
	return ok && !traits.Overlap() && !isOneWay(traits)
}

// isOneWay reports whether nothing brings back a credential once the next one is made.
func isOneWay(t rota.Traits) bool { return t.Replaces || t.Readable }

// testBy is when the test of a version has to be over; zero for never.
func (t *turn) testBy(version string) time.Time {
	if !t.killsCurrent() {
		return time.Time{}
	}
	since := t.ledger.version(version).SetAt
	if since.IsZero() {
		since = t.Now() // another process set it, just before this one
	}
	return since.Add(t.s.Policy.WithDefaults().TestWithin)
}

// settle turns a test that found no answer into one that passed if the issuer
// keeps just this credential. The login path was tried before it was set, so
// what's in the way says nothing about the credential: the role's connections
// are used up, or the server is too slow. A refusal is an answer, and the user's
// own tests can't be settled this way.
func (t *turn) settle(ctx context.Context, c rota.Credential, err error) error {
	if err == nil || t.s.Issuer.Traits().Overlap() || len(t.s.Checks) > 0 ||
		errors.Is(err, rota.ErrRefused) || rota.ClassOf(err) != rota.ClassWait {
		return err
	}
	if !t.keeps(ctx, c) {
		return err
	}
	t.Log.WarnContext(ctx, "the new credential counts as tested, because the issuer keeps just this one", "secret", t.s.Name, "error", t.ledger.clean(err))
	return nil
}

// endInUse sets a credential, which kills the one in use where there's no overlap.
// begun is when that began in an earlier turn, and note remembers that it did.
// lockedOut means that the call failed and may have killed the one in use all the
// same.
func (t *turn) endInUse(ctx context.Context, d Decision, tries int, c rota.Credential, begun time.Time, note func(time.Time)) (lockedOut bool, err error) {
	if begun.IsZero() {
		note(t.Now())
	}
	sent, err := t.setAtIssuer(ctx, d, tries, c, t.seen.holder(rota.LabelCurrent))
	if err == nil {
		return false, nil
	}
	if begun.IsZero() && (!sent || rota.ClassOf(err) != rota.ClassWait) {
		note(time.Time{}) // the issuer refused it, or never heard of it: there is nothing to put back
		return false, err
	}
	return t.killsCurrent() && !t.keepsCurrent(ctx), err
}

// keepsCurrent reports whether the issuer says that it keeps the current
// credential. A login wouldn't show that: a pooler may let in one that's dead, and
// so may a replica that hasn't heard of the new one yet.
func (t *turn) keepsCurrent(ctx context.Context) bool {
	c, err := t.outside.get(ctx, t.seen.holder(rota.LabelCurrent))
	return err == nil && t.keeps(ctx, c)
}

// keeps reports whether the issuer says that it keeps just this credential.
func (t *turn) keeps(ctx context.Context, c rota.Credential) bool {
	inForce, _, err := t.outside.tell(ctx, c)
	return err == nil && inForce
}

// isReplaced reports whether the pending credential was in force and isn't any
// more: where there's no overlap, someone has set another one since. Then nothing
// is put back, which would lock out whoever uses that one.
func (t *turn) isReplaced(ctx context.Context, version string) bool {
	if t.ledger.version(version).TestedAt.IsZero() || t.s.Issuer.Traits().Overlap() {
		return false
	}
	accepted, err := t.outside.isAccepted(ctx, version, 3)
	return err == nil && !accepted
}

// putBack sets the current credential again, which setting the rejected one
// killed: a new one, or the one that a rollback went back to.
func (t *turn) putBack(ctx context.Context, d Decision, rejected rota.Version) error {
	inForce, err := t.restoreCurrent(ctx, d, rejected)
	if err != nil {
		return err
	}
	if rb := t.ledger.progress.Rollback; rb != nil {
		outcome := "; the current one was put back"
		if !inForce {
			outcome = "; the current one wasn't put back, because someone has set another one since"
		}
		t.ledger.abandonRollback(rb.Rejected + outcome)
		return nil
	}
	t.ledger.update(rejected.ID, func(vp *VersionProgress) { vp.RestoredAt = t.Now() })
	return nil
}

// restoreCurrent makes sure that the current credential is in force, or reports
// that someone has set another one since, which would be killed in turn. It was
// only Rota that killed it if the rejected one is in force. Where the issuer can't tell,
// being refused says so only if somebody else made the current version current: it
// may be why the credential was rejected.
func (t *turn) restoreCurrent(ctx context.Context, d Decision, rejected rota.Version) (inForce bool, err error) {
	c, err := t.outside.get(ctx, d.Version)
	if err != nil {
		return false, err
	}
	if t.keeps(ctx, c) {
		return true, nil
	}
	var killed bool
	if current, _ := t.seen.version(d.Version); current.Ours() {
		killed = t.mayBeRejected(ctx, rejected)
	} else if killed, err = t.outside.isAccepted(ctx, rejected.ID, 8); err != nil {
		return false, fmt.Errorf("see which credential is in force: %w", err)
	}
	if !killed {
		return false, nil
	}
	if c, err = t.whole(ctx, c, rejected); err != nil {
		return false, err
	}
	_, err = t.setAtIssuer(ctx, d, 3, c, rejected.ID)
	return true, err
}

// whole returns the current credential, or the one before it if somebody has put half
// a credential in its place since: setting that would lock out everyone, while
// consumers have the other one.
func (t *turn) whole(ctx context.Context, current rota.Credential, rejected rota.Version) (rota.Credential, error) {
	if v, _ := t.seen.credential(rota.LabelCurrent); v.Ours() {
		return current, nil
	}
	made, err := t.outside.get(ctx, rejected.ID)
	if err != nil {
		return rota.Credential{}, err
	}
	lacks := func(name string) bool { return made.Field(name) != "" && current.Field(name) == "" }
	if !slices.ContainsFunc(made.Names(), lacks) {
		return current, nil
	}
	base, there := t.seen.version(t.ledger.version(rejected.ID).Base)
	if !there || !base.Ours() {
		return rota.Credential{}, refuseAdoption(handedIn(t.s.Name), "version %s, which is AWSCURRENT, holds only part of a credential, so it can't be put back", t.seen.holder(rota.LabelCurrent))
	}
	return t.outside.get(ctx, base.ID)
}

// mayBeRejected reports whether the rejected credential is in force, as far as
// the issuer can tell.
func (t *turn) mayBeRejected(ctx context.Context, rejected rota.Version) bool {
	c, err := t.outside.get(ctx, rejected.ID)
	if err != nil {
		return true
	}
	inForce, known, _ := t.outside.tell(ctx, c) // with an error, it isn't known
	return !known || inForce
}

// putBackForDriver puts the current credential back after a failed test. The
// driver may ask for all steps of the same version again, so that one is neither
// given up nor taken for set.
func (t *turn) putBackForDriver(ctx context.Context, d Decision) error {
	if !t.killsCurrent() {
		return nil
	}
	current, _ := t.seen.credential(rota.LabelCurrent)
	rejected, _ := t.seen.version(d.Version)
	back := Decision{Step: rota.StepSet, Version: current.ID, Credential: current.CredentialID, Reason: "put the current credential back: the new one didn't pass its test"}
	if _, err := t.restoreCurrent(ctx, back, rejected); err != nil {
		return fmt.Errorf("put the current credential back: %w", err)
	}
	t.ledger.update(d.Version, func(vp *VersionProgress) { vp.SetBegunAt, vp.SetAt = time.Time{}, time.Time{} })
	return nil
}

// killer returns the version whose credential killed the current one, if a step
// sets that one again: the one that a rollback went back to, or else the pending
// one.
func (v *view) killer(d Decision) (rota.Version, bool) {
	switch rb := v.Progress.Rollback; {
	case d.Step != rota.StepSet:
		return rota.Version{}, false
	case rb != nil:
		return rota.FindID(v.Contents.Versions, rb.To)
	}
	return v.pending, d.Version != v.pending.ID
}

// putsBack reports whether a step sets the current credential again, which a
// rejected one killed.
func (v *view) putsBack(d Decision) bool {
	_, back := v.killer(d)
	return back
}

// retryPutBack is when to try again to put the current credential back. It isn't
// given up: until it succeeds, consumers can't log in.
func retryPutBack(f *Failure, p Policy) time.Time {
	wait := p.TestWithin
	if f.Attempts >= p.MaxAttempts {
		wait = 10 * time.Minute
	}
	if at := f.At.Add(wait); at.Before(f.RetryAt) {
		return at
	}
	return f.RetryAt
}

// givesUp reports whether a failure means that the pending credential will never
// work or, where it killed the one in use, that it doesn't work promptly. One
// that nothing could be put back for is kept: it may be the only one that works.
// Where the issuer shows the one in force, only its own word that this one isn't
// counts.
func (t *turn) givesUp(version string, f *Failure, err error) bool {
	traits := t.s.Issuer.Traits()
	set := !traits.Overlap() && !t.ledger.version(version).SetBegunAt.IsZero()
	switch {
	case traits.Replaces:
		return false
	case traits.Readable:
		return f.Class == rota.ClassRegenerate && errors.Is(err, rota.ErrRefused)
	case !set:
		return f.rejects(traits)
	case !t.killsCurrent():
		return false
	case f.Step == rota.StepTest:
		return true
	}
	return t.lockedOut && f.Step == rota.StepSet || f.rejects(traits)
}
