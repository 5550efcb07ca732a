package crash

import (
	"context"
	"slices"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// wrappedJournal makes the journal's calls fail and reads the audit along the
// way.
type wrappedJournal struct {
	p     *process
	inner rotation.Journal
}

func (j *wrappedJournal) Acquire(ctx context.Context, r rotation.AcquireRequest) (l rotation.Lease, err error) {
	err = j.p.do(ctx, call{"journal", "acquire", ""}, func(ctx context.Context, _ effect) error {
		l, err = j.inner.Acquire(ctx, r)
		return err
	})
	return l, err
}

func (j *wrappedJournal) Release(ctx context.Context, l rotation.Lease) error {
	return j.p.do(ctx, call{"journal", "release", ""}, func(ctx context.Context, _ effect) error { return j.inner.Release(ctx, l) })
}

func (j *wrappedJournal) Load(ctx context.Context, secret string, peers ...string) (snapshot rotation.Snapshot, err error) {
	err = j.p.do(ctx, call{"journal", "load", ""}, func(ctx context.Context, _ effect) error {
		snapshot, err = j.inner.Load(ctx, secret, peers...)
		return err
	})
	return snapshot, err
}

func (j *wrappedJournal) Save(ctx context.Context, r rotation.SaveRequest) error {
	return j.p.do(ctx, call{"journal", "save", ""}, func(ctx context.Context, _ effect) error {
		if err := j.inner.Save(ctx, r); err != nil {
			return err
		}
		j.noteBegun(r.Entries)
		return nil
	})
}

// Commit fails as a save does.
func (j *wrappedJournal) Commit(ctx context.Context, r rotation.SaveRequest, changes []rotation.StoreChange) (contents rota.Contents, err error) {
	err = j.p.do(ctx, call{"journal", "save", ""}, func(ctx context.Context, _ effect) error {
		if contents, err = j.inner.(rotation.StoreKeeper).Commit(ctx, r, changes); err != nil {
			return err
		}
		j.noteBegun(r.Entries)
		j.changed(changes)
		return nil
	})
	return contents, err
}

// noteBegun notes which steps began, and which of them are still under way: a
// rollback sets a credential in its midst.
func (j *wrappedJournal) noteBegun(entries []rotation.Entry) {
	w := j.p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range entries {
		if e.Outcome == rotation.OutcomeBegun {
			j.p.begun, j.p.under = append(j.p.begun, e.Step), append(j.p.under, e.Step)
		} else if i := slices.Index(j.p.under, e.Step); i >= 0 {
			j.p.under = slices.Delete(j.p.under, i, i+1)
		}
	}
}

// KeepsStore looks through the wrappers, so that their changes share commits as
// they do without them.
func (j *wrappedJournal) KeepsStore(secret string, s rota.Store) bool {
	keeper, ok := j.inner.(rotation.StoreKeeper)
	wrapped, is := s.(*wrappedStore)
	return ok && is && keeper.KeepsStore(secret, wrapped.inner)
}

// changed checks what a save changed in the store, as if it had come by itself.
func (j *wrappedJournal) changed(changes []rotation.StoreChange) {
	for _, c := range changes {
		op := "move"
		if c.Put != nil {
			op = "put"
		}
		j.p.w.audited(j.p, call{"store", op, ""})
		j.p.w.check(call{"store", op, ""})
	}
}

// wrappedTarget makes a target's calls fail.
type wrappedTarget struct {
	p *process
	rota.Target
}

func (t *wrappedTarget) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	return t.p.do(ctx, call{"target", "deliver", ""}, func(ctx context.Context, _ effect) error { return t.Target.Deliver(ctx, r) })
}

// reloader makes the consumers pick up what the target has.
type reloader struct {
	p    *process
	load func() error
}

func (*reloader) Name() string { return "app" }

func (r *reloader) Reload(ctx context.Context, _ rota.ReloadRequest) error {
	return r.p.do(ctx, call{"reloader", "reload", ""}, func(context.Context, effect) error { return r.load() })
}

// wrappedStore makes the calls of a store fail that isn't reached over the
// wire.
type wrappedStore struct {
	p     *process
	inner rota.Store
}

