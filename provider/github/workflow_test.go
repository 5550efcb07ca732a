package github_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/github"
	"github.com/rota-dev/rota/provider/github/githubtest"
	"github.com/rota-dev/rota/provider/providertest"
)

// consumer is what a repository deploys, which runs on the value that its run got.
type consumer struct {
	*github.Workflow
	server  *githubtest.Server
	mu      sync.Mutex
	running string
	ill     bool
}

// Reload puts the version into a secret first, as a delivery would.
func (c *consumer) Reload(ctx context.Context, r rota.ReloadRequest) error {
	c.server.SetSecret("actions shop/api", githubtest.Secret{Name: "VERSION", Value: r.Version})
	return c.Workflow.Reload(ctx, r)
}

func (c *consumer) run(secrets, _ map[string]string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ill {
		return errors.New("it doesn't come up")
	}
	c.running = secrets["VERSION"]
	return nil
}

func deploys(t *testing.T, w github.Workflow, definition githubtest.Workflow) *consumer {
	t.Helper()
	server, connection := start(t)
	w.Reloader, w.Connection, w.Owner, w.Repository, w.File, w.Poll = "deploy", connection, "shop", "api", "deploy.yml", time.Millisecond
	if w.Ref == "" {
		w.Ref = "main"
	}
	c := &consumer{Workflow: &w, server: server}
	definition.Inputs = append(definition.Inputs, "version", "DEPLOY")
	server.SetWorkflow("shop/api", "deploy.yml", definition)
	server.RunJobs(c.run)
	return c
}

var marked = githubtest.Workflow{RunName: "Deploy {version}"}

func TestTheReloaderConforms(t *testing.T) {
	for name, c := range map[string]struct {
		workflow   github.Workflow
		definition githubtest.Workflow
	}{
		"a workflow":      {},
		"one with a mark": {github.Workflow{VersionInput: "version"}, marked},
		"a job of it":     {github.Workflow{Job: "deploy"}, githubtest.Workflow{}},
		"one with inputs": {github.Workflow{Inputs: map[string]string{"DEPLOY": "yes"}}, githubtest.Workflow{}},
		"one shown late":  {github.Workflow{VersionInput: "version"}, githubtest.Workflow{RunName: "Deploy {version}", Hidden: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Reloader(t, func(t *testing.T) providertest.ReloaderFixture {
				d := deploys(t, c.workflow, c.definition)
				return providertest.ReloaderFixture{
					Reloader: d, Inject: d.server.Inject(map[string]string{"reload": "POST /dispatches"}),
					Running: func() (string, error) { d.mu.Lock(); defer d.mu.Unlock(); return d.running, nil },
					Sicken:  func() { d.mu.Lock(); defer d.mu.Unlock(); d.ill = true },
				}
			})
		})
	}
}

// A fault at any request but the one that starts it is waited out, and no request
// that went wrong makes a second run. Neither does an Enterprise Server that doesn't
// name the run it makes.
func TestAFaultAtAnyRequestOfAReloadStartsNoSecondRun(t *testing.T) {
	for _, old := range []bool{false, true} {
		for _, fault := range []providertest.FaultKind{"", providertest.FailBefore, providertest.LoseReply} {
			for n := 0; ; n++ {
				c := deploys(t, github.Workflow{}, githubtest.Workflow{Hidden: 1})
				if old {
					c.server.SetOld()
				}
				if fault != "" {
					c.server.Nth(n, "", "/", fault)
				}
				err := c.Reload(t.Context(), rota.ReloadRequest{Version: "v1"})
				requests, runs := c.server.Requests(), c.server.Runs("shop/api")
				if n >= len(requests) {
					break
				}
				switch started := len(runs); {
				case started > 1, err == nil && (c.running != "v1" || started != 1), fault == "" && err != nil:
					t.Errorf("%s at request %d (%s, old: %v): %v, %d runs, it runs on %q", fault, n, requests[n], old, err, started, c.running)
				case err != nil && n > 0 && !strings.HasSuffix(requests[n], "/dispatches"):
					t.Errorf("%s at request %d (%s, old: %v): %v", fault, n, requests[n], old, err)
				}
				if fault == "" {
					break
				}
			}
		}
	}
}

// Where GitHub doesn't name the run, it's the one that shows the version, and if
// none does and there are several, nobody guesses.
func TestWhichOfSeveralRunsIsRotas(t *testing.T) {
	for _, mark := range []bool{true, false} {
		w, definition := github.Workflow{}, githubtest.Workflow{}
		if mark {
			w.VersionInput, definition = "version", marked
		}
		c := deploys(t, w, definition)
		c.server.SetOld()
		c.server.Answer("POST", "/dispatches", func(w http.ResponseWriter, r *http.Request) {
			for _, version := range []string{"v1", "another"} {
				dispatch(t, c.server, version)
			}
			w.WriteHeader(http.StatusNoContent)
		})
		err := c.Reload(t.Context(), rota.ReloadRequest{Version: "v1"})
		if mark && err != nil || !mark && (err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(rota.Hint(rota.RemediesOf(err)), "version_input")) {
			t.Errorf("with a mark: %v, %v (%s)", mark, err, rota.Hint(rota.RemediesOf(err)))
		}
	}
}

