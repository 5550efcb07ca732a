package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// Whoever rotated the secret before Rota often left two credentials: the current
// one, and the one before it, which is AWSPREVIOUS. Adopting takes over both. The
// previous one keeps its dates: its grace counts from when it was replaced.

// previousReason is why the previous credential is adopted.
const previousReason = "it's the previous one, and nobody else retires it"

// errUnproven is the error if the previous credential neither logs in nor is known
// to the issuer. It may be anyone's.
var errUnproven = errors.New("the previous credential doesn't prove itself")

// adoptRest finishes an adoption of a credential that is Rota's already: nothing
// is left to do except, perhaps, to take over the previous one. done is
// [rota.ErrAdopted].
func (a *adoption) adoptRest(ctx context.Context, done error) error {
	if p := &a.ledger.progress; p.Rejections > 0 || p.Rollback != nil { // a person says which one is in force
		p.liftRejections()
		p.Rollback, p.Failure, p.NextAt = nil, nil, time.Time{}
	}
	switch err := a.adoptPrevious(ctx); {
	case err != nil:
		return fmt.Errorf("adopt: %w", err)
	case len(a.result.Done) == 0:
		return done
	}
	return a.lookAgain(ctx)
}

// adoptsPrevious reports whether the previous credential is somebody else's and
// takes a place at the issuer.
func (v *view) adoptsPrevious() bool {
	return v.current.Ours() && v.retirable() && !v.previous.Ours() && v.Traits.Lifetime == 0
}

// Adoptable reports whether the store holds a credential in service that Rota
// neither made nor adopted, and that [Rotator.Adopt] would take over: the current
// one, unless it replaced one of Rota's own, or the previous one.
func (st State) Adoptable() bool {
	v := newView(st, Policy{}, time.Time{})
	if v.hasCurrent && !v.current.Ours() {
		return !v.previous.Ours()
	}
	return v.adoptsPrevious()
}

// adoptPrevious takes over the previous credential, if there's one to take over.
// Interrupted, it leaves that credential as it was.
func (t *turn) adoptPrevious(ctx context.Context) error {
	if err := t.look(ctx); err != nil {
		return err
	}
	v := t.view()
	if !v.adoptsPrevious() {
		return nil
	}
	d := Decision{Step: StepAdopt, Version: v.previous.ID, Credential: v.previous.CredentialID, Reason: previousReason}
	if err := t.takeOver(ctx, d); err != nil {
		return err
	}
	t.result.Done = append(t.result.Done, d)
	return nil
}

// provesPrevious returns an error unless the previous credential proves that it's
// what the store says. If the issuer chose it, its id says so, provided that it's
// in the list. A name that's given out again and again proves nothing: whoever has
// a login by that name may have got its password elsewhere. Unless it's off, it has
// to log in.
func (t *turn) provesPrevious(ctx context.Context) error {
	v := t.view()
	listed, there := v.issued(v.previous.CredentialID) // if it can list and doesn't, there's nothing to adopt
	if there && (v.Traits.IssuerChooses || !listed.Active) {
		return nil
	}
	c, err := t.outside.get(ctx, v.previous.ID)
	if err != nil {
		return err
	}
	err = t.outside.logIn(ctx, 3, c)
	if errors.Is(err, rota.ErrRefused) {
		return refuseAdoption(v.byHand(), "%w: log in with %s: %w", errUnproven, v.previous.CredentialID, err)
	}
	return err
}

// keepAdopted keeps the mark of a credential that was adopted earlier and is the
// previous one, or becomes it as this version becomes current: the mark moves on to
// this version.
func (t *turn) keepAdopted(ctx context.Context, version string) error {
	previous, _ := t.seen.find(rota.LabelPrevious)
	if current, _ := t.seen.find(rota.LabelCurrent); current.ID != version {
		previous = current
	}
	if !previous.Has(rota.LabelAdopted) {
		return nil
	}
	return t.outside.move(ctx, rota.LabelAdoptedPrevious, t.seen.holder(rota.LabelAdoptedPrevious), previous.ID)
}
