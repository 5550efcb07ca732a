package metrics

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// requests counts the daemon's responses.
type requests struct {
	total    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newRequests(r prometheus.Registerer) *requests {
	q := &requests{
		total:   counters("rota_http_requests_total", "Requests answered, by class of path, method and status.", "route", "method", "code"),
		seconds: histograms("rota_http_request_duration_seconds", "How long responses took. Those of the watch route wait for a change.", "route"),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rota_http_requests_in_flight", Help: "Requests in flight.",
		}),
	}
	r.MustRegister(q.total, q.seconds, q.inFlight)
	return q
}

// HTTP counts the requests that next answers.
func (m *Metrics) HTTP(next http.Handler) http.Handler {
	label := promhttp.WithLabelFromRequest("route", func(r *http.Request) string { return route(r.URL.Path) })
	return promhttp.InstrumentHandlerInFlight(m.http.inFlight,
		promhttp.InstrumentHandlerDuration(m.http.seconds,
			promhttp.InstrumentHandlerCounter(m.http.total, next, label), label))
}

// route is the class of a path: there are few, whatever is requested.
func route(path string) string {
	switch {
	case path == "/v1/events", strings.HasPrefix(path, "/v1/") && strings.HasSuffix(path, "/changes"):
		return "watch"
	case strings.HasPrefix(path, "/v1/"):
		return "api"
	case path == "/":
		return "secretsmanager"
	case path == "/healthz", path == "/readyz":
		return "health"
	case path == "/metrics":
		return "metrics"
	case strings.HasPrefix(path, "/admin/"):
		return "admin"
	}
	return "other"
}
