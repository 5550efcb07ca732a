package daemon_test

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// scrape reads /metrics: values by series, as on the page.
func (w *world) scrape() map[string]float64 {
	w.t.Helper()
	r := must(http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+"/metrics", http.NoBody))
	a := must(http.DefaultClient.Do(r))
	defer func() { _ = a.Body.Close() }()
	if a.StatusCode != http.StatusOK {
		w.t.Fatal(a.Status)
	}
	found := map[string]float64{}
	lines := bufio.NewScanner(a.Body)
	for lines.Scan() {
		series, figure, ok := cutLast(lines.Text(), " ")
		if !ok || strings.HasPrefix(series, "#") {
			continue
		}
		found[series] = must(strconv.ParseFloat(figure, 64))
	}
	if err := lines.Err(); err != nil {
		w.t.Fatal(err)
	}
	return found
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// watched starts a daemon with everything there is to measure: a working anchor
// and a failing one, a digest, and a rotated secret.
func watched(t *testing.T, database, role string) *world {
	t.Helper()
	heads := filepath.Join(t.TempDir(), "heads")
	text := roleConfig(t, role, "30d")
	text = strings.Replace(text, "connections:\n", "connections:\n  later: {webhook: {url: \"https://127.0.0.1:9/\", keys: [a-signing-key-of-32-characters-x]}}\n", 1)
	text = strings.Replace(text, "    policy:", "    notify: [{connection: later, digest: 24h}]\n    policy:", 1)
	w := start(t, database, text+`
server:
  audit: {anchors: [{file: `+heads+`}, {file: /dev/null/heads}]}
`)
	var done api.WorkDoc
	w.do(http.MethodPost, "/v1/secrets/app%2F"+role+"/rotate", &done)
	if len(done.Secrets) != 1 || done.Secrets[0].State != api.WorkDone {
		t.Fatalf("rotate: %+v", done)
	}
	return w
}

func TestARotationShowsInTheMetrics(t *testing.T) {
	for name, database := range map[string]func(t *testing.T) string{
		"SQLite":     func(*testing.T) string { return "" },
		"PostgreSQL": func(t *testing.T) string { return server.Get(t).NewDatabase(t) },
	} {
		t.Run(name, func(t *testing.T) {
			role := "measured_" + strings.ToLower(name)
			begin := time.Now()
			w := watched(t, database(t), role)
			w.do(http.MethodPost, "/v1/secrets/app%2F"+role+"/resume", nil) // the schedule looks at it immediately
			var got map[string]float64
			eventually(t, "the survey has the secret", func() bool {
				got = w.scrape()
				return got[`rota_secrets{state="ok"}`] == 1 && got[`rota_outbox_events{notifier="later every 1d"}`] > 0 && got[`rota_turns_total{outcome="ok"}`] > 0
			})
			secret := `{secret="app/` + role + `"}`
			for series, want := range map[string]float64{
				`rota_build_info{goversion="` + runtime.Version() + `",version="test"}`: 1,
				`rota_steps_total{outcome="ok",step="create"}`:                          1,
				`rota_steps_total{outcome="ok",step="set"}`:                             1,
				`rota_steps_total{outcome="ok",step="promote"}`:                         1,
				`rota_steps_total{outcome="stop",step="create"}`:                        0,
				`rota_step_duration_seconds_count{step="promote"}`:                      1,
				`rota_calls_total{call="issuer.set",outcome="ok"}`:                      1,
				`rota_secrets{state="late"}`:                                            0,
				`rota_late_seconds` + secret:                                            0,
				`rota_late_secrets`:                                                     0,
				`rota_credential_age_distribution_seconds_count`:                        1,
				`rota_credential_age_distribution_seconds_bucket{le="86400"}`:           1,
				`rota_audit_anchor_failing{place="file /dev/null/heads"}`:               1,
			} {
				if figure, ok := got[series]; !ok || figure != want {
					t.Errorf("%s is %v (%v), want %v", series, figure, ok, want)
				}
			}
			since := time.Since(begin).Seconds()
			if age, ok := got[`rota_credential_age_seconds`+secret]; !ok || age < 0 || age > since+1 {
				t.Errorf("it is %v s old (%v), though it was made within %v s", age, ok, since)
			}
			next := time.Unix(int64(got[`rota_next_rotation_timestamp_seconds`+secret]), 0)
			if next.Before(begin.Add(30*24*time.Hour-time.Minute)) || next.After(time.Now().Add(30*24*time.Hour+time.Minute)) {
				t.Errorf("it is next rotated at %s, want in 30 days", next)
			}
			if got[`rota_workers`] == 0 || got[`rota_schedule_last_look_timestamp_seconds`] < float64(begin.Unix()) {
				t.Errorf("workers: %v, last look: %v", got[`rota_workers`], got[`rota_schedule_last_look_timestamp_seconds`])
			}
			if got[`rota_http_requests_total{code="200",method="post",route="api"}`] != 2 {
				t.Error("the requests to rotate and to resume were not counted")
			}
			if _, ok := got[`rota_queue_jobs{state="available"}`]; ok != (name == "PostgreSQL") {
				t.Errorf("the queue's depth is told: %v", ok)
			}

			w.do(http.MethodPost, "/v1/freeze", nil)
			eventually(t, "the freeze shows", func() bool { return w.scrape()[`rota_frozen`] == 1 })
			_, password, err := w.password("app/" + role)
			if err != nil {
				t.Fatal(err)
			}
			for series := range w.scrape() {
				if strings.Contains(series, password) {
					t.Error("the password stands in the metrics")
				}
			}
		})
	}
}

