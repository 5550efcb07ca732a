package oidc

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rota-dev/rota/internal/access"
)

const (
	// refetchAfter is the age at which keys are refetched in the background, so
	// that under load nobody waits for the provider.
	refetchAfter = 8 * time.Minute
	// refreshAfter is the age at which a request waits for newer keys: after that,
	// a key that the provider revoked is refused.
	refreshAfter = 10 * time.Minute
	// maxKeyAge is how long known keys keep working while the provider can't be
	// reached.
	maxKeyAge = 24 * time.Hour
	// minFetchInterval is the minimum time between fetches, so that forged
	// tokens can't cause endless requests to the provider.
	minFetchInterval = 10 * time.Second
)

// keySet caches a provider's keys.
type keySet struct {
	issuer string
	fetch  func(context.Context) ([]jose.JSONWebKey, error)
	now    func() time.Time
	log    *slog.Logger

	mu          sync.Mutex
	keys        []jose.JSONWebKey
	fetchedAt   time.Time
	attemptedAt time.Time
	inFlight    chan struct{} // closed when the current fetch ends; nil if there is none
}

// find returns the keys that may have signed a token: those with that id, or
// all if the token names none; and when they were fetched. An empty result isn't
// an error: the provider has no such key. Keys older than refreshAfter are only
// used if newer ones can't be fetched. The error is [access.ErrUnavailable] if
// there are none younger than maxKeyAge.
func (s *keySet) find(ctx context.Context, id string) ([]jose.JSONWebKey, time.Time, error) {
	keys, fetchedAt := s.lookup(id)
	if age := s.age(fetchedAt); len(keys) > 0 && age < refreshAfter {
		if age >= refetchAfter {
			s.refresh(ctx)
		}
		return keys, fetchedAt, nil
	}
	if running := s.refresh(ctx); running != nil {
		select {
		case <-running:
		case <-ctx.Done():
			return nil, time.Time{}, ctx.Err()
		}
	}
	keys, fetchedAt = s.lookup(id)
	if s.age(fetchedAt) >= maxKeyAge {
		return nil, time.Time{}, fmt.Errorf("the keys of issuer %q are unavailable: %w", s.issuer, access.ErrUnavailable)
	}
	return keys, fetchedAt, nil
}

// upToDate reports whether keys fetched at a time are the newest, and needn't be
// fetched again yet.
func (s *keySet) upToDate(fetchedAt time.Time) bool {
	s.mu.Lock()
	newest := s.fetchedAt
	s.mu.Unlock()
	return fetchedAt.Equal(newest) && s.age(fetchedAt) < refetchAfter
}

func (s *keySet) age(fetchedAt time.Time) time.Duration {
	if fetchedAt.IsZero() {
		return maxKeyAge
	}
	return s.now().Sub(fetchedAt)
}

func (s *keySet) lookup(id string) (found []jose.JSONWebKey, fetchedAt time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if id == "" || k.KeyID == id {
			found = append(found, k)
		}
	}
	return found, s.fetchedAt
}

// refresh starts a fetch, or joins the one in flight; nil if the last one was
// too recent. The fetch has its own deadline and outlives the request, because
// others wait for it too.
func (s *keySet) refresh(ctx context.Context) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight != nil {
		return s.inFlight
	}
	if now := s.now(); !s.attemptedAt.IsZero() && now.Sub(s.attemptedAt) < minFetchInterval {
		return nil
	}
	s.attemptedAt = s.now()
	done := make(chan struct{})
	s.inFlight = done
	ctx = context.WithoutCancel(ctx)
	go func() {
		defer close(done)
		keys, err := s.fetch(ctx)
		if err != nil {
			s.log.WarnContext(ctx, "the keys of an identity provider can't be fetched", "issuer", s.issuer, "error", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inFlight = nil
		if err == nil {
			s.keys, s.fetchedAt = keys, s.now()
		}
	}()
	return done
}
