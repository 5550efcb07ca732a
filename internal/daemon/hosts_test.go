package daemon_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A website whose name points to this machine gets no answer, whatever it asks for.
func TestOnlyOwnHostsAreAnswered(t *testing.T) {
	paths := []string{"/metrics", "/readyz", "/healthz", "/", "/v1/secrets", "/v1/openapi.json"}
	get := func(w *world, path, host string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			r.Host = host
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	w := start(t, "", "secrets: []\n")
	for _, path := range paths {
		for _, host := range []string{"evil.example", "evil.example:8470", "localhost.evil.example", "127.0.0.1.evil.example", "EVIL.example.", "local.evil.example"} {
			if status, body := get(w, path, host); status != http.StatusMisdirectedRequest || !strings.Contains(body, "trusted_proxies") {
				t.Errorf("GET %s for %s: %d %s", path, host, status, body)
			}
		}
		for _, host := range []string{"", "localhost:8470", "LOCALHOST", "localhost.", "rota.localhost", "[::1]:8470", "10.1.2.3", "rota-1:8470", "host.docker.internal:8470", "rota.tools.svc.cluster.local", "rota.tools.svc"} {
			if status, body := get(w, path, host); status == http.StatusMisdirectedRequest {
				t.Errorf("GET %s for %s: %d %s", path, host, status, body)
			}
		}
	}
	behind := start(t, "", "secrets: []\nserver: {trusted_proxies: [127.0.0.0/8]}\n")
	if status, body := get(behind, "/metrics", "rota.example.com"); status != http.StatusOK {
		t.Errorf("through a trusted proxy: %d %s", status, body)
	}
	elsewhere := start(t, "", "secrets: []\nserver: {trusted_proxies: [10.0.0.0/8]}\n")
	if status, body := get(elsewhere, "/metrics", "rota.example.com"); status != http.StatusMisdirectedRequest {
		t.Errorf("not through the trusted proxy: %d %s", status, body)
	}
}
