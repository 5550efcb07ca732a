package daemon_test

import (
	"database/sql"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/daemon"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// entries is the whole audit.
func (w *world) entries() []rotation.Entry {
	w.t.Helper()
	records, err := w.db.Audit().Read(w.t.Context(), store.AuditQuery{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	out := make([]rotation.Entry, len(records))
	for i, r := range records {
		out[i] = r.Entry
	}
	return out
}

// send sends a request with a body as the first administrator.
func (w *world) send(method, path, body string) (status int, answer string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.key.Token())
	r.Header.Set("Content-Type", "application/json")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return a.StatusCode, string(text)
}

func TestRequestsAreAuditedWithTheAddress(t *testing.T) {
	w := start(t, "", roleConfig(t, "asked_from", "2s")+`
  - {name: app/licence, issuer: {manual: {what: a licence}}, policy: {rotate_every: 90d}}
`)
	w.do(http.MethodPost, "/v1/secrets/app%2Fasked_from/rotate", nil)
	for _, path := range []string{
		"/v1/secrets/app%2Flicence/pause", "/v1/secrets/app%2Flicence/resume", "/v1/secrets/app%2Flicence/done", "/v1/freeze", "/v1/thaw", "/v1/reload",
	} {
		eventually(t, "the daemon itself is at the secret no more", func() bool {
			status, answer := w.send(http.MethodPost, path, `{"reason": "stocktaking"}`)
			if status != http.StatusOK && status != http.StatusConflict {
				t.Fatalf("%s: %d %s", path, status, answer)
			}
			return status == http.StatusOK
		})
	}
	if status, answer := w.send(http.MethodPost, "/v1/secrets/app%2Fasked_from/adopt", `{"fields": {"username": "asked_from", "password": "none of it"}}`); status != http.StatusOK {
		t.Errorf("adopt: %d %s", status, answer)
	}
	eventually(t, "a rotation that nobody asked for", func() bool {
		for _, e := range w.entries() {
			if e.Actor == "rota serve" && e.Step == "promote" {
				return true
			}
		}
		return false
	})
	steps := map[string]bool{}
	for _, e := range w.entries() {
		switch {
		case e.Actor == w.key.Principal:
			if steps[e.Step] = true; e.From != "127.0.0.1" {
				t.Errorf("who asked for %s did so from %q", e.Step, e.From)
			}
		case e.From != "":
			t.Errorf("%s did %s from %q", e.Actor, e.Step, e.From)
		}
	}
	for _, step := range []string{"create", "set", "promote", "adopt", "pause", "resume", "done", "freeze", "thaw", "reload"} {
		if !steps[step] {
			t.Errorf("%s is no entry: %v", step, steps)
		}
	}
}

func TestEveryReloadIsAudited(t *testing.T) {
	text := roleConfig(t, "reloaded", "30d")
	w := start(t, "", text)
	reloads := func() (out []rotation.Entry) {
		for _, e := range w.entries() {
			if e.Step == "reload" {
				out = append(out, e)
			}
		}
		return out
	}
	if status, answer := w.send(http.MethodPost, "/v1/reload", `{"reason": "at once"}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	got := reloads()
	if len(got) != 1 || got[0].Outcome != rotation.OutcomeSucceeded || got[0].Actor != w.key.Principal || got[0].Object != w.file ||
		!strings.HasPrefix(got[0].Detail, "sha256:") || !strings.HasSuffix(got[0].Detail, ": at once") {
		t.Errorf("a reload: %+v", got)
	}
	w.configure(strings.Replace(text, "30d", "29d", 1))
	eventually(t, "the edited file is an entry", func() bool {
		got = reloads()
		return len(got) == 2 && got[1].Outcome == rotation.OutcomeSucceeded && got[1].Actor == "rota serve" && got[1].From == ""
	})
	w.configure(strings.Replace(text, "rotate_every", "rotate_evry", 1))
	if status, _ := w.send(http.MethodPost, "/v1/reload", ""); status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong file: %d", status)
	}
	eventually(t, "the refused file is an entry of both who asked and the daemon", func() bool {
		by := map[string]bool{}
		for _, e := range reloads()[2:] {
			if e.Outcome == rotation.OutcomeFailed && strings.Contains(e.Detail, "rotate_evry") {
				by[e.Actor] = true
			}
		}
		return by[w.key.Principal] && by["rota serve"]
	})
}

func TestAChangeOfTheQueueIsAudited(t *testing.T) {
	w := start(t, server.Get(t).NewDatabase(t), "secrets: [{name: app/licence, issuer: {manual: {what: a licence}}, policy: {rotate_every: 90d}}]\n")
	eventually(t, "the queue is there", func() bool {
		status, _ := w.send(http.MethodGet, "/admin/queue/api/queues/rota_turns", "")
		return status == http.StatusOK
	})
	if status, answer := w.send(http.MethodPost, "/admin/queue/api/jobs/delete", `{"ids": ["4711", "4712"]}`); status != http.StatusNotFound {
		t.Errorf("jobs that are not there: %d %s", status, answer)
	}
	if status, answer := w.send(http.MethodPut, "/admin/queue/api/queues/rota_turns/resume", "{}"); status != http.StatusOK {
		t.Errorf("resume: %d %s", status, answer)
	}
	var got []rotation.Entry
	for _, e := range w.entries() {
		if strings.HasSuffix(e.Step, " /admin/queue") {
			e.At = time.Time{}
			got = append(got, e)
		}
	}
	entry := func(step, object string, o rotation.Outcome, detail string) rotation.Entry {
		return rotation.Entry{Actor: w.key.Principal, From: "127.0.0.1", Step: step + " /admin/queue", Object: object, Outcome: o, Detail: detail}
	}
	if diff := cmp.Diff([]rotation.Entry{
		entry("POST", "jobs/delete", rotation.OutcomeBegun, "2 jobs: 4711, 4712"), entry("POST", "jobs/delete", rotation.OutcomeFailed, "answered 404 Not Found"),
		entry("PUT", "queues/rota_turns/resume", rotation.OutcomeBegun, ""), entry("PUT", "queues/rota_turns/resume", rotation.OutcomeSucceeded, ""),
	}, got); diff != "" {
		t.Errorf("the audit (-want +got):\n%s", diff)
	}
}

// A single place authenticates, whichever endpoint is used.
func TestFailedAuthenticationsAreAuditedOnEveryEndpoint(t *testing.T) {
	w := start(t, server.Get(t).NewDatabase(t), "server: {metrics: admin}\nsecrets: [{name: app/licence, issuer: {manual: {what: a licence}}, policy: {rotate_every: 90d}}]\n")
	ids := map[string]string{}
	for n, door := range []string{"/v1/secrets", "/metrics", "/admin/queue/", "/"} {
		ids[door] = "ROTA" + strings.Repeat("A", 15) + string(rune('A'+n))
	}
	wrong := strings.Repeat("A", 40)
	for _, door := range []string{"/v1/secrets", "/metrics", "/admin/queue/"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+door, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if r.Header.Set("Authorization", "Bearer rota_"+ids[door]+"_"+wrong); door == "/admin/queue/" {
			r.SetBasicAuth(ids[door], wrong)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = a.Body.Close(); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", door, a.Status)
		}
	}
	w.key.Key.ID = ids["/"]
	if _, _, err := w.password("app/licence"); err == nil {
		t.Error("AWS's client with a key that is not there was answered")
	}
	for door, id := range ids {
		n := 0
		for _, e := range w.entries() {
			if e.Actor == id && e.Step == "authenticate" && e.Outcome == rotation.OutcomeDenied && e.From == "127.0.0.1" && strings.HasSuffix(e.Object, " "+door) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s: %d entries of %s, want 1: %+v", door, n, id, w.entries())
		}
	}
}

// TestABrokenAuditRaisesAnAlert changes the audit's end in the database.
func TestABrokenAuditRaisesAnAlert(t *testing.T) {
	var mu sync.Mutex
	var said strings.Builder
	w := start(t, "", "secrets: []\n", func(o *daemon.Options) {
		o.VerifyEvery, o.Log = 20*time.Millisecond, slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return said.Write(p)
		}), nil))
	})
	eventually(t, "a whole audit is verified", func() bool {
		series := w.scrape()
		return series["rota_audit_broken"] == 0 && series["rota_audit_verified_timestamp_seconds"] > 0
	})
	direct, err := sql.Open("sqlite", filepath.Join(filepath.Dir(w.file), "data", "rota.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = direct.Close() }()
	if _, err := direct.ExecContext(t.Context(), "UPDATE audit_head SET mac = zeroblob(length(mac))"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a broken one shows", func() bool { return w.scrape()["rota_audit_broken"] == 1 })
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(said.String(), "the audit was tampered with") {
		t.Error("the log doesn't say so")
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
