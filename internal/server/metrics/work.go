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
// draw on budgets.
type work struct {
	turns        *prometheus.CounterVec
	turnSeconds  prometheus.Histogram
	delaySeconds prometheus.Histogram
	steps        *prometheus.CounterVec
	stepSeconds  *prometheus.HistogramVec
	calls        *prometheus.CounterVec
	callSeconds  *prometheus.HistogramVec
	draws        *prometheus.CounterVec
	drawSeconds  *prometheus.HistogramVec
	drawLimit    *prometheus.GaugeVec
}

func newWork(r prometheus.Registerer) *work {
	w := &work{
		turns: counters("rota_turns_total", "Turns at secrets that the schedule had done, by outcome.", "outcome"),
		turnSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rota_turn_duration_seconds", Help: "How long such turns took.", Buckets: durations,
		}),
		delaySeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rota_turn_delay_seconds", Help: "How long after its date such a turn began.",
			Buckets: []float64{.1, .5, 1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600},
		}),
		steps:       counters("rota_steps_total", "Steps that were carried out, by outcome.", "step", "outcome"),
		stepSeconds: histograms("rota_step_duration_seconds", "How long a step took.", "step"),
		calls:       counters("rota_calls_total", "Calls to outside systems, by role and operation, and by outcome.", "call", "outcome"),
		callSeconds: histograms("rota_call_duration_seconds", "How long a call took.", "call"),
		draws:       counters("rota_budget_calls_total", "Calls drawn on a budget: granted, or refused because their turn came too late.", "budget", "outcome"),
		drawSeconds: histograms("rota_budget_wait_seconds", "How long a call waited for its budget.", "budget"),
		drawLimit: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rota_budget_limit_calls_per_second", Help: "How many calls a second a budget gives in the long run, to all replicas together.",
		}, []string{"budget"}),
	}
	r.MustRegister(w.turns, w.turnSeconds, w.delaySeconds, w.steps, w.stepSeconds, w.calls, w.callSeconds, w.draws, w.drawSeconds, w.drawLimit)
	// What has not happened yet counts 0, so that the first time is seen as one more.
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

// observing is the look at the outside that goes before the steps of a turn.
const observing rota.Step = "observe"

var steps = []rota.Step{
	observing, rota.StepCreate, rota.StepSet, rota.StepTest, rota.StepPromote, rota.StepDeliver, rota.StepReload, rota.StepDeactivate, rota.StepDelete, rota.StepRollback,
}

// The outcomes of what is not ok are the classes of its error, and:
const (
	succeeded = "ok"
	canceled  = "canceled" // broken off, to go on later
	busy      = "busy"     // another worker was at it, or took it over
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
	case s.Name == string(observing):
		count, seconds = m.work.steps, m.work.stepSeconds
	case !strings.Contains(s.Name, "."):
		return ctx, func(error) {} // a turn, of which [Metrics.Turn] hears
	}
	begin := time.Now()
	return ctx, func(err error) {
		count.WithLabelValues(name, outcome(err)).Inc()
		seconds.WithLabelValues(name).Observe(time.Since(begin).Seconds())
	}
}

// Turn counts a turn that the schedule had done.
func (m *Metrics) Turn(o engine.Outcome) {
	m.work.turns.WithLabelValues(outcome(o.Err)).Inc()
	m.work.turnSeconds.Observe(o.DoneAt.Sub(o.BegunAt).Seconds())
	if !o.DueAt.IsZero() {
		m.work.delaySeconds.Observe(max(0, o.BegunAt.Sub(o.DueAt)).Seconds())
	}
}

// Budget gives a budget whose calls are counted.
func (m *Metrics) Budget(b rota.Budget) rota.Budget {
	return rota.WatchBudget(b, func(key string, r rota.Rate, waited time.Duration, err error) {
		outcome := "granted"
		if err != nil {
			outcome = "refused"
		}
		m.work.draws.WithLabelValues(key, outcome).Inc()
		m.work.drawSeconds.WithLabelValues(key).Observe(waited.Seconds())
		m.work.drawLimit.WithLabelValues(key).Set(r.PerSecond)
	})
}
