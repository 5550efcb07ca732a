package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// AdoptOptions says what is taken over.
type AdoptOptions struct {
	// Credential is the one in use, if the store doesn't hold it yet; the zero
	// value takes the store's AWSCURRENT.
	Credential rota.Credential
	// NotBefore puts the first rotation off; zero leaves it to the policy.
	NotBefore time.Time
}

// Adopt takes over an existing credential without rotating it: it must log in,
// and be active at the issuer if that can list. From then on Rota plans for it as
// for one that it made. Nothing is delivered and nothing reloaded. A credential
// that is Rota's already is left as it is, with [rota.ErrAdopted].
//
// The previous credential is taken over as well, if the store has one that isn't
// Rota's and that proves itself: it logs in, or the issuer lists it. Otherwise it's
// left alone, which is an error only if there's nothing else to take over.
func (r *Rotator) Adopt(ctx context.Context, s *Secret, o AdoptOptions) (Result, error) {
	return r.withTurn(ctx, s, request{}, func(ctx context.Context, t *turn) error {
		if err := t.refuseManual(); err != nil {
			return err
		}
		a := &adoption{turn: t, AdoptOptions: o}
		err := a.adopt(ctx)
		if errors.Is(err, rota.ErrAdopted) {
			return a.adoptRest(ctx, err)
		}
		d := a.decision()
		t.ledger.noteOutcome(d, "", err)
		if err != nil {
			return fmt.Errorf("adopt: %w", err)
		}
		p := &t.ledger.progress
		p.liftRejections()
		p.NotBefore, p.Failure, p.Held, p.RolledBackAt, p.Rollback = o.NotBefore, nil, HoldNone, time.Time{}, nil
		t.ledger.event(rota.EventAdopted, d.Version, d.Credential, "an existing credential was taken over, without rotating it")
		t.result.Done = append(t.result.Done, d)
		if err := a.adoptPrevious(ctx); err != nil && !errors.Is(err, errUnproven) {
			return fmt.Errorf("adopt: %w", err)
		}
		return t.lookAgain(ctx)
	})
}

// adoption is an Adopt under way.
type adoption struct {
	*turn
	AdoptOptions
	credential   rota.Credential // to be taken over
	credentialID string
	version      string    // the one that holds it, or will
	since        time.Time // when consumers have had it, at the latest
}

