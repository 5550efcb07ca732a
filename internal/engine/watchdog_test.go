package engine_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// listener is a notifier that remembers what it heard.
type listener struct {
	mu    sync.Mutex
	heard []string
}

func (*listener) Name() string { return "listener" }

func (l *listener) Notify(_ context.Context, e rota.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Kind == rota.EventLate {
		l.heard = append(l.heard, e.Secret)
	}
	return nil
}

func (l *listener) late() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(slices.Values(l.heard))
}

func TestTheWatchdogAlertsOnceWhateverTheLoopDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, engine.Limits{})
		defer func() { _ = d.db.Close() }()
		ears := &listener{}
		var secrets []*rotation.Secret
		fingerprints := map[string]string{"can't be worked": ""}
		broken := &rotation.Secret{Name: "can't be worked", Notifiers: []rota.Notifier{ears}, Policy: rotation.Policy{LateAfter: time.Hour}}
		for _, name := range []string{"held", "in hand", "looked at", "never"} {
			fingerprints[name] = ""
			secrets = append(secrets, &rotation.Secret{
				Name: name, Store: d.db.Secret(name), Notifiers: []rota.Notifier{ears}, Issuer: memory.NewAccessKeys(memory.AccessKeysOptions{}),
				Policy: rotation.Policy{RotateEvery: 30 * rota.Day, LateAfter: time.Hour},
			})
		}
		if _, err := d.db.Queue().Enroll(t.Context(), fingerprints); err != nil {
			t.Fatal(err)
		}
		d.secrets.Replace(secrets, nil)
		now := time.Now()
		save := func(name string, s rotation.Status, release bool) {
			t.Helper()
			l, err := d.db.Journal().Acquire(t.Context(), rotation.AcquireRequest{Secret: name, Holder: "the loop", TTL: 100 * time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			if err := d.db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: l, Progress: rotation.Progress{Status: s}}); err != nil {
				t.Fatal(err)
			}
			if release {
				if err := d.db.Journal().Release(t.Context(), l); err != nil {
					t.Fatal(err)
				}
			}
		}
		save(broken.Name, rotation.Status{LookedAt: now, RotateAt: now}, true)
		save("held", rotation.Status{LookedAt: now, DueAt: now, Hold: rotation.HoldInUse}, true)
		save("in hand", rotation.Status{LookedAt: now, BegunAt: now.Add(time.Minute)}, false)
		save("looked at", rotation.Status{LookedAt: now, RotateAt: now.Add(30 * rota.Day)}, true)

		w := engine.NewWatchdog(engine.WatchdogOptions{Rotator: d.rotator, Secrets: &d.secrets, Overdue: d.db.Queue(), Unwired: func(name string) *rotation.Secret {
			if name == broken.Name {
				return broken
			}
			return nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		want := func(names ...string) {
			t.Helper()
			if got := ears.late(); !slices.Equal(got, names) {
				t.Errorf("after %s the alerts are for %v, want %v", time.Since(now), got, names)
			}
		}
		time.Sleep(time.Hour - time.Second)
		want()
		time.Sleep(10 * time.Minute)
		want("can't be worked", "held", "in hand", "never")
		time.Sleep(10 * time.Hour)
		want("can't be worked", "held", "in hand", "never")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
