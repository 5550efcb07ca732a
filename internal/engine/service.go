package engine

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

// ServiceOptions configure the local scheduler.
type ServiceOptions struct {
	// Worker carries out the turns. Required. The service closes it when it
	// ends.
	Worker *Worker
	// Queue says what is due. Required.
	Queue Queue
	// Every is the maximum time between two scans for due secrets. It bounds
	// how late a change by another process is noticed. Defaults to 5 seconds.
	Every time.Duration
	// Batch is how many secrets one query returns. Defaults to 1000.
	Batch int
	// DrainTimeout is how long in-flight turns may continue at shutdown. After
	// that they are canceled, and continue at the next start. Defaults to 20
	// seconds.
	DrainTimeout time.Duration
	// Log gets failures. Defaults to nothing.
	Log *slog.Logger
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

func (o ServiceOptions) withDefaults() ServiceOptions {
	o.Every = cmp.Or(o.Every, 5*time.Second)
	o.Batch = cmp.Or(o.Batch, 1000)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 20*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Service is the local scheduler: one process, or several on one data folder,
// that work on what is due when it is due.
type Service struct {
	ServiceOptions
	poke chan struct{}

	mu     sync.Mutex
	queued map[string]bool // waiting or in flight, by name
	health Health
}

// NewService creates a scheduler. Run starts it.
func NewService(o ServiceOptions) *Service {
	return &Service{ServiceOptions: o.withDefaults(), poke: make(chan struct{}, 1), queued: map[string]bool{}}
}

// Poke makes the service scan immediately: the configuration has changed, or a
// person requested something.
func (s *Service) Poke() {
	select {
	case s.poke <- struct{}{}:
	default: // a scan is already pending
	}
}

// Health returns the service's health.
func (s *Service) Health() Health {
	s.mu.Lock()
	h := s.health
	s.mu.Unlock()
	h.Load = s.Worker.Load()
	return h
}

// Run works on what is due until ctx ends. Then it starts nothing new, lets
// in-flight turns finish within DrainTimeout, cancels the rest, which releases
// their leases, and returns nil.
func (s *Service) Run(ctx context.Context) error {
	work := context.WithoutCancel(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-timer.C:
		case <-s.poke:
		}
		begin := time.Now()
		err := s.scan(ctx, work)
		timer.Reset(s.sleep(ctx, err, time.Since(begin)))
	}
	s.Worker.Close()
	s.Worker.Drain(s.DrainTimeout)
	return nil
}

// scan queues everything that's due and not queued yet.
func (s *Service) scan(ctx, work context.Context) error {
	due := 0
	err := EachDue(ctx, s.Queue, s.Now(), s.Batch, func(batch []rotation.Due) error {
		due += len(batch)
		for _, d := range batch {
			s.enqueue(work, d)
		}
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.health.Error = hint.Text(err)
		return err
	}
	s.health.LastScan, s.health.Error, s.health.Due = s.Now(), "", due
	return nil
}

// EachDue calls f with everything that's due at a time, in batches.
func EachDue(ctx context.Context, q Queue, now time.Time, size int, f func([]rotation.Due) error) error {
	query := rotation.DueQuery{Now: now, Limit: size}
	for {
		batch, err := queryDue(ctx, q, query)
		if err != nil {
			return err
		}
		if len(batch) > 0 {
			if err := f(batch); err != nil {
				return err
			}
			query.After = batch[len(batch)-1]
		}
		if len(batch) < size {
			return nil
		}
	}
}

// queryTimeout limits one query, so that a hanging database doesn't hang the
// loop.
const queryTimeout = 30 * time.Second

func queryDue(ctx context.Context, q Queue, query rotation.DueQuery) ([]rotation.Due, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return q.Due(ctx, query)
}

// sleep is how long to wait until the next scan: until something is due, but at
// most Every, and long enough that scans don't use up all the time.
func (s *Service) sleep(ctx context.Context, scanned error, took time.Duration) time.Duration {
	wait := s.Every
	if scanned != nil {
		if ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "look for what is due", "error", scanned)
		}
	} else if next, err := s.Queue.NextDue(ctx, s.Now()); err == nil && !next.IsZero() {
		wait = min(wait, next.Sub(s.Now()))
	}
	return max(wait, 10*took, 10*time.Millisecond)
}

// enqueue queues a turn for a secret, unless there is one already.
func (s *Service) enqueue(work context.Context, d rotation.Due) {
	secret, returned := s.Worker.secrets.Borrow(d.Secret)
	returned() // while it waits, only its systems matter
	if secret == nil {
		return
	}
	s.mu.Lock()
	if s.queued[d.Secret] {
		s.mu.Unlock()
		return
	}
	s.queued[d.Secret] = true
	s.mu.Unlock()
	s.Worker.enqueue(work, secret, false, d.NextAt, func(result rotation.Result) {
		s.mu.Lock()
		delete(s.queued, d.Secret)
		s.mu.Unlock()
		if at := result.Status.NextAt; !at.IsZero() && at.Before(s.Now().Add(s.Every)) && at.After(s.Now()) {
			s.Poke() // it's due again before the timer fires
		}
	})
}

// enqueue runs a turn once there is room, with the secret as it's configured by
// then.
func (w *Worker) enqueue(ctx context.Context, s *rotation.Secret, interactive bool, due time.Time, end func(rotation.Result)) {
	var result rotation.Result
	var begin time.Time
	w.pool.add(&turn{secret: s, ctx: ctx, interactive: interactive, do: func(ctx context.Context) error {
		begin = w.now()
		secret, done := w.secrets.Borrow(s.Name)
		defer done()
		if secret == nil {
			return unknownSecret(s.Name)
		}
		var err error
		result, err = w.rotator.Advance(ctx, secret, rotation.Options{Due: true})
		return err
	}, end: func(err error) {
		w.reportTurn(ctx, s.Name, due, begin, result, err)
		end(result)
	}})
}