func (s *wrappedStore) Describe(ctx context.Context) (c rota.Contents, err error) {
	err = s.p.do(ctx, call{"store", "describe", ""}, func(ctx context.Context, _ effect) error {
		c, err = s.inner.Describe(ctx)
		return err
	})
	return c, err
}

func (s *wrappedStore) Get(ctx context.Context, r rota.GetRequest) (c rota.Credential, err error) {
	err = s.p.do(ctx, call{"store", "get", ""}, func(ctx context.Context, _ effect) error {
		c, err = s.inner.Get(ctx, r)
		return err
	})
	return c, err
}

func (s *wrappedStore) Put(ctx context.Context, r rota.PutRequest) error {
	return s.p.do(ctx, call{"store", "put", ""}, func(ctx context.Context, _ effect) error { return s.inner.Put(ctx, r) })
}

func (s *wrappedStore) Move(ctx context.Context, r rota.MoveRequest) error {
	return s.p.do(ctx, call{"store", "move", string(r.Label)}, func(ctx context.Context, _ effect) error { return s.inner.Move(ctx, r) })
}

// issuer is what both of PostgreSQL's issuers can do.
type issuer interface {
	rota.Issuer
	rota.Lister
	rota.UseReporter
}

// wrappedIssuer makes an issuer's calls fail.
type wrappedIssuer struct {
	p     *process
	inner issuer
	past  *past
	gap   func() // gets every password that is set
}

// past is the issuer's list before the last write.
type past struct{ issued []rota.Issued }

func (i *wrappedIssuer) Traits() rota.Traits                   { return i.inner.Traits() }
func (i *wrappedIssuer) CredentialID(c rota.Credential) string { return i.inner.CredentialID(c) }

// Create doesn't touch the outside.
func (i *wrappedIssuer) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	return i.inner.Create(ctx, r)
}

func (i *wrappedIssuer) write(ctx context.Context, op string, act func(context.Context) error) error {
	return i.p.do(ctx, call{"postgres", op, ""}, func(ctx context.Context, _ effect) error {
		before, err := i.inner.List(ctx)
		if err != nil {
			return err
		}
		i.past.issued = slices.Clone(before)
		return act(ctx)
	})
}

func (i *wrappedIssuer) Set(ctx context.Context, r rota.SetRequest) error {
	return i.write(ctx, "set", func(ctx context.Context) error {
		i.gap()
		return i.inner.Set(ctx, r)
	})
}

func (i *wrappedIssuer) Test(ctx context.Context, r rota.TestRequest) error {
	return i.p.do(ctx, call{"postgres", "test", ""}, func(ctx context.Context, _ effect) error { return i.inner.Test(ctx, r) })
}

func (i *wrappedIssuer) Delete(ctx context.Context, r rota.RetireRequest) error {
	return i.write(ctx, "delete", func(ctx context.Context) error { return i.inner.Delete(ctx, r) })
}

func (i *wrappedIssuer) List(ctx context.Context) (issued []rota.Issued, err error) {
	err = i.p.do(ctx, call{"postgres", "list", ""}, func(ctx context.Context, e effect) error {
		if e.stale {
			issued = slices.Clone(i.past.issued)
			return nil
		}
		issued, err = i.inner.List(ctx)
		return err
	})
	return issued, err
}

func (i *wrappedIssuer) LastUsed(ctx context.Context, id string) (u rota.Use, err error) {
	err = i.p.do(ctx, call{"postgres", "last used", ""}, func(ctx context.Context, _ effect) error {
		u, err = i.inner.LastUsed(ctx, id)
		return err
	})
	return u, err
}

// wrappedDeactivator is a wrappedIssuer that can deactivate credentials.
type wrappedDeactivator struct {
	*wrappedIssuer
	off rota.Deactivator
}

func (i *wrappedDeactivator) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	return i.write(ctx, "deactivate", func(ctx context.Context) error { return i.off.Deactivate(ctx, r) })
}

func (i *wrappedDeactivator) Reactivate(ctx context.Context, r rota.RetireRequest) error {
	return i.write(ctx, "reactivate", func(ctx context.Context) error { return i.off.Reactivate(ctx, r) })
}
