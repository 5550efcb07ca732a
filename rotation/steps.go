package rotation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/rota-dev/rota"
)

// create makes a new credential and puts it in the store as AWSPENDING. Where
// the issuer chooses the value, an intent is durable before the one call that
// cannot be repeated; where Rota chooses it, nothing outside knows the value
// until it is durable.
func (w *turn) create(ctx context.Context, d Decision) error {
	traits := w.s.Issuer.Traits()
	current, _ := rota.Find(w.state.Contents.Versions, rota.LabelCurrent)
	before, noted := w.progress, len(w.entries)
	before.Versions = maps.Clone(before.Versions)
	d.Version = cmp.Or(d.Version, w.requestedVersion(), w.NewID())
	w.update(d.Version, func(vp *VersionProgress) { vp.Base = current.ID })
	if traits.IssuerChooses {
		intent := Intent{Version: d.Version, At: w.Now(), Until: w.Now().Add(w.CallTimeout)}
		for _, c := range w.state.Issued {
			intent.Known = append(intent.Known, c.ID)
		}
		w.progress.Intents = append(w.progress.Intents, intent)
	}
	begin := w.begin
	if traits.IssuerChooses {
		begin = func(ctx context.Context, d Decision) error { return w.writeAhead(ctx, d) }
	}
	if err := begin(ctx, d); err != nil {
		if errors.Is(err, rota.ErrPeer) {
			w.progress, w.entries = before, w.entries[:noted] // nothing was begun
		}
		return err
	}
	var request rota.CreateRequest
	for _, v := range w.state.Contents.Versions {
		// A version that only a milestone is left on is none that is served.
		if v.CredentialID != "" && (v.Has(rota.LabelCurrent) || v.Has(rota.LabelPending) || v.Has(rota.LabelPrevious)) {
			request.Taken = append(request.Taken, v.CredentialID)
		}
	}
	var c rota.Credential
	err := w.call(ctx, "issuer.create", "", func(ctx context.Context) (err error) {
		c, err = w.s.Issuer.Create(ctx, request)
		return err
	})
	w.invalidateList()
	if err != nil {
		err = fmt.Errorf("create: %w", err)
		w.noteOutcome(d, "", err)
		return err
	}
	w.redact(c)
	d.Credential = w.s.Issuer.CredentialID(c)
	w.update(d.Version, func(vp *VersionProgress) { vp.CredentialID = d.Credential })
	return w.change(ctx, d, func() {}, putChange(d.Version, c, newLabels(d.Version)...))
}

// set makes a credential valid at the issuer: the pending one, or the current
// one again where the pending one was rejected.
func (w *turn) set(ctx context.Context, d Decision) error {
	c, err := w.get(ctx, d.Version)
	if err != nil {
		return err
	}
	pending, _ := rota.Find(w.state.Contents.Versions, rota.LabelPending)
	restore := pending.ID != d.Version
	if !restore {
		if err := w.probe(ctx, d, c); err != nil {
			return err
		}
	} else if current, _ := rota.FindID(w.state.Contents.Versions, d.Version); !current.Ours() {
		ours, err := w.inForce(ctx, pending.ID, 8)
		if err != nil {
			return fmt.Errorf("see which credential is in force: %w", err)
		}
		if !ours {
			w.update(pending.ID, func(vp *VersionProgress) { vp.RestoredAt = w.Now() })
			return nil
		}
	}
	first := !restore && w.progress.Versions[d.Version].SetBegunAt.IsZero()
	if first {
		w.update(d.Version, func(vp *VersionProgress) { vp.SetBegunAt = w.Now() })
	}
	if err := w.writeAhead(ctx, d); err != nil {
		return err
	}
	err = w.call(ctx, "issuer.set", d.Credential, func(ctx context.Context) error { return w.s.Issuer.Set(ctx, rota.SetRequest{Credential: c}) })
	w.invalidateList()
	w.noteOutcome(d, "", err)
	if err != nil {
		if first && rota.ClassOf(err) == rota.ClassRegenerate {
			// The issuer refused the value: there is nothing to put back.
			w.update(d.Version, func(vp *VersionProgress) { vp.SetBegunAt = time.Time{} })
		}
		return fmt.Errorf("set: %w", err)
	}
	if restore {
		w.update(pending.ID, func(vp *VersionProgress) { vp.RestoredAt = w.Now() })
	} else {
		w.update(d.Version, func(vp *VersionProgress) { vp.SetAt = w.Now() })
	}
	return nil
}

// test logs in with the pending credential several times in a row, and runs
// the user's checks.
func (w *turn) test(ctx context.Context, d Decision) error {
	if v, _ := rota.FindID(w.state.Contents.Versions, d.Version); v.Empty {
		return w.rehearse(ctx, d)
	}
	c, err := w.get(ctx, d.Version)
	if err == nil {
		err = w.prove(ctx, c)
	}
	w.noteOutcome(d, "", err)
	if err != nil {
		return err
	}
	w.update(d.Version, func(vp *VersionProgress) { vp.TestedAt = w.Now() })
	return nil
}

