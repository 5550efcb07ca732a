package daemon

import (
	"net/http"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/server/metrics"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// newSurvey creates the survey of the secrets for the metrics.
func (d *Daemon) newSurvey() *metrics.Survey {
	o := metrics.SurveyOptions{
		Source: surveySource{d.DB.Overview(), d.DB.Queue(), d.DB.Audit()}, Policy: d.policy, Health: d.schedule.Health, PerSecret: d.settings.MetricsSecrets,
		Every: d.SurveyEvery, Log: d.Log, Now: d.DB.Now,
	}
	if d.replica != nil {
		o.Jobs = d.replica.Jobs
	}
	return d.metrics.Survey(o)
}

// policy is a secret's policy as currently configured.
func (d *Daemon) policy(secret string) rotation.Policy {
	current, release := d.acquire()
	defer release()
	return current.file.Policy(secret)
}

// metricsPage answers Prometheus: anyone, or only callers with the audit
// permission.
func (d *Daemon) metricsPage() http.Handler {
	page := d.metrics.Handler(d.Log)
	if d.settings.MetricsOpen {
		return d.limited(8, page) // with metrics for each secret, it takes longest
	}
	return d.requirePermission(access.Audit, "/metrics", func(w http.ResponseWriter, r *http.Request, _ access.Caller) { page.ServeHTTP(w, r) })
}

// surveySource is what the metrics are taken from.
type surveySource struct {
	store.Overview
	store.Queue
	store.Audit
}
