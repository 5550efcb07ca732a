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

// Options say how a replica works.
type Options struct {
	// Pool are connections to the database of the store, for the jobs alone.
	// Required.
	Pool *pgxpool.Pool
	// Worker carries out the turns. Required. The service closes it at its end.
	Worker *engine.Worker
	// Queue tells what is due. Required.
	Queue engine.Queue
	// Slots is how many jobs this replica takes at once, those included that
	// wait for a slow system or for a worker's place. Defaults to eight times
	// the worker's places.
	Slots int
	// Every is how often the leader looks for what is due. Defaults to a second.
	Every time.Duration
	// Longest is longer than any turn takes. Defaults to an hour.
	MaxTurn time.Duration
	// Lost is after how long a job that a worker took, but that never began, is
	// given to another. Longer than the lease. Defaults to two minutes.
	LostAfter time.Duration
	// DrainTimeout is how long turns in hand may go on when the service is to end.
	// Defaults to 20 seconds.
	DrainTimeout time.Duration
	// Log hears of what fails. Defaults to nothing.
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

// batch is how many secrets are asked for, and enqueued, at once.
const batch = 1000

// followerScan is how often a replica looks that does not lead, for after a leader's
// death there is none for a while. It looks for what the leader should have
// found, so that not all enqueue the same: what is due for as long as ownScan.
const followerScan = 5 * time.Second

// Service is one replica.
type Service struct {
	Options
	client *river.Client[pgx.Tx]
	poke   chan struct{}

	enqueued recentJobs // the Run loop's own

	mu     sync.Mutex
	health engine.Health
}

// New makes a replica. Run starts it.
func New(o Options) (*Service, error) {
	o = o.withDefaults()
	s := &Service{Options: o, poke: make(chan struct{}, 1), enqueued: recentJobs{}}
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, &turnWorker{worker: o.Worker, maxDuration: o.MaxTurn}); err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	client, err := river.NewClient(riverpgxv5.New(o.Pool), &river.Config{
		Logger:  slog.New(warnings{o.Log.Handler()}), // its own doings are no news of a rotation
		Queues:  map[string]river.QueueConfig{turnQueue: {MaxWorkers: o.Slots}},
		Workers: workers,
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(
			river.PeriodicInterval(o.Every),
			func() (river.JobArgs, *river.InsertOpts) { // called on the leader alone
				s.Poke()
				return nil, nil // the look makes the jobs
			},
			&river.PeriodicJobOpts{RunOnStart: true},
		)},
		MaxAttempts:          1,
		JobTimeout:           o.MaxTurn,
		RescueStuckJobsAfter: o.MaxTurn + time.Minute,
		// The audit is the record; these are for who looks at the queue.
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

// Migrate brings the queue's tables up to date. It belongs to the moment at
// which the store's are.
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

// Poke has this replica look for what is due at once: the configuration was
// changed, or a person asked for something.
func (s *Service) Poke() {
	select {
	case s.poke <- struct{}{}:
	default: // a look is to come already
	}
}

// Health tells how this replica fares.
func (s *Service) Health() engine.Health {
	s.mu.Lock()
	h := s.health
	s.mu.Unlock()
	h.Load = s.Worker.Load()
	return h
}

// Run takes part in the work until ctx ends. Then it takes nothing new, lets
// what is in hand end within DrainTimeout, what people asked for too, and breaks off
// the rest, which hands it back to the other replicas.
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

// cancelTimeout is how long turns may take to end once they are broken off: they
// still write down how far they came.
const cancelTimeout = 30 * time.Second

func (s *Service) stop(ctx context.Context) error {
	s.Worker.Close()
	var all sync.WaitGroup
	all.Go(func() { s.Worker.Drain(s.DrainTimeout) }) // what people asked for is no job
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
