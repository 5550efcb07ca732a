package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// table is a store's status table.
type table struct {
	rows   []store.EnrolledSecret
	frozen *rotation.Halt
	asked  atomic.Int64
	sick   atomic.Bool
}

func (s *table) Enrolled(_ context.Context, after string, limit int) ([]store.EnrolledSecret, error) {
	s.asked.Add(1)
	if s.sick.Load() {
		return nil, errors.New("sick")
	}
	var found []store.EnrolledSecret
	for _, r := range s.rows {
		if r.Name > after && len(found) < limit {
			found = append(found, r)
		}
	}
	return found, nil
}

func (s *table) Frozen(context.Context) (*rotation.Halt, error) { return s.frozen, nil }

func (s *table) OutboxBacklog(context.Context) ([]store.OutboxBacklog, error) {
	return []store.OutboxBacklog{{Notifier: "ops", Events: 3, Since: noon.Add(-time.Hour)}}, nil
}

func (s *table) End(context.Context) (int64, error) { return 7, nil }

func standing(name string, s rotation.Status) store.EnrolledSecret {
	if s.LookedAt.IsZero() {
		s.LookedAt = noon.Add(-time.Minute)
	}
	return store.EnrolledSecret{SecretStatus: store.SecretStatus{Name: name, Status: s, NextAt: noon.Add(time.Hour)}}
}

// mixed is secrets in many states.
func mixed() *table {
	fresh := standing("app/fresh", rotation.Status{IssuedAt: noon.Add(-10 * rota.Day), RotateAt: noon.Add(80 * rota.Day)})
	late := standing("app/late", rotation.Status{IssuedAt: noon.Add(-100 * rota.Day), RotateAt: noon.Add(-10 * rota.Day), DueAt: noon.Add(-10 * rota.Day), Hold: rotation.HoldInUse})
	due := standing("app/now", rotation.Status{IssuedAt: noon.Add(-30 * rota.Day), RotateAt: noon, DueAt: noon})
	due.NextAt = noon.Add(-5 * time.Second)
	paused := standing("app/paused", rotation.Status{IssuedAt: noon.Add(-rota.Day)})
	paused.NextAt, paused.Paused, paused.Unsent = noon.Add(-rota.Day), &rotation.Halt{By: "ann", At: noon}, true
	gone := standing("app/quarantined", rotation.Status{IssuedAt: noon.Add(-400 * rota.Day), Hold: rotation.HoldQuarantined, DueAt: noon.Add(-time.Hour)})
	worked := standing("app/worked", rotation.Status{})
	worked.NextAt, worked.Holder = noon.Add(-time.Hour), "somebody"
	return &table{rows: []store.EnrolledSecret{fresh, late, due, paused, gone, worked}}
}

