package simulate

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seeds returns how many seeds the test runs: a few, or SIMULATE_SEEDS.
func seeds(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("SIMULATE_SEEDS"))
	if err != nil {
		return 30
	}
	t.Logf("%d seeds", n)
	return n
}

func TestTheRulesHold(t *testing.T) {
	r, err := RunMany(t.Context(), Options{Seed: 1}, seeds(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	if r.Rotations < 30*r.Seeds || r.Crashes == 0 || r.Takeovers == 0 || r.RollBacks == 0 {
		t.Errorf("too little happened for the result to prove anything:\n%s", r)
	}
	for _, kind := range []string{"crash after", "crash before", "denied", "error", "hang", "late", "lost reply", "pause after", "pause before", "repeat", "sick", "slow", "stale", "timeout"} {
		if r.Faults[kind] == 0 {
			t.Errorf("there was no fault of kind %q", kind)
		}
	}
	faults := 0
	for _, n := range r.Faults {
		faults += n
	}
	t.Logf("count: simulation: %d seeds, %d rotations of %d secrets, %d faults, %d crashes, %d leases taken over, 0 broken rules",
		r.Seeds, r.Rotations, r.Secrets, faults, r.Crashes, r.Takeovers)
	t.Logf("\n%s", r)
}

func TestWithoutFaultsNothingHolds(t *testing.T) {
	r, err := RunMany(t.Context(), Options{Seed: 1, Faults: -1}, 10, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Faults) > 0 || r.Crashes > 0 {
		t.Errorf("there were faults: %v, %d crashes", r.Faults, r.Crashes)
	}
	if r.Rotations < 200 {
		t.Errorf("only %d rotations in %d runs", r.Rotations, r.Seeds)
	}
}

func TestAShortRunHasNoFaults(t *testing.T) {
	for days := 1; days <= quietDays; days++ {
		r, err := RunMany(t.Context(), Options{Seed: 1, Days: days}, 6, 2)
		if err != nil {
			t.Fatalf("%d days: %v", days, err)
		}
		if len(r.Faults) > 0 {
			t.Errorf("in %d days, which leave no time to settle, there were faults: %v", days, r.Faults)
		}
	}
}

func TestTheSameSeedReplaysExactly(t *testing.T) {
	run := func() (Result, *Violation) {
		r, err := Run(t.Context(), Options{Seed: 7, Mutant: "retry for ever"})
		v, ok := errors.AsType[*Violation](err)
		if err != nil && !ok {
			t.Fatal(err)
		}
		return r, v
	}
	r1, v1 := run()
	r2, v2 := run()
	if diff := cmp.Diff(r1, r2); diff != "" {
		t.Errorf("results differ:\n%s", diff)
	}
	if diff := cmp.Diff(v1, v2); diff != "" {
		t.Errorf("violations differ:\n%s", diff)
	}
}

func TestTheWholeTraceOfASeedReplays(t *testing.T) {
	trace := func() [][]string {
		w, err := newWorld(Options{Seed: 3}.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		var all [][]string
		for _, s := range w.subjects {
			all = append(all, s.trace.last())
		}
		return all
	}
	first := trace()
	if len(first) == 0 || len(first[0]) == 0 {
		t.Fatal("there is no trace")
	}
	if diff := cmp.Diff(first, trace()); diff != "" {
		t.Errorf("traces differ:\n%s", diff)
	}
}

func TestAMutantThatThereIsNotIsRefused(t *testing.T) {
	if _, err := Run(t.Context(), Options{Mutant: "no such"}); err == nil {
		t.Error("it was taken")
	}
}

func TestACancelledRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := RunMany(ctx, Options{}, 3, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func BenchmarkSimulate(b *testing.B) {
	rotations := 0
	for seed := uint64(0); b.Loop(); seed += 8 {
		// Eight seeds on two workers.
		r, err := RunMany(b.Context(), Options{Seed: seed}, 8, 2)
		if err != nil {
			b.Fatal(err)
		}
		rotations += r.Rotations
	}
	b.ReportMetric(float64(rotations)/b.Elapsed().Minutes(), "rotations/min")
}
