package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// audit measures how the audit's signed head gets to the places outside.
type audit struct {
	anchored, at, failing *prometheus.GaugeVec
}

func newAudit(r prometheus.Registerer) *audit {
	gauges := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"place"})
		r.MustRegister(g)
		return g
	}
	return &audit{
		anchored: gauges("rota_audit_anchored_entries", "Entries of the audit up to the head that this replica last anchored at a place."),
		at:       gauges("rota_audit_anchor_last_success_timestamp_seconds", "When a place last accepted a head from this replica."),
		failing:  gauges("rota_audit_anchor_failing", "1 while a place rejects heads, or none can be signed for it."),
	}
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