// prove logs in until it went well several times in a row, waiting longer
// after each refusal: issuers are consistent only after a while.
func (w *turn) prove(ctx context.Context, c rota.Credential) error {
	need := w.s.Issuer.Traits().TestSuccesses
	if need == 0 {
		need = 3
	}
	const refusals = 8
	backoff := 500 * time.Millisecond
	for row, failures := 0, 0; row < need; {
		err := w.call(ctx, "issuer.test", w.s.Issuer.CredentialID(c), func(ctx context.Context) error { return w.s.Issuer.Test(ctx, rota.TestRequest{Credential: c}) })
		if err == nil {
			row++
			continue
		}
		row = 0
		if failures++; failures >= refusals || rota.ClassOf(err) != rota.ClassWait || errors.Is(err, rota.ErrFenced) {
			return fmt.Errorf("log in: %w", err)
		}
		if sleepErr := w.Sleep(ctx, backoff); sleepErr != nil {
			return fmt.Errorf("log in: %w", err)
		}
		backoff = min(2*backoff, 10*time.Second)
	}
	for _, check := range w.s.Checks {
		if err := w.retry(ctx, 4, "check", check.Name(), func(ctx context.Context) error { return check.Check(ctx, c) }); err != nil {
			return fmt.Errorf("check %s: %w", check.Name(), err)
		}
	}
	return nil
}

// promote moves AWSCURRENT to the pending version by compare-and-swap, and
// takes AWSPENDING off it.
func (w *turn) promote(ctx context.Context, d Decision) error {
	current, hasCurrent := rota.Find(w.state.Contents.Versions, rota.LabelCurrent)
	vp := w.progress.Versions[d.Version]
	if current.ID != d.Version && vp.Base != "" && vp.Base != current.ID {
		return w.restage(ctx, d, current)
	}
	if err := w.begin(ctx, d); err != nil {
		return err
	}
	var moves []StoreChange
	if current.ID != d.Version {
		moves = append(moves, moveChange(rota.LabelCurrent, current.ID, d.Version))
	}
	if pending, _ := rota.Find(w.state.Contents.Versions, rota.LabelPending); pending.ID == d.Version {
		moves = append(moves, moveChange(rota.LabelPending, d.Version, ""))
	}
	if len(moves) > 0 {
		promoted := func() {
			if current.ID != d.Version {
				w.promoted(d.Version, current.ID, hasCurrent)
			}
		}
		if err := w.change(ctx, d, promoted, moves...); err != nil {
			return err
		}
	} else {
		w.noteOutcome(d, "", nil)
	}
	if lastServing(w.state) == rota.StepPromote {
		return w.markServed(ctx, d.Version)
	}
	return nil
}

// promoted remembers a promotion.
func (w *turn) promoted(version, before string, hadCurrent bool) {
	w.update(version, func(vp *VersionProgress) { vp.PromotedAt = w.Now() })
	w.progress.Rejections, w.progress.RejectedAt, w.progress.NotBefore = 0, time.Time{}, time.Time{}
	w.progress.RolledBackAt = time.Time{}
	if hadCurrent {
		// A new life begins for it: what was noted when it was itself a
		// previous one, before a rollback, counts no more.
		w.update(before, func(vp *VersionProgress) {
			vp.DeactivatedAt, vp.QuietSince, vp.QuietSamples = time.Time{}, time.Time{}, 0
		})
	}
}

func (w *turn) move(ctx context.Context, l rota.Label, from, to string) error {
	return w.retry(ctx, 4, "store.move", string(l), func(ctx context.Context) error {
		return w.s.Store.Move(ctx, rota.MoveRequest{Label: l, From: from, To: to})
	})
}

// restage stores the pending credential again, merged into what somebody has
// made current since, so that their change is not lost.
func (w *turn) restage(ctx context.Context, d Decision, current rota.Version) error {
	c, err := w.get(ctx, d.Version)
	if err != nil {
		return err
	}
	old := w.progress.Versions[d.Version]
	d.Version = w.NewID()
	d.Reason = "store the new credential again: the current version was changed meanwhile"
	w.update(d.Version, func(vp *VersionProgress) {
		*vp = VersionProgress{CredentialID: old.CredentialID, ExpiresAt: old.ExpiresAt, Base: current.ID, SetBegunAt: old.SetBegunAt, SetAt: old.SetAt, TestedAt: old.TestedAt}
	})
	if err := w.writeAhead(ctx, d); err != nil {
		return err
	}
	err = w.retry(ctx, 4, "store.put", d.Version, func(ctx context.Context) error {
		return w.s.Store.Put(ctx, rota.PutRequest{Version: d.Version, Credential: c, Labels: []rota.Label{rota.LabelPending}})
	})
	w.noteOutcome(d, "", err)
	return err
}

const rotatedReason = "the new credential is tested, promoted, delivered and in use"

// markServed puts the milestone label on the version that everybody has now.
func (w *turn) markServed(ctx context.Context, version string) error {
	holder, _ := rota.Find(w.state.Contents.Versions, rota.LabelServed)
	switch {
	case holder.ID == version:
	case w.keepsStore():
		w.later(rota.LabelServed, holder.ID, version)
	default:
		if err := w.move(ctx, rota.LabelServed, holder.ID, version); err != nil {
			return fmt.Errorf("mark as served: %w", err)
		}
	}
	if vp := w.progress.Versions[version]; vp.ServedAt.IsZero() {
		w.update(version, func(vp *VersionProgress) { vp.ServedAt = w.Now() })
		w.rotated(version, vp.CredentialID)
	}
	return nil
}

// rotated tells of a rotation, unless it is one of the many of a credential that
// ends by itself: there only troubles are news, and the audit has the rest.
func (w *turn) rotated(version, credential string) {
	if w.s.Issuer.Traits().Lifetime > 0 && w.requested != rota.StepCreate && w.progress.Trouble == "" {
		return
	}
	w.event(rota.EventRotated, version, credential, rotatedReason)
}
