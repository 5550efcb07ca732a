package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	hooks "github.com/rota-dev/rota/provider/webhook"
	"github.com/rota-dev/rota/webhook"
)

var (
	key   = []byte("0123456789abcdef")
	other = []byte("fedcba9876543210")
	event = rota.Event{ID: "e1", Kind: rota.EventHeld, Secret: "prod/orders", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Reason: "hold: in use"}
)

func hook(t *testing.T, url string, change func(*hooks.Config)) rota.Notifier {
	t.Helper()
	c := hooks.Config{Name: "ops", URL: url, Keys: [][]byte{key}, AllowPrivate: true}
	if change != nil {
		change(&c)
	}
	n, err := hooks.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAnEventArrivesSigned(t *testing.T) {
	var got webhook.Message
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for name, k := range map[string][]byte{"the old key": key, "the new key": other} {
			if err := webhook.Verify(r.Header, body, time.Now(), k); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := webhook.Verify(r.Header, append(body, ' '), time.Now(), key); !errors.Is(err, webhook.ErrSignature) {
			t.Errorf("a changed body: %v", err)
		}
		if r.Header.Get("X-Team") != "cms" || r.Header.Get(webhook.HeaderID) != "e1" {
			t.Errorf("headers %v", r.Header)
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	n := hook(t, server.URL, func(c *hooks.Config) {
		c.Keys, c.Headers = [][]byte{key, other}, map[string]string{"X-Team": "cms"}
	})
	if err := n.Notify(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(webhook.Message{Schema: "rota.event.v1", Event: event, Title: "Rota: prod/orders held"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnswersAreClassed(t *testing.T) {
	for status, want := range map[int]rota.Class{429: rota.ClassWait, 500: rota.ClassWait, 503: rota.ClassWait, 408: rota.ClassWait, 301: rota.ClassStop, 400: rota.ClassStop, 404: rota.ClassStop, 410: rota.ClassStop} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://elsewhere.invalid/")
			w.WriteHeader(status)
		}))
		err := hook(t, server.URL+"/hunter2", nil).Notify(t.Context(), event)
		server.Close()
		if err == nil || rota.ClassOf(err) != want || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d is %q: %v", status, rota.ClassOf(err), err)
		}
	}
}

func TestAServerThatHangsIsGivenUp(t *testing.T) {
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-end:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(end)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := hook(t, server.URL+"/hunter2", nil).Notify(ctx, event)
	if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestPrivateAddressesAreRefusedWhenTheyAreDialled(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was reached") }))
	defer server.Close()
	// localhost is a name: what it stands for is known only once it is looked up.
	url := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	n := hook(t, url, func(c *hooks.Config) { c.AllowPrivate = false })
	if err := n.Notify(t.Context(), event); err == nil || !strings.Contains(hint.Text(err), "allow_private") {
		t.Errorf("got %v", err)
	}
	findings := n.(rota.Preflighter).Preflight(t.Context())
	if len(findings) != 1 || findings[0].OK || !strings.Contains(rota.Hint(findings[0].Remedies), "allow_private") {
		t.Errorf("check says %+v", findings)
	}
}

func TestBadConfigs(t *testing.T) {
	for name, c := range map[string]hooks.Config{
		"no address":  {URL: "hooks", Keys: [][]byte{key}},
		"no TLS":      {URL: "http://hooks.example.org", Keys: [][]byte{key}},
		"no key":      {URL: "https://hooks.example.org/hunter2"},
		"a short key": {URL: "https://hooks.example.org/hunter2", Keys: [][]byte{[]byte("short")}},
	} {
		if _, err := hooks.New(c); err == nil || !strings.Contains(hint.Text(err), "(try: ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