// namedMetric finds the metrics named in a text.
var namedMetric = regexp.MustCompile(`\brota_[a-z_]+[a-z]\b`)

// Metrics named by rules, dashboard and document must exist, and existing ones
// must be in the document.
func TestEveryNamedMetricExists(t *testing.T) {
	w := watched(t, server.Get(t).NewDatabase(t), "named")
	w.do(http.MethodPost, "/v1/secrets/app%2Fnamed/pause", nil)
	w.do(http.MethodPost, "/v1/freeze", nil)
	there := map[string]bool{}
	eventually(t, "the survey has all", func() bool {
		clear(there)
		for series := range w.scrape() {
			name, _, _ := strings.Cut(series, "{")
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, part)
			}
			there[name] = true
		}
		return there["rota_frozen_since_timestamp_seconds"] && there["rota_outbox_events"] && there["rota_credential_age_seconds"]
	})
	// Needs an account with a limit, and a held secret.
	there["rota_budget_calls_total"], there["rota_budget_wait_seconds"], there["rota_budget_limit_calls_per_second"] = true, true, true
	there["rota_held_seconds"] = true

	documented := map[string]bool{}
	for _, path := range []string{"../../deploy/prometheus/rota.rules.yaml", "../../deploy/grafana/rota.json", "../../docs/monitoring.md"} {
		text := must(os.ReadFile(path))
		names := namedMetric.FindAllString(string(text), -1)
		if len(names) < 10 {
			t.Errorf("%s names %d metrics only", path, len(names))
		}
		for _, name := range names {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, part)
			}
			if !there[name] {
				t.Errorf("%s names %s, which there is not", path, name)
			}
			if strings.HasSuffix(path, ".md") {
				documented[name] = true
			}
		}
	}
	for name := range there {
		if strings.HasPrefix(name, "rota_") && !documented[name] {
			t.Errorf("%s is not in docs/monitoring.md", name)
		}
	}
}

func TestMetricsRequireTheAuditPermission(t *testing.T) {
	w := start(t, "", roleConfig(t, "closed", "30d")+"server: {metrics: admin}\n")
	admin := access.NewAdministration(w.db.Directory(), w.db.Audit(), nil)
	token := func(principal string, may access.Action) string {
		root := access.Local("test")
		if err := admin.Create(t.Context(), root, principal, access.Rule{Action: may, Pattern: "*"}); err != nil {
			t.Fatal(err)
		}
		return must(admin.CreateKey(t.Context(), root, principal, time.Time{})).Token()
	}
	for name, c := range map[string]struct {
		token string
		want  int
	}{
		"nobody":           {"", http.StatusUnauthorized},
		"one who may list": {token("lister", access.List), http.StatusUnauthorized},
		"an auditor":       {token("auditor", access.Audit), http.StatusOK},
	} {
		r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/metrics", http.NoBody))
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		a := must(http.DefaultClient.Do(r))
		body := must(io.ReadAll(a.Body))
		_ = a.Body.Close()
		if a.StatusCode != c.want || strings.Contains(string(body), "rota_build_info") != (c.want == http.StatusOK) {
			t.Errorf("%s: %s", name, a.Status)
		}
	}
	denied := 0
	for _, r := range must(w.db.Audit().Read(t.Context(), store.AuditQuery{Newest: true, Limit: 100})) {
		if r.Entry.Actor == "lister" && r.Entry.Outcome == rotation.OutcomeDenied && r.Entry.Step == "GET /metrics" {
			denied++
		}
	}
	if denied != 1 {
		t.Errorf("%d denied tries are in the audit, want 1", denied)
	}
}
