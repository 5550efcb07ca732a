package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// set makes a credential valid at the issuer: the pending one, or the current
// one again if the pending one was rejected.
func (t *turn) set(ctx context.Context, d Decision) error {
	if rejected, back := t.view().killer(d); back {
		return t.putBack(ctx, d, rejected)
	}
	c, err := t.outside.get(ctx, d.Version)
	if err != nil {
		return err
	}
	t.lockedOut, err = t.endInUse(ctx, d, 1, c, t.ledger.version(d.Version).SetBegunAt, func(at time.Time) {
		t.ledger.update(d.Version, func(vp *VersionProgress) { vp.SetBegunAt = at })
	})
	if err != nil {
		return err
	}
	t.ledger.update(d.Version, func(vp *VersionProgress) { vp.SetAt = t.Now() })
	return nil
}

// setAtIssuer makes a credential valid at the issuer, in place of that of the version
// replaced. sent reports whether the issuer was asked to.
func (t *turn) setAtIssuer(ctx context.Context, d Decision, tries int, c rota.Credential, replaced string) (sent bool, err error) {
	current, err := t.inUse(ctx, replaced)
	if err == nil {
		err = t.ledger.writeAhead(ctx, d)
	}
	if err != nil {
		return false, err
	}
	err = t.outside.retry(ctx, tries, "issuer.set", d.Credential, func(ctx context.Context) error {
		return t.s.Issuer.Set(ctx, rota.SetRequest{Credential: c, Current: current})
	})
	t.seen.invalidateList()
	t.ledger.noteOutcome(d, "", err)
	if err != nil {
		err = fmt.Errorf("set: %w", err)
	}
	return true, err
}

// test logs in with the pending credential several times in a row, and runs
// the user's checks.
func (t *turn) test(ctx context.Context, d Decision) error {
	if v, _ := t.seen.version(d.Version); v.Empty {
		return t.rehearse(ctx, d)
	}
	c, err := t.outside.get(ctx, d.Version)
	if err == nil {
		err = t.outside.prove(ctx, c, t.testBy(d.Version))
		err = t.settle(ctx, c, err)
	}
	t.ledger.noteOutcome(d, "", err)
	if err != nil && t.isReplaced(ctx, d.Version) {
		t.ledger.update(d.Version, func(vp *VersionProgress) { vp.SetBegunAt = time.Time{} })
		return fmt.Errorf("it worked before, so someone has changed it outside Rota since: %w", err)
	}
	if err != nil && t.asked.driver != nil {
		err = errors.Join(err, t.putBackForDriver(ctx, d))
	}
	if err != nil {
		return err
	}
	t.ledger.update(d.Version, func(vp *VersionProgress) { vp.TestedAt = t.Now() })
	t.noteInForce(d.Version, true)
	return nil
}

// promote moves AWSCURRENT to the pending version by compare-and-swap, and
// takes AWSPENDING off it.
func (t *turn) promote(ctx context.Context, d Decision) error {
	current, hadCurrent := t.seen.find(rota.LabelCurrent)
	moves := current.ID != d.Version
	if base := t.ledger.version(d.Version).Base; moves && base != "" && base != current.ID {
		return t.restage(ctx, d, current)
	}
	if err := t.ledger.begin(ctx, d); err != nil {
		return err
	}
	var changes []StoreChange
	if moves {
		changes = append(changes, moveChange(rota.LabelCurrent, current.ID, d.Version))
	}
	if t.seen.holder(rota.LabelPending) == d.Version {
		changes = append(changes, moveChange(rota.LabelPending, d.Version, ""))
	}
	if len(changes) == 0 {
		t.ledger.noteOutcome(d, "", nil)
	} else {
		promoted := func() {
			if moves {
				t.ledger.promoted(d.Version, current.ID, hadCurrent)
				t.seen.invalidateList() // it lacks the use of what was current
			}
		}
		if err := t.change(ctx, d, promoted, changes...); err != nil {
			return err
		}
	}
	if t.s.lastServing() == rota.StepPromote {
		return t.markServed(ctx, d.Version)
	}
	return nil
}

