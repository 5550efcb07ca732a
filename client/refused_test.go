package client_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
)

var errRefused = errors.New("password authentication failed")

func isRefused(err error) bool { return errors.Is(err, errRefused) }

// server accepts some passwords.
type server struct {
	mu     sync.Mutex
	accept map[string]bool
	tried  []string
}

func (s *server) login(_ context.Context, v client.Value) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried = append(s.tried, v.Field("password"))
	if !s.accept[v.Field("password")] {
		return errRefused
	}
	return nil
}

func TestARefusedLoginGetsTheNewVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		s := open(t, client.Options{Source: source}).Secret(db)
		password(t, s)
		source.Set(db, fields("two"))
		server := &server{accept: map[string]bool{"two": true}}
		before := source.Fetches(db)
		source.Delay(time.Second) // so that all are refused meanwhile
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if err := s.Try(t.Context(), server.login, isRefused); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := source.Fetches(db) - before; n != 1 {
			t.Errorf("%d requests for 50 refused logins", n)
		}
		if got := password(t, s); got != "two" {
			t.Errorf("password %q", got)
		}
	})
}

func TestARefusedLoginGetsThePreviousVersion(t *testing.T) {
	for name, seen := range map[string]bool{"replaced here": true, "known to the source": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := polled()
				s := open(t, client.Options{Source: source}).Secret(db)
				if seen {
					password(t, s)
				}
				source.Set(db, fields("two"))
				time.Sleep(2 * time.Minute)
				password(t, s)
				server := &server{accept: map[string]bool{"one": true}}
				before := source.Fetches(db)
				for range 3 {
					if err := s.Try(t.Context(), server.login, isRefused); err != nil {
						t.Error(err)
					}
				}
				want := 2 // one refresh, one for the previous version
				if seen {
					want = 1
				}
				if n := source.Fetches(db) - before; n != want {
					t.Errorf("%d requests for three refused logins, not %d", n, want)
				}
				if got := password(t, s); got != "two" {
					t.Errorf("password %q is current: the source decides that", got)
				}
			})
		})
	}
}

func TestALoginIsTriedTwiceAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		s := open(t, client.Options{Source: source}).Secret(db)
		password(t, s)
		source.Set(db, fields("two"))
		server := &server{}
		if err := s.Try(t.Context(), server.login, isRefused); !errors.Is(err, errRefused) || len(server.tried) != 2 {
			t.Errorf("%v after %d logins", err, len(server.tried))
		}
	})
}

func TestALoginThatFailsOtherwiseIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		s := open(t, client.Options{Source: source}).Secret(db)
		tried := 0
		down := errors.New("connection refused")
		err := s.Try(t.Context(), func(context.Context, client.Value) error { tried++; return down }, isRefused)
		if !errors.Is(err, down) || tried != 1 || source.Fetches(db) != 1 {
			t.Errorf("%v after %d logins and %d requests", err, tried, source.Fetches(db))
		}
	})
}

func TestLoginsThatKeepBeingRefusedSpareTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		s := open(t, client.Options{Source: source}).Secret(db)
		password(t, s)
		server := &server{}
		before := source.Fetches(db)
		for range 600 { // a minute of them
			_ = s.Try(t.Context(), server.login, isRefused)
			time.Sleep(100 * time.Millisecond)
		}
		if n := source.Fetches(db) - before; n > 15 {
			t.Errorf("%d requests in a minute", n)
		}
	})
}

func TestARefusedLoginWithoutASource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := clienttest.NewSource()
		source.Set(db, fields("one"))
		s := open(t, client.Options{Source: source}).Secret(db)
		password(t, s)
		synctest.Wait()
		source.Set(db, fields("two"))
		synctest.Wait()
		source.Fail(errors.New("gone"))
		server := &server{accept: map[string]bool{"one": true}}
		if err := s.Try(t.Context(), server.login, isRefused); err != nil {
			t.Errorf("%v, although the client remembers the previous version", err)
		}
	})
}
