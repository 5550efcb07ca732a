package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
)

// pools notes what an updater builds and closes.
type pools struct {
	mu     sync.Mutex
	built  []string
	closed []string
	err    error
}

func (p *pools) options() client.UpdaterOptions[string] {
	return client.UpdaterOptions[string]{
		Build: func(_ context.Context, v client.Value) (string, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.built = append(p.built, v.Field("password"))
			return v.Field("password"), p.err
		},
		Close: func(pool string) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.closed = append(p.closed, pool)
		},
	}
}

func (p *pools) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *pools) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.Sort(p.closed)
	return fmt.Sprint(p.built, p.closed)
}

func TestAnUpdaterReplacesAndClosesAfterTheGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := clienttest.NewSource()
		source.Set(db, fields("one"))
		s := open(t, client.Options{Source: source}).Secret(db)
		p := &pools{}
		u, err := client.NewUpdater(t.Context(), s, p.options())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		source.Set(db, fields("two"))
		synctest.Wait()
		if u.Get() != "two" || u.Version() != "v2" || p.String() != "[one two] []" {
			t.Errorf("%s, %s: %s", u.Get(), u.Version(), p)
		}
		time.Sleep(29 * time.Second)
		if p.String() != "[one two] []" {
			t.Errorf("closed within the grace period: %s", p)
		}
		time.Sleep(2 * time.Second)
		if p.String() != "[one two] [one]" {
			t.Errorf("after the grace period: %s", p)
		}
		source.Set(db, fields("three"))
		synctest.Wait()
		u.Close()
		u.Close()
		if p.String() != "[one two three] [one three two]" {
			t.Errorf("after Close: %s", p)
		}
	})
}

func TestAnUpdaterKeepsTheOldOneUntilTheNewOneCanBeBuilt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := clienttest.NewSource()
		source.Set(db, fields("one"))
		s := open(t, client.Options{Source: source}).Secret(db)
		p := &pools{}
		u, err := client.NewUpdater(t.Context(), s, p.options())
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		synctest.Wait()
		p.fail(errors.New("too many connections"))
		source.Set(db, fields("two"))
		time.Sleep(10 * time.Second)
		if u.Get() != "one" {
			t.Errorf("%s was put in place although it couldn't be built", u.Get())
		}
		p.fail(nil)
		time.Sleep(30 * time.Second)
		if u.Get() != "two" {
			t.Errorf("%s, although two can be built now", u.Get())
		}
	})
}

func TestAnUpdaterGivesUpOnAVersionThatWasReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := clienttest.NewSource()
		source.Set(db, fields("one"))
		s := open(t, client.Options{Source: source}).Secret(db)
		p := &pools{}
		u, err := client.NewUpdater(t.Context(), s, p.options())
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		synctest.Wait()
		p.fail(errors.New("refused"))
		source.Set(db, fields("two"))
		time.Sleep(time.Second)
		source.RollBack(db)
		time.Sleep(time.Minute)
		built := p.String()
		time.Sleep(time.Hour)
		if u.Get() != "one" || p.String() != built {
			t.Errorf("%s: %s, then %s", u.Get(), built, p)
		}
	})
}

func TestAnUpdaterThatCannotBuildTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, client.Options{Source: polled()}).Secret(db)
		broken := errors.New("refused")
		p := &pools{err: broken}
		if _, err := client.NewUpdater(t.Context(), s, p.options()); !errors.Is(err, broken) {
			t.Errorf("%v", err)
		}
		if _, err := client.NewUpdater(t.Context(), s, client.UpdaterOptions[string]{}); err == nil {
			t.Error("no Build, and no error")
		}
	})
}
