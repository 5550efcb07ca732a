package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/engine/river"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// BenchmarkTenThousandDue starts daemons in front of 10,000 secrets on in-memory
// issuers that all are due at once, and reports how many rotations a second
// there are till the last, and how late half of them and 99 of 100 are done.
func BenchmarkTenThousandDue(b *testing.B) {
	onEach(b, []int{1, 2, 4}, func(b *testing.B, replicas int) { lateness(b, replicas, 10_000, 0) })
}

// BenchmarkSteadyDue does the same with 2,000 of which one is due every 10 ms.
func BenchmarkSteadyDue(b *testing.B) {
	onEach(b, []int{1, 2}, func(b *testing.B, replicas int) { lateness(b, replicas, 2000, 10*time.Millisecond) })
}

// onEach runs a benchmark with the local scheduler on SQLite, as 0 replicas, and
// with so many replicas on PostgreSQL.
func onEach(b *testing.B, replicas []int, run func(b *testing.B, replicas int)) {
	b.Run("SQLite", func(b *testing.B) { run(b, 0) })
	for _, n := range replicas {
		b.Run(fmt.Sprintf("PostgreSQL, %d replicas", n), func(b *testing.B) { run(b, n) })
	}
}

// lateness runs so many secrets, of which the next is due that much later.
func lateness(b *testing.B, replicas, count int, apart time.Duration) {
	b.Helper()
	var late []time.Duration
	var busy time.Duration
	for b.Loop() {
		b.StopTimer()
		s := newStage(b, replicas, count)
		begin := time.Now()
		if apart > 0 {
			begin = begin.Add(10 * time.Second) // till all is ready
			s.postpone(begin, apart)
		}
		due := func(i int) time.Time { return begin.Add(time.Duration(i) * apart) }
		b.StartTimer()
		stop := s.run()
		select {
		case <-s.all:
		case <-time.After(10 * time.Minute):
			b.Fatalf("only %d are done", s.done.Load())
		}
		busy += time.Since(begin)
		b.StopTimer()
		stop()
		s.close()
		for i := range count {
			late = append(late, s.times[benchName(i)].Sub(due(i)))
		}
		b.StartTimer()
	}
	slices.Sort(late)
	b.ReportMetric(float64(b.N*count)/busy.Seconds(), "rotations/s")
	b.ReportMetric(late[len(late)/2].Seconds(), "p50-late-s")
	b.ReportMetric(late[len(late)*99/100].Seconds(), "p99-late-s")
}

// stage is the replicas of one round.
type stage struct {
	b        *testing.B
	services []interface{ Run(context.Context) error }
	closers  []func()
	first    *store.DB // of the first replica

	mu    sync.Mutex
	times map[string]time.Time // when each was done
	done  atomic.Int64
	count int
	all   chan struct{} // closed when all are done
}

func newStage(b *testing.B, replicas, count int) *stage {
	b.Helper()
	s := &stage{b: b, count: count, times: map[string]time.Time{}, all: make(chan struct{})}
	options := store.Options{Dir: filepath.Join(b.TempDir(), "state")}
	if replicas > 0 {
		server := testenv.Postgres(b, testenv.PostgresOptions{Fsync: true, Settings: map[string]string{"max_connections": "300"}})
		options.DSN = server.DSN()
	}
	issuers := make([]*memory.AccessKeys, count)
	fingerprints := map[string]string{}
	for i := range issuers {
		issuers[i] = memory.NewAccessKeys(memory.AccessKeysOptions{})
		fingerprints[benchName(i)] = ""
	}
	for i := range max(replicas, 1) {
		db, err := store.Open(b.Context(), options)
		if err != nil {
			b.Fatal(err)
		}
		s.closers = append(s.closers, func() { _ = db.Close() })
		if i == 0 {
			s.first = db
			if _, err := db.Queue().Enroll(b.Context(), fingerprints); err != nil {
				b.Fatal(err)
			}
		}
		worker := s.worker(db, issuers)
		if replicas == 0 {
			s.services = append(s.services, engine.NewService(engine.ServiceOptions{Worker: worker, Queue: db.Queue()}))
			continue
		}
		pool, err := pgxpool.New(b.Context(), options.DSN)
		if err != nil {
			b.Fatal(err)
		}
		s.closers = append(s.closers, pool.Close)
		if err := river.Migrate(b.Context(), pool); err != nil {
			b.Fatal(err)
		}
		service, err := river.New(river.Options{Pool: pool, Worker: worker, Queue: db.Queue(), Now: db.Now})
		if err != nil {
			b.Fatal(err)
		}
		s.services = append(s.services, service)
	}
	return s
}

