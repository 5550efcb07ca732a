package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
)

const db = "prod/orders-db"

func fields(password string) map[string]string {
	return map[string]string{"username": "orders", "password": password}
}

// open returns a client of the source that ends with the test.
func open(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := client.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func password(t *testing.T, s *client.Secret) string {
	t.Helper()
	v, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v.Field("password")
}

// polled is a source that can't push, with one secret.
func polled() *clienttest.Source {
	source := clienttest.NewSource()
	source.DisablePush()
	source.Set(db, fields("one"))
	return source
}

func TestANewVersionArrivesWithinTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		s := open(t, client.Options{Source: source}).Secret(db)
		if got := password(t, s); got != "one" {
			t.Fatalf("password %q", got)
		}
		source.Set(db, fields("two"))
		if got := password(t, s); got != "one" {
			t.Errorf("Get waited for the source: %q", got)
		}
		time.Sleep(67 * time.Second) // a minute and a tenth
		if got := password(t, s); got != "two" {
			t.Errorf("password %q after more than an interval", got)
		}
		if status := s.Status(); status.Version != "v2" || status.Err != nil || status.ConfirmedAt.IsZero() {
			t.Errorf("status %+v", status)
		}
	})
}

func TestAPushedChangeArrivesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := clienttest.NewSource()
		source.Set(db, fields("one"))
		s := open(t, client.Options{Source: source}).Secret(db)
		password(t, s)
		synctest.Wait()
		source.Set(db, fields("two"))
		synctest.Wait()
		if got := password(t, s); got != "two" {
			t.Errorf("password %q", got)
		}
		before := source.Fetches(db)
		time.Sleep(9 * time.Minute)
		if n := source.Fetches(db) - before; n > 1 {
			t.Errorf("asked %d times in 9 minutes although the source pushes", n)
		}
	})
}

func TestALostPushFallsBackToAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := clienttest.NewSource()
		source.Set(db, fields("one"))
		s := open(t, client.Options{Source: source}).Secret(db)
		password(t, s)
		synctest.Wait()
		source.Fail(errors.New("gone"))
		synctest.Wait()
		source.Set(db, fields("two"))
		time.Sleep(67 * time.Second)
		if s.Status().Failures == 0 {
			t.Error("a minute later, nobody has asked")
		}
		source.Fail(nil)
		time.Sleep(2 * time.Minute)
		if got := password(t, s); got != "two" {
			t.Errorf("password %q two minutes after the source came back", got)
		}
	})
}

func TestASourceThatIsAwayLeavesTheLastValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		s := open(t, client.Options{Source: source}).Secret(db)
		password(t, s)
		confirmed := s.Status().ConfirmedAt
		source.Fail(errors.New("no route to host"))
		before := source.Fetches(db)
		time.Sleep(time.Hour)
		if got := password(t, s); got != "one" {
			t.Errorf("password %q", got)
		}
		status := s.Status()
		if status.Err == nil || status.Failures < 10 || !status.ConfirmedAt.Before(confirmed.Add(2*time.Minute)) {
			t.Errorf("status %+v", status)
		}
		if n := source.Fetches(db) - before; n > 150 {
			t.Errorf("asked a source that is away %d times in an hour", n)
		}
		source.Fail(nil)
		source.Set(db, fields("two"))
		time.Sleep(2 * time.Minute)
		if got, status := password(t, s), s.Status(); got != "two" || status.Err != nil || status.Failures != 0 {
			t.Errorf("password %q, status %+v once the source is back", got, status)
		}
	})
}

func TestTheFirstGetWaitsForASourceThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		source.Fail(errors.New("connection refused"))
		s := open(t, client.Options{Source: source}).Secret(db)
		go func() {
			time.Sleep(10 * time.Second)
			source.Fail(nil)
		}()
		began := time.Now()
		if got := password(t, s); got != "one" {
			t.Errorf("password %q", got)
		}
		if waited := time.Since(began); waited < 10*time.Second || waited > 14*time.Second {
			t.Errorf("waited %s", waited)
		}
	})
}

