package metrics

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/rotation"
)

// work counts turns, their steps, the calls to outside systems, and what those
// take from budgets.
type work struct {
	turns         *prometheus.CounterVec
	turnSeconds   prometheus.Histogram
	delaySeconds  prometheus.Histogram
	steps         *prometheus.CounterVec
	stepSeconds   *prometheus.HistogramVec
	calls         *prometheus.CounterVec
	callSeconds   *prometheus.HistogramVec
	budgetCalls   *prometheus.CounterVec
	budgetSeconds *prometheus.HistogramVec
	budgetLimit   *prometheus.GaugeVec
}

func newWork(r prometheus.Registerer) *work {
	w := &work{
		turns: counters("rota_turns_total", "Scheduled turns, by outcome.", "outcome"),
		turnSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rota_turn_duration_seconds", Help: "How long scheduled turns took.", Buckets: durations,
		}),
		delaySeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rota_turn_delay_seconds", Help: "How long after its due date a scheduled turn began.",
			Buckets: []float64{.1, .5, 1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600},
		}),
		steps:         counters("rota_steps_total", "Steps carried out, by outcome.", "step", "outcome"),
		stepSeconds:   histograms("rota_step_duration_seconds", "How long steps took.", "step"),
		calls:         counters("rota_calls_total", "Calls to outside systems, by role and operation, and by outcome.", "call", "outcome"),
		callSeconds:   histograms("rota_call_duration_seconds", "How long calls took.", "call"),
		budgetCalls:   counters("rota_budget_calls_total", "Calls taken from a budget: granted, or refused because their turn would have come too late.", "budget", "outcome"),
		budgetSeconds: histograms("rota_budget_wait_seconds", "How long calls waited for their budget.", "budget"),
		budgetLimit: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rota_budget_limit_calls_per_second", Help: "How many calls per second a budget allows in the long run, to all replicas together.",
		}, []string{"budget"}),
	}
	r.MustRegister(w.turns, w.turnSeconds, w.delaySeconds, w.steps, w.stepSeconds, w.calls, w.callSeconds, w.budgetCalls, w.budgetSeconds, w.budgetLimit)
	// What hasn't happened yet is reported as 0, so that the first time shows up as an increase.
	for _, o := range outcomes {
		w.turns.WithLabelValues(o)
		for _, s := range steps {
			w.steps.WithLabelValues(string(s), o)
		}
	}
	return w
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histograms(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: durations}, labels)
}

var steps = []rota.Step{
	rotation.StepObserve, rota.StepCreate, rota.StepSet, rota.StepTest, rota.StepPromote, rota.StepDeliver, rota.StepReload, rota.StepDeactivate, rota.StepDelete, rota.StepRenew, rota.StepRollback,
}

// An outcome that isn't ok is the class of the error, or one of these:
const (
	succeeded = "ok"
	canceled  = "canceled" // interrupted, to be resumed later
	busy      = "busy"     // another worker had the secret, or took it over
)

var outcomes = []string{succeeded, string(rota.ClassWait), string(rota.ClassRegenerate), string(rota.ClassStop), canceled, busy}

func outcome(err error) string {
	switch {
	case err == nil:
		return succeeded
	case errors.Is(err, context.Canceled):
		return canceled
	case errors.Is(err, rota.ErrBusy), errors.Is(err, rota.ErrFenced):
		return busy
	}
	return string(rota.ClassOf(err))
}

// Trace is a [rota.Tracer] that counts steps and calls.
func (m *Metrics) Trace(ctx context.Context, s rotation.Span) (context.Context, func(error)) {
	count, seconds, name := m.work.calls, m.work.callSeconds, s.Name
	switch {
	case s.Step != rota.StepNone:
		count, seconds, name = m.work.steps, m.work.stepSeconds, string(s.Step)
	case s.Name == string(rotation.StepObserve):
		count, seconds = m.work.steps, m.work.stepSeconds
	case !strings.Contains(s.Name, "."):
		return ctx, func(error) {} // a turn, which [Metrics.Turn] counts
	}
	begin := time.Now()
	return ctx, func(err error) {
		count.WithLabelValues(name, outcome(err)).Inc()
		seconds.WithLabelValues(name).Observe(time.Since(begin).Seconds())
	}
}

// Turn counts a scheduled turn.
func (m *Metrics) Turn(o engine.Outcome) {
	m.work.turns.WithLabelValues(outcome(o.Err)).Inc()
	m.work.turnSeconds.Observe(o.EndedAt.Sub(o.StartedAt).Seconds())
	if !o.DueAt.IsZero() {
		m.work.delaySeconds.Observe(max(0, o.StartedAt.Sub(o.DueAt)).Seconds())
	}
}

// Budget wraps a budget so that its calls are counted.
func (m *Metrics) Budget(b rota.Budget) rota.Budget {
	return rota.WatchBudget(b, func(key string, r rota.Rate, waited time.Duration, err error) {
		outcome := "granted"
		if err != nil {
			outcome = "refused"
		}
		m.work.budgetCalls.WithLabelValues(key, outcome).Inc()
		m.work.budgetSeconds.WithLabelValues(key).Observe(waited.Seconds())
		m.work.budgetLimit.WithLabelValues(key).Set(r.PerSecond)
	})
}
