// Package logins chooses the version of a secret that a pool's connections log in
// with, for pools that can't try a login again with another one.
package logins

import (
	"context"
	"sync"
	"time"

	"github.com/rota-dev/rota/client"
)

// trialTimeout bounds a trial, which doesn't end with the connection that began it.
const trialTimeout = time.Minute

// Logins remembers the version whose login has worked.
type Logins struct {
	secret  *client.Secret
	refused func(error) bool

	mu     sync.Mutex
	proven client.Value
	trial  *trial            // the one under way; nil for none
	used   map[string]func() // versions of connections, and what lets go of them
}

// New returns the logins of a pool. Refused reports whether the server didn't accept
// a credential.
func New(s *client.Secret, refused func(error) bool) *Logins {
	return &Logins{secret: s, refused: refused, used: map[string]func(){}}
}

// trial is one login apart from the pool. All connections that want to log in with
// that version meanwhile wait for it.
type trial struct {
	of     client.Value
	done   chan struct{}
	worked client.Value
	err    error
}

// Choose returns the version to log in with: the current one if its login has worked
// before. Otherwise it's tried first, once for all connections that ask, and if it's
// refused, so is the other version ([client.Secret.Try]).
func (l *Logins) Choose(ctx context.Context, try func(context.Context, client.Value) error) (client.Value, error) {
	v, err := l.secret.Get(ctx)
	if err != nil {
		return client.Value{}, err
	}
	l.mu.Lock()
	if l.proven == v {
		l.mu.Unlock()
		return v, nil
	}
	t := l.trial
	if t == nil || t.of != v {
		t = &trial{of: v, done: make(chan struct{})}
		l.trial = t
		go l.run(context.WithoutCancel(ctx), t, try)
	}
	l.mu.Unlock()
	select {
	case <-t.done:
		return t.worked, t.err
	case <-ctx.Done():
		return client.Value{}, ctx.Err()
	}
}

func (l *Logins) run(ctx context.Context, t *trial, try func(context.Context, client.Value) error) {
	ctx, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	err := l.secret.Try(ctx, func(ctx context.Context, v client.Value) error {
		err := try(ctx, v)
		if err == nil {
			t.worked = v
		}
		return err
	}, l.refused)
	t.err = err
	l.mu.Lock()
	if err == nil {
		l.proven = t.worked
	}
	if l.trial == t {
		l.trial = nil
	}
	l.mu.Unlock()
	close(t.done)
}

// Refused notes that a login with this version has been refused, so that the next one
// is tried first.
func (l *Logins) Refused(v client.Value) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.proven == v {
		l.proven = client.Value{}
	}
}

// Forget is Refused for those who don't know which version was refused.
func (l *Logins) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proven = client.Value{}
}

// Use holds a version for the pool's connections ([client.Secret.Hold]).
func (l *Logins) Use(v client.Value) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.used[v.Version()] == nil {
		l.used[v.Version()] = l.secret.Hold(v)
	}
}

// Release lets go of every version but one.
func (l *Logins) Release(but string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for version, release := range l.used {
		if version != but {
			release()
			delete(l.used, version)
		}
	}
}
