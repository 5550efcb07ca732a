package rotation

import (
	"context"
	"errors"
	"fmt"
	"github.com/rota-dev/rota"
	"time"
)

// deactivate switches a credential off: the previous one, a rejected new one,
// or an orphan. Before the previous one goes, the current one must log in.
func (w *turn) deactivate(ctx context.Context, d Decision) error {
	previous, hasPrevious := rota.Find(w.state.Contents.Versions, rota.LabelPrevious)
	isPrevious := hasPrevious && d.Version == previous.ID
	if isPrevious {
		if err := w.currentWorks(ctx); err != nil {
			return err
		}
	}
	if err := w.writeAhead(ctx, d); err != nil {
		return err
	}
	if off, ok := w.s.Issuer.(rota.Deactivator); ok {
		err := w.call(ctx, "issuer.deactivate", d.Credential, func(ctx context.Context) error {
			return off.Deactivate(ctx, rota.RetireRequest{CredentialID: d.Credential})
		})
		if err != nil && !errors.Is(err, rota.ErrNotFound) {
			w.invalidateList()
			err = fmt.Errorf("deactivate %s: %w", d.Credential, err)
			w.noteOutcome(d, "", err)
			return err
		}
		w.noteIssued(d.Credential, func(i *rota.Issued) { i.Active = false })
	}
	if !isPrevious {
		w.noteOutcome(d, "", nil)
		return nil
	}
	holder, _ := rota.Find(w.state.Contents.Versions, rota.LabelDeactivated)
	return w.change(ctx, d, func() {
		w.update(previous.ID, func(vp *VersionProgress) { vp.DeactivatedAt = w.Now() })
		w.event(rota.EventDeactivated, previous.ID, d.Credential, d.Reason)
	}, moveChange(rota.LabelDeactivated, holder.ID, previous.ID))
}

// currentWorks logs in with the current credential once more, before the only
// other one is switched off.
func (w *turn) currentWorks(ctx context.Context) error {
	if err := w.currentLogsIn(ctx); err != nil {
		return fmt.Errorf("the current credential must log in before the previous one is deactivated: %w", err)
	}
	return nil
}

func (w *turn) currentLogsIn(ctx context.Context) error {
	current, _ := rota.Find(w.state.Contents.Versions, rota.LabelCurrent)
	c, err := w.get(ctx, current.ID)
	if err != nil {
		return err
	}
	return w.retry(ctx, 3, "issuer.test", current.CredentialID, func(ctx context.Context) error { return w.s.Issuer.Test(ctx, rota.TestRequest{Credential: c}) })
}

// delete removes an inactive credential at the issuer, then its version's
// labels: as long as AWSPREVIOUS or AWSPENDING is there, the step is found
// again after a crash.
func (w *turn) delete(ctx context.Context, d Decision) error {
	if err := w.writeAhead(ctx, d); err != nil {
		return err
	}
	v, stored := rota.FindID(w.state.Contents.Versions, d.Version)
	traits := w.s.Issuer.Traits()
	untouched := v.Has(rota.LabelPending) && !w.progress.Versions[d.Version].touched(traits)
	if traits.Overlap() && !untouched {
		err := w.call(ctx, "issuer.delete", d.Credential, func(ctx context.Context) error {
			return w.s.Issuer.Delete(ctx, rota.RetireRequest{CredentialID: d.Credential})
		})
		if err != nil && !errors.Is(err, rota.ErrNotFound) {
			w.invalidateList()
			err = fmt.Errorf("delete %s: %w", d.Credential, err)
			w.noteOutcome(d, "", err)
			return err
		}
		w.noteIssued(d.Credential, func(i *rota.Issued) { *i = rota.Issued{} })
	}
	deleted := func() {
		kind := rota.EventDeleted
		if !v.Has(rota.LabelPrevious) {
			kind = rota.EventDiscarded
		} else if traits.Lifetime > 0 {
			return // it ended by itself, which is no news
		}
		w.event(kind, d.Version, d.Credential, d.Reason)
	}
	var labels []StoreChange
	if stored {
		labels = unlabeling(v)
	}
	if len(labels) > 0 {
		return w.change(ctx, d, deleted, labels...)
	}
	w.noteOutcome(d, "", nil)
	deleted()
	return nil
}

// unlabeling takes all labels off a version; the last one off frees its place in
// the store. The mark that it is Rota's outlasts the others: a version without
// it would be somebody else's, and not found again.
func unlabeling(v rota.Version) []StoreChange {
	var changes []StoreChange
	for _, l := range []rota.Label{rota.LabelDeactivated, rota.LabelServed, rota.LabelPrevious, rota.LabelPending, rota.LabelAdopted, rota.LabelMade(v.ID)} {
		if v.Has(l) {
			changes = append(changes, moveChange(l, v.ID, ""))
		}
	}
	return changes
}