// survey runs once and returns a scrape's response.
func survey(t *testing.T, source *table, change func(*SurveyOptions)) (*Metrics, string) {
	t.Helper()
	m := New("test")
	o := SurveyOptions{
		Source: source, Policy: func(string) rotation.Policy { return rotation.Policy{LateAfter: rota.Day} },
		Health:    func() engine.Health { return engine.Health{LastScan: noon, Load: engine.Load{Workers: 8, Busy: 2}} },
		PerSecret: 100, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: func() time.Time { return noon },
	}
	if change != nil {
		change(&o)
	}
	s := m.Survey(o)
	p, err := s.survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.last.Store(p)
	return m, scrape(t, m)
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(slog.New(slog.NewTextHandler(t.Output(), nil))).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if w.Code != http.StatusOK {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// has checks that a scrape contains these complete lines.
func has(t *testing.T, scraped string, lines ...string) {
	t.Helper()
	all := map[string]bool{}
	for line := range strings.Lines(scraped) {
		all[strings.TrimSpace(line)] = true
	}
	for _, want := range lines {
		if !all[want] {
			name, _, _ := strings.Cut(want, "{")
			name, _, _ = strings.Cut(name, " ")
			var near []string
			for line := range all {
				if strings.HasPrefix(line, name) {
					near = append(near, line)
				}
			}
			t.Errorf("no line %q, only %q", want, near)
		}
	}
}

func TestSecretsAreCountedByState(t *testing.T) {
	_, got := survey(t, mixed(), nil)
	has(t, got,
		`rota_secrets{state="ok"} 2`, `rota_secrets{state="late"} 1`, `rota_secrets{state="due"} 1`,
		`rota_secrets{state="paused"} 1`, `rota_secrets{state="quarantined"} 1`, `rota_secrets{state="failed"} 0`,
		`rota_held_secrets{hold="previous in use"} 1`, `rota_held_longest_seconds{hold="previous in use"} 864000`,
		`rota_held_secrets{hold="quarantined"} 1`, `rota_held_secrets{hold="no free place"} 0`,
		`rota_paused_secrets 1`, `rota_late_secrets 1`, `rota_late_longest_seconds 864000`,
		`rota_due_secrets 1`, `rota_due_longest_seconds 5`, `rota_leases_held 1`, `rota_unsent_event_secrets 1`,
		`rota_credential_age_longest_seconds 3.456e+07`,
		`rota_credential_age_distribution_seconds_bucket{le="86400"} 1`,
		`rota_credential_age_distribution_seconds_bucket{le="2.592e+06"} 3`,
		`rota_credential_age_distribution_seconds_bucket{le="+Inf"} 5`, `rota_credential_age_distribution_seconds_sum 4.67424e+07`,
		`rota_late_distribution_seconds_bucket{le="604800"} 0`, `rota_late_distribution_seconds_bucket{le="2.592e+06"} 1`,
		`rota_until_rotation_distribution_seconds_bucket{le="0"} 2`, `rota_until_rotation_distribution_seconds_count 3`,
		`rota_frozen 0`, `rota_outbox_events{notifier="ops"} 3`, `rota_audit_entries 7`,
		`rota_workers 8`, `rota_turns_in_hand 2`,
		fmt.Sprintf(`rota_schedule_last_look_timestamp_seconds %v`, float64(noon.Unix())),
		fmt.Sprintf(`rota_survey_timestamp_seconds %v`, float64(noon.Unix())),
		fmt.Sprintf(`rota_outbox_oldest_timestamp_seconds{notifier="ops"} %v`, float64(noon.Add(-time.Hour).Unix())),
		// each by name
		`rota_credential_age_seconds{secret="app/fresh"} 864000`,
		fmt.Sprintf(`rota_next_rotation_timestamp_seconds{secret="app/fresh"} %v`, float64(noon.Add(80*rota.Day).Unix())),
		`rota_late_seconds{secret="app/late"} 864000`, `rota_late_seconds{secret="app/fresh"} 0`,
		`rota_held_seconds{hold="previous in use",secret="app/late"} 864000`,
	)
}

func TestWhileFrozenNothingIsDue(t *testing.T) {
	source := mixed()
	source.frozen = &rotation.Halt{By: "ann", At: noon.Add(-time.Hour)}
	_, got := survey(t, source, nil)
	has(t, got, `rota_frozen 1`, `rota_due_secrets 0`, fmt.Sprintf(`rota_frozen_since_timestamp_seconds %v`, float64(noon.Add(-time.Hour).Unix())))
}

func TestManySecretsHaveTotalsOnly(t *testing.T) {
	source := &table{}
	for i := range 2*batch + 1 { // more than one query returns
		source.rows = append(source.rows, standing(fmt.Sprintf("app/%06d", i), rotation.Status{IssuedAt: noon.Add(-rota.Day)}))
	}
	total := fmt.Sprintf(`rota_secrets{state="ok"} %d`, len(source.rows))
	for name, c := range map[string]struct {
		perSecret int
		named     bool
	}{
		"as many as may be": {len(source.rows), true},
		"one too many":      {len(source.rows) - 1, false},
		"never":             {0, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := survey(t, source, func(o *SurveyOptions) { o.PerSecret = c.perSecret })
			has(t, got, total)
			if named := strings.Count(got, "rota_credential_age_seconds{"); (named == len(source.rows)) != c.named || !c.named && strings.Contains(got, `secret="`) {
				t.Errorf("%d secrets are named", named)
			}
		})
	}
}

func TestAgesGrowBetweenTwoSurveys(t *testing.T) {
	now := noon
	m, _ := survey(t, mixed(), func(o *SurveyOptions) { o.Now = func() time.Time { return now } })
	now = now.Add(time.Hour)
	has(t, scrape(t, m), `rota_credential_age_seconds{secret="app/fresh"} 867600`, fmt.Sprintf(`rota_survey_timestamp_seconds %v`, float64(noon.Unix())))
}

func TestASurveyTakesATwentiethOfTheTimeAtMost(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0: 15 * time.Second, 100 * time.Millisecond: 15 * time.Second, 750 * time.Millisecond: 15 * time.Second,
		time.Second: 20 * time.Second, time.Minute: 20 * time.Minute,
	} {
		if got := pause(15*time.Second, took); got != want {
			t.Errorf("after %s: %s, want %s", took, got, want)
		}
	}
}

