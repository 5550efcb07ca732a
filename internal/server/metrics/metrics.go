// Package metrics tells Prometheus how a daemon and its secrets fare. What a
// metric is called and means stands in docs/monitoring.md. No metric holds a
// value of a secret or the text of an error.
package metrics

import (
	"log/slog"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are all of one process. What happens is counted as it happens, by the
// methods; how the secrets stand is surveyed from time to time.
type Metrics struct {
	registry *prometheus.Registry
	work     *work
	audit    *audit
	http     *requests
}

// New makes metrics of a program of that version.
func New(version string) *Metrics {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rota_build_info", Help: "1, with the program's version and that of Go.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &Metrics{registry: registry, work: newWork(registry), audit: newAudit(registry), http: newRequests(registry)}
}

// Handler answers a scrape with what is known, and asks nothing for it.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: scrapeLog{log}, ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true,
	})
}

// scrapeLog is where promhttp writes what goes wrong.
type scrapeLog struct{ log *slog.Logger }

func (l scrapeLog) Println(v ...any) { l.log.Error("metrics", "error", v) }

// durations are the buckets, in seconds, of what takes from a millisecond to
// minutes.
var durations = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900}
