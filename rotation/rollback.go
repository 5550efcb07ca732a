package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// beginRollback makes a rollback durable, or says why there can't be one. A
// rotation under way is given up instead.
func (t *turn) beginRollback(ctx context.Context) error {
	if err := t.observe(ctx); err != nil {
		return err
	}
	p := &t.ledger.progress
	if p.Rollback != nil {
		return nil
	}
	if traits := t.s.Issuer.Traits(); isOneWay(traits) {
		return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: fmt.Errorf("nothing brings back a %s once the next one is made", traits.Kind), Remedies: rotateInstead(t.s.Name)}
	}
	current, _ := t.seen.find(rota.LabelCurrent)
	if pending, ok := t.seen.find(rota.LabelPending); ok && pending.ID != current.ID {
		if !pending.Ours() {
			return fmt.Errorf("rollback: %w", t.view().refuseForeignPending())
		}
		t.ledger.update(pending.ID, func(vp *VersionProgress) { vp.Rejected = "rolled back by a person" })
		p.RolledBackAt, p.Failure = t.Now(), nil
		return nil
	}
	previous, hasPrevious := t.seen.credential(rota.LabelPrevious)
	if !hasPrevious {
		return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: errors.New("there is no previous credential: it was deleted, or there never was one"),
			Remedies: rotateInstead(t.s.Name)}
	}
	if !previous.Ours() {
		return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: fmt.Errorf("the previous version %s is not Rota's", previous.ID), Remedies: rotateInstead(t.s.Name)}
	}
	if err := t.refuseRivals(); err != nil {
		return err
	}
	if err := t.list(ctx); err != nil {
		return err
	}
	v := newView(t.state(), t.s.Policy, t.Now())
	if v.ended(previous) {
		return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: fmt.Errorf("the previous credential %s has expired, or is about to", previous.CredentialID), Remedies: rotateInstead(t.s.Name)}
	}
	c, there := v.issued(previous.CredentialID)
	switch {
	case !v.Lists || !v.retirable():
	case !there:
		return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: fmt.Errorf("the previous credential %s is no longer at the issuer", previous.CredentialID), Remedies: rotateInstead(t.s.Name)}
	case v.spent():
		return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: fmt.Errorf("the previous credential %s is inactive, and the issuer can't reactivate it", previous.CredentialID), Remedies: rotateInstead(t.s.Name)}
	}
	if locked, is := v.locked(); is && !v.Traits.Overlap() {
		return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: fmt.Errorf("somebody locked %s at the issuer, and Rota doesn't unlock it", locked.ID), Remedies: []rota.Remedy{unlock(locked)}}
	}
	if c.Unlock != "" {
		return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: fmt.Errorf("somebody locked the previous credential's %s at the issuer, and Rota doesn't unlock it", c.ID), Remedies: []rota.Remedy{unlock(c)}}
	}
	if err := t.refuseUnready(ctx); err != nil {
		return err
	}
	p.Rollback = &RollbackIntent{From: current.ID, To: previous.ID, At: t.Now()}
	t.ledger.markInFlight()
	return t.ledger.save(ctx)
}

// refuseUnready refuses a rollback unless everything that follows is known to
// work, as before a rotation: where there's no overlap, it ends the credential in
// use.
func (t *turn) refuseUnready(ctx context.Context) error {
	if t.s.Issuer.Traits().Overlap() {
		return nil
	}
	if err := t.askReady(ctx); err != nil {
		return err
	}
	reason, remedies := firstUnready(t.seen.ready.unready)
	if reason == "" {
		return nil
	}
	return &rota.Error{Op: "rollback", Class: rota.ClassStop, Remedies: remedies, Err: fmt.Errorf("the previous credential couldn't be put to use, so the current one is left alone: %s", reason)}
}

