package rest

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/memory"
	"github.com/rota-dev/rota/internal/service"
)

// current says which version is current to callers who may list.
type current struct {
	service.Operations
	caller access.Caller
}

func (c current) Current(ctx context.Context, name string) (api.CurrentDoc, error) {
	return api.CurrentDoc{Version: "v1"}, access.Authorize(ctx, c.caller, nil, access.Attempt{Action: access.List, Op: "watch"}, name)
}

// openWorld is the API for one caller, who can change while a request is open.
type openWorld struct {
	url string
	now atomic.Pointer[access.Caller]
	err atomic.Pointer[error]

	rechecked chan struct{} // receives while a request is open
}

func startOpen(t *testing.T) *openWorld {
	t.Helper()
	w := &openWorld{rechecked: make(chan struct{})}
	w.now.Store(&access.Caller{Principal: "ann", Rules: []access.Rule{{Action: access.List, Pattern: "*"}}})
	directory := &memory.Directory{}
	feed := NewFeed(&logOf{}, time.Hour, slog.New(slog.DiscardHandler))
	h := httptest.NewServer(New(Options{
		Open: func(_ context.Context, c access.Caller) (service.Operations, func(), error) {
			return current{caller: c}, func() {}, nil
		},
		Authenticate: func(*http.Request, []byte) (access.Caller, error) { return *w.now.Load(), nil },
		Recheck: func(*http.Request, access.Caller) (access.Caller, error) {
			select {
			case w.rechecked <- struct{}{}:
			default:
			}
			if err := w.err.Load(); err != nil {
				return access.Caller{}, *err
			}
			return *w.now.Load(), nil
		},
		RecheckEvery: 2 * time.Millisecond,
		Access:       access.NewAdministration(directory, directory, nil), Feed: feed, Version: "test",
	}))
	t.Cleanup(h.Close)
	w.url = h.URL
	return w
}

// changes are what can happen to the caller of an open request.
var changes = map[string]struct {
	happen func(w *openWorld)
	status int // of a long poll
}{
	"the key has ended": {func(w *openWorld) { err := access.ErrUnauthenticated; w.err.Store(&err) }, http.StatusUnauthorized},
	"the rules were revoked": {func(w *openWorld) {
		w.now.Store(&access.Caller{Principal: "ann", Rules: []access.Rule{{Action: access.Read, Pattern: "x"}}})
	}, http.StatusForbidden},
	"the token is somebody else's now": {func(w *openWorld) { w.now.Store(&access.Caller{Principal: "bob"}) }, http.StatusForbidden},
}

func TestAStreamEndsWithItsCaller(t *testing.T) {
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			w := startOpen(t)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/v1/events", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			lines := bufio.NewScanner(resp.Body)
			if !lines.Scan() || !strings.Contains(lines.Text(), "heartbeat") {
				t.Fatalf("the stream began with %q, %v", lines.Text(), lines.Err())
			}
			c.happen(w)
			for lines.Scan() {
			}
			if lines.Err() != nil || ctx.Err() != nil {
				t.Errorf("it didn't end by itself: %v", errors.Join(lines.Err(), ctx.Err()))
			}
		})
	}
}

func TestALongPollEndsWithItsCaller(t *testing.T) {
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			w := startOpen(t)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/v1/secrets/a/changes?version=v1&timeout=300", nil)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				<-w.rechecked // it's waiting
				c.happen(w)
			}()
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			if resp.StatusCode != c.status {
				t.Errorf("status %d, want %d", resp.StatusCode, c.status)
			}
		})
	}
}

