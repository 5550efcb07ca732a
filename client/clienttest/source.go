// Package clienttest helps programs test how they survive a rotation.
//
// A [Source] takes the place of the real one. The test changes secrets in it, and
// makes it fail, be slow or refuse, as a real one might:
//
//	source := clienttest.NewSource()
//	source.Set("prod/orders-db", map[string]string{"username": "orders_a", "password": "one"})
//	secrets, err := client.Open(client.Options{Source: source})
//	…
//	source.Set("prod/orders-db", map[string]string{"username": "orders_b", "password": "two"})
//	// and the program must go on
//
// A [Server] is the same over HTTP, for programs that are pointed at a server.
package clienttest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/rota-dev/rota/client"
)

// Source is a source in memory. It may be used from several goroutines.
type Source struct {
	mu       sync.Mutex
	secrets  map[string]*secret
	err      error
	delay    time.Duration
	denied   map[string]bool
	fetches  map[string]int
	changed  map[chan string]bool // those who are being pushed to
	cutOff   chan struct{}        // closed to end every push
	pushable bool
}

type secret struct {
	number            int
	current, previous client.Value
}

// NewSource returns a source without secrets. It pushes changes.
func NewSource() *Source {
	return &Source{
		secrets: map[string]*secret{}, denied: map[string]bool{}, fetches: map[string]int{},
		changed: map[chan string]bool{}, cutOff: make(chan struct{}), pushable: true,
	}
}

// Set gives a secret a new current version. The one before becomes the previous
// one.
func (s *Source) Set(name string, fields map[string]string) {
	s.set(name, func(version string) client.Value { return client.NewValue(version, fields) })
}

// SetText is Set for a value that is text.
func (s *Source) SetText(name, text string) {
	s.set(name, func(version string) client.Value { return client.TextValue(version, text) })
}

func (s *Source) set(name string, value func(version string) client.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.secrets[name]
	if kept == nil {
		kept = &secret{}
		s.secrets[name] = kept
	}
	kept.number++
	kept.previous, kept.current = kept.current, value("v"+strconv.Itoa(kept.number))
	s.tell(name)
}

// RollBack puts the previous version back.
func (s *Source) RollBack(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.secrets[name]
	if kept == nil || kept.previous.IsZero() {
		panic(fmt.Sprintf("clienttest: secret %q has no previous version", name))
	}
	kept.previous, kept.current = kept.current, kept.previous
	s.tell(name)
}

// Fail makes every request fail with this error, and ends all pushing; nil ends
// the failure.
func (s *Source) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	if err != nil {
		close(s.cutOff)
		s.cutOff = make(chan struct{})
	}
}

// Delay makes every request take this long.
func (s *Source) Delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Deny refuses the secret from now on, or no longer.
func (s *Source) Deny(name string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[name] = on
}

// DisablePush makes it a source that can't push. Call it before a client is opened.
func (s *Source) DisablePush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushable = false
}

// Fetches returns how many requests for a secret there were.
func (s *Source) Fetches(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches[name]
}

// Fetch implements [client.Source].
func (s *Source) Fetch(ctx context.Context, r client.Request) (client.Value, error) {
	s.mu.Lock()
	s.fetches[r.Secret]++
	delay := s.delay
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return client.Value{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.secrets[r.Secret]
	switch {
	case s.err != nil:
		return client.Value{}, s.err
	case s.denied[r.Secret]:
		return client.Value{}, client.ErrDenied
	case kept == nil, r.Previous && kept.previous.IsZero():
		return client.Value{}, client.ErrNotFound
	case r.Previous:
		return kept.previous, nil
	case kept.current.Version() == r.Have:
		return client.Value{}, client.ErrUnchanged
	}
	return kept.current, nil
}

// Push implements [client.Pusher].
func (s *Source) Push(ctx context.Context, changed func(string)) error {
	told := make(chan string, 1024)
	s.mu.Lock()
	if !s.pushable || s.err != nil {
		defer s.mu.Unlock()
		if s.pushable {
			return s.err
		}
		return errors.ErrUnsupported
	}
	s.changed[told] = true
	cutOff := s.cutOff
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.changed, told)
	}()
	changed("")
	for {
		select {
		case name := <-told:
			changed(name)
		case <-cutOff:
			return errors.New("the connection was cut off")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tell pushes a change. A listener that is far behind is told that anything may
// have changed once it catches up.
func (s *Source) tell(name string) {
	for told := range s.changed {
		select {
		case told <- name:
		default:
			select {
			case <-told:
			default: // it has caught up
			}
			told <- ""
		}
	}
}
