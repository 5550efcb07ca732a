package gitlab_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
	"github.com/rota-dev/rota/provider/providertest"
)

var shopAPI = gitlab.Place{Level: gitlab.LevelProject, ID: "shop/api", Environment: "*"}

func key(n int) rota.Credential {
	return rota.NewCredential(map[string]string{
		rota.FieldAccessKeyID:     fmt.Sprintf("AKIAIOSFODNN7EXAMPL%d", n),
		rota.FieldSecretAccessKey: fmt.Sprintf("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE%d", n),
	})
}

func deliver(ctx context.Context, v *gitlab.Variables, c rota.Credential) error {
	return v.Deliver(ctx, rota.DeliverRequest{Secret: "prod/shop-s3", Version: "v", Credential: c})
}

// Whatever request goes wrong, and however: what jobs get is whole, and the next
// delivery succeeds.
func TestAFaultAtAnyRequestLeavesAWholePair(t *testing.T) {
	for _, fault := range []providertest.FaultKind{providertest.FailBefore, providertest.LoseReply, providertest.Repeat, providertest.Hang} {
		for _, existing := range []bool{true, false} {
			for n := 0; ; n++ {
				server, connection := start(t)
				target := &gitlab.Variables{Target: "ci", Connection: connection, Place: shopAPI, Fields: fields(t, pair), File: "KEY"}
				if existing {
					if err := deliver(t.Context(), target, key(1)); err != nil {
						t.Fatal(err)
					}
				}
				before := len(server.Requests())
				server.Nth(n, "", "/", fault)
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				err := deliver(ctx, target, key(2))
				cancel()
				if n >= len(server.Requests())-before {
					break // it has no such request
				}
				name := fmt.Sprintf("request %d %s (%v)", n, fault, existing)
				want := key(1)
				if err == nil {
					want = key(2)
				}
				c, found, readErr := whole(server, "project shop/api")
				if readErr != nil || found != (existing || err == nil) || found && !c.Equal(want) {
					t.Errorf("%s: afterwards jobs get %v (%v, %v), the delivery's error is %v", name, c.Names(), found, readErr, err)
				}
				values := server.JobVariables("shop/api", "")
				if found && (values["AWS_ACCESS_KEY_ID"] != want.Field(rota.FieldAccessKeyID) || values["AWS_SECRET_ACCESS_KEY"] != want.Field(rota.FieldSecretAccessKey)) {
					t.Errorf("%s: the pair is torn", name)
				}
				server.Heal()
				if err := deliver(t.Context(), target, key(2)); err != nil {
					t.Fatalf("%s: the next delivery: %v", name, err)
				}
				if values := server.JobVariables("shop/api", ""); values["AWS_SECRET_ACCESS_KEY"] != key(2).Field(rota.FieldSecretAccessKey) {
					t.Errorf("%s: the next delivery wrote something else", name)
				}
			}
		}
	}
}