// TestAReplayNeedsTheRulesOfTheFirstRequest repeats a request after a rule was
// revoked, and after one was added.
func TestAReplayNeedsTheRulesOfTheFirstRequest(t *testing.T) {
	var calls int
	rules := []access.Rule{{Action: access.Rotate, Pattern: "s"}, {Action: access.List, Pattern: "*"}}
	directory := &memory.Directory{}
	caller := access.Caller{Principal: "ann"}
	h := New(Options{
		Open: func(_ context.Context, c access.Caller) (service.Operations, func(), error) {
			return operations{work: func(api.WorkRequest) (api.WorkDoc, error) {
				calls++
				return api.WorkDoc{}, access.Authorize(t.Context(), c, nil, access.Attempt{Action: access.Rotate}, "s")
			}}, func() {}, nil
		},
		Authenticate: func(*http.Request, []byte) (access.Caller, error) { return caller, nil },
		Access:       access.NewAdministration(directory, directory, nil), Feed: NewFeed(&logOf{}, time.Hour, slog.New(slog.DiscardHandler)),
	})
	for _, step := range []struct {
		name     string
		rules    []access.Rule
		key      string
		status   int
		replayed bool
		calls    int
	}{
		{"the first request", rules, "k", http.StatusOK, false, 1},
		{"the same rules", rules, "k", http.StatusOK, true, 1},
		{"another rule besides", append([]access.Rule{{Action: access.Read, Pattern: "x"}}, rules...), "k", http.StatusOK, true, 1},
		{"a rule revoked", rules[1:], "k", http.StatusConflict, false, 1},
		{"a new key", rules[1:], "k2", http.StatusForbidden, false, 2},
	} {
		caller.Rules = step.rules
		w := ask(h, http.MethodPost, "/v1/secrets/s/rotate", "", "Idempotency-Key", step.key)
		if w.Code != step.status || (w.Header().Get("Idempotency-Replayed") != "") != step.replayed || calls != step.calls {
			t.Errorf("%s: %d (replayed %q, %d calls) %s", step.name, w.Code, w.Header().Get("Idempotency-Replayed"), calls, w.Body)
		}
	}
}

// TestMistakesAboutAccessAreTheClients sends wrong requests as an administrator,
// and as somebody who isn't told more than that.
func TestMistakesAboutAccessAreTheClients(t *testing.T) {
	directory := &memory.Directory{}
	admin := access.NewAdministration(directory, directory, nil)
	issued, err := admin.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	caller := access.Local("ann")
	h := New(Options{
		Open: func(context.Context, access.Caller) (service.Operations, func(), error) {
			return operations{}, func() {}, nil
		},
		Authenticate: func(*http.Request, []byte) (access.Caller, error) { return caller, nil },
		Access:       admin, Feed: NewFeed(&logOf{}, time.Hour, slog.New(slog.DiscardHandler)),
	})
	const path = "/v1/access/principals/"
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodPut, path + "app", `{"rules":["fly:x"]}`, http.StatusUnprocessableEntity},
		{http.MethodPut, path + "app", `{"rules":["read"]}`, http.StatusUnprocessableEntity},
		{http.MethodPut, path + "app", `{"rules":["read:a b"]}`, http.StatusUnprocessableEntity},
		{http.MethodPut, path + "a%20b", `{"rules":["read:x"]}`, http.StatusUnprocessableEntity},
		{http.MethodPut, path + "app", `{"rules":`, http.StatusBadRequest},
		{http.MethodPut, path + "admin", `{"rules":["read:x"]}`, http.StatusConflict},
		{http.MethodPost, path + "none/grant", `{"rules":["read:x"]}`, http.StatusNotFound},
		{http.MethodPost, path + "admin/grant", `{"rules":[]}`, http.StatusUnprocessableEntity},
		{http.MethodPost, path + "admin/revoke", `{"rules":[]}`, http.StatusUnprocessableEntity},
		{http.MethodPost, path + "admin/revoke", `{"rules":["read:x"]}`, http.StatusNotFound},
		{http.MethodPost, path + "admin/disable", "", http.StatusConflict},
		{http.MethodDelete, path + "admin", "", http.StatusConflict},
		{http.MethodPost, path + "admin/keys", `{"expires_at":"2001-01-01T00:00:00Z"}`, http.StatusUnprocessableEntity},
		{http.MethodPost, path + "admin/keys", `{"expires_at":"tomorrow"}`, http.StatusUnprocessableEntity},
		{http.MethodPost, "/v1/access/keys/nokey/disable", "", http.StatusUnprocessableEntity},
		{http.MethodDelete, "/v1/access/keys/nokey", "", http.StatusUnprocessableEntity},
		{http.MethodDelete, "/v1/access/keys/" + issued.Key.ID, "", http.StatusConflict},
	} {
		caller = access.Local("ann")
		if w := ask(h, c.method, c.path, c.body); w.Code != c.want {
			t.Errorf("%s %s %s: %d, want %d: %s", c.method, c.path, c.body, w.Code, c.want, w.Body)
		}
		caller = access.Caller{Principal: "bob", Rules: []access.Rule{{Action: access.Read, Pattern: "*"}}}
		if w := ask(h, c.method, c.path, c.body); w.Code != http.StatusForbidden {
			t.Errorf("%s %s %s by somebody else: %d, want 403: %s", c.method, c.path, c.body, w.Code, w.Body)
		}
	}
	if all, err := directory.Principals(t.Context()); err != nil || len(all) != 1 || !all[0].Keys[0].Usable(time.Now()) {
		t.Errorf("principals %+v, %v", all, err)
	}
}
