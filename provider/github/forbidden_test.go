package github_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/github"
	"github.com/rota-dev/rota/provider/github/githubtest"
)

// GitHub answers 403 for many reasons beside permissions, and says which.
func TestWhatAForbiddanceSaysDecides(t *testing.T) {
	for _, c := range []struct {
		message string
		class   rota.Class
		hint    string
	}{
		{"Repository was archived so is read-only.", rota.ClassStop, "unarchive the repository"},
		{"The 'shop' organization forbids access via a fine-grained personal access tokens if the token's lifetime is greater than 366 days. Please adjust your token's lifetime at the following URL: https://github.com/settings/personal-access-tokens/1", rota.ClassStop, "a token that ends sooner"},
		{"`shop` forbids access via a personal access token (classic). Please use a GitHub App, OAuth App, or a personal access token with fine-grained permissions.", rota.ClassStop, "another kind of token"},
		{"Although you appear to have the correct authorization credentials, the `shop` organization has an IP allow list enabled, and your IP address is not permitted to access this resource.", rota.ClassStop, "IP allow list"},
		{"This installation has been suspended", rota.ClassStop, "unsuspend"},
		{"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.", rota.ClassWait, "wait"},
		{"Resource not accessible by personal access token", rota.ClassStop, "the permission Secrets: write"},
	} {
		server, connection := start(t)
		server.Answer("PUT", "/secrets/", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]string{"message": c.message, "documentation_url": "https://docs.github.com/rest"})
		})
		err := deliver(t.Context(), secrets(t, connection, shopAPI), key(1))
		if err == nil || rota.ClassOf(err) != c.class || !strings.Contains(rota.Hint(rota.RemediesOf(err)), c.hint) {
			t.Errorf("want %s, %q: got %s, %v (%s)", c.class, c.hint, rota.ClassOf(err), err, rota.Hint(rota.RemediesOf(err)))
		}
	}
}

// Whoever is turned down has started nothing: somebody else's run isn't waited for in
// its place.
func TestARefusedDispatchTakesNobodyElsesRun(t *testing.T) {
	server, connection := start(t)
	server.SetWorkflow("shop/api", "deploy.yml", githubtest.Workflow{Quick: true})
	workflow := func() *github.Workflow {
		return &github.Workflow{Reloader: "deploy", Connection: connection, Owner: "shop", Repository: "api", File: "deploy.yml", Ref: "main", Poll: time.Millisecond, Timeout: time.Second}
	}
	server.Answer("POST", "/dispatches", func(w http.ResponseWriter, _ *http.Request) {
		if err := workflow().Reload(t.Context(), rota.ReloadRequest{Version: "theirs"}); err != nil {
			t.Error(err)
		}
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"message":"too many requests"}`))
	})
	if err := workflow().Reload(t.Context(), rota.ReloadRequest{Version: "v"}); err == nil || !strings.Contains(err.Error(), "rate limit") {
		t.Errorf("got %v", err)
	}
}

// A look that asks for a pause gets it, and the deployment goes on meanwhile.
func TestAWaitPausesAsLongAsGitHubAsksFor(t *testing.T) {
	server, connection := start(t)
	server.SetWorkflow("shop/api", "deploy.yml", githubtest.Workflow{Quick: true})
	server.Answer("GET", "/actions/runs/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"message":"too many requests"}`))
	})
	w := &github.Workflow{Reloader: "deploy", Connection: connection, Owner: "shop", Repository: "api", File: "deploy.yml", Ref: "main", Poll: time.Millisecond, Timeout: 10 * time.Second}
	begun := time.Now()
	if err := w.Reload(t.Context(), rota.ReloadRequest{Version: "v"}); err != nil || time.Since(begun) < time.Second {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
	if n := len(server.Runs("shop/api")); n != 1 {
		t.Errorf("%d runs", n)
	}
}
