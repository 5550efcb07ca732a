package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/memory"
	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

var update = flag.Bool("update", false, "regenerate docs/openapi.json")

// operations do what a test tells them to.
type operations struct {
	service.Operations // whatever no test calls
	status             func() (api.StatusDoc, error)
	work               func(api.WorkRequest) (api.WorkDoc, error)
}

func (o operations) Status(context.Context, api.StatusRequest) (api.StatusDoc, error) {
	return o.status()
}

func (o operations) Work(_ context.Context, r api.WorkRequest) (api.WorkDoc, error) {
	return o.work(r)
}

// logOf is an audit in memory.
type logOf struct {
	asked   atomic.Int64
	mu      sync.Mutex
	records []store.AuditRecord
}

func (l *logOf) add(secret, step string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, store.AuditRecord{Seq: int64(len(l.records) + 1), Entry: rotation.Entry{Secret: secret, Step: step, Outcome: rotation.OutcomeSucceeded}})
}

// goBack leaves so many entries.
func (l *logOf) goBack(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = l.records[:n:n]
}

func (l *logOf) Read(_ context.Context, q store.AuditQuery) ([]store.AuditRecord, error) {
	l.asked.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.Newest {
		if n := len(l.records); n > 0 {
			return l.records[n-1:], nil
		}
		return nil, nil
	}
	out := l.records[min(int(q.After), len(l.records)):]
	return out[:min(len(out), q.Limit)], nil
}

// handler is the API for some operations. "X-Who" names the principal.
func handler(t testing.TB, o operations) http.Handler {
	t.Helper()
	directory := &memory.Directory{}
	return New(Options{
		Open: func(context.Context, access.Caller) (service.Operations, func(), error) { return o, func() {}, nil },
		Authenticate: func(r *http.Request, _ []byte) (access.Caller, error) {
			switch who := r.Header.Get("X-Who"); who {
			case "":
				return access.Caller{}, access.ErrUnauthenticated
			case "hasty":
				return access.Caller{}, &access.LimitError{RetryAfter: 1500 * time.Millisecond}
			case "unlucky":
				return access.Caller{}, access.ErrUnavailable
			default:
				return access.Caller{Principal: who, Rules: []access.Rule{{Action: access.Admin, Pattern: "*"}}}, nil
			}
		},
		Access: access.NewAdministration(directory, directory, nil), Feed: NewFeed(&logOf{}, time.Hour, slog.New(slog.DiscardHandler)),
		Version: "test",
	})
}

func ask(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Who", "ann")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestUnknownRoutesReturnProblems(t *testing.T) {
	h := handler(t, operations{})
	for _, c := range []struct {
		method, path string
		want         int
		allow        string
	}{
		{http.MethodDelete, "/v1/secrets", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodGet, "/v1/nothing", http.StatusNotFound, ""},
	} {
		w := ask(h, c.method, c.path, "")
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != c.want || p.Status != c.want || w.Header().Get("Allow") != c.allow ||
			w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %v %s, %v", c.method, c.path, w.Code, w.Header(), w.Body, err)
		}
	}
}

func TestTheDescriptionIsUpToDate(t *testing.T) {
	const path = "../../../docs/openapi.json"
	w := ask(handler(t, operations{}), http.MethodGet, "/v1/openapi.json", "", "X-Who", "")
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, w.Body.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	got := strings.TrimSpace(pretty.String()) + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("docs/openapi.json is not what the API says of itself: go generate ./internal/server/rest")
	}
	if !strings.Contains(got, `"openapi": "3.1.0"`) {
		t.Error("it is not OpenAPI 3.1")
	}
}

//go:generate go test -trimpath -run TestTheDescriptionIsUpToDate -update .