func TestTheFirstGetEnds(t *testing.T) {
	away := errors.New("connection refused")
	for name, c := range map[string]struct {
		prepare func(*clienttest.Source)
		want    error
		within  time.Duration
	}{
		"away":    {func(s *clienttest.Source) { s.Fail(away) }, away, 30 * time.Second},
		"hanging": {func(s *clienttest.Source) { s.Delay(time.Hour) }, context.DeadlineExceeded, 30 * time.Second},
		"unknown": {func(*clienttest.Source) {}, client.ErrNotFound, 0},
		"denied":  {func(s *clienttest.Source) { s.Deny(db, true) }, client.ErrDenied, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := clienttest.NewSource()
				c.prepare(source)
				s := open(t, client.Options{Source: source}).Secret(db)
				began := time.Now()
				_, err := s.Get(t.Context())
				if !errors.Is(err, c.want) || time.Since(began) != c.within {
					t.Errorf("%v after %s", err, time.Since(began))
				}
			})
		})
	}
}

func TestWaitersShareOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		source.Delay(time.Second)
		s := open(t, client.Options{Source: source}).Secret(db)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if v, err := s.Get(t.Context()); err != nil || v.Field("password") != "one" {
					t.Errorf("%v, %v", v, err)
				}
			})
		}
		all.Wait()
		if n := source.Fetches(db); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestAWaiterMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		source.Delay(5 * time.Second)
		s := open(t, client.Options{Source: source}).Secret(db)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if got := password(t, s); got != "one" || source.Fetches(db) != 1 {
			t.Errorf("password %q after %d requests: the one under way was given up", got, source.Fetches(db))
		}
	})
}

func TestAChangeDuringARequestIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := clienttest.NewSource()
		source.Set(db, fields("one"))
		s := open(t, client.Options{Source: source}).Secret(db)
		password(t, s)
		synctest.Wait()
		source.Delay(time.Second)
		source.Set(db, fields("two"))
		time.Sleep(999 * time.Millisecond) // the request is about to end
		source.Set(db, fields("three"))
		time.Sleep(3 * time.Second)
		if got := password(t, s); got != "three" {
			t.Errorf("password %q", got)
		}
	})
}

func TestWatchSeesTheLatestVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := clienttest.NewSource()
		source.Set(db, fields("one"))
		s := open(t, client.Options{Source: source}).Secret(db)
		password(t, s)
		var seen []string
		var running atomic.Int32
		stop := s.Watch(func(v client.Value) {
			if running.Add(1) > 1 {
				t.Error("two calls at once")
			}
			time.Sleep(time.Second)
			seen = append(seen, v.Field("password"))
			running.Add(-1)
		})
		synctest.Wait()
		for _, p := range []string{"two", "three", "four"} {
			source.Set(db, fields(p))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		stop()
		source.Set(db, fields("five"))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if fmt.Sprint(seen) != "[two four]" {
			t.Errorf("saw %v", seen)
		}
	})
}

func TestACredentialThatExpiresIsReadEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		source.Set(db, map[string]string{"password": "one", "expiration": time.Now().Add(40 * time.Second).UTC().Format(time.RFC3339)})
		s := open(t, client.Options{Source: source}).Secret(db)
		password(t, s)
		source.Set(db, fields("two"))
		time.Sleep(23 * time.Second)
		if got := password(t, s); got != "two" {
			t.Errorf("password %q, which expires in 17 seconds", got)
		}
	})
}

func TestAClosedClientKeepsItsValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := polled()
		c := open(t, client.Options{Source: source})
		s := c.Secret(db)
		password(t, s)
		c.Close()
		if got := password(t, s); got != "one" {
			t.Errorf("password %q", got)
		}
		if _, err := c.Secret("prod/another").Get(t.Context()); !errors.Is(err, client.ErrClosed) {
			t.Errorf("%v", err)
		}
		s.Watch(func(client.Value) { t.Error("called") })
	})
}

func TestGetAllocatesNothing(t *testing.T) {
	source := polled()
	s := open(t, client.Options{Source: source}).Secret(db)
	typed := client.JSON[map[string]string](s)
	ctx := t.Context()
	if _, err := typed.Get(ctx); err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(1000, func() {
		v, _ := s.Get(ctx)
		_ = v.Field("password")
		_, _ = typed.Get(ctx)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOpenWantsASource(t *testing.T) {
	if _, err := client.Open(client.Options{}); err == nil {
		t.Error("no error")
	}
}
