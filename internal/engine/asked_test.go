package engine_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

func TestRequestsGoAheadOfDueWorkWithinTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := engine.NewPool(engine.Limits{PerSystem: 1})
		var mu sync.Mutex
		var begun []string
		turn := func(name string) error {
			mu.Lock()
			begun = append(begun, name)
			mu.Unlock()
			time.Sleep(time.Second)
			return nil
		}
		due := secretsOn("db", "db", "db other")
		var ended sync.WaitGroup
		for i, s := range due {
			ended.Add(1)
			p.Go(t.Context(), s, func(context.Context) error { return turn([]string{"in hand", "due", "due at both"}[i]) }, func(error) { ended.Done() })
		}
		asked := secretsOn("db", "db")
		start := time.Now()
		errs := p.Each(t.Context(), asked, func(_ context.Context, i int) error { return turn([]string{"asked", "asked next"}[i]) })
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it took %s, want two turns after the one in hand", took)
		}
		ended.Wait()
		if diff := cmp.Diff([]string{"in hand", "asked", "asked next", "due", "due at both"}, begun); diff != "" {
			t.Errorf("begun (-want +got):\n%s", diff)
		}
	})
}

func TestRequestsAreSkippedIfTheSystemHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := engine.NewPool(engine.Limits{PerSystem: 1, MaxTimeouts: 2, CoolDown: time.Minute})
		hung := errors.Join(errors.New("no answer"), context.DeadlineExceeded)
		hang := func(context.Context, int) error {
			time.Sleep(30 * time.Second)
			return hung
		}
		dueErr := make(chan error, 1)
		p.Go(t.Context(), secretsOn("db")[0], func(context.Context) error { return hung }, func(err error) { dueErr <- err })
		errs := p.Each(t.Context(), secretsOn("db", "db", "well"), func(ctx context.Context, i int) error {
			if i == 2 {
				return nil
			}
			return hang(ctx, i)
		})
		if !errors.Is(errs[0], hung) || errs[2] != nil {
			t.Errorf("got %v, want the first to time out and the last to be done", errs)
		}
		again := p.Each(t.Context(), secretsOn("db"), hang) // while its circuit is open
		for _, err := range []error{errs[1], again[0]} {
			if skipped, ok := errors.AsType[*engine.SkippedError](err); !ok || skipped.System != "db" || !errors.Is(err, hung) {
				t.Errorf("got %v, want it skipped for db", err)
			}
		}
		if err := <-dueErr; !errors.Is(err, hung) {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if err := p.Each(t.Context(), secretsOn("db"), func(context.Context, int) error { return nil })[0]; err != nil {
			t.Errorf("once it has cooled down: %v", err)
		}
	})
}

func TestAnAbandonedRequestOccupiesNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := engine.NewPool(engine.Limits{PerSystem: 1})
		goOn := make(chan struct{})
		p.Go(t.Context(), secretsOn("db")[0], func(context.Context) error { <-goOn; return nil }, func(error) {})
		ctx, cancel := context.WithCancel(t.Context())
		answer := make(chan []error)
		go func() {
			answer <- p.Each(ctx, secretsOn("db", "db"), func(context.Context, int) error { return errors.New("it was begun") })
		}()
		synctest.Wait()
		cancel()
		for _, err := range <-answer {
			if _, ok := errors.AsType[*engine.SkippedError](err); !ok || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want it skipped", err)
			}
		}
		if l := p.Load(); l.Waiting != 0 || l.Busy != 1 {
			t.Errorf("left over: %+v", l)
		}
		close(goOn)
	})
}

func TestAtShutdownRequestsAreFinishedOrReleased(t *testing.T) {
	for _, tt := range []struct {
		name  string
		takes time.Duration
		ends  time.Duration
		want  error
	}{
		{"a turn that ends in time", 2 * time.Second, 2 * time.Second, nil},
		{"a turn that takes too long", time.Hour, 10 * time.Second, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDaemon(t, engine.Limits{PerSystem: 1})
				d.rotator.CallTimeout = 2 * time.Hour
				begun := make(chan struct{})
				issuer := &slowIssuer{AccessKeys: memory.NewAccessKeys(memory.AccessKeysOptions{}), takes: tt.takes, begun: begun}
				secrets := []*rotation.Secret{
					{Name: "a", Systems: []string{"x"}, Store: d.db.Secret("a"), Issuer: issuer},
					{Name: "b", Systems: []string{"x"}, Store: d.db.Secret("b"), Issuer: issuer},
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- d.service.Run(ctx) }()
				answer := make(chan []error)
				go func() {
					answer <- d.worker.Each(context.WithoutCancel(t.Context()), secrets, func(ctx context.Context, i int) error {
						_, err := d.rotator.Advance(ctx, secrets[i], rotation.Options{Force: rota.StepCreate})
						return err
					})
				}()
				<-begun
				start := time.Now()
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if got := time.Since(start); got != tt.ends {
					t.Errorf("it took %s to end, want %s", got, tt.ends)
				}
				errs := <-answer
				if !errors.Is(errs[0], tt.want) {
					t.Errorf("what was in hand: %v, want %v", errs[0], tt.want)
				}
				if _, skipped := errors.AsType[*engine.SkippedError](errs[1]); !skipped {
					t.Errorf("what waited: %v, want it skipped", errs[1])
				}
				all, err := d.db.Overview().Statuses(t.Context())
				if err != nil || slices.ContainsFunc(all, func(s store.SecretStatus) bool { return s.Holder != "" }) {
					t.Errorf("the lease was not given back: %v", err)
				}
				if err := d.db.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