// postpone has the first secret be due then, and each of the others that much
// after the one before.
func (s *stage) postpone(first time.Time, apart time.Duration) {
	var ended sync.WaitGroup
	next := make(chan int)
	for range 64 {
		ended.Go(func() {
			for i := range next {
				lease, err := s.first.Journal().Acquire(s.b.Context(), rotation.AcquireRequest{Secret: benchName(i), Holder: "bench", TTL: time.Minute})
				if err == nil {
					p := rotation.Progress{NextAt: first.Add(time.Duration(i) * apart)}
					err = errors.Join(s.first.Journal().Save(s.b.Context(), rotation.SaveRequest{Lease: lease, Progress: p}), s.first.Journal().Release(s.b.Context(), lease))
				}
				if err != nil {
					s.b.Error(err)
				}
			}
		})
	}
	for i := range s.count {
		next <- i
	}
	close(next)
	ended.Wait()
}

func benchName(i int) string { return fmt.Sprintf("bench/%05d", i) }

// worker makes a replica's, on issuers that all share.
func (s *stage) worker(db *store.DB, issuers []*memory.AccessKeys) *engine.Worker {
	var all []*rotation.Secret
	for i, issuer := range issuers {
		all = append(all, &rotation.Secret{
			Name: benchName(i), Systems: []string{fmt.Sprintf("system-%d", i%500)}, Store: db.Secret(benchName(i)),
			Issuer: issuer, Policy: rotation.Policy{RotateEvery: 90 * rota.Day},
		})
	}
	secrets := &engine.Secrets{}
	secrets.Replace(all, nil)
	return engine.NewWorker(engine.WorkerOptions{
		Rotator: &rotation.Rotator{Journal: db.Journal(), Sleep: func(context.Context, time.Duration) error { return nil }},
		Secrets: secrets, Limits: engine.Limits{Workers: 64}, OnOutcome: s.told,
	})
}

func (s *stage) told(o engine.Outcome) {
	if len(o.Result.Done) == 0 {
		return
	}
	s.mu.Lock()
	s.times[o.Secret] = time.Now()
	s.mu.Unlock()
	if s.done.Add(1) == int64(s.count) {
		close(s.all)
	}
}

func (s *stage) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	for _, service := range s.services {
		ended.Go(func() {
			if err := service.Run(ctx); err != nil {
				s.b.Error(err)
			}
		})
	}
	return func() { cancel(); ended.Wait() }
}

func (s *stage) close() {
	for _, c := range slices.Backward(s.closers) {
		c()
	}
}

// BenchmarkHungOf300 measures, over 20 seconds from the start, at what rate
// turns of ten milliseconds at healthy systems are done beside some that take
// calls and answer none until a timeout of two seconds, as a part of their rate
// alone. All are due again as soon as they are done.
func BenchmarkHungOf300(b *testing.B) {
	for _, hung := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("%d hung", hung), func(b *testing.B) {
			var alone, beside float64
			for b.Loop() {
				alone += healthyRate(300-hung, 0)
				beside += healthyRate(300-hung, hung)
			}
			b.ReportMetric(beside/float64(b.N), "healthy/s")
			b.ReportMetric(beside/alone, "ratio")
		})
	}
}

func healthyRate(healthy, hung int) float64 {
	const lasts = 20 * time.Second
	p := engine.NewPool(engine.Limits{})
	ctx, cancel := context.WithTimeout(context.Background(), lasts)
	defer cancel()
	var done atomic.Int64
	var again func(s *rotation.Secret, do func(context.Context) error)
	again = func(s *rotation.Secret, do func(context.Context) error) {
		p.Go(ctx, s, do, func(error) {
			if ctx.Err() == nil {
				again(s, do)
			}
		})
	}
	for i := range healthy + hung {
		s := &rotation.Secret{Name: benchName(i), Systems: []string{benchName(i)}}
		if i < hung {
			again(s, func(ctx context.Context) error {
				call, cancel := context.WithTimeout(ctx, 2*time.Second)
				defer cancel()
				<-call.Done()
				return call.Err()
			})
			continue
		}
		again(s, func(context.Context) error {
			time.Sleep(10 * time.Millisecond)
			done.Add(1)
			return nil
		})
	}
	<-ctx.Done()
	p.Close(ctx.Err())
	p.Wait()
	return float64(done.Load()) / lasts.Seconds()
}
