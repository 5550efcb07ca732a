package client_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota/client"
)

// reported is a source of one secret that takes reports.
type reported struct {
	mu      sync.Mutex
	version string
	reports []client.Report
	err     error
}

func (r *reported) Fetch(context.Context, client.Request) (client.Value, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return client.TextValue(r.version, "value of "+r.version), nil
}

func (r *reported) Report(_ context.Context, report client.Report) (client.Reported, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return client.Reported{}, r.err
	}
	for _, versions := range report.Holding {
		slices.Sort(versions)
	}
	r.reports = append(r.reports, report)
	return client.Reported{Next: 3 * time.Minute}, nil
}

func (r *reported) last() (n int, versions []string, ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.reports) == 0 {
		return 0, nil, false
	}
	last := r.reports[len(r.reports)-1]
	return len(r.reports), last.Holding["db"], last.Ended
}

func (r *reported) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func TestAProgramReportsWhatItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &reported{version: "v1"}
		c, err := client.Open(client.Options{Source: source, Every: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		expect := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			if _, got, _ := source.last(); !slices.Equal(got, want) {
				t.Errorf("%s, it reports %q, want %q", when, got, want)
			}
		}
		time.Sleep(time.Hour)
		if n, _, _ := source.last(); n != 0 {
			t.Error("it reports without holding anything")
		}
		s := c.Secret("db")
		u, err := client.NewUpdater(t.Context(), s, client.UpdaterOptions[string]{
			Build: func(_ context.Context, v client.Value) (string, error) { return v.Version(), nil }, Grace: 10 * time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		expect("after the first read", "v1")
		n, _, _ := source.last()
		time.Sleep(time.Hour)
		if more, _, _ := source.last(); more-n < 20 || more-n > 23 {
			t.Errorf("it reports %d times an hour", more-n)
		}
		source.set(func() { source.version = "v2" })
		time.Sleep(time.Minute + 2*time.Second)
		expect("while the updater's grace lasts", "v1", "v2")
		time.Sleep(9 * time.Minute)
		expect("a moment before its end", "v1", "v2")
		time.Sleep(2 * time.Minute)
		expect("after the grace", "v2")
		source.set(func() { source.err = errors.New("away") })
		time.Sleep(time.Hour)
		source.set(func() { source.err, source.version = nil, "v3" })
		time.Sleep(2*time.Minute + time.Second)
		expect("when the source is back", "v2", "v3")
		u.Close()
		time.Sleep(time.Minute)
		expect("with nothing that uses the old one", "v3")
		c.Close()
		if _, _, ended := source.last(); !ended {
			t.Error("it didn't say that it has ended")
		}
	})
}

func TestInstancesHaveNamesOfTheirOwn(t *testing.T) {
	names := map[string]bool{}
	for range 2 {
		source := &reported{version: "v1"}
		c, err := client.Open(client.Options{Source: client.Chain(client.Static{}, source)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Secret("db").Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if n, _, ended := source.last(); n == 0 || !ended {
			t.Fatal("the chain passed no report on")
		}
		names[source.reports[0].Instance] = true
	}
	if len(names) != 2 {
		t.Errorf("the names: %q", slices.Collect(maps.Keys(names)))
	}
}
