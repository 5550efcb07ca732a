package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Secret is a live handle of a secret. It may be used from several goroutines.
type Secret struct {
	name    string
	client  *Client
	current atomic.Pointer[content]
	due     due // under the schedule's lock

	mu       sync.Mutex
	flight   *flight // the request under way; nil for none
	status   Status
	pause    *backoff.ExponentialBackOff // before the next attempt; nil while the source answers
	other    other
	watchers map[*watcher]bool
	held     map[string]int // versions in use, by how many
	// unreported means that the source takes no reports about it.
	unreported bool
}

// Status says how fresh a secret is.
type Status struct {
	// Version is the current one; "" before the first.
	Version string
	// Since is when this client first saw the version.
	Since time.Time
	// ConfirmedAt is when the source last said that it's the current one; zero if
	// it's from the cache.
	ConfirmedAt time.Time
	// Err is why the source's last answer was no value; nil if it was one.
	Err error
	// Failures is how many requests in a row have failed.
	Failures int
	// Succeeded and Failed are how many requests for the secret the source has
	// answered, and how many have failed, since the client was opened. An answer that
	// nothing has changed counts, too.
	Succeeded, Failed int64
}

// ErrClosed is returned for a secret's first value if the client is closed.
var ErrClosed = errors.New("the client is closed")

// Name returns the secret's name.
func (s *Secret) Name() string { return s.name }

// Get returns the current value. It takes nanoseconds and never fails once the
// secret has been read: while the source is away, the last known value stays.
//
// The first Get reads the secret. If the source is away, it returns what the cache
// has. Without a cache it tries again until ctx ends or [Options].FirstWait is
// over. It returns [ErrNotFound] and [ErrDenied] at once.
func (s *Secret) Get(ctx context.Context) (Value, error) {
	if v := s.current.Load(); v != nil {
		return Value{v}, nil
	}
	return s.first(ctx)
}

// Status returns how fresh the secret is.
func (s *Secret) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// first waits for the first value.
func (s *Secret) first(ctx context.Context) (Value, error) {
	ctx, cancel := context.WithTimeout(ctx, s.client.o.FirstWait)
	defer cancel()
	pause := newBackoff(shortPause)
	var before error
	for {
		err := s.refresh(ctx)
		if v := s.current.Load(); v != nil {
			return Value{v}, nil
		}
		if ctx.Err() != nil && before != nil && errors.Is(err, ctx.Err()) {
			err = fmt.Errorf("%w; before that: %w", err, before)
		}
		before = err
		if final(err) || sleep(ctx, pause.NextBackOff()) != nil {
			return Value{}, fmt.Errorf("secret %q: %w", s.name, err)
		}
	}
}

// final reports whether asking again is no use.
func final(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrDenied) || errors.Is(err, ErrClosed)
}

// flight is one request to the source. Everyone who wants the secret meanwhile
// waits for it.
type flight struct {
	done chan struct{}
	err  error
}

// refresh reads the secret from the source, or waits for whoever is reading it.
func (s *Secret) refresh(ctx context.Context) error {
	s.mu.Lock()
	f := s.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		if !s.client.spawn(func() { s.read(f) }) {
			s.mu.Unlock()
			return ErrClosed
		}
		s.client.schedule.begin(s)
		s.flight = f
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read carries out the flight, independent of who waits for it.
func (s *Secret) read(f *flight) {
	v, err := s.fetch()
	wait, isNew := s.note(v, err)
	if isNew {
		s.client.keep(s.name, v) // without the lock: the disk may be slow
	}

	// The flight ends and the secret is back in the schedule in the same moment: a
	// change in between would join the next flight, which may have asked already.
	s.mu.Lock()
	s.flight, f.err = nil, err
	s.client.schedule.done(s, wait)
	s.mu.Unlock()
	close(f.done)
}

// coldStart bounds the first request for a secret that the cache has, too.
const coldStart = 3 * time.Second

// fetch asks the source. For a secret that was never read, the cache stands in for
// a source that is away.
func (s *Secret) fetch() (Value, error) {
	c := s.client
	have := Value{s.current.Load()}
	timeout := c.o.CallTimeout
	var cached Value
	if have.IsZero() {
		if cached = c.cached(s.name); !cached.IsZero() {
			timeout = min(timeout, coldStart)
		}
	}
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	defer cancel()
	v, err := c.o.Source.Fetch(ctx, Request{Secret: s.name, Have: have.Version(), Instance: c.o.Instance})
	switch {
	case err == nil && v.IsZero():
		return Value{}, errors.New("the source returned neither a value nor an error")
	case errors.Is(err, ErrUnchanged) && !have.IsZero():
		return have, nil
	case errors.Is(err, ErrDenied):
		c.forget(s.name)
	case err != nil && !final(err) && !cached.IsZero():
		s.restore(cached)
	}
	return v, err
}

// restore makes a value from the cache the current one.
func (s *Secret) restore(cached Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Version, s.status.Since = cached.Version(), time.Now()
	s.current.Store(cached.content)
	s.client.read.Store(true)
	s.client.reportSoon()
}

// note takes the source's answer, and returns how long to wait until the next
// request, and whether the answer is a new version.
func (s *Secret) note(v Value, err error) (wait time.Duration, isNew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, now := &s.client.o, time.Now()
	if err != nil {
		if s.pause == nil {
			s.pause = newBackoff(longPause)
			switch {
			case s.client.ctx.Err() != nil: // the client's own end cut the request off
			case s.status.Version == "":
				o.Logger.Warn("a secret can't be read", "secret", s.name, "error", err)
			default:
				o.Logger.Warn("a secret can't be refreshed; the program goes on with what it has", "secret", s.name, "version", s.status.Version, "error", err)
			}
		}
		s.status.Err = err
		s.status.Failures++
		s.status.Failed++
		return s.pause.NextBackOff(), false
	}
	if s.pause != nil {
		s.pause = nil
		o.Logger.Info("the secret can be refreshed again", "secret", s.name)
	}
	s.status.Err, s.status.Failures, s.status.ConfirmedAt = nil, 0, now
	s.status.Succeeded++
	s.unreported = false
	if had := (Value{s.current.Load()}); !had.is(v) {
		isNew = true
		s.status.Version, s.status.Since = v.Version(), now
		s.other = other{previous: had}
		if !had.IsZero() {
			s.hold(had.Version())
			time.AfterFunc(handedOut, s.releasing(had.Version()))
		}
		s.current.Store(v.content)
		s.client.read.Store(true)
		s.client.reportSoon()
		if !had.IsZero() {
			o.Logger.Info("the secret has a new version", "secret", s.name, "version", v.Version())
			for w := range s.watchers {
				w.signal()
			}
		}
	}
	wait = s.client.schedule.interval(o)
	if end := v.ExpiresAt(); end.After(now) {
		wait = min(wait, max(end.Sub(now)/2, time.Second))
	}
	return wait, isNew
}

// is reports whether two values are the same version with the same content.
func (v Value) is(other Value) bool {
	if v.content == nil || other.content == nil {
		return v.content == other.content
	}
	return v.content == other.content || v.version == other.version && v.Text() == other.Text()
}
