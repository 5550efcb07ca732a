// Package metrics exposes the health of a daemon and its secrets to
// Prometheus. docs/monitoring.md lists every metric and what it means. No
// metric contains a secret's value or the text of an error.
package metrics

import (
	"log/slog"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are all metrics of one process. Its methods count events as they
// happen; a survey updates the state of the secrets from time to time.
type Metrics struct {
	registry *prometheus.Registry
	refused  prometheus.Gauge
	work     *work
	audit    *audit
	http     *requests
}

// New returns metrics for a program of that version.
func New(version string) *Metrics {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rota_build_info", Help: "1, labeled with the version of the program and of Go.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	refused := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rota_configuration_refused", Help: "1 while the newest rota.yaml is refused and an earlier one is in force.",
	})
	registry.MustRegister(build, refused, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &Metrics{registry: registry, refused: refused, work: newWork(registry), audit: newAudit(registry), http: newRequests(registry)}
}

// ConfigurationRefused records whether the newest configuration is refused.
func (m *Metrics) ConfigurationRefused(is bool) {
	m.refused.Set(0)
	if is {
		m.refused.Set(1)
	}
}

// Handler answers a scrape from memory, without querying anything.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: scrapeLog{log}, ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true, CoalesceGather: true,
	})
}

// scrapeLog is where promhttp writes errors.
type scrapeLog struct{ log *slog.Logger }

func (l scrapeLog) Println(v ...any) { l.log.Error("metrics", "error", v) }

// durations are the buckets, in seconds, for anything that takes from a
// millisecond to minutes.
var durations = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900}
