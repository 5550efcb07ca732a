package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// fleet is n secrets, each at its own database, on one clock.
func fleet(n int, faults func(i int) memory.Faults) ([]*rotation.Secret, *rotation.Rotator) {
	now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	secrets := make([]*rotation.Secret, n)
	for i := range secrets {
		o := memory.Options{Now: clock}
		if faults != nil {
			o.Faults = faults(i)
		}
		secrets[i] = &rotation.Secret{
			Name: fmt.Sprintf("s%d", i), Systems: []string{fmt.Sprintf("db%d", i)},
			Issuer: memory.NewAccessKeys(memory.AccessKeysOptions{Options: o}), Store: memory.NewStore(o),
			Policy: rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 10 * rota.Day, DeletePreviousAfter: 20 * rota.Day},
		}
	}
	return secrets, &rotation.Rotator{
		Journal: memory.NewJournal(memory.Options{Now: clock}), Now: clock,
		Sleep: func(context.Context, time.Duration) error { return nil },
	}
}

func TestOneFailureStopsNoOther(t *testing.T) {
	denied := &rota.Error{System: "db1", Class: rota.ClassStop, Err: errors.New("denied")}
	secrets, rotator := fleet(3, func(i int) memory.Faults {
		return func(c memory.Call) memory.Fault {
			if i == 1 {
				return memory.Fault{Before: denied}
			}
			return memory.Fault{}
		}
	})
	var got []string
	for _, o := range engine.Run(t.Context(), engine.Options{Rotator: rotator, Secrets: secrets}) {
		got = append(got, fmt.Sprintf("%s: %d steps, denied %t", o.Secret, len(o.Result.Done), errors.Is(o.Err, denied)))
	}
	want := []string{"s0: 3 steps, denied false", "s1: 0 steps, denied true", "s2: 3 steps, denied false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func TestSecretsThatAreNotDueAreSkipped(t *testing.T) {
	secrets, rotator := fleet(3, nil)
	outcomes := engine.Run(t.Context(), engine.Options{
		Rotator: rotator, Secrets: secrets,
		Due: func(s *rotation.Secret) bool { return s.Name == "s1" },
	})
	for i, o := range outcomes {
		if o.Due != (i == 1) || (len(o.Result.Done) > 0) != (i == 1) || o.Secret != secrets[i].Name {
			t.Errorf("outcome %d: %+v", i, o)
		}
	}
}

// BenchmarkOneHungOf300 measures the rate of 299 healthy secrets next to one
// whose database accepts calls and never responds, against 299 healthy ones
// alone. The ratio is that of the two rates; 1 means that nobody is delayed.
func BenchmarkOneHungOf300(b *testing.B) {
	const healthy = 299
	latency := 10 * time.Millisecond
	round := func(hung bool) time.Duration {
		secrets, rotator := fleet(healthy+1, nil)
		rotator.CallTimeout = 2 * time.Second
		done := make(chan struct{}, healthy)
		ctx, cancel := context.WithCancel(b.Context())
		finished := make(chan struct{})
		start := time.Now()
		if !hung {
			secrets = secrets[1:]
		}
		go func() {
			defer close(finished)
			engine.Each(ctx, engine.Limits{}, secrets, func(ctx context.Context, i int) error {
				if hung && i == 0 {
					<-ctx.Done()
					return ctx.Err()
				}
				_, err := rotator.Advance(ctx, secrets[i], rotation.Options{})
				time.Sleep(latency)
				done <- struct{}{}
				return err
			})
		}()
		for range healthy {
			<-done
		}
		elapsed := time.Since(start)
		cancel()
		<-finished
		return elapsed
	}
	var alone, beside time.Duration
	for b.Loop() {
		alone += round(false)
		beside += round(true)
	}
	b.ReportMetric(healthy*float64(b.N)/beside.Seconds(), "healthy/s")
	b.ReportMetric(alone.Seconds()/beside.Seconds(), "ratio")
}
