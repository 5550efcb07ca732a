package store

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
)

// sharedDatabase returns the pools of two replicas on one database with a
// store's schema.
func sharedDatabase(t testing.TB) [2]*pgxpool.Pool {
	t.Helper()
	dsn := server.Get(t).NewDatabase(t)
	openAt(t, dirAt(t, dsn), nil) // for the schema
	var pools [2]*pgxpool.Pool
	for i := range pools {
		var err error
		pools[i], err = pgxpool.New(t.Context(), dsn)
		must(t, err)
		t.Cleanup(pools[i].Close)
	}
	return pools
}

func TestReplicasShareABudget(t *testing.T) {
	pools := sharedDatabase(t)
	r := rota.Rate{PerSecond: 50, Burst: 20}
	const calls = 120
	begin := time.Now()
	var all sync.WaitGroup
	for _, pool := range pools {
		b := NewSharedBudget(pool)
		for range calls / len(pools) {
			all.Go(func() {
				if err := b.Take(t.Context(), "writes", r); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	// A lower bound holds however slow this machine is.
	if took, least := time.Since(begin), 2*time.Second; took < least-50*time.Millisecond {
		t.Errorf("%d calls took %s, want at least the %s that the rate allows", calls, took, least)
	}
}

func TestTokensTooLateForTheirCallAreGivenBack(t *testing.T) {
	pools := sharedDatabase(t)
	b, r := NewSharedBudget(pools[0]), rota.Rate{PerSecond: 0.001, Burst: 1}
	must(t, b.Take(t.Context(), "k", r))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 5 {
		err := b.Take(ctx, "k", r)
		if err == nil || rota.ClassOf(err) != rota.ClassWait || ctx.Err() != nil {
			t.Fatalf("got %v, want to hear at once that the turn comes too late", err)
		}
	}
	var left float64
	deadline := time.Now().Add(10 * time.Second)
	for left < -0.5 || left == 0 {
		must(t, pools[1].QueryRow(t.Context(), "SELECT tokens FROM budgets WHERE key = 'k'").Scan(&left))
		if time.Now().After(deadline) {
			t.Fatalf("%f tokens are left, want those given back that nobody had", left)
		}
	}
	pools[0].Close()
	if err := b.Take(t.Context(), "k", r); rota.ClassOf(err) != rota.ClassWait {
		t.Errorf("without a database: %v", err)
	}
}
