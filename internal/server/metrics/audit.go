package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// audit measures how the audit's signed head gets to the places outside, and
// whether its chain is whole.
type audit struct {
	broken, verified      prometheus.Gauge
	anchored, at, failing *prometheus.GaugeVec
}

func newAudit(r prometheus.Registerer) *audit {
	gauges := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"place"})
		r.MustRegister(g)
		return g
	}
	single := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		r.MustRegister(g)
		return g
	}
	return &audit{
		broken:   single("rota_audit_broken", "1 if the audit's chain was broken when it was last verified, and nobody has acknowledged that."),
		verified: single("rota_audit_verified_timestamp_seconds", "When this replica last verified the audit's whole chain, whatever came out; 0 if it hasn't yet."),
		anchored: gauges("rota_audit_anchored_entries", "Entries of the audit up to the head that this replica last anchored at a place."),
		at:       gauges("rota_audit_anchor_last_success_timestamp_seconds", "When a place last accepted a head from this replica."),
		failing:  gauges("rota_audit_anchor_failing", "1 while a place rejects heads, or none can be signed for it."),
	}
}

// AuditVerified records whether the chain was found broken.
func (m *Metrics) AuditVerified(broken bool) {
	m.audit.broken.Set(0)
	if broken {
		m.audit.broken.Set(1)
	}
	m.audit.verified.SetToCurrentTime()
}

// Anchored records that a place accepted the head of so many entries, or why
// it didn't.
func (m *Metrics) Anchored(place string, entries int64, err error) {
	if err != nil {
		m.audit.failing.WithLabelValues(place).Set(1)
		return
	}
	m.audit.failing.WithLabelValues(place).Set(0)
	m.audit.anchored.WithLabelValues(place).Set(float64(entries))
	m.audit.at.WithLabelValues(place).SetToCurrentTime()
}
