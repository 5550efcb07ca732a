package github_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/github"
	"github.com/rota-dev/rota/provider/github/githubtest"
	"github.com/rota-dev/rota/provider/providertest"
)

// Each kind of trouble has an error of its own, which names the system and a
// remedy, with the same before a rotation.
func TestErrorsNameTheSystemAndARemedy(t *testing.T) {
	server, _ := start(t)
	secure := httptest.NewTLSServer(server.Config.Handler)
	defer secure.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	moved := httptest.NewServer(http.RedirectHandler(server.URL+"/elsewhere", http.StatusMovedPermanently))
	defer moved.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>log in</html>")) }))
	defer page.Close()
	reader := server.AddToken(githubtest.Token{Permissions: map[string]string{"metadata": "read"}})
	elsewhere := server.AddToken(githubtest.Token{Repositories: []string{"shop/web"}})
	sso := server.AddToken(githubtest.Token{SSO: true})
	api := server.API()
	for _, c := range []struct {
		name, url, token string
		place            github.Place
		class            rota.Class
		text, hint       string
	}{
		{"a wrong token", api, "github_pat_wrong_00000", shopAPI, rota.ClassStop, "the connection's login is not valid: 401 Unauthorized: Bad credentials", "give connection test a valid access token"},
		{"no permission", api, reader, shopAPI, rota.ClassStop, "403 Forbidden: Resource not accessible by personal access token", "the permission Secrets: write, for shop/api"},
		{"no permission for environments", api, reader, production, rota.ClassStop, "403", "the permission Environments: write"},
		{"no permission in the organization", api, reader, shop, rota.ClassStop, "403", "Secrets (of the organization): write, for shop"},
		{"no single sign-on", api, sso, shopAPI, rota.ClassStop, "SAML", "authorize the token of connection test for single sign-on, in the token's settings at GitHub: https://github.com/orgs/shop/sso"},
		{"a repository that it can't see", api, elsewhere, shopAPI, rota.ClassStop, "404", "let the login see it: give the token of connection test the permission Secrets"},
		{"no such environment", api, githubtest.AdminToken, github.Place{Owner: "shop", Repository: "api", Environment: "gone"}, rota.ClassStop, "404", "create environment gone in shop/api"},
		{"nobody listens", closed.URL, githubtest.AdminToken, shopAPI, rota.ClassWait, "no answer", "check that this machine reaches 127.0.0.1"},
		{"a wrong certificate", secure.URL + "/api/v3", githubtest.AdminToken, shopAPI, rota.ClassStop, "certificate", "set tls_ca on connection test"},
		{"no TLS", strings.Replace(api, "http:", "https:", 1), githubtest.AdminToken, shopAPI, rota.ClassStop, "no answer", "doesn't speak TLS"},
		{"a redirect", moved.URL, githubtest.AdminToken, shopAPI, rota.ClassStop, "301", "GitHub redirects"},
		{"a login page", page.URL, githubtest.AdminToken, shopAPI, rota.ClassWait, "could not be read", "leads to GitHub"},
	} {
		t.Run(c.name, func(t *testing.T) {
			connection, err := github.New("test", github.Config{URL: c.url, Token: c.token, Budget: providertest.Unlimited{}})
			if err != nil {
				t.Fatal(err)
			}
			target := secrets(t, connection, c.place)
			before := server.Writes()
			err = deliver(t.Context(), target, key(1))
			hint := rota.Hint(rota.RemediesOf(err))
			if err == nil || rota.ClassOf(err) != c.class || !strings.HasPrefix(err.Error(), "github test: ") || !strings.Contains(err.Error(), c.text) || !strings.Contains(hint, c.hint) {
				t.Errorf("class %s, %v (%s)", rota.ClassOf(err), err, hint)
			}
			if err != nil && (strings.Contains(err.Error()+hint, c.token) || strings.Contains(hint, "authorization_request")) {
				t.Error("the error holds the token")
			}
			if !slices.ContainsFunc(target.Preflight(t.Context()), func(f rota.Finding) bool { return !f.OK && !f.Warning && len(f.Remedies) > 0 }) {
				t.Error("before a rotation, nothing is said of it")
			}
			if server.Writes() != before {
				t.Error("something was written")
			}
		})
	}
	t.Run("a slow GitHub", func(t *testing.T) {
		server.Next("GET", "/secrets/", providertest.Hang)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := deliver(ctx, secrets(t, connect(t, server, github.Config{Token: githubtest.AdminToken}), shopAPI), key(1))
		if !errors.Is(err, context.DeadlineExceeded) || rota.ClassOf(err) != rota.ClassWait || len(rota.RemediesOf(err)) == 0 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a private authority's certificate", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		connection, err := github.New("test", github.Config{URL: secure.URL + "/api/v3", Token: githubtest.AdminToken, Certificates: provider.Certificates{CA: file}})
		if err != nil {
			t.Fatal(err)
		}
		if err := deliver(t.Context(), secrets(t, connection, shopAPI), key(1)); err != nil {
			t.Error(err)
		}
	})
}

