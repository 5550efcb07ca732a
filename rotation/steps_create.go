package rotation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rota-dev/rota"
)

// create makes a new credential and puts it in the store as AWSPENDING. If the
// issuer chooses the value, an intent is durable before the one call that can't
// be repeated. If Rota chooses it, nothing outside knows the value until it is
// durable.
func (t *turn) create(ctx context.Context, d Decision) error {
	current, _ := t.seen.find(rota.LabelCurrent)
	undo := t.ledger.mark()
	d.Version = cmp.Or(d.Version, t.ledger.progress.requestedVersion(), t.NewID())
	v := t.view()
	ending, _ := v.early()
	revoked := v.isRevoked()
	t.ledger.update(d.Version, func(vp *VersionProgress) {
		vp.Base, vp.Asked = current.ID, t.asked.step == rota.StepCreate
		if !vp.Asked {
			vp.EarlyFor = ending.end
		}
		if revoked {
			vp.Revoked = current.CredentialID
		}
	})
	if err := t.beginCreate(ctx, d); err != nil {
		if errors.Is(err, rota.ErrPeer) {
			undo() // nothing was begun
		}
		return err
	}
	if err := t.outside.changeStore(ctx, t.view().droppedMarks()...); err != nil {
		t.ledger.endIntent(d.Version)
		err = fmt.Errorf("create: %w", err)
		t.ledger.noteOutcome(d, "", err)
		return err
	}
	var c rota.Credential
	request, err := t.createRequest(ctx, d.Version)
	if err == nil {
		err = t.outside.call(ctx, "issuer.create", "", func(ctx context.Context) (err error) {
			c, err = t.s.Issuer.Create(ctx, request)
			return err
		})
	}
	if err == nil {
		t.ledger.redact(c)
	}
	if err == nil && !t.s.Issuer.Traits().IssuerChooses {
		// Nothing knows it yet, and the next try generates another.
		err = t.s.acceptable(c)
	}
	t.seen.invalidateList()
	if err != nil {
		t.ledger.endIntent(d.Version)
		err = fmt.Errorf("create: %w", err)
		t.ledger.noteOutcome(d, "", err)
		return err
	}
	t.ledger.endIntent(d.Version)
	t.seen.ready.asked = t.seen.ready.login // else the new one is the first to log in with
	d.Credential = t.s.Issuer.CredentialID(c)
	t.ledger.update(d.Version, func(vp *VersionProgress) {
		vp.CredentialID = d.Credential
		if t.s.Issuer.Traits().Lifetime == 0 { // else it's read from the store
			vp.ExpiresAt = c.ExpiresAt()
		}
	})
	err = t.change(ctx, d, func() {}, putChange(d.Version, c, newLabels(d.Version)...))
	if err == nil && t.ledger.storeKeeper() != nil {
		t.outside.remember(d.Version, c) // committed with the journal, so nothing needs reading back
	}
	return err
}

// createRequest is what the issuer is told about what there is, and about the
// version that the credential is for.
func (t *turn) createRequest(ctx context.Context, version string) (rota.CreateRequest, error) {
	v := t.view()
	t.lost = v.isLost()
	r := rota.CreateRequest{Version: version, Taken: v.taken(), Replaces: v.replaces(), Anew: t.asked.step == rota.StepCreate}
	var err error
	current := t.seen.holder(rota.LabelCurrent)
	if r.Current, err = t.inUse(ctx, current); !r.Current.IsZero() {
		held, _ := t.seen.version(current)
		r.CurrentSince = held.CreatedAt
	}
	return r, err
}

// inUse is a version's credential for an issuer that needs the one in use, and zero
// for one that doesn't.
func (t *turn) inUse(ctx context.Context, version string) (rota.Credential, error) {
	if v, ok := t.seen.version(version); !ok || v.Empty || !t.s.Issuer.Traits().FromCurrent {
		return rota.Credential{}, nil
	}
	c, err := t.outside.get(ctx, version)
	if err != nil {
		return rota.Credential{}, fmt.Errorf("read version %s: %w", version, err)
	}
	return c, nil
}

// beginCreate writes down that a credential is about to be made.
func (t *turn) beginCreate(ctx context.Context, d Decision) error {
	if !t.s.Issuer.Traits().IssuerChooses {
		return t.ledger.begin(ctx, d)
	}
	intent := Intent{Version: d.Version, At: t.Now(), Until: t.Now().Add(t.CallTimeout)}
	for _, c := range t.seen.issued {
		intent.Known = append(intent.Known, c.ID)
	}
	t.ledger.progress.Intents = append(t.ledger.progress.Intents, intent)
	return t.ledger.writeAhead(ctx, d)
}

// endIntent notes that the call to create a version returned: the issuer's list can
// be trusted a while after that.
func (l *ledger) endIntent(version string) {
	intents := slices.Clone(l.progress.Intents) // they're shared with what was saved
	for i := range intents {
		if now := l.Now(); intents[i].Version == version && now.Before(intents[i].Until) {
			intents[i].Until = now
		}
	}
	l.progress.Intents = intents
}

// taken are the credentials that can't be given out again, counted as the planner
// counts places: those that the issuer lists, which may be in use even if the
// store doesn't know them. If it can't list, those that the versions in service
// hold. A version that only a milestone is left on isn't one of them.
func (v *view) taken() []string {
	var taken []string
	if v.Listed && v.Traits.Overlap() {
		for _, c := range v.Issued {
			taken = append(taken, c.ID)
		}
		return taken
	}
	for _, version := range v.Contents.Versions {
		if version.CredentialID != "" && (version.Has(rota.LabelCurrent) || version.Has(rota.LabelPending) || version.Has(rota.LabelPrevious)) {
			taken = append(taken, version.CredentialID)
		}
	}
	return taken
}
