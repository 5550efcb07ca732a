package rotation

import (
	"context"
	"errors"
	"fmt"
	"github.com/rota-dev/rota"
	"time"
)

// AdoptOptions says what is taken over.
type AdoptOptions struct {
	// Credential is the one in use, where the store does not hold it yet; the
	// zero value takes the store's AWSCURRENT.
	Credential rota.Credential
	// NotBefore puts the first rotation off; zero leaves it to the policy.
	NotBefore time.Time
}

// Adopt takes over an existing credential without rotating it: it must log in,
// and be active at the issuer where that can list. From then on Rota plans for
// it as for one that it made. Nothing is delivered and nothing reloaded. What
// is Rota's already is left as it is, with [rota.ErrAdopted].
func (r *Rotator) Adopt(ctx context.Context, s *Secret, o AdoptOptions) (Result, error) {
	return r.withWork(ctx, s, func(ctx context.Context, w *turn) error {
		d := Decision{Step: StepAdopt, Reason: "asked for by a person"}
		err := w.adopt(ctx, &d, o)
		if errors.Is(err, rota.ErrAdopted) {
			return err
		}
		w.noteOutcome(d, "", err)
		if err != nil {
			return fmt.Errorf("adopt: %w", err)
		}
		w.progress.NotBefore, w.progress.Failure, w.progress.Held = o.NotBefore, nil, HoldNone
		w.progress.RolledBackAt = time.Time{}
		w.event(rota.EventAdopted, d.Version, d.Credential, "an existing credential was taken over, without rotating it")
		w.result.Done = append(w.result.Done, d)
		return w.lookAgain(ctx)
	})
}

// lookAgain plans once, without acting, so that the status is true.
func (w *turn) lookAgain(ctx context.Context) error {
	err := w.observe(ctx)
	if err == nil {
		err = w.list(ctx)
	}
	if err == nil {
		w.result.Last = w.Plan(w.state, w.s.Policy, w.Now())
	}
	w.conclude(err)
	return err
}

func (w *turn) adopt(ctx context.Context, d *Decision, o AdoptOptions) error {
	stop := func(hint, format string, args ...any) error {
		return &rota.Error{Class: rota.ClassStop, Hint: hint, Err: fmt.Errorf(format, args...)}
	}
	if err := w.observe(ctx); err != nil {
		return err
	}
	if err := w.refuseRivals(); err != nil {
		return err
	}
	current, stored := rota.Find(w.state.Contents.Versions, rota.LabelCurrent)
	if pending, ok := rota.Find(w.state.Contents.Versions, rota.LabelPending); ok && pending.ID != current.ID {
		if pending.Ours() && !w.progress.Versions[pending.ID].touched(w.s.Issuer.Traits()) {
			// It was never set: nobody but the store knows it.
			if err := w.writeAhead(ctx, Decision{Step: rota.StepDelete, Version: pending.ID, Credential: pending.CredentialID, Reason: "another credential is adopted"}); err != nil {
				return err
			}
			for _, c := range unlabeling(pending) {
				if err := w.changeStore(ctx, c); err != nil {
					return err
				}
			}
			return w.adopt(ctx, d, o)
		}
		return stop("rota run, or rota rollback "+w.s.Name, "a rotation is under way: version %s is AWSPENDING", pending.ID)
	}
	c := o.Credential
	if completer, ok := w.s.Issuer.(rota.Completer); ok && !c.IsZero() {
		c = completer.Complete(c)
	}
	switch {
	case !c.IsZero():
		w.redact(c)
		if err := w.adopted(ctx, current, c, o); err != nil {
			return err
		}
	case !stored:
		return stop("give the credential on standard input: rota adopt "+w.s.Name+" --from -", "the store holds no current credential")
	case current.Ours() && !w.putOff(o):
		return stop("", "version %s is already Rota's, and adopting it again puts no rotation off", current.ID)
	case current.Ours():
		return fmt.Errorf("version %s is %w", current.ID, rota.ErrAdopted)
	default:
		var err error
		if c, err = w.get(ctx, current.ID); err != nil {
			return err
		}
	}
	d.Version, d.Credential = current.ID, w.s.Issuer.CredentialID(c)
	if d.Credential == "" {
		return stop("look at the fields of the store in rota.yaml", "the credential has only the fields %v, which do not name it", c.Names())
	}
	if err := w.call(ctx, "issuer.test", d.Credential, func(ctx context.Context) error { return w.s.Issuer.Test(ctx, rota.TestRequest{Credential: c}) }); err != nil {
		return fmt.Errorf("log in with it: %w", err)
	}
	if err := w.list(ctx); err != nil {
		return err
	}
	v := newView(w.state, w.s.Policy, w.Now())
	if i, ok := v.issued(d.Credential); v.Lists && (!ok || !i.Active) {
		return stop("", "%s is not active at the issuer", d.Credential)
	}
	if !o.Credential.IsZero() {
		if err := w.putAdopted(ctx, d, current, c); err != nil {
			return err
		}
	}
	return w.labelAdopted(ctx, d)
}

