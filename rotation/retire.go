package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// deactivate switches a credential off: the previous one, a rejected new one,
// or an orphan. Before the previous one goes, the current one must log in.
func (t *turn) deactivate(ctx context.Context, d Decision) error {
	issuer, ok := t.s.Issuer.(rota.Deactivator)
	if !ok {
		return &rota.Error{Op: "deactivate " + d.Credential, Class: rota.ClassStop, Err: errors.New("the issuer can only delete credentials")}
	}
	previous, hasPrevious := t.seen.find(rota.LabelPrevious)
	isPrevious := hasPrevious && d.Version == previous.ID
	if isPrevious {
		if err := t.successorLogsIn(ctx, "deactivated"); err != nil {
			return err
		}
	}
	marked := t.seen.holder(rota.LabelDeactivated)
	reactivated := isPrevious && marked == previous.ID
	if reactivated { // by a person: the date that's remembered is of an earlier time
		t.ledger.update(previous.ID, func(vp *VersionProgress) { vp.off(time.Time{}) })
	}
	if err := t.ledger.writeAhead(ctx, d); err != nil {
		return err
	}
	if reactivated {
		if err := t.outside.move(ctx, rota.LabelDeactivated, marked, ""); err != nil {
			t.ledger.noteOutcome(d, "", err)
			return err
		}
		marked = ""
	}
	if err := t.retireAtIssuer(ctx, d, issuer.Deactivate); err != nil {
		return err
	}
	t.seen.noteIssued(d.Credential, func(i *rota.Issued) { i.Active = false })
	if !isPrevious {
		t.ledger.noteOutcome(d, "", nil)
		return nil
	}
	deactivated := func() {
		t.ledger.update(previous.ID, func(vp *VersionProgress) { vp.off(t.Now()) })
		t.ledger.event(rota.EventDeactivated, previous.ID, d.Credential, d.Reason)
	}
	return t.change(ctx, d, deactivated, moveChange(rota.LabelDeactivated, marked, previous.ID))
}

// retireAtIssuer makes the call that deactivates or deletes a credential. One that isn't
// there anymore is deactivated. To delete one is no error for the issuer, so what it
// doesn't find then is something else, such as the account, and the credential may still
// be valid.
func (t *turn) retireAtIssuer(ctx context.Context, d Decision, f func(context.Context, rota.RetireRequest) error) error {
	current, err := t.inUse(ctx, t.seen.holder(rota.LabelCurrent))
	if err == nil {
		err = t.outside.call(ctx, "issuer."+string(d.Step), d.Credential, func(ctx context.Context) error {
			return f(ctx, rota.RetireRequest{CredentialID: d.Credential, Current: current})
		})
	}
	if err == nil || d.Step == rota.StepDeactivate && errors.Is(err, rota.ErrNotFound) {
		return nil
	}
	err = fmt.Errorf("%s %s: %w", d.Step, d.Credential, err)
	t.ledger.noteOutcome(d, "", err)
	return err
}

// successorLogsIn logs in with the current credential, before the previous one
// stops working.
func (t *turn) successorLogsIn(ctx context.Context, retired string) error {
	err := t.currentLogsIn(ctx)
	if errors.Is(err, rota.ErrRefused) {
		err = rota.WithRemedies(err, workingAgain(t.s.Name))
	}
	if err != nil {
		return fmt.Errorf("the current credential must log in before the previous one is %s: %w", retired, err)
	}
	return nil
}

// currentLogsIn logs in with the current credential once more.
func (t *turn) currentLogsIn(ctx context.Context) error {
	current := t.seen.holder(rota.LabelCurrent)
	c, err := t.outside.get(ctx, current)
	if err != nil {
		return err
	}
	if err := t.outside.logIn(ctx, 3, c); err != nil {
		return err
	}
	t.noteInForce(current, true)
	return nil
}

// delete removes a credential at the issuer, then its version's labels: as long
// as AWSPREVIOUS or AWSPENDING is there, the step is found again after a crash.
// The credential is inactive, unless the issuer can't deactivate any: then the
// current one must log in before the previous one goes.
func (t *turn) delete(ctx context.Context, d Decision) error {
	if v := t.view(); (v.deletesActive() || v.revokes()) && d.Version == v.previous.ID && !v.off() {
		if err := t.successorLogsIn(ctx, "deleted"); err != nil {
			return err
		}
	}
	if err := t.ledger.writeAhead(ctx, d); err != nil {
		return err
	}
	v, _ := t.seen.version(d.Version)
	traits := t.s.Issuer.Traits()
	onlyDropped := v.Has(rota.LabelPending) && !t.view().undoes()
	if traits.Overlap() && !onlyDropped {
		if err := t.retireAtIssuer(ctx, d, t.s.Issuer.Delete); err != nil {
			return err
		}
		t.seen.noteIssued(d.Credential, func(i *rota.Issued) { *i = rota.Issued{} })
	}
	deleted := func() {
		switch {
		case !v.Has(rota.LabelPrevious):
			t.ledger.event(rota.EventDiscarded, d.Version, d.Credential, d.Reason)
		case traits.Lifetime == 0: // else it expired by itself, which is no news
			t.ledger.event(rota.EventDeleted, d.Version, d.Credential, d.Reason)
		}
	}
	if labels := unlabeling(v); len(labels) > 0 {
		return t.change(ctx, d, deleted, labels...)
	}
	t.ledger.noteOutcome(d, "", nil)
	deleted()
	return nil
}

// unlabeling takes all labels off a version; the last one off frees its place in
// the store. The mark that it is Rota's outlasts the others: a version without
// it would be somebody else's, and not found again.
func unlabeling(v rota.Version) []StoreChange {
	var changes []StoreChange
	for _, l := range []rota.Label{rota.LabelDeactivated, rota.LabelServed, rota.LabelPrevious, rota.LabelPending, rota.LabelAdopted, rota.LabelAdoptedPrevious, rota.LabelMade(v.ID)} {
		if v.Has(l) {
			changes = append(changes, moveChange(l, v.ID, ""))
		}
	}
	return changes
}