// adopt checks everything first, then stores and labels.
func (a *adoption) adopt(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		a.observe,
		a.checkNoRivals,
		a.checkNoRotation,
		a.choose,
		a.checkNamed,
		a.checkLogin,
		a.checkPlace,
		a.checkActive,
		a.dropPending,
		a.store,
		a.label,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (a *adoption) decision() Decision {
	return Decision{Step: StepAdopt, Version: a.version, Credential: a.credentialID, Reason: "asked for by " + a.Actor}
}

// refuseAdoption is the error of an adoption that must not be.
func refuseAdoption(remedies []rota.Remedy, format string, args ...any) error {
	return &rota.Error{Class: rota.ClassStop, Remedies: remedies, Err: fmt.Errorf(format, args...)}
}

func (a *adoption) checkNoRivals(context.Context) error { return a.refuseRivals() }

// checkNoRotation refuses while a rotation is under way that would have to be
// undone at the issuer.
func (a *adoption) checkNoRotation(context.Context) error {
	pending, ok := a.pending()
	switch v := a.view(); {
	case !ok:
		return nil
	case !pending.Ours():
		return v.refuseForeignPending()
	case v.undoes() && !a.supersedes():
		return refuseAdoption([]rota.Remedy{v.remedy(rota.RemedyRollBack, ""), {Action: rota.RemedyRun}}, "a rotation is under way: version %s is AWSPENDING", pending.ID)
	}
	return nil
}

// pending is the version of a rotation under way.
func (a *adoption) pending() (rota.Version, bool) {
	pending, ok := a.seen.find(rota.LabelPending)
	return pending, ok && pending.ID != a.seen.holder(rota.LabelCurrent)
}

// supersedes reports whether the credential that was handed in, once it has
// logged in, proves that the pending one isn't in force: the issuer keeps only
// one. Somebody set it while a rotation was interrupted. If that can't be rolled
// back, neither must the store's own be handed in.
func (a *adoption) supersedes() bool {
	traits := a.s.Issuer.Traits()
	return !traits.Overlap() && (!a.Credential.IsZero() || isOneWay(traits))
}

// dropPending drops a new credential that isn't in force, and what an adoption
// that was interrupted left behind. It's known to nobody but the store.
func (a *adoption) dropPending(ctx context.Context) error {
	pending, ok := a.pending()
	if !ok {
		return nil
	}
	drop := Decision{Step: rota.StepDelete, Version: pending.ID, Credential: pending.CredentialID, Reason: "another credential is adopted"}
	if err := a.ledger.writeAhead(ctx, drop); err != nil {
		return err
	}
	err := a.outside.changeStore(ctx, unlabeling(pending)...)
	a.ledger.noteOutcome(drop, "", err)
	return err
}

// choose takes the credential that was handed in, or else the store's current
// one.
func (a *adoption) choose(ctx context.Context) error {
	current, stored := a.seen.find(rota.LabelCurrent)
	a.credential = a.Credential
	if completer, ok := a.s.Issuer.(rota.Completer); ok && !a.credential.IsZero() {
		a.credential = completer.Complete(a.credential)
	}
	switch {
	case !a.credential.IsZero():
		a.ledger.redact(a.credential)
		a.credential = a.s.issued(a.credential)
		return a.checkNew(ctx, current)
	case !stored:
		return refuseAdoption(handedIn(a.s.Name), "the store holds no current credential")
	case current.Ours() && !a.isPutOff():
		return refuseAdoption(nil, "version %s is already Rota's, and adopting it again puts no rotation off", current.ID)
	case current.Ours():
		return fmt.Errorf("version %s is %w", current.ID, rota.ErrAdopted)
	}
	var err error
	a.credential, err = a.outside.get(ctx, current.ID)
	return err
}

// checkNew is [rota.ErrAdopted] if the store's current version, which is Rota's
// and in service, holds just the credential that was handed in.
func (a *adoption) checkNew(ctx context.Context, current rota.Version) error {
	if !current.Ours() || !current.Has(rota.LabelServed) || !a.isPutOff() {
		return nil
	}
	same, err := a.isHeldBy(ctx, current)
	if same {
		err = fmt.Errorf("version %s is %w", current.ID, rota.ErrAdopted)
	}
	return err
}

// isPutOff reports whether the first rotation is already put off as asked.
func (a *adoption) isPutOff() bool {
	return a.NotBefore.IsZero() || a.NotBefore.Equal(a.ledger.progress.NotBefore)
}

// isHeldBy reports whether the version holds just this credential.
func (a *adoption) isHeldBy(ctx context.Context, v rota.Version) (bool, error) {
	if v.CredentialID != a.s.Issuer.CredentialID(a.credential) {
		return false, nil
	}
	held, err := a.outside.get(ctx, v.ID)
	return held.Equal(a.credential), err
}

func (a *adoption) checkNamed(context.Context) error {
	a.version, a.since = a.seen.holder(rota.LabelCurrent), a.seen.contents.ChangedAt
	if a.credentialID = a.s.Issuer.CredentialID(a.credential); a.credentialID == "" {
		return refuseAdoption(handedIn(a.s.Name), "the credential has only the fields %v, which do not name it", a.credential.Names())
	}
	return nil
}

func (a *adoption) checkLogin(ctx context.Context) error {
	err := a.outside.logIn(ctx, 1, a.credential)
	if err == nil {
		return nil
	}
	if a.list(ctx) == nil {
		_, there := a.seen.issuedAs(a.credentialID)
		switch v := a.view(); {
		case errors.Is(err, rota.ErrRefused):
			err = rota.WithRemedies(err, v.notInForce(a.credentialID))
		case rota.ClassOf(err) == rota.ClassStop && a.seen.listed && !there && a.Credential.IsZero(): // a placeholder, or somebody else's
			err = rota.WithRemedies(err, append(slices.Clone(rota.RemediesOf(err)), v.remedy(rota.RemedyRotate, "to replace it")))
		}
	}
	return fmt.Errorf("log in with it: %w", err)
}

func (a *adoption) checkActive(ctx context.Context) error {
	if err := a.list(ctx); err != nil {
		return err
	}
	if i, _ := a.seen.issuedAs(a.credentialID); a.seen.listed && !i.Active {
		return refuseAdoption(a.view().notInForce(a.credentialID), "%s is not active at the issuer", a.credentialID)
	}
	return nil
}

// store puts a credential that was handed in, unless the current version holds
// it already, as it does if none was. The label says from the beginning that Rota didn't make it: it must
// not be retired if the adoption is never finished.
func (a *adoption) store(ctx context.Context) error {
	current, _ := a.seen.find(rota.LabelCurrent)
	if held, err := a.isHeldBy(ctx, current); held || err != nil {
		return err
	}
	a.version, a.since = a.NewID(), a.Now()
	if err := a.ledger.writeAhead(ctx, a.decision()); err != nil {
		return err
	}
	return a.outside.put(ctx, 3, a.version, a.credential, rota.LabelAdopted)
}

// label marks the version as Rota's from now on, current and served.
func (a *adoption) label(ctx context.Context) error {
	a.ledger.progress.NotBefore = a.NotBefore // also if this is interrupted after the first label
	if err := a.ledger.writeAhead(ctx, a.decision()); err != nil {
		return err
	}
	if err := a.observe(ctx); err != nil {
		return err
	}
	if err := a.keepAdopted(ctx, a.version); err != nil {
		return err
	}
	for _, l := range []rota.Label{rota.LabelAdopted, rota.LabelCurrent, rota.LabelServed} {
		if err := a.outside.move(ctx, l, a.seen.holder(l), a.version); err != nil {
			return err
		}
	}
	if a.seen.holder(rota.LabelPending) == a.version {
		if err := a.outside.move(ctx, rota.LabelPending, a.version, ""); err != nil {
			return err
		}
	}
	a.noteInForce(a.version, true)
	now := a.Now()
	if a.since.IsZero() || a.since.After(now) { // the store's clock may be ahead of ours
		a.since = now
	}
	a.ledger.update(a.version, func(vp *VersionProgress) {
		vp.CredentialID, vp.PromotedAt, vp.ServedAt = a.credentialID, a.since, a.since
		vp.Delivered, vp.Reloaded = allAt(a.s.targetNames(), now), allAt(a.s.reloaderNames(), now)
	})
	return nil
}