// beginRollback makes a rollback durable, or says why there can be none.
func (w *turn) beginRollback(ctx context.Context) error {
	if err := w.observe(ctx); err != nil {
		return err
	}
	if w.progress.Rollback != nil {
		return nil
	}
	versions := w.state.Contents.Versions
	current, hasCurrent := rota.Find(versions, rota.LabelCurrent)
	if pending, ok := rota.Find(versions, rota.LabelPending); ok && pending.ID != current.ID {
		if !pending.Ours() {
			return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: fmt.Errorf("version %s is AWSPENDING and not Rota's", pending.ID)}
		}
		w.update(pending.ID, func(vp *VersionProgress) { vp.Rejected = "rolled back by a person" })
		w.progress.RolledBackAt, w.progress.Failure = w.Now(), nil
		return nil
	}
	previous, hasPrevious := findCredential(versions, rota.LabelPrevious)
	if !hasCurrent || !hasPrevious {
		return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: errors.New("there is no previous credential any more: it was deleted, or there never was one"),
			Hint: "rota rotate " + w.s.Name}
	}
	if !previous.Ours() {
		return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: fmt.Errorf("the previous version %s is not Rota's", previous.ID), Hint: "rota versions " + w.s.Name}
	}
	if err := w.refuseRivals(); err != nil {
		return err
	}
	if err := w.list(ctx); err != nil {
		return err
	}
	v := newView(w.state, w.s.Policy, w.Now())
	if v.ended(previous) {
		return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: fmt.Errorf("the previous credential %s has ended by itself, or nearly so", previous.CredentialID), Hint: "rota rotate " + w.s.Name}
	}
	if _, there := v.issued(previous.CredentialID); v.Lists && v.retirable() && !there {
		return &rota.Error{Op: "rollback", Class: rota.ClassStop, Err: fmt.Errorf("the previous credential %s is no longer at the issuer", previous.CredentialID), Hint: "rota rotate " + w.s.Name}
	}
	w.progress.Rollback = &RollbackIntent{From: current.ID, To: previous.ID, At: w.Now()}
	w.markInFlight()
	return w.save(ctx)
}

// rollback reactivates the previous credential, proves it, and moves the
// labels back. Delivery and reload follow as for any current credential.
func (w *turn) rollback(ctx context.Context, d Decision) error {
	rb := w.progress.Rollback
	c, err := w.get(ctx, rb.To)
	if err != nil {
		return err
	}
	if err := w.writeAhead(ctx, d); err != nil {
		return err
	}
	err = w.restore(ctx, rb, c, d.Credential)
	w.noteOutcome(d, "", err)
	if err != nil {
		return fmt.Errorf("rollback: %w", err)
	}
	w.update(rb.To, func(vp *VersionProgress) {
		vp.PromotedAt, vp.ServedAt, vp.DeactivatedAt = w.Now(), time.Time{}, time.Time{}
		vp.Delivered, vp.Reloaded = nil, nil
		vp.QuietSince, vp.QuietSamples = time.Time{}, 0
	})
	w.progress.Rollback, w.progress.Failure, w.progress.RolledBackAt = nil, nil, w.Now()
	w.event(rota.EventRolledBack, rb.To, d.Credential, "the previous credential is current again")
	return nil
}

func (w *turn) restore(ctx context.Context, rb *RollbackIntent, c rota.Credential, credentialID string) error {
	if on, ok := w.s.Issuer.(rota.Deactivator); ok {
		if err := w.retry(ctx, 3, "issuer.reactivate", credentialID, func(ctx context.Context) error {
			return on.Reactivate(ctx, rota.RetireRequest{CredentialID: credentialID})
		}); err != nil {
			return fmt.Errorf("reactivate %s: %w", credentialID, err)
		}
		w.invalidateList()
	}
	if !w.s.Issuer.Traits().Overlap() {
		if err := w.retry(ctx, 3, "issuer.set", credentialID, func(ctx context.Context) error { return w.s.Issuer.Set(ctx, rota.SetRequest{Credential: c}) }); err != nil {
			return fmt.Errorf("set %s: %w", credentialID, err)
		}
	}
	if err := w.prove(ctx, c); err != nil {
		return err
	}
	to, _ := rota.FindID(w.state.Contents.Versions, rb.To)
	for _, l := range []rota.Label{rota.LabelDeactivated, rota.LabelServed} {
		if to.Has(l) {
			if err := w.move(ctx, l, rb.To, ""); err != nil {
				return err
			}
		}
	}
	current, _ := rota.Find(w.state.Contents.Versions, rota.LabelCurrent)
	if current.ID == rb.To {
		return nil
	}
	if current.Has(rota.LabelPending) {
		// Its promotion was not quite finished, and must not be finished now.
		if err := w.move(ctx, rota.LabelPending, current.ID, ""); err != nil {
			return err
		}
	}
	return w.move(ctx, rota.LabelCurrent, current.ID, rb.To)
}
