package access_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/memory"
)

// counting counts the logins that reach it, and can do something in between.
type counting struct {
	*memory.Directory
	logins  atomic.Int32
	meddle  func()
	failing error
}

func (c *counting) Login(ctx context.Context, id string) (access.Login, error) {
	c.logins.Add(1)
	if c.failing != nil {
		return access.Login{}, c.failing
	}
	l, err := c.Directory.Login(ctx, id)
	if c.meddle != nil {
		c.meddle()
	}
	return l, err
}

func TestCache(t *testing.T) {
	t.Parallel()
	_, d, issued := administration(t)
	now := start
	clock := func() time.Time { return now }
	below := &counting{Directory: d}
	here, err := access.NewCache(below, clock)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := access.NewAdministration(d, d, clock) // another replica
	login := func() access.Login {
		t.Helper()
		l, err := here.Login(t.Context(), issued.Key.ID)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for range 5 {
		login()
	}
	if n := below.logins.Load(); n != 1 {
		t.Errorf("%d queries for five logins, want 1", n)
	}

	if _, err := elsewhere.CreateKey(t.Context(), root, "admin", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := elsewhere.DisableKey(t.Context(), root, issued.Key.ID); err != nil {
		t.Fatal(err)
	}
	if now = start.Add(access.CacheTTL - 1); login().Key.Disabled {
		t.Error("nothing was remembered")
	}
	if now = start.Add(access.CacheTTL); !login().Key.Disabled {
		t.Error("a key that was disabled elsewhere works for longer than CacheLife")
	}

	if err := access.NewAdministration(here, d, clock).EnableKey(t.Context(), root, issued.Key.ID); err != nil {
		t.Fatal(err)
	}
	if login().Key.Disabled {
		t.Error("a key that was enabled here is not at once")
	}
}

func TestCacheDropsResultsFromBeforeAChange(t *testing.T) {
	t.Parallel()
	_, d, issued := administration(t)
	below := &counting{Directory: d}
	here, err := access.NewCache(below, func() time.Time { return start })
	if err != nil {
		t.Fatal(err)
	}
	below.meddle = func() { // while the result is on its way
		below.meddle = nil
		if err := here.Update(t.Context(), func(c *access.Change) error { c.Principals[0].Disabled = true; return nil }); err != nil {
			t.Error(err)
		}
	}
	if _, err := here.Login(t.Context(), issued.Key.ID); err != nil {
		t.Fatal(err)
	}
	l, err := here.Login(t.Context(), issued.Key.ID)
	if err != nil || !l.Principal.Disabled {
		t.Errorf("the answer from before the change was kept: %+v, %v", l, err)
	}
}

func TestCacheDoesNotHideADatabaseOutage(t *testing.T) {
	t.Parallel()
	_, d, issued := administration(t)
	now := start
	below := &counting{Directory: d}
	here, err := access.NewCache(below, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := here.Login(t.Context(), issued.Key.ID); err != nil {
		t.Fatal(err)
	}
	below.failing = errors.New("down")
	if _, err := here.Login(t.Context(), issued.Key.ID); err != nil {
		t.Errorf("within CacheLife: %v", err)
	}
	now = start.Add(access.CacheTTL)
	if _, err := here.Login(t.Context(), issued.Key.ID); !errors.Is(err, below.failing) {
		t.Errorf("after CacheLife: %v", err)
	}
}

// TestManyLoginsAtOnceAreOneQuery has many requests with one key while a query is
// on its way. The one that caused it leaves, and a change is made in between.
func TestManyLoginsAtOnceAreOneQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, d, issued := administration(t)
		below := &counting{Directory: d}
		here, err := access.NewCache(below, nil)
		if err != nil {
			t.Fatal(err)
		}
		answers, before, after := make(chan struct{}), make(chan access.Login), make(chan access.Login)
		below.meddle = func() { <-answers }
		login := func(ctx context.Context, to chan access.Login) {
			l, err := here.Login(ctx, issued.Key.ID)
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			to <- l
		}
		ctx, leave := context.WithCancel(t.Context())
		go login(ctx, before)
		synctest.Wait()
		for range 20 {
			go login(t.Context(), before)
		}
		synctest.Wait()
		leave()
		<-before
		if err := here.Update(t.Context(), func(c *access.Change) error { c.Principals[0].Disabled = true; return nil }); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			go login(t.Context(), after)
		}
		synctest.Wait()
		close(answers)
		for range 20 {
			if l := <-before; l.Key.ID != issued.Key.ID {
				t.Errorf("a login got %+v", l)
			}
			if l := <-after; !l.Principal.Disabled {
				t.Error("a login after the change got the answer from before it")
			}
		}
		if n := below.logins.Load(); n != 2 {
			t.Errorf("%d queries, want one before the change and one after it", n)
		}
	})
}
