package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/rotation"
)

func TestAHungSystemIsProbedAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := engine.NewPool(engine.Limits{PerSystem: 1, MaxTimeouts: 2, CoolDown: time.Minute})
		start := time.Now()
		answersFrom := start.Add(4 * time.Minute)
		var mu sync.Mutex
		var begun []time.Duration
		var ended sync.WaitGroup
		for _, s := range secretsOn("db", "db", "db", "db", "db", "db") {
			ended.Add(1)
			p.Go(t.Context(), s, func(context.Context) error {
				mu.Lock()
				begun = append(begun, time.Since(start))
				mu.Unlock()
				if time.Now().Before(answersFrom) {
					time.Sleep(time.Second)
					return context.DeadlineExceeded
				}
				return nil
			}, func(error) { ended.Done() })
		}
		time.Sleep(2500 * time.Millisecond)
		if diff := cmp.Diff([]string{"db"}, p.Load().OpenCircuits); diff != "" {
			t.Errorf("cooling (-want +got):\n%s", diff)
		}
		ended.Wait()
		// Two time out; so do a probe a minute later and one two minutes after
		// that. Four minutes after that the system responds, and all the rest
		// runs immediately.
		want := []time.Duration{0, time.Second, 62 * time.Second, 183 * time.Second, 424 * time.Second, 424 * time.Second}
		if diff := cmp.Diff(want, begun); diff != "" {
			t.Errorf("begun (-want +got):\n%s", diff)
		}
		if l := p.Load(); l.OpenCircuits != nil || l.Busy != 0 || l.Waiting != 0 {
			t.Errorf("at the end: %+v", l)
		}
	})
}

func TestHungSystemsTakeNothingFromOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := engine.NewPool(engine.Limits{Workers: 4})
		ctx, cancel := context.WithCancel(t.Context())
		var healthy, hung atomic.Int64
		var again func(s *rotation.Secret)
		again = func(s *rotation.Secret) {
			p.Go(ctx, s, func(ctx context.Context) error {
				if s.Systems[0][0] == 'h' {
					hung.Add(1)
					select {
					case <-time.After(30 * time.Second):
						return context.DeadlineExceeded
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				time.Sleep(10 * time.Millisecond)
				healthy.Add(1)
				return nil
			}, func(err error) {
				if ctx.Err() == nil {
					again(s)
				}
			})
		}
		for i := range 100 {
			again(&rotation.Secret{Name: fmt.Sprint("h", i), Systems: []string{fmt.Sprint("h", i)}})
		}
		for i := range 200 {
			again(&rotation.Secret{Name: fmt.Sprint("w", i), Systems: []string{fmt.Sprint("w", i)}})
		}
		time.Sleep(10 * time.Minute) // until all that hang are detected
		before := healthy.Load()
		time.Sleep(10 * time.Minute)
		got := float64(healthy.Load()-before) / (600 * 4 * 100)
		cancel()
		p.Close(context.Canceled)
		p.Wait()
		if got < 0.95 {
			t.Errorf("beside a hundred that hang, the others are worked at %.3f of their rate", got)
		}
		if hung.Load() < 300 {
			t.Errorf("those that hang were tried %d times, want them probed", hung.Load())
		}
	})
}

func TestEveryTurnEndsOnceWhateverHappens(outer *testing.T) {
	rapid.Check(outer, func(t *rapid.T) {
		synctest.Test(outer, func(*testing.T) {
			limits := engine.Limits{
				Workers: rapid.IntRange(1, 4).Draw(t, "workers"), PerSystem: rapid.IntRange(1, 3).Draw(t, "per system"),
				MaxTimeouts: 2, CoolDown: time.Minute, Patience: time.Second,
			}
			p := engine.NewPool(limits)
			systems := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "a b", "b c", "a c", ""}), 1, 40).Draw(t, "systems")
			slow := rapid.SliceOfN(rapid.IntRange(0, 3), len(systems), len(systems)).Draw(t, "slow")
			how := rapid.SliceOfN(rapid.SampledFrom([]string{"go", "do", "each"}), len(systems), len(systems)).Draw(t, "how")
			var mu sync.Mutex
			inHand, ended := map[string]int{}, make([]int, len(systems))
			var all sync.WaitGroup
			for i, s := range secretsOn(systems...) {
				do := func(context.Context) error {
					mu.Lock()
					for _, name := range s.Systems {
						if inHand[name]++; inHand[name] > limits.PerSystem {
							t.Errorf("%d at once at %s", inHand[name], name)
						}
					}
					mu.Unlock()
					time.Sleep(time.Duration(slow[i]) * 700 * time.Millisecond)
					mu.Lock()
					defer mu.Unlock()
					for _, name := range s.Systems {
						inHand[name]--
					}
					if slow[i] == 3 {
						return fmt.Errorf("%s: %w", s.Name, context.DeadlineExceeded)
					}
					return nil
				}
				all.Add(1)
				end := func(error) { ended[i]++; all.Done() }
				if how[i] == "go" {
					p.Go(context.Background(), s, do, end)
					continue
				}
				if how[i] == "each" {
					go func() {
						end(p.Each(context.Background(), []*rotation.Secret{s}, func(ctx context.Context, _ int) error { return do(ctx) })[0])
					}()
					continue
				}
				go func() {
					for {
						err := p.Do(context.Background(), s, do)
						full, ok := errors.AsType[*engine.NoRoomError](err)
						if !ok {
							end(err)
							return
						}
						time.Sleep(full.After + 100*time.Millisecond)
					}
				}()
			}
			all.Wait()
			for i, n := range ended {
				if n != 1 {
					t.Errorf("turn %d ended %d times", i, n)
				}
			}
			if l := p.Load(); l.Busy != 0 || l.Waiting != 0 {
				t.Errorf("left over: %+v", l)
			}
		})
	})
}

func TestAClosedPoolEndsWaitingTurns(t *testing.T) {
	p := engine.NewPool(engine.Limits{PerSystem: 1})
	secrets := secretsOn("db", "db", "db")
	inHand, goOn := make(chan struct{}), make(chan struct{})
	errs := make(chan error, 3)
	for i, s := range secrets {
		p.Go(t.Context(), s, func(context.Context) error {
			if i == 0 {
				close(inHand)
				<-goOn
			}
			return nil
		}, func(err error) { errs <- err })
	}
	<-inHand
	if err := p.Do(t.Context(), secrets[1], nil); err == nil {
		t.Error("there was room at a system that is full")
	} else if full, ok := errors.AsType[*engine.NoRoomError](err); !ok || full.System != "db" {
		t.Errorf("got %v, want to hear that there is no room at db", err)
	}
	why := errors.New("the end")
	p.Close(why)
	for range 2 {
		if err := <-errs; !errors.Is(err, why) {
			t.Errorf("what waited ended with %v", err)
		}
	}
	close(goOn)
	p.Wait()
	if err := <-errs; err != nil {
		t.Errorf("what was in hand ended with %v", err)
	}
	if err := p.Do(t.Context(), secrets[0], nil); !errors.Is(err, why) {
		t.Errorf("a closed pool began something: %v", err)
	}
}
