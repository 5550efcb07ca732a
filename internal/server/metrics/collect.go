package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rota-dev/rota/rotation"
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// What a survey found, and the schedule's health at the scrape.
var (
	surveyAt   = describe("rota_survey_timestamp_seconds", "When the last survey of the secrets, the source of most of these metrics, was made.")
	surveyTook = describe("rota_survey_duration_seconds", "How long the last survey took.")

	secretsBy   = describe("rota_secrets", "Enrolled secrets by state, each in exactly one, as in rota status.", "state")
	pausedCount = describe("rota_paused_secrets", "Secrets that are paused.")
	heldCount   = describe("rota_held_secrets", "Secrets with something due that must not be done, by reason.", "hold")
	heldLongest = describe("rota_held_longest_seconds", "How long the longest-held secret has been held.", "hold")
	lateCount   = describe("rota_late_secrets", "Secrets with something due for longer than the policy's late_after.")
	lateLongest = describe("rota_late_longest_seconds", "Since when the most overdue of them has been due; 0 if there are none.")
	dueCount    = describe("rota_due_secrets", "Secrets that are due and that no worker has taken yet: the depth of the queue.")
	dueLongest  = describe("rota_due_longest_seconds", "Since when the longest-waiting of them has been due; 0 if there are none, or if all are due immediately.")
	leaseCount  = describe("rota_leases_held", "Secrets that a worker is working on.")
	unsentCount = describe("rota_unsent_event_secrets", "Secrets with events that no notifier has accepted yet.")
	oldest      = describe("rota_credential_age_longest_seconds", "The age of the oldest current credential.")
	ages        = describe("rota_credential_age_distribution_seconds", "Ages of the current credentials, as of now: don't use with rate.")
	lateness    = describe("rota_late_distribution_seconds", "How long late secrets have been due, as of now: don't use with rate.")
	until       = describe("rota_until_rotation_distribution_seconds", "How long until the next rotations by policy, as of now; 0 for those due: don't use with rate.")
	earliest    = describe("rota_next_rotation_earliest_timestamp_seconds", "The date of the earliest next rotation by policy.")

	frozen       = describe("rota_frozen", "1 while everything is frozen.")
	frozenSince  = describe("rota_frozen_since_timestamp_seconds", "Since when everything has been frozen; only while it is.")
	outboxEvents = describe("rota_outbox_events", "Events waiting to be sent in one message, by notifier.", "notifier")
	outboxSince  = describe("rota_outbox_oldest_timestamp_seconds", "Since when the oldest of them has been waiting.", "notifier")
	auditCount   = describe("rota_audit_entries", "Entries of the audit.")
	jobCount     = describe("rota_queue_jobs", "Jobs of the replicas' queue, by state.", "state")

	secretAge    = describe("rota_credential_age_seconds", "The age of a secret's current credential.", "secret")
	secretRotate = describe("rota_next_rotation_timestamp_seconds", "When a secret is next rotated by its policy.", "secret")
	secretLate   = describe("rota_late_seconds", "How long a late secret has been due; 0 if it isn't late.", "secret")
	secretHeld   = describe("rota_held_seconds", "How long a secret has been held; only while it is.", "secret", "hold")

	lookedAt      = describe("rota_schedule_last_look_timestamp_seconds", "When this replica last looked for due work successfully.")
	workers       = describe("rota_workers", "Worker slots on this replica.")
	turnsInFlight = describe("rota_turns_in_hand", "Turns in flight on this replica.")
	turnsWait     = describe("rota_turns_waiting", "Turns waiting for a worker slot on this replica.")
	openCircuits  = describe("rota_cooling_systems", "Outside systems whose circuit is open on this replica after too many timeouts.")
)

// Describe implements [prometheus.Collector]. It announces nothing: which
// metrics exist depends on what was found.
func (s *Survey) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (s *Survey) Collect(out chan<- prometheus.Metric) {
	e := emitter{out, s.Now()}
	health := s.Health()
	e.at(lookedAt, health.LastScan)
	e.gauge(workers, float64(health.Workers))
	e.gauge(turnsInFlight, float64(health.Busy))
	e.gauge(turnsWait, float64(health.Waiting))
	e.gauge(openCircuits, float64(len(health.OpenCircuits)))
	if p := s.last.Load(); p != nil {
		e.totals(p)
		e.global(p)
		for _, o := range p.secrets {
			e.secret(o)
		}
	}
}

// emitter emits metrics as of a given time: ages grow between two surveys.
type emitter struct {
	out chan<- prometheus.Metric
	now time.Time
}

func (e emitter) gauge(d *prometheus.Desc, v float64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// at emits a date, if there is one.
func (e emitter) at(d *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		e.gauge(d, float64(t.UnixMicro())/1e6, labels...)
	}
}

// since emits how long something has lasted; 0 without a date.
func (e emitter) since(d *prometheus.Desc, t time.Time, labels ...string) {
	seconds := 0.0
	if !t.IsZero() {
		seconds = max(0, e.now.Sub(t).Seconds())
	}
	e.gauge(d, seconds, labels...)
}

func (e emitter) totals(p *snapshot) {
	e.at(surveyAt, p.at)
	e.gauge(surveyTook, p.took.Seconds())
	for s, n := range p.states {
		e.gauge(secretsBy, float64(n), string(s))
	}
	for h, n := range p.holds {
		e.gauge(heldCount, float64(n), string(h))
		e.since(heldLongest, p.heldSince[h], string(h))
	}
	e.gauge(pausedCount, float64(p.paused))
	e.gauge(lateCount, float64(p.late))
	e.since(lateLongest, p.lateSince)
	e.gauge(dueCount, float64(p.due))
	e.since(dueLongest, p.dueSince)
	e.gauge(leaseCount, float64(p.leases))
	e.gauge(unsentCount, float64(p.unsent))
	e.since(oldest, p.issued)
	e.at(earliest, p.nextRotation)
	e.out <- p.ages.metric(ages)
	e.out <- p.lateness.metric(lateness)
	e.out <- p.untilRotated.metric(until)
}

// global emits what isn't about a single secret.
func (e emitter) global(p *snapshot) {
	if p.frozen == nil {
		e.gauge(frozen, 0)
	} else {
		e.gauge(frozen, 1)
		e.at(frozenSince, p.frozen.At)
	}
	for _, k := range p.outbox {
		e.gauge(outboxEvents, float64(k.Events), k.Notifier)
		e.at(outboxSince, k.Since, k.Notifier)
	}
	e.gauge(auditCount, float64(p.audit))
	for state, n := range p.jobs {
		e.gauge(jobCount, float64(n), state)
	}
}

func (e emitter) secret(o secretMetrics) {
	if !o.issued.IsZero() {
		e.since(secretAge, o.issued, o.name)
	}
	e.at(secretRotate, o.rotate, o.name)
	e.since(secretLate, o.lateFrom, o.name)
	if o.hold != rotation.HoldNone {
		e.since(secretHeld, o.heldFrom, o.name, string(o.hold))
	}
}
