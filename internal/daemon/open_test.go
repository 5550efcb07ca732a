package daemon_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"
)

// TestAStreamEndsSoonAfterItsKey disables the key of an open stream.
func TestAStreamEndsSoonAfterItsKey(t *testing.T) {
	w := start(t, "", "secrets: []\n")
	if status, answer := w.send(http.MethodPut, "/v1/access/principals/watcher", `{"rules":["audit:*"]}`); status != http.StatusOK {
		t.Fatal(answer)
	}
	var key api.KeyDoc
	w.do(http.MethodPost, "/v1/access/principals/watcher/keys", &key)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/v1/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key.Token)
	stream, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	lines := bufio.NewScanner(stream.Body)
	if !lines.Scan() {
		t.Fatalf("%s: %v", stream.Status, lines.Err())
	}
	w.do(http.MethodPost, "/v1/access/keys/"+key.Key.ID+"/disable", nil)
	for lines.Scan() {
	}
	if lines.Err() != nil {
		t.Errorf("it didn't end by itself: %v", lines.Err())
	}
}

// TestOpenStreamsAreLimited opens as many as rota.yaml allows, and one more,
// also after the limits were reloaded.
func TestOpenStreamsAreLimited(t *testing.T) {
	limits := func(perSecond string) string {
		return "secrets: []\naccess: {limits: {principal: {per_second: " + perSecond + ", burst: 1000, open: 2}}}\n"
	}
	w := start(t, "", limits("200"))
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	open := func(ctx context.Context) *http.Response {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/v1/events", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+w.key.Token())
		stream, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = stream.Body.Close() })
		return stream
	}
	for range 2 {
		if stream := open(ctx); stream.StatusCode != http.StatusOK {
			t.Fatal(stream.Status)
		}
	}
	if stream := open(t.Context()); stream.StatusCode != http.StatusTooManyRequests || stream.Header.Get("Retry-After") == "" {
		t.Errorf("a third stream: %s %v", stream.Status, stream.Header)
	}
	w.configure(limits("300"))
	w.do(http.MethodPost, "/v1/reload", nil)
	if stream := open(t.Context()); stream.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a third stream after a reload: %s", stream.Status)
	}
	leave()
	eventually(t, "streams that ended count no more", func() bool {
		ctx, done := context.WithCancel(t.Context())
		defer done()
		return open(ctx).StatusCode == http.StatusOK
	})
}

// TestPagesForAdministratorsSayWhenToRetry asks for one too often.
func TestPagesForAdministratorsSayWhenToRetry(t *testing.T) {
	w := start(t, "", "secrets: []\nserver: {metrics: admin}\naccess: {limits: {principal: {per_second: 1, burst: 2}}}\n")
	eventually(t, "too many requests are answered as such", func() bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+w.key.Token())
		page, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = page.Body.Close() }()
		if page.StatusCode == http.StatusUnauthorized {
			t.Fatal("a valid key is refused")
		}
		return page.StatusCode == http.StatusTooManyRequests && page.Header.Get("Retry-After") == "1"
	})
}

// TestOpenPagesAreLimited asks for pages that need no key.
func TestOpenPagesAreLimited(t *testing.T) {
	w := start(t, "", "secrets: []\naccess: {limits: {address: {per_second: 1, burst: 50, open: 2}}}\n")
	get := func(path string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		page, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = page.Body.Close()
		return page
	}
	for range 6 {
		if page := get("/metrics"); page.StatusCode != http.StatusOK {
			t.Fatal(page.Status)
		}
	}
	for _, path := range []string{"/metrics", "/readyz", "/v1/openapi.json", "/v1/openapi.yaml"} {
		if page := get(path); page.StatusCode != http.StatusTooManyRequests || page.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %s %v", path, page.Status, page.Header)
		}
	}
	if page := get("/healthz"); page.StatusCode != http.StatusOK {
		t.Errorf("/healthz: %s", page.Status)
	}
}

// TestConnectionsOfAnAddressAreLimited opens twice as many as streams are allowed,
// and one more.
func TestConnectionsOfAnAddressAreLimited(t *testing.T) {
	w := start(t, "", "secrets: []\naccess: {limits: {address: {per_second: 100, burst: 100, open: 2}}}\n")
	answered := func() bool {
		t.Helper()
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		_, err = conn.Read(make([]byte, 1))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		return err == nil
	}
	for n := range 4 {
		if !answered() {
			t.Errorf("connection %d wasn't answered", n+1)
		}
	}
	if answered() {
		t.Error("a fifth connection was answered")
	}
}
