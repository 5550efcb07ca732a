package client

import (
	"context"
	"time"
)

// earlyEvery is how often refused logins may have a secret refreshed. A login that
// fails for another reason, over and over, costs the source no more than that.
const earlyEvery = 5 * time.Second

// other is what can stand in for the current version.
type other struct {
	previous Value     // the version before it; zero if unknown
	asking   *flight   // the request for it; nil before the first
	early    time.Time // the last refresh for a refused login
}

// Try calls login with the current value. If it fails and refused says that this is
// because the credential wasn't accepted, the value may be too old, or, after a
// rollback, too new. Then Try has the secret refreshed, once for everyone whose
// login is refused at the same time, and calls login again with the new version,
// or with the previous one if there is no new one. It never calls it a third time.
//
// If both are refused, Try returns the first error.
func (s *Secret) Try(ctx context.Context, login func(context.Context, Value) error, refused func(error) bool) error {
	v, err := s.Get(ctx)
	if err != nil {
		return err
	}
	first := login(ctx, v)
	if first == nil || !refused(first) {
		return first
	}
	other := s.Other(ctx, v)
	if other.IsZero() {
		return first
	}
	second := login(ctx, other)
	if second != nil && refused(second) {
		return first
	}
	return second
}

// Other returns another value than the one whose login was refused: the current
// one, after an early refresh if necessary, or the previous one. It returns the
// zero Value if there is none. [Secret.Try] does what is usually needed.
func (s *Secret) Other(ctx context.Context, refused Value) Value {
	now := Value{s.current.Load()}
	if now.is(refused) && s.mayHurry() {
		_ = s.refresh(ctx) // a source that is away leaves the previous version
		now = Value{s.current.Load()}
	}
	if !now.is(refused) {
		return now
	}
	if previous := s.previous(ctx); !previous.is(refused) {
		s.holdBriefly(previous)
		return previous
	}
	return Value{}
}

// mayHurry reports whether a refused login may have the secret read now, or should
// wait for whoever is reading it.
func (s *Secret) mayHurry() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		return true
	}
	if !s.other.early.IsZero() && time.Since(s.other.early) < earlyEvery {
		return false
	}
	s.other.early = time.Now()
	return true
}

// previous returns the version before the current one: the one that this client
// replaced, or else what the source says, which is asked once a version.
func (s *Secret) previous(ctx context.Context) Value {
	s.mu.Lock()
	f := s.other.asking
	if f == nil && s.other.previous.IsZero() {
		f = &flight{done: make(chan struct{})}
		version := s.status.Version
		if !s.client.spawn(func() { s.askPrevious(f, version) }) {
			close(f.done)
		}
		s.other.asking = f
	}
	s.mu.Unlock()
	if f != nil {
		select {
		case <-f.done:
		case <-ctx.Done():
			return Value{}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.other.previous
}

// askPrevious asks the source for the version before this one, for everyone who
// waits. After an error that may pass, the next refused login asks again.
func (s *Secret) askPrevious(f *flight, version string) {
	ctx, cancel := context.WithTimeout(s.client.ctx, s.client.o.CallTimeout)
	defer cancel()
	v, err := s.client.o.Source.Fetch(ctx, Request{Secret: s.name, Previous: true, Instance: s.client.o.Instance})
	s.mu.Lock()
	if s.status.Version == version && s.other.asking == f {
		if err == nil {
			s.other.previous = v
		} else if !final(err) {
			s.other.asking = nil
		}
	}
	s.mu.Unlock()
	close(f.done)
}
