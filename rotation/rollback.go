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
	current, hasCurrent := t.seen.find(rota.LabelCurrent)
	if pending, ok := t.seen.find(rota.LabelPending); ok && pending.ID != current.ID {
		if !pending.Ours() {
			return fmt.Errorf("rollback: %w", t.view().refuseForeignPending())
		}
		t.ledger.update(pending.ID, func(vp *VersionProgress) { vp.Rejected = "rolled back by a person" })
		p.RolledBackAt, p.Failure = t.Now(), nil
		return nil
	}
	previous, hasPrevious := t.seen.credential(rota.LabelPrevious)
	if !hasCurrent || !hasPrevious {
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
	if _, there := v.issued(previous.CredentialID); v.Lists && v.retirable() && !there {
		return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: fmt.Errorf("the previous credential %s is no longer at the issuer", previous.CredentialID), Remedies: rotateInstead(t.s.Name)}
	}
	if err := t.refuseUnknown(ctx); err != nil {
		return err
	}
	p.Rollback = &RollbackIntent{From: current.ID, To: previous.ID, At: t.Now()}
	t.ledger.markInFlight()
	return t.ledger.save(ctx)
}

// refuseUnknown refuses a rollback that would replace a password somebody set
// outside: without overlap, whoever uses it would be locked out. If it can't be
// seen which one is in force, the rollback may be what mends that.
func (t *turn) refuseUnknown(ctx context.Context) error {
	if t.s.Issuer.Traits().Overlap() {
		return nil
	}
	for _, v := range t.mayBeInForce() {
		c, err := t.outside.get(ctx, v.ID)
		if err != nil {
			return err
		}
		inForce, known, err := t.outside.tell(ctx, c)
		if err == nil && !known {
			err = t.outside.logIn(ctx, 3, c)
		}
		if inForce || err != nil && !errors.Is(err, rota.ErrRefused) || err == nil && !known {
			return nil
		}
	}
	return t.changedOutside()
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
	err = t.reinstate(ctx, c, d.Credential)
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
	t.ledger.update(to, func(vp *VersionProgress) {
		vp.PromotedAt, vp.ServedAt, vp.DeactivatedAt = t.Now(), time.Time{}, time.Time{}
		vp.Delivered, vp.Reloaded = nil, nil
		vp.QuietSince, vp.QuietSamples = time.Time{}, 0
	})
	p := &t.ledger.progress
	p.Rollback, p.Failure, p.RolledBackAt = nil, nil, t.Now()
	t.ledger.event(rota.EventRolledBack, to, d.Credential, "the previous credential is current again")
	return nil
}

// reinstate makes the credential valid again at the issuer, and proves it.
func (t *turn) reinstate(ctx context.Context, c rota.Credential, credentialID string) error {
	if on, ok := t.s.Issuer.(rota.Deactivator); ok {
		if err := t.outside.retry(ctx, 3, "issuer.reactivate", credentialID, func(ctx context.Context) error {
			return on.Reactivate(ctx, rota.RetireRequest{CredentialID: credentialID})
		}); err != nil {
			return fmt.Errorf("reactivate %s: %w", credentialID, err)
		}
		t.seen.invalidateList()
	}
	if !t.s.Issuer.Traits().Overlap() {
		if err := t.outside.retry(ctx, 3, "issuer.set", credentialID, func(ctx context.Context) error {
			return t.s.Issuer.Set(ctx, rota.SetRequest{Credential: c})
		}); err != nil {
			return fmt.Errorf("set %s: %w", credentialID, err)
		}
		t.seen.invalidateList()
	}
	return t.outside.prove(ctx, c, time.Time{})
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
	if current.ID == version {
		return nil
	}
	if current.Has(rota.LabelPending) {
		// Its promotion wasn't quite finished, and must not be finished now.
		if err := t.outside.move(ctx, rota.LabelPending, current.ID, ""); err != nil {
			return err
		}
	}
	return t.outside.move(ctx, rota.LabelCurrent, current.ID, version)
}