func TestAScrapeMakesNoQueriesAndKeepsOldFiguresDuringAnOutage(t *testing.T) {
	source := mixed()
	m := New("test")
	s := m.Survey(SurveyOptions{
		Source: source, Policy: func(string) rotation.Policy { return rotation.Policy{} }, Health: func() engine.Health { return engine.Health{} },
		PerSecret: 10, Every: time.Millisecond, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon },
	})
	if strings.Contains(scrape(t, m), "rota_secrets{") {
		t.Error("there are figures before the first survey")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	await := func(what string, f func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !f(); {
			if time.Now().After(deadline) {
				t.Fatal("never: " + what)
			}
			time.Sleep(time.Millisecond)
		}
	}
	await("a survey", func() bool { return s.last.Load() != nil })
	source.sick.Store(true)
	await("a failure", func() bool { return testutil.ToFloat64(s.failures) > 0 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	asked := source.asked.Load()
	has(t, scrape(t, m), `rota_secrets{state="late"} 1`)
	if n := source.asked.Load() - asked; n != 0 {
		t.Errorf("a scrape asked the store %d times", n)
	}
}

func TestStepsAndCallsAreCountedByOutcome(t *testing.T) {
	m := New("test")
	password := "hunter2-hunter2"
	for _, e := range []struct {
		span rotation.Span
		err  error
	}{
		{rotation.Span{Name: "turn", Secret: "a"}, nil},
		{rotation.Span{Name: "observe", Secret: "a"}, nil},
		{rotation.Span{Name: "step.create", Step: rota.StepCreate, Secret: "a"}, nil},
		{rotation.Span{Name: "step.create", Step: rota.StepCreate, Secret: "b"}, &rota.Error{Op: password, Class: rota.ClassStop, Err: errors.New(password)}},
		{rotation.Span{Name: "step.set", Step: rota.StepSet}, errors.New(password)},
		{rotation.Span{Name: "step.set", Step: rota.StepSet}, fmt.Errorf("x: %w", context.Canceled)},
		{rotation.Span{Name: "issuer.create", Object: "key"}, nil},
		{rotation.Span{Name: "store.get", Object: "version"}, fmt.Errorf("x: %w", rota.ErrFenced)},
	} {
		ctx, end := m.Trace(t.Context(), e.span)
		if ctx != t.Context() {
			t.Error("another context")
		}
		end(e.err)
	}
	m.Turn(engine.Outcome{Secret: "a", DueAt: noon, StartedAt: noon.Add(2 * time.Second), EndedAt: noon.Add(5 * time.Second)})
	m.Turn(engine.Outcome{Secret: "a", StartedAt: noon, EndedAt: noon, Err: rota.ErrBusy})
	got := scrape(t, m)
	has(t, got,
		`rota_steps_total{outcome="ok",step="observe"} 1`, `rota_steps_total{outcome="ok",step="create"} 1`, `rota_steps_total{outcome="stop",step="create"} 1`,
		`rota_steps_total{outcome="wait",step="set"} 1`, `rota_steps_total{outcome="canceled",step="set"} 1`, `rota_steps_total{outcome="ok",step="delete"} 0`,
		`rota_step_duration_seconds_count{step="create"} 2`,
		`rota_calls_total{call="issuer.create",outcome="ok"} 1`, `rota_calls_total{call="store.get",outcome="busy"} 1`, `rota_call_duration_seconds_count{call="issuer.create"} 1`,
		`rota_turns_total{outcome="ok"} 1`, `rota_turns_total{outcome="busy"} 1`,
		`rota_turn_delay_seconds_sum 2`, `rota_turn_delay_seconds_count 1`, `rota_turn_duration_seconds_sum 3`,
	)
	if strings.Contains(got, password) {
		t.Error("the text of an error is told")
	}
}

func TestBudgetsAndAnchors(t *testing.T) {
	m := New("test")
	b := m.Budget(rota.NewLocalBudget())
	r := rota.Rate{PerSecond: .5, Burst: 2}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for range 3 {
		_ = b.Take(ctx, "aws 1 iam", r) // the third comes too late
	}
	m.Anchored("s3 heads/", 12, nil)
	m.Anchored("webhook", 12, nil)
	m.Anchored("webhook", 15, errors.New("sick"))
	has(t, scrape(t, m),
		`rota_budget_calls_total{budget="aws 1 iam",outcome="granted"} 2`, `rota_budget_calls_total{budget="aws 1 iam",outcome="refused"} 1`,
		`rota_budget_wait_seconds_count{budget="aws 1 iam"} 3`, `rota_budget_limit_calls_per_second{budget="aws 1 iam"} 0.5`,
		`rota_audit_anchored_entries{place="webhook"} 12`, `rota_audit_anchor_failing{place="webhook"} 1`, `rota_audit_anchor_failing{place="s3 heads/"} 0`,
	)
}

func TestRequestsAreCountedByFewClasses(t *testing.T) {
	m := New("test")
	h := m.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/events" {
			w.(http.Flusher).Flush() // streams still can
		}
		if strings.HasPrefix(r.URL.Path, "/no") {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, "x")
	}))
	for _, path := range []string{"/v1/secrets", "/v1/secrets/app%2Fx/changes", "/v1/events", "/", "/healthz", "/metrics", "/admin/queue/", "/no/such", "/nor/this"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, http.NoBody))
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("BREW", "/v1/secrets", http.NoBody))
	got := map[string]bool{}
	for line := range strings.Lines(scrape(t, m)) {
		if strings.HasPrefix(line, "rota_http_requests_total{") {
			got[strings.TrimSpace(strings.TrimPrefix(line, "rota_http_requests_total"))] = true
		}
	}
	want := map[string]bool{}
	for _, line := range []string{
		`{code="200",method="get",route="api"} 1`, `{code="200",method="unknown",route="api"} 1`, `{code="200",method="get",route="watch"} 2`,
		`{code="200",method="get",route="secretsmanager"} 1`, `{code="200",method="get",route="health"} 1`,
		`{code="200",method="get",route="metrics"} 1`, `{code="200",method="get",route="admin"} 1`, `{code="404",method="get",route="other"} 2`,
	} {
		want[line] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheExpositionFollowsPrometheusConventions(t *testing.T) {
	source := mixed()
	source.frozen = &rotation.Halt{At: noon}
	m, _ := survey(t, source, func(o *SurveyOptions) {
		o.Jobs = func(context.Context) (map[string]int, error) { return map[string]int{"available": 1}, nil }
	})
	_, end := m.Trace(t.Context(), rotation.Span{Name: "issuer.create"})
	end(nil)
	m.Anchored("webhook", 1, nil)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