func TestHowVariablesAreWritten(t *testing.T) {
	yes, no := true, false
	value := "old-value-0"
	for _, c := range []struct {
		name string
		was  *gitlabtest.Variable
		set  func(*gitlab.Variables)
		want gitlabtest.Variable
	}{
		{"a new one is masked, protected and raw", nil, nil, gitlabtest.Variable{Masked: true, Protected: true, Raw: true, Type: "env_var"}},
		{"an existing one keeps its protection", &gitlabtest.Variable{}, nil, gitlabtest.Variable{Masked: true, Raw: true, Type: "env_var"}},
		{"unless the target says otherwise", &gitlabtest.Variable{}, func(v *gitlab.Variables) { v.Protected = &yes }, gitlabtest.Variable{Masked: true, Protected: true, Raw: true, Type: "env_var"}},
		{"a new one need not be protected", nil, func(v *gitlab.Variables) { v.Protected = &no }, gitlabtest.Variable{Masked: true, Raw: true, Type: "env_var"}},
		{"a new one is hidden", nil, func(v *gitlab.Variables) { v.Visibility = gitlab.Hidden }, gitlabtest.Variable{Masked: true, Hidden: true, Protected: true, Raw: true, Type: "env_var"}},
		{"a hidden one stays hidden", &gitlabtest.Variable{Masked: true, Hidden: true}, nil, gitlabtest.Variable{Masked: true, Hidden: true, Raw: true, Type: "env_var"}},
		{"one that is visible on request", nil, func(v *gitlab.Variables) { v.Unmasked = []string{"TOKEN"} }, gitlabtest.Variable{Protected: true, Raw: true, Type: "env_var"}},
		{"a file becomes a variable", &gitlabtest.Variable{Type: "file"}, nil, gitlabtest.Variable{Masked: true, Raw: true, Type: "env_var"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, connection := start(t)
			target := &gitlab.Variables{Target: "ci", Connection: connection, Place: shopAPI, Fields: fields(t, map[string]string{"TOKEN": "password"})}
			if c.set != nil {
				c.set(target)
			}
			if c.was != nil {
				c.was.Key, c.was.Value = "TOKEN", &value
				server.SetVariable("project shop/api", *c.was)
			}
			if err := deliver(t.Context(), target, rota.NewCredential(map[string]string{"password": "pa$$word-1"})); err != nil {
				t.Fatal(err)
			}
			got := server.Variables("project shop/api")[0]
			if *got.Value != "pa$$word-1" {
				t.Errorf("its value is %q", *got.Value)
			}
			got.Key, got.Value, got.Environment, got.Description = "", nil, "", ""
			if got != c.want {
				t.Errorf("it is %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestOtherEnvironmentsAreLeftAlone(t *testing.T) {
	server, connection := start(t)
	value := "of-another-environment"
	server.SetVariable("project shop/api", gitlabtest.Variable{Key: "AWS_ACCESS_KEY_ID", Value: &value, Environment: "staging"})
	server.SetVariable("project shop/api", gitlabtest.Variable{Key: "AWS_ACCESS_KEY_ID", Value: &value, Environment: "*"})
	place := shopAPI
	place.Environment = "production"
	target := &gitlab.Variables{Target: "ci", Connection: connection, Place: place, Fields: fields(t, pair)}
	for n := range 2 {
		if err := deliver(t.Context(), target, key(n)); err != nil {
			t.Fatal(err)
		}
		for environment, want := range map[string]string{"staging": value, "": value, "production": key(n).Field(rota.FieldAccessKeyID)} {
			if got := server.JobVariables("shop/api", environment)["AWS_ACCESS_KEY_ID"]; got != want {
				t.Errorf("in %q it is %q, want %q", environment, got, want)
			}
		}
	}
}

func TestAnAWSCredentialsFile(t *testing.T) {
	server, connection := start(t)
	target := &gitlab.Variables{Target: "ci", Connection: connection, Place: shopAPI, File: "AWS_SHARED_CREDENTIALS_FILE", FileFormat: provider.DocumentAWS}
	if err := deliver(t.Context(), target, key(1)); err != nil {
		t.Fatal(err)
	}
	got := server.Variables("project shop/api")[0]
	want := "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPL1\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE1\n"
	if *got.Value != want || got.Type != "file" || got.Masked {
		t.Errorf("it is %+v with %q", got, *got.Value)
	}
}

func TestWhatGitLabCannotMaskIsRefusedAheadAndWithoutARequest(t *testing.T) {
	for _, c := range []struct {
		name, value, want string
	}{
		{"too short", "orders", "fewer than 8 characters"},
		{"a blank", "two words", "a blank or a line break"},
		{"a line break", "-----BEGIN-----\nkey", "a blank or a line break"},
		{"too long", strings.Repeat("x", 10_001), "10001 characters"},
		{"any other character", "pä$s\\w'ord\"", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, connection := start(t)
			target := &gitlab.Variables{Target: "ci", Connection: connection, Place: shopAPI, Fields: fields(t, map[string]string{"USER": "username"})}
			credential := rota.NewCredential(map[string]string{"username": c.value})
			for _, err := range []error{target.Accept(credential), deliver(t.Context(), target, credential)} {
				if c.want == "" {
					if err != nil {
						t.Error(err)
					}
					continue
				}
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "USER of project shop/api") || rota.ClassOf(err) != rota.ClassRegenerate || len(rota.RemediesOf(err)) == 0 || strings.Contains(err.Error(), c.value) {
					t.Errorf("got %v", err)
				}
			}
			if n := len(server.Requests()); c.want != "" && n > 0 {
				t.Errorf("it asked GitLab %d times", n)
			}
		})
	}
}

func TestAVisibleVariableIsNotHidden(t *testing.T) {
	server, connection := start(t)
	value := "visible-value"
	server.SetVariable("project shop/api", gitlabtest.Variable{Key: "KEY", Value: &value})
	target := &gitlab.Variables{Target: "ci", Connection: connection, Place: shopAPI, File: "KEY", Visibility: gitlab.Hidden}
	err := deliver(t.Context(), target, key(1))
	if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(rota.Hint(rota.RemediesOf(err)), "delete the variable at GitLab") {
		t.Fatalf("got %v", err)
	}
	if findings := target.Preflight(t.Context()); !slices.ContainsFunc(findings, func(f rota.Finding) bool {
		return !f.OK && !f.Warning && strings.Contains(f.Detail, "hides only new variables")
	}) {
		t.Errorf("before a rotation, it says %+v", findings)
	}
	if *server.Variables("project shop/api")[0].Value != value {
		t.Error("it was changed")
	}
}

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
	reader := server.AddToken(gitlabtest.Token{Name: "reader", Scopes: []string{"read_api"}, Level: gitlabtest.Maintainer})
	developer := server.AddToken(gitlabtest.Token{Name: "developer", Scopes: []string{"api"}, Level: gitlabtest.Developer})
	expired := server.AddToken(gitlabtest.Token{Name: "expired", Scopes: []string{"api"}, Level: gitlabtest.Owner, Expires: time.Now().Add(-time.Hour)})
	for _, c := range []struct {
		name, url, token string
		place            gitlab.Place
		class            rota.Class
		text, hint       string
	}{
		{"a wrong token", server.URL, "glpat-wrong-token-000", shopAPI, rota.ClassStop, "the connection's token is not valid: 401", "give connection test a valid access token"},
		{"an expired token", server.URL, expired, shopAPI, rota.ClassStop, "the connection's token is not valid: 401", "expired"},
		{"a token without the scope", server.URL, reader, shopAPI, rota.ClassStop, "403", "scope api"},
		{"a token without the role", server.URL, developer, shopAPI, rota.ClassStop, "403", "the role Maintainer"},
		{"a group, without its owner's", server.URL, developer, gitlab.Place{Level: gitlab.LevelGroup, ID: "shop", Environment: "*"}, rota.ClassStop, "403", "Owner of the group"},
		{"the instance, without an administrator's", server.URL, developer, gitlab.Place{Level: gitlab.LevelInstance}, rota.ClassStop, "403", "an administrator's"},
		{"no such project", server.URL, gitlabtest.AdminToken, gitlab.Place{Level: gitlab.LevelProject, ID: "shop/none", Environment: "*"}, rota.ClassStop, "404", "correct the name"},
		{"nobody listens", closed.URL, gitlabtest.AdminToken, shopAPI, rota.ClassWait, "no answer", "check that this machine reaches 127.0.0.1"},
		{"a wrong certificate", secure.URL, gitlabtest.AdminToken, shopAPI, rota.ClassStop, "certificate", "set tls_ca on connection test"},
		{"no TLS", strings.Replace(server.URL, "http:", "https:", 1), gitlabtest.AdminToken, shopAPI, rota.ClassStop, "no answer", "doesn't speak TLS"},
		{"a redirect", moved.URL, gitlabtest.AdminToken, shopAPI, rota.ClassStop, "301", "GitLab redirects"},
		{"a login page", page.URL, gitlabtest.AdminToken, shopAPI, rota.ClassWait, "could not be read", "leads to GitLab"},
	} {
		t.Run(c.name, func(t *testing.T) {
			connection, err := gitlab.New("test", gitlab.Config{URL: c.url, Token: c.token})
			if err != nil {
				t.Fatal(err)
			}
			target := &gitlab.Variables{Target: "ci", Connection: connection, Place: c.place, Fields: fields(t, pair)}
			before := server.Writes()
			err = deliver(t.Context(), target, key(1))
			if err == nil || rota.ClassOf(err) != c.class || !strings.HasPrefix(err.Error(), "gitlab test: ") || !strings.Contains(err.Error(), c.text) || !strings.Contains(rota.Hint(rota.RemediesOf(err)), c.hint) {
				t.Errorf("class %s, %v (%s)", rota.ClassOf(err), err, rota.Hint(rota.RemediesOf(err)))
			}
			if err != nil && strings.Contains(err.Error(), c.token) {
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
	t.Run("a slow GitLab", func(t *testing.T) {
		server.Next("GET", "/variables/", providertest.Hang)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := deliver(ctx, &gitlab.Variables{Target: "ci", Connection: connect(t, server, gitlabtest.AdminToken), Place: shopAPI, Fields: fields(t, pair)}, key(1))
		if !errors.Is(err, context.DeadlineExceeded) || rota.ClassOf(err) != rota.ClassWait || len(rota.RemediesOf(err)) == 0 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a private authority's certificate", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		connection, err := gitlab.New("test", gitlab.Config{URL: secure.URL, Token: gitlabtest.AdminToken, Certificates: provider.Certificates{CA: file}})
		if err != nil {
			t.Fatal(err)
		}
		if err := deliver(t.Context(), &gitlab.Variables{Target: "ci", Connection: connection, Place: shopAPI, Fields: fields(t, pair)}, key(1)); err != nil {
			t.Error(err)
		}
	})
}

// The token never leaves for another host: Go takes headers along that it doesn't
// know to be secret.
func TestARedirectTakesNoTokenAlong(t *testing.T) {
	var taken string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { taken = r.Header.Get("Private-Token") }))
	defer elsewhere.Close()
	_, port, _ := net.SplitHostPort(elsewhere.Listener.Addr().String())
	moved := httptest.NewServer(http.RedirectHandler("http://localhost:"+port, http.StatusTemporaryRedirect))
	defer moved.Close()
	connection, err := gitlab.New("test", gitlab.Config{URL: moved.URL, Token: gitlabtest.AdminToken})
	if err != nil {
		t.Fatal(err)
	}
	if err := deliver(t.Context(), &gitlab.Variables{Connection: connection, Place: shopAPI, File: "KEY"}, key(1)); err == nil || taken != "" {
		t.Errorf("got %v, and the token went along: %v", err, taken != "")
	}
}

func TestPipelinesHoldWhatTheyBeganWith(t *testing.T) {
	for _, older := range []bool{false, true} {
		t.Run(fmt.Sprintf("older %v", older), func(t *testing.T) { testPipelinesHold(t, older) })
	}
}

// testPipelinesHold is the same for a GitLab from before 2024, which refuses to list
// pipelines in states that it doesn't know, and lists later ones too.
func testPipelinesHold(t *testing.T, older bool) {
	server, _ := start(t)
	if older {
		server.BeOlder()
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	server.SetNow(func() time.Time { return now })
	connection := connectAt(t, server, func() time.Time { return now })
	server.AddProject("shop/web", gitlabtest.Job{Name: "test"})
	holders := func(v *gitlab.Variables, since time.Time) []rota.Holder {
		t.Helper()
		v.Connection = connection
		h, err := v.Holders(t.Context(), rota.HoldersRequest{Since: since})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	project := &gitlab.Variables{Place: shopAPI}
	group := &gitlab.Variables{Place: gitlab.Place{Level: gitlab.LevelGroup, ID: "shop"}}
	id := server.Start("shop/web", "main")
	delivered := now.Add(10 * time.Minute)
	if h := holders(project, delivered); len(h) > 0 {
		t.Errorf("another project's pipeline holds it: %+v", h)
	}
	for name, v := range map[string]*gitlab.Variables{"the group's": group, "a named": {Place: gitlab.Place{Level: gitlab.LevelInstance}, WaitFor: []string{"shop/api", "shop/web"}}} {
		if h := holders(v, delivered); len(h) != 1 || h[0].Name != fmt.Sprintf("pipeline %d of shop/web on main, begun 2026-03-01 12:00 UTC", id) || len(h[0].Remedies) == 0 {
			t.Errorf("of %s project: %+v", name, h)
		}
	}
	if h := holders(&gitlab.Variables{Place: group.Place, NoWait: true}, delivered); len(h) > 0 {
		t.Errorf("with no_wait: %+v", h)
	}
	if h := holders(group, now.Add(-3*time.Minute)); len(h) > 0 {
		t.Errorf("one that began later holds it: %+v", h)
	}
	if h := holders(group, now.Add(-time.Minute)); len(h) != 1 {
		t.Errorf("clocks may differ by a minute: %+v", h)
	}
	server.Finish(id)
	if h := holders(group, delivered); len(h) > 0 {
		t.Errorf("one that has ended holds it: %+v", h)
	}
	if _, err := (&gitlab.Variables{Connection: connection, Place: gitlab.Place{Level: gitlab.LevelInstance}}).Holders(t.Context(), rota.HoldersRequest{Since: now}); err == nil || len(rota.RemediesOf(err)) == 0 {
		t.Errorf("of the instance: %v", err)
	}
	server.Next("GET", "/pipelines", providertest.FailBefore)
	if _, err := project.Holders(t.Context(), rota.HoldersRequest{Since: now}); err == nil {
		t.Error("where GitLab fails, nobody holds it")
	}
}

// GitLab's clock and Rota's may be far apart. A pipeline that began before a delivery
// isn't taken for one that has the new value, nor a later one for one that hasn't.
func TestClocksThatAreFarApart(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, -3 * time.Minute, 0, 3 * time.Minute, time.Hour} {
		server, connection := start(t)
		server.SetNow(func() time.Time { return time.Now().Add(ahead) })
		server.Start("shop/api", "main")
		p := &gitlab.Pipeline{Connection: connection, Project: "shop/api"}
		for since, want := range map[time.Duration]int{0: 1, -3 * time.Minute: 0} {
			if list, err := p.Holders(t.Context(), rota.HoldersRequest{Since: time.Now().Add(since)}); err != nil || len(list) != want {
				t.Errorf("%s ahead, delivered %s ago: %+v (%v)", ahead, -since, list, err)
			}
		}
	}
}