// adopted is [rota.ErrAdopted] where the store's current version, which is Rota's
// and in service, holds just this credential.
func (w *turn) adopted(ctx context.Context, current rota.Version, c rota.Credential, o AdoptOptions) error {
	if !current.Ours() || !current.Has(rota.LabelServed) || current.CredentialID != w.s.Issuer.CredentialID(c) || !w.putOff(o) {
		return nil
	}
	held, err := w.get(ctx, current.ID)
	if err != nil || !held.Equal(c) {
		return err
	}
	return fmt.Errorf("version %s is %w", current.ID, rota.ErrAdopted)
}

// putOff tells whether the first rotation is put off already as is asked for.
func (w *turn) putOff(o AdoptOptions) bool {
	return o.NotBefore.IsZero() || o.NotBefore.Equal(w.progress.NotBefore)
}

// putAdopted stores a credential that the store did not hold. A current one
// that holds another credential is not overwritten unless it is a foreign one.
func (w *turn) putAdopted(ctx context.Context, d *Decision, current rota.Version, c rota.Credential) error {
	if current.ID != "" && current.CredentialID == d.Credential {
		held, err := w.get(ctx, current.ID)
		if err != nil {
			return err
		}
		if held.Equal(c) {
			return nil
		}
	}
	d.Version = w.NewID()
	if err := w.writeAhead(ctx, *d); err != nil {
		return err
	}
	return w.retry(ctx, 3, "store.put", d.Version, func(ctx context.Context) error {
		return w.s.Store.Put(ctx, rota.PutRequest{Version: d.Version, Credential: c, Labels: []rota.Label{rota.LabelPending}})
	})
}

// labelAdopted marks the version as Rota's from now on, current and served.
func (w *turn) labelAdopted(ctx context.Context, d *Decision) error {
	if err := w.writeAhead(ctx, *d); err != nil {
		return err
	}
	if err := w.observe(ctx); err != nil {
		return err
	}
	for _, l := range []rota.Label{rota.LabelAdopted, rota.LabelCurrent, rota.LabelServed} {
		holder, _ := rota.Find(w.state.Contents.Versions, l)
		if holder.ID == d.Version {
			continue
		}
		if err := w.move(ctx, l, holder.ID, d.Version); err != nil {
			return err
		}
	}
	if v, ok := rota.FindID(w.state.Contents.Versions, d.Version); ok && v.Has(rota.LabelPending) {
		if err := w.move(ctx, rota.LabelPending, d.Version, ""); err != nil {
			return err
		}
	}
	now := w.Now()
	w.update(d.Version, func(vp *VersionProgress) {
		vp.CredentialID, vp.PromotedAt, vp.ServedAt = d.Credential, now, now
		vp.Delivered, vp.Reloaded = allAt(w.state.Targets, now), allAt(w.state.Reloaders, now)
	})
	return nil
}
