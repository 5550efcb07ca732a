package rotation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// observe looks at the store afresh and builds the state to plan on. The
// issuer's list of an earlier look stays until an effect made it stale.
func (w *turn) observe(ctx context.Context) error {
	var contents rota.Contents
	err := w.retry(ctx, 3, "store.describe", "", func(ctx context.Context) (err error) {
		contents, err = w.s.Store.Describe(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("describe the store: %w", err)
	}
	w.foresee(contents.Versions)
	if err := w.identify(ctx, contents.Versions); err != nil {
		return err
	}
	previous := w.state
	_, lists := w.s.Issuer.(rota.Lister)
	_, canDeactivate := w.s.Issuer.(rota.Deactivator)
	w.state = State{
		Secret: w.s.Name, Owner: w.s.Owner, Halts: w.halts, Peers: w.peers, Traits: w.s.Issuer.Traits(), Contents: contents,
		Lists: lists, Listed: previous.Listed, Issued: previous.Issued,
		CanDeactivate: canDeactivate, Force: w.force, Chain: w.chain, Driver: w.driver, IdleLooks: w.idleLooks,
	}
	if w.s.Rivals != nil {
		w.state.Rivals = w.s.Rivals(ctx).Found
	}
	for _, t := range w.s.Targets {
		w.state.Targets = append(w.state.Targets, t.Name())
	}
	for _, r := range w.s.Reloaders {
		w.state.Reloaders = append(w.state.Reloaders, r.Name())
	}
	w.forget(contents)
	w.rebuild(contents)
	err = w.compare(ctx)
	w.state.Progress = w.progress
	return err
}

// identify fills in the issuer's names of the versions' credentials: from
// memory, as a version never changes, or by reading the value.
func (w *turn) identify(ctx context.Context, versions []rota.Version) error {
	ends := w.s.Issuer.Traits().Lifetime
	for i := range versions {
		v := &versions[i]
		known := w.progress.Versions[v.ID]
		v.CredentialID, v.ExpiresAt = known.CredentialID, known.ExpiresAt
		if v.CredentialID != "" && (ends == 0 || !v.ExpiresAt.IsZero() || v.CredentialID == rota.NoCredential) {
			continue
		}
		c, err := w.get(ctx, v.ID)
		if errors.Is(err, rota.ErrNotFound) {
			v.Empty = true // nobody's credential yet
			continue
		}
		if err != nil {
			return fmt.Errorf("read version %s: %w", v.ID, err)
		}
		v.CredentialID = cmp.Or(w.s.Issuer.CredentialID(c), rota.NoCredential)
		if ends > 0 {
			v.ExpiresAt = c.ExpiresAt()
		}
		w.update(v.ID, func(vp *VersionProgress) { vp.CredentialID, vp.ExpiresAt = v.CredentialID, v.ExpiresAt })
	}
	return nil
}

// get reads a version's credential, and remembers the value for the sanitiser.
func (w *turn) get(ctx context.Context, version string) (rota.Credential, error) {
	var c rota.Credential
	err := w.retry(ctx, 3, "store.get", version, func(ctx context.Context) (err error) {
		c, err = w.s.Store.Get(ctx, rota.GetRequest{Version: version})
		return err
	})
	w.redact(c)
	return c, err
}

func (w *turn) redact(c rota.Credential) {
	for _, known := range w.redactions {
		if known.Equal(c) {
			return
		}
	}
	w.redactions = append(w.redactions, c)
}

// forget drops what is remembered of versions that the store no longer has,
// intents whose answer arrived, as the store has it, and those that are too old
// to leave traces. What is issued after the answer is not Rota's.
func (w *turn) forget(contents rota.Contents) {
	now := w.Now()
	maps.DeleteFunc(w.progress.Versions, func(id string, _ VersionProgress) bool {
		if _, kept := rota.FindID(contents.Versions, id); kept {
			return false
		}
		for _, i := range w.progress.Intents {
			if i.Version == id {
				return false
			}
		}
		return true
	})
	var intents []Intent
	for _, i := range w.progress.Intents {
		if !hasValue(contents.Versions, i.Version) && now.Sub(i.Until) < rota.Day {
			intents = append(intents, i)
		}
	}
	w.progress.Intents = intents
	if rb := w.progress.Rollback; rb != nil {
		if _, kept := rota.FindID(contents.Versions, rb.To); !kept {
			w.progress.Rollback = nil
			w.event(rota.EventFailed, rb.To, "", "the rollback was given up: the version to go back to is gone")
		}
	}
}

// rebuild fills in, from the store's labels and dates, what is not remembered:
// the data folder was lost, or another machine did the last rotation. The
// date is that of the secret's last change, which is never too early.
//
// A label that was moved by a process that died before it could write that
// down is found here too: what nobody was told yet is told now.
func (w *turn) rebuild(contents rota.Contents) {
	st, versions := w.state, w.progress.Versions
	if v, ok := rota.Find(contents.Versions, rota.LabelCurrent); ok && v.Has(rota.LabelServed) && versions[v.ID].ServedAt.IsZero() {
		if versions[v.ID].inFlight() {
			w.rotated(v.ID, v.CredentialID)
		}
		w.update(v.ID, func(vp *VersionProgress) {
			vp.PromotedAt, vp.ServedAt = contents.ChangedAt, contents.ChangedAt
			vp.Delivered = allAt(st.Targets, contents.ChangedAt)
			vp.Reloaded = allAt(st.Reloaders, contents.ChangedAt)
		})
	}
	if v, ok := rota.Find(contents.Versions, rota.LabelDeactivated); ok && versions[v.ID].DeactivatedAt.IsZero() {
		if versions[v.ID].inFlight() {
			w.event(rota.EventDeactivated, v.ID, v.CredentialID, "its grace is over and nobody uses it")
		}
		w.update(v.ID, func(vp *VersionProgress) { vp.DeactivatedAt = contents.ChangedAt })
	}
}

func allAt(names []string, at time.Time) map[string]time.Time {
	if len(names) == 0 {
		return nil
	}
	m := make(map[string]time.Time, len(names))
	for _, n := range names {
		m[n] = at
	}
	return m
}

// list asks the issuer what exists, and of what might be retired, whether it
// is in use. An error about use counts as use.
func (w *turn) list(ctx context.Context) error {
	lister, ok := w.s.Issuer.(rota.Lister)
	if !ok {
		return nil
	}
	var issued []rota.Issued
	err := w.retry(ctx, 3, "issuer.list", "", func(ctx context.Context) (err error) {
		issued, err = lister.List(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("list what the issuer has: %w", err)
	}
	current, _ := rota.Find(w.state.Contents.Versions, rota.LabelCurrent)
	if reporter, ok := w.s.Issuer.(rota.UseReporter); ok {
		for i := range issued {
			if issued[i].ID == current.CredentialID {
				continue
			}
			issued[i].Use = w.use(ctx, reporter, issued[i].ID)
		}
	}
	w.state.Issued, w.state.Listed = issued, true
	w.sample()
	w.state.Progress = w.progress
	return nil
}

func (w *turn) use(ctx context.Context, reporter rota.UseReporter, id string) rota.Use {
	var u rota.Use
	err := w.retry(ctx, 3, "issuer.last_used", id, func(ctx context.Context) (err error) {
		u, err = reporter.LastUsed(ctx, id)
		return err
	})
	if err != nil {
		return rota.Use{Detail: "the issuer (its answer: " + rota.Sanitize(err, w.redactions...).Error() + ")"}
	}
	return u
}

// sample counts a look at whether the previous credential is in use. It is
// remembered once a turn.
func (w *turn) sample() {
	previous, ok := rota.Find(w.state.Contents.Versions, rota.LabelPrevious)
	if !ok {
		return
	}
	for _, c := range w.state.Issued {
		if c.ID != previous.CredentialID || c.Use.Evidence != rota.EvidenceSampled {
			continue
		}
		if w.idleLooks++; !c.Use.At.IsZero() {
			w.idleLooks = 0
		}
		w.state.IdleLooks = w.idleLooks
		if w.sampled {
			continue
		}
		w.sampled = true
		w.update(previous.ID, func(vp *VersionProgress) {
			switch {
			case !c.Use.At.IsZero():
				vp.QuietSince, vp.QuietSamples = time.Time{}, 0
			case vp.QuietSince.IsZero():
				vp.QuietSince, vp.QuietSamples = w.Now(), 1
			default:
				vp.QuietSamples++
			}
		})
	}
}

// noteIssued notes in the issuer's list what a call of ours did to a credential. The
// list itself may lag behind, and asking for it again would have the same call
// made over and over.
func (w *turn) noteIssued(credentialID string, change func(*rota.Issued)) {
	w.state.Issued = slices.Clone(w.state.Issued)
	for i := range w.state.Issued {
		if w.state.Issued[i].ID == credentialID {
			change(&w.state.Issued[i])
		}
	}
	w.state.Issued = slices.DeleteFunc(w.state.Issued, func(i rota.Issued) bool { return i.ID == "" })
}

// invalidateList says that an effect changed the issuer, so that its list must be asked
// for again.
func (w *turn) invalidateList() { w.state.Listed, w.state.Issued = false, nil }