// GitHub's limits end by themselves, and say when.
func TestRateLimitsAreWaitedFor(t *testing.T) {
	reset := time.Now().Add(20 * time.Minute)
	for name, c := range map[string]struct {
		answer   http.HandlerFunc
		from, to time.Duration
	}{
		"the hour's": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"message":"API rate limit exceeded for user ID 1."}`))
		}, 19 * time.Minute, 20 * time.Minute},
		"a secondary one": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"message":"You have exceeded a secondary rate limit.","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`))
		}, 90 * time.Second, 90 * time.Second},
		"a secondary one that only has the header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusForbidden)
		}, 30 * time.Second, 30 * time.Second},
		"a bare 429": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, time.Minute, time.Minute},
	} {
		server, connection := start(t)
		server.Answer("GET", "/public-key", c.answer)
		err := deliver(t.Context(), secrets(t, connection, shopAPI), key(1))
		e, ok := errors.AsType[*rota.Error](err)
		if !ok || e.Class != rota.ClassWait || e.RetryAfter < c.from || e.RetryAfter > c.to || !strings.Contains(err.Error(), "GitHub's rate limit") {
			t.Errorf("%s: %v, again after %v", name, err, e)
		}
	}
}

// The token never leaves for another host.
func TestARedirectTakesNoTokenAlong(t *testing.T) {
	var taken string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { taken = r.Header.Get("Authorization") }))
	defer elsewhere.Close()
	_, port, _ := net.SplitHostPort(elsewhere.Listener.Addr().String())
	moved := httptest.NewServer(http.RedirectHandler("http://localhost:"+port, http.StatusTemporaryRedirect))
	defer moved.Close()
	connection, err := github.New("test", github.Config{URL: moved.URL, Token: githubtest.AdminToken})
	if err != nil {
		t.Fatal(err)
	}
	if err := deliver(t.Context(), secrets(t, connection, shopAPI), key(1)); err == nil || taken != "" {
		t.Errorf("got %v, and the token went along: %v", err, taken != "")
	}
}

// A page for developers, or a proxy, repeats a request that it refuses, headers and
// all. Nothing of it that's secret is shown.
func TestARefusalThatRepeatsTheRequestShowsNoValue(t *testing.T) {
	const own, value = "github_pat_own_canary_7Hq2Lx9Zt4", "value+canary/3Mk8<Vb>5Rw"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/variables/") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		text, _ := json.Marshal(map[string]string{"message": r.Header.Get("Authorization") + ": " + string(body)})
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(text)
	}))
	defer server.Close()
	connection, err := github.New("test", github.Config{URL: server.URL, Token: own, Budget: providertest.Unlimited{}})
	if err != nil {
		t.Fatal(err)
	}
	credential := rota.NewCredential(map[string]string{"password": value})
	for _, target := range []rota.Target{
		&github.Secrets{Connection: connection, Place: shopAPI, Fields: fields(t, map[string]string{"P": "password"})},
		&github.Variables{Connection: connection, Place: shopAPI, Fields: fields(t, map[string]string{"P": "password"})},
	} {
		err := deliver(t.Context(), target, credential)
		if err == nil || !strings.Contains(err.Error(), "400 Bad Request: Bearer") || strings.Contains(err.Error(), "canary") {
			t.Errorf("got %v", err)
		}
	}
}

// GitHub answers 422 to many things. Its own words say which, and each has a remedy.
func TestEachRefusalHasItsRemedy(t *testing.T) {
	for said, hint := range map[string]string{
		"Secret value is too large":                                        "48 KB",
		"Maximum number of secrets (100) reached":                          "the place is full",
		"Secret names can only contain alphanumeric characters":            "correct the name",
		"Invalid request.\n\n\"visibility\" wasn't supplied.":              "correct visibility",
		"Bad request - check that key_id is that of the public key":        "the place's public key is out of date",
		"something that nobody has seen yet, and that isn't in the manual": "correct in rota.yaml what GitHub refuses",
	} {
		for _, status := range []int{http.StatusBadRequest, http.StatusUnprocessableEntity} {
			server, connection := start(t)
			server.Answer("PUT", "/secrets/", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				_ = json.NewEncoder(w).Encode(map[string]string{"message": said})
			})
			err := deliver(t.Context(), secrets(t, connection, shopAPI), key(1))
			if got := rota.Hint(rota.RemediesOf(err)); err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(got, hint) {
				t.Errorf("%d %s: %v (%s)", status, said, err, got)
			}
		}
	}
}
