package rotation

import (
	"context"
	"errors"
	"fmt"
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
	return ok && !t.s.Issuer.Traits().Overlap()
}

// testBy is when the test of a version has to be over; zero for never.
func (t *turn) testBy(version string) time.Time {
	if !t.killsCurrent() || version == t.seen.holder(rota.LabelCurrent) {
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
		errors.Is(err, rota.ErrRefused) || errors.Is(err, rota.ErrFenced) || errors.Is(err, context.Canceled) || rota.ClassOf(err) != rota.ClassWait {
		return err
	}
	inForce, known, tellErr := t.outside.tell(ctx, c)
	if tellErr != nil || !known || !inForce {
		return err
	}
	t.Log.WarnContext(ctx, "the new credential counts as tested, because the issuer keeps just this one", "secret", t.s.Name, "error", t.ledger.clean(err))
	return nil
}

// currentInForce reports whether the current credential still works, as far as a
// login shows: a pooler may let it in without asking the server.
func (t *turn) currentInForce(ctx context.Context) bool {
	if t.s.Issuer.Traits().ConsistencyDelay > 0 {
		return false // a login may still reach what doesn't know the new one yet
	}
	c, err := t.outside.get(ctx, t.seen.holder(rota.LabelCurrent))
	if err != nil {
		return false
	}
	if inForce, known, err := t.outside.tell(ctx, c); err != nil || known {
		return err == nil && inForce
	}
	return t.outside.logIn(ctx, 1, c) == nil
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
// killed.
func (t *turn) putBack(ctx context.Context, d Decision, rejected rota.Version) error {
	if err := t.restoreCurrent(ctx, d, rejected); err != nil {
		return err
	}
	t.ledger.update(rejected.ID, func(vp *VersionProgress) { vp.RestoredAt = t.Now() })
	return nil
}

// restoreCurrent makes sure that the current credential is in force. It was only
// Rota that killed it if the rejected one is in force: otherwise someone has set
// another one since, which would be killed in turn. Where the issuer can't tell,
// being refused says so only if somebody else made the current version current: it
// may be why the credential was rejected.
func (t *turn) restoreCurrent(ctx context.Context, d Decision, rejected rota.Version) error {
	c, err := t.outside.get(ctx, d.Version)
	if err != nil {
		return err
	}
	if inForce, _, err := t.outside.tell(ctx, c); err == nil && inForce {
		return nil
	}
	killed := t.mayBeRejected(ctx, rejected)
	if current, _ := t.seen.version(d.Version); !current.Ours() {
		if killed, err = t.outside.isAccepted(ctx, rejected.ID, 8); err != nil {
			return fmt.Errorf("see which credential is in force: %w", err)
		}
	}
	if !killed {
		return nil
	}
	return t.setAtIssuer(ctx, d, c)
}

// mayBeRejected reports whether the rejected credential is in force, as far as
// the issuer can tell.
func (t *turn) mayBeRejected(ctx context.Context, rejected rota.Version) bool {
	c, err := t.outside.get(ctx, rejected.ID)
	if err != nil {
		return true
	}
	inForce, known, err := t.outside.tell(ctx, c)
	return err != nil || !known || inForce
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
	if err := t.restoreCurrent(ctx, back, rejected); err != nil {
		return fmt.Errorf("put the current credential back: %w", err)
	}
	t.ledger.update(d.Version, func(vp *VersionProgress) { vp.SetBegunAt, vp.SetAt = time.Time{}, time.Time{} })
	return nil
}

// putsBack reports whether a step sets the current credential again, which a
// rejected one killed.
func (v *view) putsBack(d Decision) bool {
	return d.Step == rota.StepSet && v.hasPending && d.Version != v.pending.ID
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
func (t *turn) givesUp(version string, f *Failure) bool {
	traits := t.s.Issuer.Traits()
	set := !traits.IssuerChooses && !traits.Overlap() && !t.ledger.version(version).SetBegunAt.IsZero()
	switch {
	case !set:
		return f.rejects(traits)
	case !t.killsCurrent():
		return false
	case f.Step == rota.StepTest:
		return true
	}
	return t.lockedOut && f.Step == rota.StepSet || f.rejects(traits)
}