// dispatch starts a run, as anyone may.
func dispatch(t *testing.T, server *githubtest.Server, version string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.API()+"/repos/shop/api/actions/workflows/deploy.yml/dispatches", strings.NewReader(fmt.Sprintf(`{"ref":"main","inputs":{"version":%q}}`, version)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+githubtest.AdminToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	_ = resp.Body.Close()
}

func TestAMarkedRunIsNotStartedTwice(t *testing.T) {
	c := deploys(t, github.Workflow{VersionInput: "version"}, marked)
	for _, version := range []string{"v1", "v1", "v2", "v2"} {
		if err := c.Reload(t.Context(), rota.ReloadRequest{Version: version}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.server.Runs("shop/api")); n != 2 || c.running != "v2" {
		t.Errorf("%d runs for two versions, and it runs on %s", n, c.running)
	}
	c.mu.Lock()
	c.ill = true
	c.mu.Unlock()
	for range 2 { // one that failed is started anew
		if err := c.Reload(t.Context(), rota.ReloadRequest{Version: "v3"}); err == nil {
			t.Fatal("it succeeded although the deployment failed")
		}
	}
	runs := c.server.Runs("shop/api")
	if len(runs) != 4 {
		t.Fatalf("%d runs, want two for the version that failed twice", len(runs))
	}
	// A person mends it and runs the last one again: that's the deployment.
	c.mu.Lock()
	c.ill = false
	c.mu.Unlock()
	c.server.Rerun(runs[3].ID)
	if err := c.Reload(t.Context(), rota.ReloadRequest{Version: "v3"}); err != nil || len(c.server.Runs("shop/api")) != 4 || c.running != "v3" {
		t.Errorf("after it ran again: %v, %d runs, it runs on %s", err, len(c.server.Runs("shop/api")), c.running)
	}
}

func TestWhyADeploymentFailed(t *testing.T) {
	for _, c := range []struct {
		name       string
		workflow   github.Workflow
		definition githubtest.Workflow
		ill        bool
		text, hint string
	}{
		{"a failed step", github.Workflow{}, githubtest.Workflow{}, true, "it ended with failure: job deploy: failure in step Roll out", "/shop/api/actions/runs/"},
		{"the job that's waited for", github.Workflow{Job: "deploy"}, githubtest.Workflow{}, true, "job deploy: failure in step Roll out", "/job/2"},
		{"no such job", github.Workflow{Job: "ship"}, githubtest.Workflow{}, false, "no such job: it only has build, deploy", "correct the job's name"},
		{"no such ref", github.Workflow{Ref: "gone"}, githubtest.Workflow{}, false, "422 Unprocessable Entity: No ref found for: gone", "check that the ref exists"},
		{"an input that it doesn't take", github.Workflow{Inputs: map[string]string{"X": "y"}}, githubtest.Workflow{}, false, "Unexpected inputs", "takes these inputs"},
		{"no workflow_dispatch", github.Workflow{}, githubtest.Workflow{Quiet: true}, false, "does not have 'workflow_dispatch' trigger", "has on: workflow_dispatch"},
		{"a workflow that's off", github.Workflow{}, githubtest.Workflow{Disabled: true}, false, "disabled workflow", "is turned on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := deploys(t, c.workflow, c.definition)
			d.ill = c.ill
			err := d.Workflow.Reload(t.Context(), rota.ReloadRequest{Version: "v1"})
			hint := rota.Hint(rota.RemediesOf(err))
			if err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(hint, c.hint) || !strings.HasPrefix(err.Error(), "github test: ") {
				t.Errorf("got %v (%s)", err, hint)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		d := deploys(t, github.Workflow{}, githubtest.Workflow{Stuck: true})
		d.server.Answer("GET", "/actions/runs/", func(w http.ResponseWriter, _ *http.Request) {
			d.server.Cancel(d.server.Runs("shop/api")[0].ID)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		if err := d.Reload(t.Context(), rota.ReloadRequest{Version: "v1"}); err == nil || !strings.Contains(err.Error(), "someone cancelled it") {
			t.Errorf("got %v", err)
		}
	})
}

func TestADeploymentThatTakesTooLongSaysWhatItWaitsFor(t *testing.T) {
	for name, c := range map[string]struct {
		definition githubtest.Workflow
		text, hint string
	}{
		"a runner":    {githubtest.Workflow{Stuck: true}, "it wasn't done within", "raise the reloader's timeout"},
		"an approval": {githubtest.Workflow{Waiting: "production"}, "it waits for a person", "give the approval of environment production: "},
	} {
		d := deploys(t, github.Workflow{Timeout: 100 * time.Millisecond}, c.definition)
		err := d.Reload(t.Context(), rota.ReloadRequest{Version: "v1"})
		hint := rota.Hint(rota.RemediesOf(err))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), c.text) || !strings.Contains(hint, c.hint) {
			t.Errorf("%s: %v (%s)", name, err, hint)
		}
	}
}

func TestWhatAReloaderNeedsIsKnownAhead(t *testing.T) {
	all := map[string]string{"actions": "write", "contents": "read"}
	for name, c := range map[string]struct {
		file, ref   string
		permissions map[string]string
		definition  githubtest.Workflow
		ok, warns   bool
	}{
		"all in order":          {permissions: all, ok: true},
		"no such ref":           {ref: "gone", permissions: all},
		"no such workflow":      {file: "gone.yml", permissions: all},
		"a workflow that's off": {permissions: all, definition: githubtest.Workflow{Disabled: true}},
		"no permission":         {permissions: map[string]string{"contents": "read"}},
		"no look at the ref":    {permissions: map[string]string{"actions": "write"}, ok: true, warns: true},
	} {
		d := deploys(t, github.Workflow{Ref: c.ref}, c.definition)
		d.Connection = connect(t, d.server, github.Config{Token: d.server.AddToken(githubtest.Token{Permissions: c.permissions})})
		if c.file != "" {
			d.File = c.file
		}
		findings := d.Preflight(t.Context())
		bad := slices.ContainsFunc(findings, func(f rota.Finding) bool { return !f.OK && !f.Warning && len(f.Remedies) > 0 })
		warns := slices.ContainsFunc(findings, func(f rota.Finding) bool { return f.Warning })
		if bad == c.ok || warns != c.warns || len(d.server.Runs("shop/api")) > 0 {
			t.Errorf("%s: it finds %+v", name, findings)
		}
	}
}

func TestRunsHoldWhatTheyWereQueuedWith(t *testing.T) {
	server, _ := start(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	server.SetNow(func() time.Time { return now })
	connection := connect(t, server, github.Config{Token: githubtest.AdminToken, Now: func() time.Time { return now }})
	target := func(place github.Place, change func(*github.Secrets)) *github.Secrets {
		s := &github.Secrets{Connection: connection, Place: place, Document: "KEY"}
		if change != nil {
			change(s)
		}
		return s
	}
	holders := func(h rota.HolderReporter, since time.Time) []rota.Holder {
		t.Helper()
		list, err := h.Holders(t.Context(), rota.HoldersRequest{Since: since})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	delivered := now.Add(10 * time.Minute)
	for _, status := range []string{"queued", "in_progress", "waiting", "pending", "requested"} {
		id := server.Start("shop/web", status)
		server.SetSecret("actions shop", githubtest.Secret{Name: "KEY", Visibility: "selected", Selected: []int64{2}})
		if h := holders(target(shopAPI, nil), delivered); len(h) > 0 {
			t.Errorf("another repository's run holds it: %+v", h)
		}
		reporters := map[string]rota.HolderReporter{
			"the organization's selected": target(shop, nil),
			"a named":                     target(shopAPI, func(s *github.Secrets) { s.WaitFor = []string{"shop/api", "shop/web"} }),
			"the workflow's":              &github.Workflow{Connection: connection, Owner: "shop", Repository: "web", File: "deploy.yml"},
			"the variables'":              &github.Variables{Connection: connection, Place: github.Place{Owner: "shop", Repository: "web"}, Fields: fields(t, map[string]string{"U": "username"})},
		}
		for name, reporter := range reporters {
			if h := holders(reporter, delivered); len(h) != 1 || h[0].Name != fmt.Sprintf("run %d of shop/web (ci.yml), queued 2026-03-01 12:00 UTC", id) || len(h[0].Remedies) == 0 {
				t.Errorf("%s, of %s repository: %+v", status, name, h)
			}
		}
		server.SetSecret("actions shop", githubtest.Secret{Name: "KEY", Visibility: "private"})
		if h := holders(target(shop, nil), delivered); len(h) != 1 {
			t.Errorf("%s, of the organization: %+v", status, h)
		}
		if h := holders(target(shop, func(s *github.Secrets) { s.NoWait = true }), delivered); len(h) > 0 {
			t.Errorf("with no_wait: %+v", h)
		}
		web := &github.Workflow{Connection: connection, Owner: "shop", Repository: "web", File: "deploy.yml"}
		if h := holders(web, now.Add(-3*time.Minute)); len(h) > 0 {
			t.Errorf("one that began later holds it: %+v", h)
		}
		if h := holders(web, now.Add(-time.Minute)); len(h) != 1 {
			t.Errorf("clocks may differ by a minute: %+v", h)
		}
		server.Finish(id)
		if h := holders(web, delivered); len(h) > 0 {
			t.Errorf("one that has ended holds it: %+v", h)
		}
	}
	server.Next("GET", "/actions/runs", providertest.FailBefore)
	if _, err := target(shopAPI, nil).Holders(t.Context(), rota.HoldersRequest{Since: now}); err == nil {
		t.Error("where GitHub fails, nobody holds it")
	}
}
