package rota

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestALocalBudgetGivesItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := NewLocalBudget(), Rate{PerSecond: 15, Burst: 15}
		begin := time.Now()
		for range 10 * r.Burst {
			if err := b.Take(t.Context(), "writes", r); err != nil {
				t.Fatal(err)
			}
		}
		// The initial burst doesn't wait.
		if took := time.Since(begin); took < 9*time.Second-time.Millisecond || took > 10*time.Second {
			t.Errorf("ten seconds' worth of calls took %s", took)
		}
		begin = time.Now()
		if err := b.Take(t.Context(), "lists", r); err != nil || time.Since(begin) > 0 {
			t.Errorf("another key had to wait: %s, %v", time.Since(begin), err)
		}
	})
}

func TestABudgetWhoseTurnComesTooLateRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type told struct {
			key    string
			waited time.Duration
			failed bool
		}
		var got []told
		b := WatchBudget(NewLocalBudget(), func(key string, _ Rate, waited time.Duration, err error) {
			got = append(got, told{key, waited, err != nil})
		})
		r := Rate{PerSecond: 1, Burst: 1}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		for range 2 {
			if err := b.Take(ctx, "k", r); err != nil {
				t.Fatal(err)
			}
		}
		err := b.Take(ctx, "k", r)
		if err == nil || ClassOf(err) != ClassWait || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want an error to be tried again, and no timeout of the system", err)
		}
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%T is not classified", err)
		}
		want := []told{{"k", 0, false}, {"k", time.Second, false}, {"k", 0, true}}
		if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("told %v, want %v", got, want)
		}
	})
}
