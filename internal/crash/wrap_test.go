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
		j.note(r.Entries)
		return nil
	})
}

// Commit fails as a save does.
func (j *wrappedJournal) Commit(ctx context.Context, r rotation.SaveRequest, changes []rotation.StoreChange) (contents rota.Contents, err error) {
	err = j.p.do(ctx, call{"journal", "save", ""}, func(ctx context.Context, _ effect) error {
		if contents, err = j.inner.(rotation.StoreKeeper).Commit(ctx, r, changes); err != nil {
			return err
		}
		j.note(r.Entries)
		j.changed(changes)
		return nil
	})
	return contents, err
}

// note notes which steps are under way. One that has ended stays until the next
// begins: its last labels may come with that.
func (j *wrappedJournal) note(entries []rotation.Entry) {
	w := j.p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range entries {
		if e.Outcome == rotation.OutcomeBegun {
			j.p.steps = append(slices.DeleteFunc(j.p.steps, underway.over), underway{step: e.Step})
		} else if i := slices.Index(j.p.steps, underway{step: e.Step}); i >= 0 {
			j.p.steps[i].ended = true
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
