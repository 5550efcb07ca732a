package engine_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// daemon is a local scheduler with a store of its own, on the bubble's clock.
type daemon struct {
	*testing.T
	db      *store.DB
	secrets engine.Secrets
	worker  *engine.Worker
	service *engine.Service
	rotator *rotation.Rotator
	stop    func() error
	issuers map[string]rota.Issuer

	mu    sync.Mutex
	turns []string // finished turns, by name
}

// newDaemon creates a daemon; run starts it.
func newDaemon(t *testing.T, limits engine.Limits) *daemon {
	t.Helper()
	d := &daemon{T: t, issuers: map[string]rota.Issuer{}}
	var err error
	if d.db, err = store.Open(t.Context(), store.Options{Dir: filepath.Join(t.TempDir(), "state")}); err != nil {
		t.Fatal(err)
	}
	d.rotator = &rotation.Rotator{Journal: d.db.Journal(), CallTimeout: 5 * time.Second, LeaseTTL: 2 * time.Minute}
	d.worker = engine.NewWorker(engine.WorkerOptions{
		Rotator: d.rotator, Secrets: &d.secrets, Limits: limits,
		OnOutcome: func(o engine.Outcome) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.turns = append(d.turns, o.Secret)
		},
	})
	d.service = engine.NewService(engine.ServiceOptions{Worker: d.worker, Queue: d.db.Queue(), DrainTimeout: 10 * time.Second, Every: time.Hour})
	return d
}

// configure wires secrets on in-memory issuers, with values in the store.
func (d *daemon) configure(policy rotation.Policy, systems map[string]string, faults memory.Faults) {
	d.Helper()
	fingerprints := map[string]string{}
	var secrets []*rotation.Secret
	for name, system := range systems {
		if d.issuers[name] == nil {
			d.issuers[name] = memory.NewAccessKeys(memory.AccessKeysOptions{Options: memory.Options{System: system, Faults: faults}})
		}
		secrets = append(secrets, &rotation.Secret{
			Name: name, Systems: []string{system}, Store: d.db.Secret(name), Policy: policy, Issuer: d.issuers[name],
		})
		fingerprints[name] = fmt.Sprintf("%+v", policy)
	}
	if _, err := d.db.Queue().Enroll(d.Context(), fingerprints); err != nil {
		d.Fatal(err)
	}
	d.secrets.Replace(secrets, nil)
	d.service.Poke()
}

func (d *daemon) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.service.Run(ctx) }()
	d.stop = sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-ended, d.db.Close())
	})
	d.Cleanup(func() {
		if err := d.stop(); err != nil {
			d.Error(err)
		}
	})
}

// done returns the turns since the last call, sorted.
func (d *daemon) done() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	turns := d.turns
	d.turns = nil
	slices.Sort(turns)
	return turns
}

func (d *daemon) want(turns ...string) {
	d.Helper()
	if diff := cmp.Diff(turns, d.done()); diff != "" {
		d.Errorf("turns (-want +got):\n%s", diff)
	}
}

var monthly = rotation.Policy{RotateEvery: 30 * rota.Day, DeactivatePreviousAfter: 2 * rota.Day, DeletePreviousAfter: 2 * rota.Day}

func TestTheServiceDoesWhatIsDueWhenItIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, engine.Limits{})
		d.configure(monthly, map[string]string{"a": "x", "b": "y"}, nil)
		d.run()
		time.Sleep(time.Millisecond)
		d.want("a", "b")
		time.Sleep(time.Hour + time.Second)
		d.want("a", "b") // a check whether the outside is still as it was left
		time.Sleep(29 * rota.Day)
		d.want(slices.Concat(slices.Repeat([]string{"a"}, 29), slices.Repeat([]string{"b"}, 29))...) // a look a day
		time.Sleep(23*time.Hour - time.Second)
		d.want("a", "b")
		for _, name := range []string{"a", "b"} {
			snapshot, err := d.db.Journal().Load(t.Context(), name)
			p := snapshot.Progress
			if err != nil || !p.Status.IssuedAt.Equal(p.Status.LookedAt.Truncate(0)) && time.Since(p.Status.IssuedAt) > time.Hour {
				t.Errorf("%s was not rotated: %+v, %v", name, p.Status, err)
			}
		}
		if h := d.service.Health(); h.Stale(time.Now(), 2*time.Hour) || h.Error != "" || h.Busy != 0 {
			t.Errorf("health: %+v", h)
		}
	})
}

func TestAChangedConfigurationTakesEffectImmediately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, engine.Limits{})
		d.configure(monthly, map[string]string{"a": "x"}, nil)
		d.run()
		time.Sleep(2 * time.Hour)
		d.done()
		d.configure(monthly, map[string]string{"a": "x", "new": "x"}, nil)
		time.Sleep(time.Millisecond)
		d.want("new")
		d.configure(rotation.Policy{RotateEvery: rota.Day}, map[string]string{"a": "x", "new": "x"}, nil)
		time.Sleep(time.Millisecond)
		d.want("a", "new")
		d.configure(rotation.Policy{RotateEvery: rota.Day}, map[string]string{"a": "x"}, nil)
		time.Sleep(5 * rota.Day)
		if slices.Contains(d.done(), "new") {
			t.Error("a secret that is no longer configured was worked")
		}
	})
}

func TestQuarantinedSecretsAreCheckedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, engine.Limits{})
		denied := &rota.Error{System: "x", Class: rota.ClassStop, Err: errors.New("denied")}
		var mu sync.Mutex
		broken, calls := true, 0
		faults := func(c memory.Call) memory.Fault {
			mu.Lock()
			defer mu.Unlock()
			if c.Op == "issuer.create" && broken {
				calls++
				return memory.Fault{Before: denied}
			}
			return memory.Fault{}
		}
		policy := monthly
		policy.MaxAttempts = 2
		d.configure(policy, map[string]string{"a": "x"}, faults)
		d.run()
		time.Sleep(24 * time.Hour)
		if calls != policy.MaxAttempts {
			t.Errorf("%d calls, want %d and then none", calls, policy.MaxAttempts)
		}
		if n := len(d.done()); n < 5 || n > 30 {
			t.Errorf("%d turns in a day, want about one an hour", n)
		}
		mu.Lock()
		broken = false
		mu.Unlock()
		if err := d.db.Queue().Resume(t.Context(), []string{"a"}, access.Local("eve"), "mended"); err != nil {
			t.Fatal(err)
		}
		d.service.Poke()
		time.Sleep(time.Second)
		snapshot, err := d.db.Journal().Load(t.Context(), "a")
		p := snapshot.Progress
		if err != nil || p.Failure != nil || p.Status.Version == "" {
			t.Errorf("resumed, and it was not tried again: %+v, %v", p.Status, err)
		}
	})
}

func TestPausedAndFrozenSecretsAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, engine.Limits{})
		ctx := t.Context()
		d.configure(monthly, map[string]string{"a": "x", "b": "x"}, nil)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(d.db.Queue().Pause(ctx, []string{"a"}, access.Local("eve"), ""))
		d.run()
		time.Sleep(time.Minute)
		d.want("b")
		must(d.db.Queue().Freeze(ctx, access.Local("eve"), ""))
		time.Sleep(40 * rota.Day)
		d.want()
		must(d.db.Queue().Thaw(ctx, access.Local("eve"), ""))
		d.service.Poke()
		time.Sleep(time.Minute)
		d.want("b")
		must(d.db.Queue().Resume(ctx, []string{"a"}, access.Local("eve"), ""))
		d.service.Poke()
		time.Sleep(time.Minute)
		d.want("a")
	})
}

func TestAtShutdownTurnsAreFinishedOrReleased(t *testing.T) {
	for _, tt := range []struct {
		name     string
		takes    time.Duration // one call
		ends     time.Duration
		finished bool
	}{
		{"a turn that ends in time", 2 * time.Second, 2 * time.Second, true},
		{"a turn that takes too long", time.Hour, 10 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDaemon(t, engine.Limits{PerSystem: 1})
				d.rotator.CallTimeout = 2 * time.Hour
				begun := make(chan struct{})
				issuer := &slowIssuer{AccessKeys: memory.NewAccessKeys(memory.AccessKeysOptions{}), takes: tt.takes, begun: begun}
				secret := &rotation.Secret{Name: "a", Systems: []string{"x"}, Store: d.db.Secret("a"), Issuer: issuer}
				next := &rotation.Secret{Name: "b", Systems: []string{"x"}, Store: d.db.Secret("b"), Issuer: issuer}
				if _, err := d.db.Queue().Enroll(t.Context(), map[string]string{"a": "", "b": ""}); err != nil {
					t.Fatal(err)
				}
				var closed atomic.Bool
				d.secrets.Replace([]*rotation.Secret{secret, next}, func() { closed.Store(true) })
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- d.service.Run(ctx) }()
				<-begun
				d.secrets.Replace(nil, nil)
				if closed.Load() {
					t.Error("the connections were closed under a turn")
				}
				start := time.Now()
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if got := time.Since(start); got != tt.ends {
					t.Errorf("it took %s to end, want %s", got, tt.ends)
				}
				if !closed.Load() {
					t.Error("the connections were not closed")
				}
				d.want("a")
				snapshot, err := d.db.Journal().Load(t.Context(), "a")
				p := snapshot.Progress
				if err != nil || p.NextAt.IsZero() == tt.finished {
					t.Errorf("to be looked at again at %v, %v", p.NextAt, err)
				}
				all, err := d.db.Overview().Statuses(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range all {
					if s.Holder != "" {
						t.Errorf("%s: the lease was not given back", s.Name)
					}
				}
				if err := d.db.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// slowIssuer takes a while to test the first login.
type slowIssuer struct {
	*memory.AccessKeys
	takes time.Duration
	begun chan struct{}
	once  sync.Once
}

func (s *slowIssuer) Test(ctx context.Context, r rota.TestRequest) error {
	first := false
	s.once.Do(func() { first = true; close(s.begun) })
	if !first {
		return s.AccessKeys.Test(ctx, r)
	}
	select {
	case <-time.After(s.takes):
		return s.AccessKeys.Test(ctx, r)
	case <-ctx.Done():
		return ctx.Err()
	}
}