func TestProblems(t *testing.T) {
	document := documented(t)
	for name, c := range map[string]struct {
		err    error
		status int
		kind   string
		hint   string
	}{
		"no such secret": {&service.UsageError{Err: rota.WithRemedies(errors.New("rota.yaml has no secret x"), rota.Outside("y")), NoSecret: true}, 422, api.TypeUsage, "y"},
		"a mistake":      {&service.UsageError{Err: rota.WithRemedies(errors.New("no secret x"), rota.Outside("y"))}, 422, api.TypeUsage, "y"},
		"denied":         {fmt.Errorf("ann may not: %w", access.ErrDenied), 403, api.TypeDenied, ""},
		"not there":      {fmt.Errorf("s: %w", rota.ErrNotFound), 404, api.TypeNotFound, ""},
		"busy":           {fmt.Errorf("s: %w", rota.ErrBusy), 409, api.TypeBusy, ""},
		"no fit":         {fmt.Errorf("s: it is rotated by Rota itself: %w", rota.ErrConflict), 409, api.TypeConflict, ""},
		"anything else":  {rota.WithRemedies(errors.New("the disk is full"), rota.Outside("free some space")), 500, api.TypeFailed, "free some space"},
	} {
		h := handler(t, operations{status: func() (api.StatusDoc, error) { return api.StatusDoc{}, c.err }})
		w := ask(h, http.MethodGet, "/v1/secrets", "")
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatalf("%s: %s", name, w.Body)
		}
		if w.Code != c.status || p.Status != c.status || p.Type != c.kind || p.Hint != c.hint || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v: %s", name, w.Code, w.Header(), w.Body)
		}
		if row := fmt.Sprintf("\n| %d | `%s` |", c.status, c.kind); !strings.Contains(document, row) {
			t.Errorf("docs/api.md has no row %s", row)
		}
	}
	w := ask(handler(t, operations{}), http.MethodGet, "/v1/secrets", "", "X-Who", "")
	if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("nobody: %d %v", w.Code, w.Header())
	}
	w = ask(handler(t, operations{}), http.MethodGet, "/v1/secrets", "", "X-Who", "hasty")
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "2" {
		t.Errorf("too hasty: %d %v", w.Code, w.Header())
	}
	w = ask(handler(t, operations{}), http.MethodGet, "/v1/secrets", "", "X-Who", "unlucky")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), api.TypeFailed) {
		t.Errorf("during an outage: %d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestInvalidBodiesAreNotEchoed(t *testing.T) {
	h := handler(t, operations{})
	for _, body := range []string{
		`{"fields": {"password": 5}}`, `{"fields": "hunter2"}`, `{"fields": {"password": "x"}, "filds": "hunter2"}`,
		`{"no_wait": "hunter2"}`, `{"fields": hunter2}`, `["hunter2"]`, `{"not_before": "hunter2"}`,
	} {
		w := ask(h, http.MethodPost, "/v1/secrets/s/adopt", body)
		if w.Code/100 != 4 || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	if w := ask(h, http.MethodPost, "/v1/work", `{"operation": "`+strings.Repeat("x", maxBody)+`"}`); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that is too large: %d", w.Code)
	}
	if w := ask(h, http.MethodGet, "/v1/secrets?naem=x", ""); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a query that is not known: %d", w.Code)
	}
}

func TestABodyThatIsNotJSONSaysWhatToSend(t *testing.T) {
	h := handler(t, operations{})
	for _, test := range []struct {
		kind    string
		refused bool
	}{
		{"application/x-www-form-urlencoded", true}, {"text/plain; charset=utf-8", true}, {"a/b/c", true},
		{"", false}, {"application/json", false}, {"application/json; charset=utf-8", false}, {"application/merge-patch+json", false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/v1/secrets/s/adopt", strings.NewReader(`{"no_such_key": 1}`))
		r.Header.Set("X-Who", "ann")
		if test.kind != "" {
			r.Header.Set("Content-Type", test.kind)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		said := strings.Contains(w.Body.String(), `"hint":"send it with Content-Type: application/json"`)
		if w.Code != http.StatusUnprocessableEntity || said != test.refused {
			t.Errorf("%q: %d %s", test.kind, w.Code, w.Body)
		}
	}
}

func TestAnETagHoldsUntilSomethingChanges(t *testing.T) {
	doc := api.StatusDoc{At: time.Now(), Secrets: []api.StatusSecretDoc{{Secret: "s", State: api.StateOK, AgeSeconds: 5}}}
	h := handler(t, operations{status: func() (api.StatusDoc, error) { return doc, nil }})
	tag := ask(h, http.MethodGet, "/v1/secrets", "").Header().Get("ETag")
	doc.At, doc.Secrets[0].AgeSeconds = doc.At.Add(time.Minute), 65
	if w := ask(h, http.MethodGet, "/v1/secrets", "", "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("as time goes by: %d %s", w.Code, w.Body)
	}
	doc.Secrets[0].State = api.StateLate
	if w := ask(h, http.MethodGet, "/v1/secrets", "", "If-None-Match", tag); w.Code != http.StatusOK || w.Header().Get("ETag") == tag {
		t.Errorf("after a change: %d", w.Code)
	}
}

func TestAKeyedRequestIsCarriedOutOnce(t *testing.T) {
	var calls atomic.Int32
	begun, end := make(chan struct{}), make(chan struct{})
	h := handler(t, operations{work: func(r api.WorkRequest) (api.WorkDoc, error) {
		if calls.Add(1) == 1 {
			close(begun)
			<-end
		}
		return api.WorkDoc{Secrets: []api.WorkSecretDoc{{Secret: r.Secrets[0], State: api.WorkDone, Done: []api.StepDoc{}}}}, nil
	}})
	post := func(path, who string) *httptest.ResponseRecorder {
		return ask(h, http.MethodPost, path, "", "Idempotency-Key", "k1", "X-Who", who)
	}
	var first, second *httptest.ResponseRecorder
	var both sync.WaitGroup
	both.Go(func() { first = post("/v1/secrets/s/rotate", "ann") })
	<-begun
	both.Go(func() { second = post("/v1/secrets/s/rotate", "ann") })
	close(end)
	both.Wait()
	third := post("/v1/secrets/s/rotate", "ann")
	for n, w := range []*httptest.ResponseRecorder{first, second, third} {
		if w.Code != http.StatusOK || w.Body.String() != first.Body.String() {
			t.Errorf("answer %d: %d %s", n+1, w.Code, w.Body)
		}
	}
	if calls.Load() != 1 || third.Header().Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d calls, %v", calls.Load(), third.Header())
	}
	if w := post("/v1/secrets/other/rotate", "ann"); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("the key for another request: %d", w.Code)
	}
	if w := post("/v1/secrets/s/rotate", "bob"); w.Code != http.StatusOK || calls.Load() != 2 {
		t.Errorf("somebody else's key: %d, %d calls", w.Code, calls.Load())
	}
}

