package rotation

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// A renewal needs the issuer's name of a credential and its dates, and the journal has
// both. So a lease doesn't end because the store can't be read: what was in use at the
// last look is renewed by what's remembered of it. Nothing else is done blind.

// inUse returns the versions whose credentials were kept alive at the last look, with what
// a renewal has to know about them. One that was about to be deleted isn't among them.
func (p Progress) inUse() []rota.Version {
	failed := p.stepFailure()
	var versions []rota.Version
	for id, vp := range p.Versions {
		deletes := failed != nil && failed.Step == rota.StepDelete && id != p.Status.Version
		if vp.Renewed.At.IsZero() || vp.ExpiresAt.IsZero() || deletes {
			continue
		}
		// Only Rota's own credentials are ever renewed, so this is one.
		versions = append(versions, rota.Version{ID: id, Labels: []rota.Label{rota.LabelMade(id)}, CredentialID: vp.CredentialID, ExpiresAt: vp.ExpiresAt})
	}
	slices.SortFunc(versions, func(a, b rota.Version) int { return strings.Compare(a.ID, b.ID) })
	return versions
}

// unseenView is a state of which only the credentials in use are known, by the progress.
func unseenView(st State, p Policy, r *Rotator) *view {
	st.Contents = rota.Contents{Versions: st.Progress.inUse()}
	v := newView(st, p, r.Now())
	v.unseen = true
	return v
}

// dueUnseen returns the renewal that's due now by what's remembered.
func (v *view) dueUnseen() (Decision, bool) {
	version, due := v.nextRenewal()
	r := v.Progress.Versions[version.ID].Renewed
	if due.IsZero() || v.now.Before(maxTime(due, r.RetryAt)) {
		return Decision{}, false
	}
	return v.do(rota.StepRenew, version, due, "%s ends at %s unless it's renewed; the store can't be read, and this needs nothing of it", version.CredentialID, stamp(r.Until))
}

// renewUnseen renews what's due while the store can't be read.
func (t *turn) renewUnseen(ctx context.Context) error {
	if !t.s.Issuer.Traits().Renewable || t.asked.driver != nil {
		return nil
	}
	seen := t.seen.contents
	defer func() { t.seen.contents = seen }()
	var errs []error
	for range maxSteps {
		v := unseenView(t.state(), t.s.Policy, t.Rotator)
		d, due := v.dueUnseen()
		if !due {
			break
		}
		t.seen.contents = v.Contents
		if err := t.take(ctx, d); err != nil {
			errs = append(errs, err)
			if !t.goesOn(ctx, err) {
				break
			}
		}
		v = unseenView(t.state(), t.s.Policy, t.Rotator)
		version, next := v.nextRenewal()
		s := &t.ledger.progress.Status
		s.RenewAt, s.LastsUntil = next, t.ledger.version(version.ID).Renewed.Until
	}
	return errors.Join(errs...)
}

// KeepAlive renews a secret's credentials in use that are due for it, without a look at
// its store: only the issuer is called. It's for a secret that gets no turns because its
// store doesn't answer; [Rotator.Advance] does the same by itself if that happens during
// the turn. Anything else is left to the next turn.
func (r *Rotator) KeepAlive(ctx context.Context, s *Secret) (Result, error) {
	r = r.withDefaults()
	if !s.Issuer.Traits().Renewable {
		return Result{Secret: s.Name}, nil
	}
	snapshot, err := r.snapshot(ctx, s)
	if err != nil {
		return Result{Secret: s.Name}, err
	}
	st := State{Secret: s.Name, Traits: s.Issuer.Traits(), Progress: snapshot.Progress}
	if _, due := unseenView(st, s.Policy, r).dueUnseen(); !due {
		return Result{Secret: s.Name}, nil
	}
	return r.withTurn(ctx, s, request{}, func(ctx context.Context, t *turn) error {
		p := &t.ledger.progress
		next, begun := p.NextAt, p.Status.BegunAt
		err := t.renewUnseen(ctx)
		p.NextAt, p.Status.BegunAt = next, begun // the secret's own turn is as due as it was
		return err
	})
}
