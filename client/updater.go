package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// UpdaterOptions say how to build a T from a secret.
type UpdaterOptions[T any] struct {
	// Build builds one. It should prove that the credential works, for example by
	// logging in once: if it returns an error, the old one stays.
	Build func(ctx context.Context, v Value) (T, error)
	// Close ends an old one. Defaults to doing nothing.
	Close func(T)
	// Grace is how long an old one stays open for what is still using it. Defaults
	// to 30 seconds.
	Grace time.Duration
	// BuildTimeout bounds one call of Build. Defaults to 30 seconds.
	BuildTimeout time.Duration
}

// Updater holds a T that was built from a secret, such as a pool of connections,
// and replaces it whenever the secret changes.
type Updater[T any] struct {
	secret  *Secret
	o       UpdaterOptions[T]
	current atomic.Pointer[built[T]]
	turn    sync.Mutex // of who replaces the current one
	stop    func()
	end     context.Context
	cancel  context.CancelFunc
	closing sync.WaitGroup
	once    sync.Once
}

type built[T any] struct {
	from    Value
	value   T
	release func() // of the version
}

// NewUpdater builds the first T and keeps it up to date until Close.
func NewUpdater[T any](ctx context.Context, s *Secret, o UpdaterOptions[T]) (*Updater[T], error) {
	if o.Build == nil {
		return nil, errors.New("client: UpdaterOptions has no Build")
	}
	if o.Close == nil {
		o.Close = func(T) {}
	}
	setDefault(&o.Grace, 30*time.Second)
	setDefault(&o.BuildTimeout, 30*time.Second)
	v, err := s.Get(ctx)
	if err != nil {
		return nil, err
	}
	u := &Updater[T]{secret: s, o: o}
	u.end, u.cancel = context.WithCancel(s.client.ctx)
	first, err := u.build(ctx, v)
	if err != nil {
		u.cancel()
		return nil, err
	}
	u.current.Store(first)
	u.stop = s.Watch(func(Value) { u.update() })
	u.closing.Go(u.update) // it may have changed since
	return u, nil
}

// Get returns the current T. Use it right away rather than keeping it: an old one
// is closed after the grace period.
func (u *Updater[T]) Get() T { return u.current.Load().value }

// Version returns the version that the current T was built from.
func (u *Updater[T]) Version() string { return u.current.Load().from.Version() }

// Close closes the current T and every old one, without a grace period.
func (u *Updater[T]) Close() {
	u.once.Do(func() {
		u.stop()
		u.cancel()
		u.turn.Lock() // whoever is replacing it has finished, and nobody begins any more
		last := u.current.Load()
		u.turn.Unlock()
		u.closing.Wait()
		u.o.Close(last.value)
		last.release()
	})
}

// update replaces the current T until it's built from the secret's current version.
func (u *Updater[T]) update() {
	u.turn.Lock()
	defer u.turn.Unlock()
	for pause := newBackoff(longPause); u.end.Err() == nil; {
		v, old := Value{u.secret.current.Load()}, u.current.Load()
		if v.is(old.from) {
			return
		}
		next, err := u.build(u.end, v)
		if err == nil {
			u.current.Store(next)
			u.closing.Go(func() { u.retire(old) })
			continue
		}
		u.secret.client.o.Logger.Warn("what is built from a secret can't be built from its new version yet; the old one stays",
			"secret", u.secret.name, "version", v.Version(), "error", err)
		if sleep(u.end, pause.NextBackOff()) != nil {
			return
		}
	}
}

func (u *Updater[T]) build(ctx context.Context, v Value) (*built[T], error) {
	ctx, cancel := context.WithTimeout(ctx, u.o.BuildTimeout)
	defer cancel()
	release := u.secret.Hold(v)
	value, err := u.o.Build(ctx, v)
	if err != nil {
		release()
	}
	return &built[T]{from: v, value: value, release: release}, err
}

// retire closes an old one after the grace period.
func (u *Updater[T]) retire(old *built[T]) {
	_ = sleep(u.end, u.o.Grace) // or at the end
	u.o.Close(old.value)
	old.release()
}
