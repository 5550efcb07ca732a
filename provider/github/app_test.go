package github_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/github"
	"github.com/rota-dev/rota/provider/github/githubtest"
)

// asApp connects as an App with a clock.
func asApp(t *testing.T, server *githubtest.Server, a *githubtest.App, now func() time.Time) *github.Connection {
	t.Helper()
	return connect(t, server, github.Config{App: github.App{ID: a.ID, PrivateKey: a.PrivateKey}, Now: now})
}

// An App's tokens are for one repository and the permission that a call needs, and
// are made again before they end or if GitHub has revoked them.
func TestAnAppUsesTokensForNothingButWhatItDoes(t *testing.T) {
	server, _ := start(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	server.SetNow(clock)
	a := server.AddApp(map[string]string{"secrets": "write", "organization_secrets": "write", "actions": "read", "administration": "write"}, "shop/api", "shop/web")
	target := secrets(t, asApp(t, server, a, clock), shopAPI)
	count := func() int { return len(server.Issued(a)) }
	for range 2 {
		if err := deliver(t.Context(), target, key(1)); err != nil {
			t.Fatal(err)
		}
	}
	tokens := server.Issued(a)
	if len(tokens) != 1 || !maps.Equal(tokens[0].Permissions, map[string]string{"secrets": "write", "metadata": "read"}) || !slices.Equal(tokens[0].Repositories, []string{"shop/api"}) {
		t.Errorf("it made %+v", tokens)
	}
	now = now.Add(54 * time.Minute)
	if err := deliver(t.Context(), target, key(2)); err != nil || count() != 1 {
		t.Errorf("while it's valid, there are %d: %v", count(), err)
	}
	now = now.Add(2 * time.Minute)
	if err := deliver(t.Context(), target, key(3)); err != nil || count() != 2 {
		t.Errorf("shortly before its end, there are %d: %v", count(), err)
	}
	server.Revoke(a)
	if err := deliver(t.Context(), target, key(4)); err != nil || count() != 1 {
		t.Errorf("once it's revoked, there are %d: %v", count(), err)
	}
	target.Place = shop
	if err := deliver(t.Context(), target, key(5)); err != nil {
		t.Error(err)
	}
}

func TestAnAppsClockMayBeOffByAMinute(t *testing.T) {
	for off, ok := range map[time.Duration]bool{0: true, time.Minute: true, -time.Minute: true, 3 * time.Minute: false, -9 * time.Minute: false} {
		server, _ := start(t)
		a := server.AddApp(map[string]string{"secrets": "write"}, "shop/api")
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		server.SetNow(func() time.Time { return now })
		err := deliver(t.Context(), secrets(t, asApp(t, server, a, func() time.Time { return now.Add(off) }), shopAPI), key(1))
		switch hint := rota.Hint(rota.RemediesOf(err)); {
		case ok && err != nil:
			t.Errorf("%s ahead: %v", off, err)
		case !ok && (err == nil || !strings.Contains(hint, "set this machine's clock") || rota.ClassOf(err) != rota.ClassStop):
			t.Errorf("%s ahead: %v (%s)", off, err, hint)
		}
	}
}

func TestWhatAnAppLacksIsSaidBeforeARotation(t *testing.T) {
	for name, c := range map[string]struct {
		change     func(*githubtest.App, *github.App)
		text, hint string
	}{
		"the permission": {func(a *githubtest.App, _ *github.App) { a.Permissions = map[string]string{"secrets": "read"} }, "422", "give the App the permission Secrets: write"},
		"the repository": {func(a *githubtest.App, _ *github.App) { a.Repositories = []string{"shop/web"} }, "404", "install the App at shop and let it reach shop/api"},
		"the repository, by number": {func(a *githubtest.App, c *github.App) {
			a.Repositories, c.Installation = []string{"shop/web"}, a.Installation
		}, "422", "add shop/api to the installation"},
		"its installation": {func(a *githubtest.App, _ *github.App) { a.Suspended = true }, "suspended", "have the owner unsuspend the App's installation"},
		"the right id":     {func(_ *githubtest.App, c *github.App) { c.ID = "4711" }, "401", "check the id and the private key of the App"},
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := start(t)
			a := server.AddApp(map[string]string{"secrets": "write"}, "shop/api")
			app := github.App{ID: a.ID, PrivateKey: a.PrivateKey}
			c.change(a, &app)
			target := secrets(t, connect(t, server, github.Config{App: app}), shopAPI)
			findings := target.Preflight(t.Context())
			err := deliver(t.Context(), target, key(1))
			hint := rota.Hint(rota.RemediesOf(err))
			if err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(hint, c.hint) || rota.ClassOf(err) != rota.ClassStop || !strings.HasPrefix(err.Error(), "github test: ") {
				t.Errorf("got %v (%s)", err, hint)
			}
			if !slices.ContainsFunc(findings, func(f rota.Finding) bool { return !f.OK && !f.Warning && len(f.Remedies) > 0 }) {
				t.Errorf("it finds %+v", findings)
			}
		})
	}
}

func TestAKeyThatIsNoneIsRefused(t *testing.T) {
	for _, cfg := range []github.Config{
		{}, {Token: "t", App: github.App{ID: "1", PrivateKey: "k"}}, {App: github.App{ID: "1"}}, {Token: "t", URL: "github.example.com"},
	} {
		if _, err := github.New("test", cfg); err == nil || !strings.HasPrefix(err.Error(), "github test: ") || len(rota.RemediesOf(err)) == 0 {
			t.Errorf("%+v: %v", cfg.URL, err)
		}
	}
	server, _ := start(t)
	err := deliver(t.Context(), secrets(t, connect(t, server, github.Config{App: github.App{ID: "1", PrivateKey: "not PEM"}}), shopAPI), key(1))
	if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.HasPrefix(err.Error(), "github test: log in as App 1: the App's private key isn't an RSA key in PEM") || !strings.Contains(rota.Hint(rota.RemediesOf(err)), "the .pem file") {
		t.Errorf("got %v", err)
	}
}