// rollback reactivates the previous credential, proves it, and moves the
// labels back. Delivery and reload follow as for any current credential.
func (t *turn) rollback(ctx context.Context, d Decision) error {
	to := t.ledger.progress.Rollback.To
	c, err := t.outside.get(ctx, to)
	if err != nil {
		return err
	}
	if err := t.ledger.writeAhead(ctx, d); err != nil {
		return err
	}
	err = t.reinstate(ctx, c, to, d.Credential)
	if err == nil {
		err = t.moveBack(ctx, to)
	}
	t.ledger.noteOutcome(d, "", err)
	if (errors.Is(err, rota.ErrRefused) || errors.Is(err, rota.ErrNotFound)) && t.list(ctx) == nil {
		err = rota.WithRemedies(err, t.view().refusedRollback())
	}
	if err != nil {
		return fmt.Errorf("rollback: %w", err)
	}
	t.seen.invalidateList() // what was current is to be asked about now, too
	t.ledger.update(to, func(vp *VersionProgress) {
		vp.PromotedAt, vp.ServedAt = t.Now(), time.Time{}
		vp.off(time.Time{})
		vp.Delivered, vp.Reloaded = nil, nil
		vp.QuietSince, vp.QuietSamples = time.Time{}, 0
	})
	t.noteInForce(to, true)
	p := &t.ledger.progress
	p.Rollback, p.Failure, p.RolledBackAt = nil, nil, t.Now()
	t.ledger.event(rota.EventRolledBack, to, d.Credential, "the previous credential is current again")
	return nil
}

// reinstate makes the version's credential valid again at the issuer, and proves
// it. Where that kills the current one, the same holds as for a new one: it passes
// its test within the policy's TestWithin, or the current one is put back and the
// rollback is over.
func (t *turn) reinstate(ctx context.Context, c rota.Credential, version, credentialID string) error {
	if on, ok := t.s.Issuer.(rota.Deactivator); ok {
		current, err := t.inUse(ctx, t.seen.holder(rota.LabelCurrent))
		if err == nil {
			err = t.outside.retry(ctx, 3, "issuer.reactivate", credentialID, func(ctx context.Context) error {
				return on.Reactivate(ctx, rota.RetireRequest{CredentialID: credentialID, Current: current})
			})
		}
		if err != nil {
			return fmt.Errorf("reactivate %s: %w", credentialID, err)
		}
		t.seen.invalidateList()
	}
	if t.s.Issuer.Traits().Overlap() {
		return t.outside.prove(ctx, c, time.Time{})
	}
	set := Decision{Step: rota.StepSet, Version: version, Credential: credentialID, Reason: "make the previous credential valid again at the issuer"}
	dies, err := t.endInUse(ctx, set, 3, c, t.ledger.progress.Rollback.SetBegunAt, func(at time.Time) {
		t.ledger.changeRollback(func(rb *RollbackIntent) { rb.SetBegunAt = at })
	})
	if err == nil {
		err = t.outside.prove(ctx, c, t.Now().Add(t.s.Policy.WithDefaults().TestWithin))
		if err = t.settle(ctx, c, err); err != nil {
			err = fmt.Errorf("the previous credential didn't pass its test: %w", err)
			dies = t.killsCurrent()
		}
	}
	if dies && !errors.Is(err, rota.ErrFenced) && !errors.Is(err, context.Canceled) && t.seen.holder(rota.LabelCurrent) != version {
		t.ledger.changeRollback(func(rb *RollbackIntent) { rb.Rejected = rota.OneLine(t.ledger.clean(err).Error()) })
	}
	return err
}

// changeRollback changes what is remembered of the rollback under way.
func (l *ledger) changeRollback(change func(*RollbackIntent)) {
	rb := *l.progress.Rollback // it's shared with what was saved
	change(&rb)
	l.progress.Rollback = &rb
}

// moveBack makes the version current again.
func (t *turn) moveBack(ctx context.Context, version string) error {
	to, _ := t.seen.version(version)
	for _, l := range []rota.Label{rota.LabelDeactivated, rota.LabelServed} {
		if to.Has(l) {
			if err := t.outside.move(ctx, l, version, ""); err != nil {
				return err
			}
		}
	}
	current, _ := t.seen.find(rota.LabelCurrent)
	if current.Has(rota.LabelPending) {
		// Its promotion wasn't quite finished, and must not be finished now.
		if err := t.outside.move(ctx, rota.LabelPending, current.ID, ""); err != nil {
			return err
		}
	}
	return t.outside.move(ctx, rota.LabelCurrent, current.ID, version)
}