func TestTheFeedWakesThoseConcerned(t *testing.T) {
	log := &logOf{}
	log.add("a", "create")
	f := NewFeed(log, time.Hour, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = f.Run(ctx) }()
	defer func() { cancel(); <-done }()
	a, b, all := f.Watch("a"), f.Watch("b"), f.Watch("")
	defer a.Stop()
	defer b.Stop()
	defer all.Stop()
	for _, w := range []*Waiter{a, b, all} { // the feed begins at the log's end
		<-w.Changed()
	}
	log.add("a", "promote")
	f.Poke()
	<-a.Changed()
	<-all.Changed()
	select {
	case <-b.Changed():
		t.Error("it concerns another secret")
	default:
	}
	log.add("b", "promote")
	f.Poke()
	<-b.Changed()
	cancel()
	<-f.Done()
}

func TestAnIdleFeedMakesNoQueries(t *testing.T) {
	log := &logOf{}
	f := NewFeed(log, time.Hour, slog.New(slog.DiscardHandler))
	f.poll(t.Context())
	f.poll(t.Context())
	if n := log.asked.Load(); n != 0 {
		t.Errorf("it asked %d times", n)
	}
	w := f.Watch("a")
	log.add("a", "create")
	f.poll(t.Context())
	<-w.Changed() // it may have missed what happened before the first look
	w.Stop()
	before := log.asked.Load()
	f.poll(t.Context())
	if n := log.asked.Load() - before; n != 0 {
		t.Errorf("once nobody waits any more it asked %d times", n)
	}
}

func TestWhoMaySeeEvents(t *testing.T) {
	lister := access.Caller{Rules: []access.Rule{{Action: access.List, Pattern: "app/*"}}}
	auditor := access.Caller{Rules: []access.Rule{{Action: access.Audit, Pattern: "*"}}}
	for _, c := range []struct {
		entry           rotation.Entry
		lister, auditor bool
	}{
		{rotation.Entry{Secret: "app/x", Step: "promote"}, true, true},
		{rotation.Entry{Secret: "other", Step: "promote"}, false, true},
		{rotation.Entry{Secret: "app/x", Step: "get"}, false, true},
		{rotation.Entry{Secret: "app/x", Step: "rotate", Outcome: rotation.OutcomeDenied}, false, true},
	} {
		if got := maySee(lister, c.entry); got != c.lister {
			t.Errorf("%+v: who may list hears: %t", c.entry, got)
		}
		if got := maySee(auditor, c.entry); got != c.auditor {
			t.Errorf("%+v: who may audit hears: %t", c.entry, got)
		}
	}
}

// Whatever is sent, the API responds with JSON and never with a 500.
func FuzzRequests(f *testing.F) {
	h := handler(f, operations{
		status: func() (api.StatusDoc, error) {
			return api.StatusDoc{Secrets: []api.StatusSecretDoc{{}}}, nil
		},
		work: func(api.WorkRequest) (api.WorkDoc, error) { return api.WorkDoc{}, nil },
	})
	f.Add("POST", "/v1/work", `{"operation":"rotate","secrets":["s"]}`)
	f.Add("PUT", "/v1/access/principals/app", `{"rules":["read:app/*"]}`)
	f.Add("GET", "/v1/secrets/s%2Ft", "")
	f.Fuzz(func(t *testing.T, method, path, body string) {
		r, err := http.NewRequest(method, "http://rota.example"+path, strings.NewReader(body))
		if err != nil || !strings.HasPrefix(r.URL.Path, "/v1/secrets") && !strings.HasPrefix(r.URL.Path, "/v1/work") && !strings.HasPrefix(r.URL.Path, "/v1/access") ||
			strings.HasSuffix(r.URL.Path, "/changes") || strings.Contains(r.URL.Path, "value") || strings.Contains(r.URL.Path, "versions") || strings.Contains(r.URL.Path, "adopt") {
			return
		}
		r.Header.Set("X-Who", "ann")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		defer func() {
			if p := recover(); p != nil && !strings.Contains(fmt.Sprint(p), "nil pointer") { // operations that no test has
				t.Fatalf("%s %s: %v", method, path, p)
			}
		}()
		h.ServeHTTP(w, r)
		text, _ := io.ReadAll(w.Body)
		if w.Code == http.StatusInternalServerError {
			t.Errorf("%s %q: %s", method, path, text)
		}
	})
}
