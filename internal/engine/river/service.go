package river

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/rota-dev/rota/internal/engine"
)

// Options configure a replica.
type Options struct {
	// Pool connects to the store's database, for jobs only. Required.
	Pool *pgxpool.Pool
	// Worker carries out the turns. Required. The service closes it when it
	// ends.
	Worker *engine.Worker
	// Queue says what is due. Required.
	Queue engine.Queue
	// Slots is how many jobs this replica takes at once, including those
	// waiting for a slow system or for a worker slot. Defaults to eight times
	// the worker slots.
	Slots int
	// Every is how often the leader scans for due secrets. Defaults to a
	// second.
	Every time.Duration
	// MaxTurn is longer than any turn takes. Defaults to an hour.
	MaxTurn time.Duration
	// LostAfter is how long a job may be taken without starting before it is
	// replaced. It must be longer than the lease. Defaults to two minutes.
	LostAfter time.Duration
	// DrainTimeout is how long in-flight turns may continue at shutdown.
	// Defaults to 20 seconds.
	DrainTimeout time.Duration
	// Log gets failures. Defaults to nothing.
	Log *slog.Logger
	// Now is the clock that decides what is due. Defaults to time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	o.Slots = cmp.Or(o.Slots, 8*o.Worker.Load().Workers)
	o.Every = cmp.Or(o.Every, time.Second)
	o.MaxTurn = cmp.Or(o.MaxTurn, time.Hour)
	o.LostAfter = cmp.Or(o.LostAfter, 2*time.Minute)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 20*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// batch is how many secrets are read, and enqueued, at once.
const batch = 1000

// followerScan is how often a replica that isn't the leader scans, because
// there is none for a while after a leader's death. It looks for what the
// leader should have found, so that replicas don't all enqueue the same:
// secrets that have been due for at least this long.
const followerScan = 5 * time.Second

// Service is one replica.
type Service struct {
	Options
	client *river.Client[pgx.Tx]
	poke   chan struct{}

	enqueued recentJobs // used by the Run loop only

	mu     sync.Mutex
	health engine.Health
}

// New creates a replica. Run starts it.
func New(o Options) (*Service, error) {
	o = o.withDefaults()
	s := &Service{Options: o, poke: make(chan struct{}, 1), enqueued: recentJobs{}}
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, &turnWorker{worker: o.Worker, maxDuration: o.MaxTurn}); err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	client, err := river.NewClient(riverpgxv5.New(o.Pool), &river.Config{
		Logger:  slog.New(warnings{o.Log.Handler()}), // its own activity doesn't matter to a rotation
		Queues:  map[string]river.QueueConfig{turnQueue: {MaxWorkers: o.Slots}},
		Workers: workers,
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(
			river.PeriodicInterval(o.Every),
			func() (river.JobArgs, *river.InsertOpts) { // called on the leader only
				s.Poke()
				return nil, nil // the scan creates the jobs
			},
			&river.PeriodicJobOpts{RunOnStart: true},
		)},
		MaxAttempts:          1,
		JobTimeout:           o.MaxTurn,
		RescueStuckJobsAfter: o.MaxTurn + time.Minute,
		// The audit is the record; these are for people looking at the queue.
		CompletedJobRetentionPeriod: 10 * time.Minute,
		CancelledJobRetentionPeriod: 24 * time.Hour,
		DiscardedJobRetentionPeriod: 24 * time.Hour,
	})
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	s.client = client
	return s, nil
}

// Migrate migrates the queue's schema. Call it when the store's is migrated.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("queue's tables: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("queue's tables: %w", err)
	}
	return nil
}

// Poke makes this replica scan immediately: the configuration has changed, or a
// person requested something.
func (s *Service) Poke() {
	select {
	case s.poke <- struct{}{}:
	default: // a scan is already pending
	}
}

// Health returns this replica's health.
func (s *Service) Health() engine.Health {
	s.mu.Lock()
	h := s.health
	s.mu.Unlock()
	h.Load = s.Worker.Load()
	return h
}

// Run takes part in the work until ctx ends. Then it takes no new jobs, lets
// in-flight work, requests included, finish within DrainTimeout, and cancels
// the rest, which releases it to the other replicas.
func (s *Service) Run(ctx context.Context) error {
	if err := s.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var behind time.Duration
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-timer.C:
			behind = followerScan
		case <-s.poke:
			behind = 0
		}
		if err := s.scan(ctx, behind); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "look for what is due", "error", err)
		}
		timer.Reset(followerScan/2 + rand.N(followerScan)) //nolint:gosec // no secret
	}
	return s.stop(context.WithoutCancel(ctx))
}

// cancelTimeout is how long turns may take to end once canceled: they still
// record how far they got.
const cancelTimeout = 30 * time.Second

func (s *Service) stop(ctx context.Context) error {
	s.Worker.Close()
	var all sync.WaitGroup
	all.Go(func() { s.Worker.Drain(s.DrainTimeout) }) // requests are not jobs
	defer all.Wait()
	soft, cancel := context.WithTimeout(ctx, s.DrainTimeout)
	defer cancel()
	err := s.client.Stop(soft)
	if err == nil {
		return nil
	}
	hard, cancel := context.WithTimeout(ctx, cancelTimeout)
	defer cancel()
	if err := s.client.StopAndCancel(hard); err != nil {
		return fmt.Errorf("stop the queue's workers: %w", err)
	}
	return nil
}