// promoted remembers a promotion.
func (l *ledger) promoted(version, before string, hadCurrent bool) {
	l.update(version, func(vp *VersionProgress) { vp.PromotedAt = l.Now() })
	l.progress.liftRejections()
	l.progress.NotBefore, l.progress.RolledBackAt = time.Time{}, time.Time{}
	if f := l.progress.Failure; f != nil && (f.Step == rota.StepDeliver || f.Step == rota.StepReload) {
		l.progress.Failure = nil // it was of the one before
	}
	if hadCurrent {
		// A new life begins for it: what was noted when it was itself a
		// previous one, before a rollback, no longer counts.
		l.update(before, func(vp *VersionProgress) {
			vp.off(time.Time{})
			vp.QuietSince, vp.QuietSamples = time.Time{}, 0
		})
	}
}

// restage stores the pending credential again as a new version, merged into what
// somebody has made current since, so that their change isn't lost.
func (t *turn) restage(ctx context.Context, d Decision, current rota.Version) error {
	c, err := t.outside.get(ctx, d.Version)
	if err != nil {
		return err
	}
	old := t.ledger.version(d.Version)
	d.Version = t.NewID()
	d.Reason = "store the new credential again: the current version was changed meanwhile"
	t.ledger.update(d.Version, func(vp *VersionProgress) {
		*vp = VersionProgress{CredentialID: old.CredentialID, ExpiresAt: old.ExpiresAt, EndsAt: old.EndsAt, Renewed: old.Renewed, EarlyFor: old.EarlyFor, Revoked: old.Revoked, Base: current.ID, SetBegunAt: old.SetBegunAt, SetAt: old.SetAt, TestedAt: old.TestedAt}
	})
	if err := t.ledger.writeAhead(ctx, d); err != nil {
		return err
	}
	err = t.outside.put(ctx, 4, d.Version, c)
	t.ledger.noteOutcome(d, "", err)
	return err
}

// lastServing is the step after which the secret's credential counts as served.
func (s *Secret) lastServing() rota.Step { return lastServing(len(s.Targets), len(s.Reloaders)) }

// markServed moves the milestone label to the version that every consumer now
// has.
func (t *turn) markServed(ctx context.Context, version string) error {
	holder := t.seen.holder(rota.LabelServed)
	switch {
	case holder == version:
	case t.ledger.storeKeeper() != nil:
		t.ledger.moveLater(rota.LabelServed, holder, version)
	default:
		if err := t.outside.move(ctx, rota.LabelServed, holder, version); err != nil {
			return fmt.Errorf("mark as served: %w", err)
		}
	}
	if vp := t.ledger.version(version); vp.ServedAt.IsZero() {
		t.ledger.update(version, func(vp *VersionProgress) { vp.ServedAt, vp.PutBackAt = t.Now(), time.Time{} })
		t.ledger.rotated(version, vp.CredentialID, t.asked.step)
	}
	return nil
}

const rotatedReason = "the new credential is tested, promoted, delivered and in use"

// rotated raises the event of a rotation, unless it is one of the many of a
// credential that expires by itself: there, only trouble is news, and the audit
// has the rest.
func (l *ledger) rotated(version, credential string, requested rota.Step) {
	revoked := l.version(version).Revoked
	if l.s.Issuer.Traits().Lifetime > 0 && requested != rota.StepCreate && l.progress.Trouble == "" && revoked == "" {
		return
	}
	reason := rotatedReason
	if revoked != "" {
		reason += "; the one before, " + revoked + ", was revoked outside Rota"
	}
	if end := l.version(version).EarlyFor; !end.IsZero() {
		ends := "ends"
		if !l.Now().Before(end) {
			ends = "ended"
		}
		reason += "; it was made early because the one before " + ends + " by itself at " + stamp(end)
	}
	l.event(rota.EventRotated, version, credential, reason)
}
