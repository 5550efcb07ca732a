// Package prommetrics shows Prometheus how fresh a client's secrets are.
//
//	prometheus.MustRegister(prommetrics.New(secrets))
//
// These are its metrics, each with the label secret:
//
//   - rota_client_secret_confirmed_timestamp_seconds: when the source last said that the
//     value in use is the current one; 0 if it's from the cache. time() minus it is how
//     old the value may be.
//   - rota_client_secret_version_timestamp_seconds: when the client first saw the version
//     in use.
//   - rota_client_secret_failing_requests: how many requests in a row have failed.
//   - rota_client_refreshes_total: requests to the source, by result: success or failure.
//
// An alert on values that haven't been confirmed for an hour:
//
//	time() - rota_client_secret_confirmed_timestamp_seconds > 3600
package prommetrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rota-dev/rota/client"
)

var (
	confirmed = describe("secret_confirmed_timestamp_seconds", "When the source last said that the value in use is the current one; 0 if it's from the cache.", "secret")
	since     = describe("secret_version_timestamp_seconds", "When the client first saw the version in use.", "secret")
	failing   = describe("secret_failing_requests", "Requests to the source that failed in a row.", "secret")
	refreshes = describe("refreshes_total", "Requests to the source, by result.", "secret", "result")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("rota_client_"+name, help, labels, nil)
}

// New returns a collector of all secrets that were asked for. It reads nothing from the
// source.
func New(c *client.Client) prometheus.Collector { return collector{c} }

type collector struct{ client *client.Client }

// Describe implements [prometheus.Collector].
func (collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{confirmed, since, failing, refreshes} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, s := range c.client.Secrets() {
		status, name := s.Status(), s.Name()
		if status.Version != "" {
			out <- prometheus.MustNewConstMetric(confirmed, prometheus.GaugeValue, seconds(status.ConfirmedAt), name)
			out <- prometheus.MustNewConstMetric(since, prometheus.GaugeValue, seconds(status.Since), name)
		}
		out <- prometheus.MustNewConstMetric(failing, prometheus.GaugeValue, float64(status.Failures), name)
		out <- prometheus.MustNewConstMetric(refreshes, prometheus.CounterValue, float64(status.Succeeded), name, "success")
		out <- prometheus.MustNewConstMetric(refreshes, prometheus.CounterValue, float64(status.Failed), name, "failure")
	}
}

// seconds is a time for Prometheus; 0 for none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
