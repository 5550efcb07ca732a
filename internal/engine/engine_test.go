package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/rotation"
)

func secretsOn(systems ...string) []*rotation.Secret {
	out := make([]*rotation.Secret, len(systems))
	for i, s := range systems {
		out[i] = &rotation.Secret{Name: fmt.Sprintf("s%d", i), Systems: strings.Fields(s)}
	}
	return out
}

func TestATurnStartsOnlyWhenAllItsSystemsHaveRoom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "a b", "b c", "a a", ""}
		secrets := secretsOn(rapid.SliceOfN(rapid.SampledFrom(names), 0, 60).Draw(t, "systems")...)
		limits := engine.Limits{
			Workers:   rapid.IntRange(1, 8).Draw(t, "workers"),
			PerSystem: rapid.IntRange(1, 3).Draw(t, "per system"),
			Patience:  time.Hour,
		}
		var mu sync.Mutex
		inHand, all, begun := map[string]int{}, 0, make([]int, len(secrets))
		errs := engine.Each(context.Background(), limits, secrets, func(_ context.Context, i int) error {
			systems := slices.Compact(slices.Clone(secrets[i].Systems))
			mu.Lock()
			all++
			begun[i]++
			if all > limits.Workers {
				t.Errorf("%d at once, want at most %d", all, limits.Workers)
			}
			for _, s := range systems {
				if inHand[s]++; inHand[s] > limits.PerSystem {
					t.Errorf("%d at once at %s, want at most %d", inHand[s], s, limits.PerSystem)
				}
			}
			mu.Unlock()
			mu.Lock()
			defer mu.Unlock()
			all--
			for _, s := range systems {
				inHand[s]--
			}
			return fmt.Errorf("error of %d", i)
		})
		for i, n := range begun {
			if n != 1 || errs[i].Error() != fmt.Sprintf("error of %d", i) {
				t.Errorf("secret %d was begun %d times and ended with %v", i, n, errs[i])
			}
		}
	})
}

func TestOneHungSystemDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Every tenth secret is at a database that doesn't respond for a
		// minute; there are more of them than workers.
		var systems []string
		for i := range 300 {
			if i%10 == 0 {
				systems = append(systems, "hung")
			} else {
				systems = append(systems, fmt.Sprintf("db%d", i))
			}
		}
		secrets := secretsOn(systems...)
		start := time.Now()
		var last atomic.Int64 // when the last healthy one was done
		errs := engine.Each(t.Context(), engine.Limits{Workers: 4, PerSystem: 4, Patience: 2 * time.Second}, secrets, func(ctx context.Context, i int) error {
			if secrets[i].Systems[0] == "hung" {
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				<-ctx.Done()
				return fmt.Errorf("describe: %w", ctx.Err())
			}
			time.Sleep(10 * time.Millisecond)
			last.Store(int64(time.Since(start)))
			return nil
		})
		// All four workers were taken by the hung system until patience ran
		// out.
		if got := time.Duration(last.Load()); got > 2*time.Second+time.Second {
			t.Errorf("the healthy secrets took %s, want them done while the hung ones wait", got)
		}
		skipped := 0
		for i, err := range errs {
			var s *engine.SkippedError
			switch {
			case systems[i] != "hung" && err != nil:
				t.Errorf("secret %d, which is healthy: %v", i, err)
			case errors.As(err, &s):
				skipped++
				if s.System != "hung" || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("skipped with %v, want the hung system and its timeout named", err)
				}
			}
		}
		// Four were in flight, and up to two more when the third of them timed
		// out.
		if skipped < 24 || skipped > 26 {
			t.Errorf("%d were skipped, want the 24 to 26 that were not begun by the third timeout", skipped)
		}
	})
}

func TestAnAnswerResetsTheTimeoutCount(t *testing.T) {
	secrets := secretsOn("db", "db", "db", "db", "db", "db")
	errs := engine.Each(t.Context(), engine.Limits{PerSystem: 1, MaxTimeouts: 2}, secrets, func(_ context.Context, i int) error {
		if i%2 == 0 {
			return context.DeadlineExceeded
		}
		return rota.ErrRefused
	})
	for i, err := range errs {
		if _, skipped := errors.AsType[*engine.SkippedError](err); skipped {
			t.Errorf("secret %d was skipped: %v", i, err)
		}
	}
}

func TestOnlyTheSystemThatTimedOutIsBlamed(t *testing.T) {
	secrets := secretsOn("aws db", "aws db", "aws db", "aws", "db")
	var begun []int
	engine.Each(t.Context(), engine.Limits{Workers: 1, PerSystem: 1, MaxTimeouts: 3}, secrets, func(_ context.Context, i int) error {
		begun = append(begun, i)
		if i < 3 {
			return &rota.Error{System: "postgres db", Connection: "db", Op: "log in", Err: context.DeadlineExceeded}
		}
		return nil
	})
	if diff := cmp.Diff([]int{0, 1, 2, 3}, begun); diff != "" {
		t.Errorf("begun (-want +got):\n%s", diff)
	}
}

func TestWhenARunEndsTheRestIsSkipped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	secrets := secretsOn("db", "db", "db")
	errs := engine.Each(ctx, engine.Limits{PerSystem: 1}, secrets, func(context.Context, int) error {
		cancel()
		return nil
	})
	if errs[0] != nil {
		t.Errorf("what was in hand ended with %v, want it finished", errs[0])
	}
	for _, err := range errs[1:] {
		if _, skipped := errors.AsType[*engine.SkippedError](err); !skipped || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want it skipped because the run was ended", err)
		}
	}
}

func TestWhatIsDue(t *testing.T) {
	now := time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)
	configured := now.Add(-48 * time.Hour)
	for _, c := range []struct {
		name string
		seen map[string]engine.LastLook
		want bool
	}{
		{"never looked at", nil, true},
		{"its time has come", map[string]engine.LastLook{"s0": {LookedAt: now.Add(-time.Hour), NextAt: now}}, true},
		{"its time is yet to come", map[string]engine.LastLook{"s0": {LookedAt: now.Add(-time.Hour), NextAt: now.Add(time.Second)}}, false},
		{"to be looked at at once", map[string]engine.LastLook{"s0": {LookedAt: now.Add(-time.Hour)}}, true},
		{"the configuration was changed since", map[string]engine.LastLook{"s0": {LookedAt: now.Add(-72 * time.Hour), NextAt: now.Add(time.Hour)}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := engine.Schedule(now, configured, c.seen)(secretsOn("db")[0]); got != c.want {
				t.Errorf("due: %v, want %v", got, c.want)
			}
		})
	}
}
