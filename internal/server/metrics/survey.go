package metrics

import (
	"cmp"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// Source is what's surveyed: some of the overview, the queue and the audit of a
// store.
type Source interface {
	// Enrolled lists at most limit enrolled secrets by name, starting after a
	// name.
	Enrolled(ctx context.Context, after string, limit int) ([]store.EnrolledSecret, error)
	// Frozen says who froze everything; nil if nobody did.
	Frozen(ctx context.Context) (*rotation.Halt, error)
	// OutboxBacklog lists what's kept for notifiers that get several events in one
	// message.
	OutboxBacklog(ctx context.Context) ([]store.OutboxBacklog, error)
	// End is the number of the audit's last entry.
	End(ctx context.Context) (int64, error)
}

// SurveyOptions say what's surveyed, and how often.
type SurveyOptions struct {
	// Source has the secrets. Required.
	Source Source
	// Policy returns a secret's policy as currently configured. Required.
	Policy func(secret string) rotation.Policy
	// Health returns the schedule's health. Required.
	Health func() engine.Health
	// Jobs, if any, counts the jobs of the replicas' queue, by state.
	Jobs func(ctx context.Context) (map[string]int, error)
	// PerSecret is up to how many secrets each one has metrics of its own. With
	// more, or with 0, there are only totals.
	PerSecret int
	// Every is how often all secrets are surveyed, at most. Defaults to 15
	// seconds.
	Every time.Duration
	// Log gets failures. Required.
	Log *slog.Logger
	// Now is the clock of the dates in the store. Required.
	Now func() time.Time
}

// Survey goes through all secrets from time to time, so that a scrape doesn't have to.
type Survey struct {
	SurveyOptions
	last     atomic.Pointer[snapshot]
	failures prometheus.Counter
}

// Survey creates a survey of the secrets. Run starts it; what it finds goes
// into the metrics.
func (m *Metrics) Survey(o SurveyOptions) *Survey {
	o.Every = cmp.Or(o.Every, 15*time.Second)
	s := &Survey{SurveyOptions: o, failures: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "rota_survey_failures_total", Help: "Surveys that failed, which leave the earlier figures in place.",
	})}
	m.registry.MustRegister(s.failures, s)
	return s
}

// Run surveys until ctx ends, and returns nil.
func (s *Survey) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		begin := time.Now()
		p, err := s.survey(ctx)
		took := time.Since(begin)
		switch {
		case err == nil:
			p.took = took
			s.last.Store(p)
		case ctx.Err() == nil:
			s.failures.Inc()
			s.Log.ErrorContext(ctx, "survey the secrets for the metrics", "error", err)
		}
		timer.Reset(pause(s.Every, took))
	}
}

// pause is how long to wait after a survey that took d: surveys use no more
// than a twentieth of the time.
func pause(every, took time.Duration) time.Duration { return max(every, 20*took) }

const (
	// batch is how many secrets one query returns.
	batch = 2000
	// queryTimeout bounds one query: a database that hangs must not hang the survey.
	queryTimeout = 30 * time.Second
)

// survey takes a picture.
func (s *Survey) survey(ctx context.Context) (*snapshot, error) {
	p := newSnapshot(s.Now(), s.PerSecret)
	ask := func(f func(ctx context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, queryTimeout)
		defer cancel()
		return f(ctx)
	}
	err := ask(func(ctx context.Context) (err error) {
		if p.frozen, err = s.Source.Frozen(ctx); err != nil {
			return err
		}
		if p.outbox, err = s.Source.OutboxBacklog(ctx); err != nil {
			return err
		}
		if p.audit, err = s.Source.End(ctx); err == nil && s.Jobs != nil {
			p.jobs, err = s.Jobs(ctx)
		}
		return err
	})
	for after, more := "", true; err == nil && more; {
		var rows []store.EnrolledSecret
		err = ask(func(ctx context.Context) (err error) {
			rows, err = s.Source.Enrolled(ctx, after, batch)
			return err
		})
		for _, row := range rows {
			p.add(row, s.Policy(row.Name))
		}
		if more = len(rows) == batch; more {
			after = rows[len(rows)-1].Name
		}
	}
	return p, err
}
