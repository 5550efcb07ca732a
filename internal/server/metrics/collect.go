package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rota-dev/rota/rotation"
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// What a survey found, and how the schedule fares at the scrape.
var (
	surveyAt   = describe("rota_survey_timestamp_seconds", "When the secrets were last surveyed, which most of these figures are of.")
	surveyTook = describe("rota_survey_duration_seconds", "How long that took.")

	secretsBy   = describe("rota_secrets", "Enrolled secrets, each in one state, as rota status has it.", "state")
	pausedCount = describe("rota_paused_secrets", "Secrets that a person paused.")
	heldCount   = describe("rota_held_secrets", "Secrets of which something is due that may not be done, by why.", "hold")
	heldLongest = describe("rota_held_longest_seconds", "For how long the one that is held the longest is held.", "hold")
	lateCount   = describe("rota_late_secrets", "Secrets of which something is due and not done within the policy's late_after.")
	lateLongest = describe("rota_late_longest_seconds", "Since when the latest of them was due; 0 without any.")
	dueCount    = describe("rota_due_secrets", "Secrets whose time has come to be looked at and that nobody is at: the queue's depth.")
	dueLongest  = describe("rota_due_longest_seconds", "Since when the longest waiting of them was due; 0 without any, or where all are due at once.")
	leaseCount  = describe("rota_leases_held", "Secrets that a worker is at.")
	unsentCount = describe("rota_unsent_event_secrets", "Secrets with events that no notifier has taken yet.")
	oldest      = describe("rota_credential_age_longest_seconds", "The age of the oldest current credential.")
	ages        = describe("rota_credential_age_distribution_seconds", "Ages of the current credentials, as they are now: not to be used with rate.")
	lateness    = describe("rota_late_distribution_seconds", "For how long what is late is due, as it is now: not to be used with rate.")
	until       = describe("rota_until_rotation_distribution_seconds", "How long until the next rotations by policy, as it is now; 0 where one is due: not to be used with rate.")
	earliest    = describe("rota_next_rotation_earliest_timestamp_seconds", "The date of the earliest next rotation by policy.")

	frozen      = describe("rota_frozen", "1 while everything is frozen.")
	frozenSince = describe("rota_frozen_since_timestamp_seconds", "Since when everything is frozen; only while it is.")
	keptEvents  = describe("rota_outbox_events", "Events that wait to be sent in one message, by notifier.", "notifier")
	keptSince   = describe("rota_outbox_oldest_timestamp_seconds", "Since when the oldest of them waits.", "notifier")
	auditCount  = describe("rota_audit_entries", "Entries of the audit.")
	jobCount    = describe("rota_queue_jobs", "Jobs of the replicas' queue, by state.", "state")

	secretAge    = describe("rota_credential_age_seconds", "The age of a secret's current credential.", "secret")
	secretRotate = describe("rota_next_rotation_timestamp_seconds", "When a secret is next rotated by its policy.", "secret")
	secretLate   = describe("rota_late_seconds", "For how long something of a secret is due that is late; 0 where it is not late.", "secret")
	secretHeld   = describe("rota_held_seconds", "For how long something of a secret is held; only while it is.", "secret", "hold")

	lookedAt    = describe("rota_schedule_last_look_timestamp_seconds", "When this replica last looked for what is due and could.")
	workers     = describe("rota_workers", "Places for turns on this replica.")
	turnsInHand = describe("rota_turns_in_hand", "Turns that this replica is at.")
	turnsWait   = describe("rota_turns_waiting", "Turns that wait for a place on this replica.")
	cooling     = describe("rota_cooling_systems", "Outside systems that timed out too often and that this replica leaves alone for a while.")
)

// Describe implements [prometheus.Collector]. Nothing is said ahead: which
// metrics there are depends on what was found.
func (s *Survey) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (s *Survey) Collect(out chan<- prometheus.Metric) {
	e := emitter{out, s.Now()}
	health := s.Health()
	e.at(lookedAt, health.LastScan)
	e.gauge(workers, float64(health.Workers))
	e.gauge(turnsInHand, float64(health.Busy))
	e.gauge(turnsWait, float64(health.Waiting))
	e.gauge(cooling, float64(len(health.OpenCircuits)))
	if p := s.last.Load(); p != nil {
		e.totals(p)
		e.beside(p)
		for _, o := range p.secrets {
			e.secret(o)
		}
	}
}

// emitter gives out metrics as of a moment: ages grow between two surveys.
type emitter struct {
	out chan<- prometheus.Metric
	now time.Time
}

func (e emitter) gauge(d *prometheus.Desc, v float64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// at gives a date, if there is one.
func (e emitter) at(d *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		e.gauge(d, float64(t.UnixMicro())/1e6, labels...)
	}
}

// since gives for how long something is; 0 where there is no date.
func (e emitter) since(d *prometheus.Desc, t time.Time, labels ...string) {
	seconds := 0.0
	if !t.IsZero() {
		seconds = max(0, e.now.Sub(t).Seconds())
	}
	e.gauge(d, seconds, labels...)
}

func (e emitter) totals(p *picture) {
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

// beside gives what concerns no single secret.
func (e emitter) beside(p *picture) {
	if p.frozen == nil {
		e.gauge(frozen, 0)
	} else {
		e.gauge(frozen, 1)
		e.at(frozenSince, p.frozen.At)
	}
	for _, k := range p.kept {
		e.gauge(keptEvents, float64(k.Events), k.Notifier)
		e.at(keptSince, k.Since, k.Notifier)
	}
	e.gauge(auditCount, float64(p.audit))
	for state, n := range p.jobs {
		e.gauge(jobCount, float64(n), state)
	}
}

func (e emitter) secret(o one) {
	if !o.issued.IsZero() {
		e.since(secretAge, o.issued, o.name)
	}
	e.at(secretRotate, o.rotate, o.name)
	e.since(secretLate, o.lateFrom, o.name)
	if o.hold != rotation.HoldNone {
		e.since(secretHeld, o.heldFrom, o.name, string(o.hold))
	}
}
