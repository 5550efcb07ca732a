package gitlab_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
	"github.com/rota-dev/rota/provider/providertest"
)

// consumer is what a project deploys, which runs on the value that its job got.
type consumer struct {
	*gitlab.Pipeline
	server  *gitlabtest.Server
	mu      sync.Mutex
	running string
	runs    map[string]int // how often it was deployed, by version
	ill     bool
}

// Reload puts the version into a variable first, as a delivery would.
func (c *consumer) Reload(ctx context.Context, r rota.ReloadRequest) error {
	c.server.SetVariable("project shop/api", gitlabtest.Variable{Key: "VERSION", Value: &r.Version})
	return c.Pipeline.Reload(ctx, r)
}

func (c *consumer) run(variables map[string]string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ill {
		return errors.New("it doesn't come up")
	}
	c.running = variables["VERSION"]
	if c.runs == nil {
		c.runs = map[string]int{}
	}
	c.runs[c.running]++
	return nil
}

func deploys(t *testing.T, p gitlab.Pipeline) *consumer {
	t.Helper()
	server, connection := start(t)
	p.Reloader, p.Connection, p.Project, p.Ref, p.Poll = "deploy", connection, "shop/api", "main", time.Millisecond
	c := &consumer{Pipeline: &p, server: server}
	server.RunJobs(c.run)
	if p.Play != "" {
		server.SetJobs("shop/api", gitlabtest.Job{Name: "build"}, gitlabtest.Job{Name: p.Play, Manual: true})
		server.Finish(server.Start("shop/api", "main"))
	}
	return c
}

func TestTheReloaderConforms(t *testing.T) {
	for name, p := range map[string]gitlab.Pipeline{
		"a pipeline":      {},
		"one with a mark": {VersionVariable: "ROTA_VERSION"},
		"a job of it":     {Job: "deploy"},
		"an environment":  {Environment: "production"},
		"a trigger token": {TriggerToken: "set below"},
		"by variables":    {Variables: map[string]string{"DEPLOY": "yes"}},
		"a manual job":    {Play: "release"},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Reloader(t, func(t *testing.T) providertest.ReloaderFixture {
				c := deploys(t, p)
				if p.TriggerToken != "" {
					c.TriggerToken = c.server.AddTrigger("shop/api", "rota")
				}
				f := providertest.ReloaderFixture{
					Reloader: c, Inject: c.server.Inject(map[string]string{"reload": "POST /"}),
					Running: func() (string, error) { c.mu.Lock(); defer c.mu.Unlock(); return c.running, nil },
					Sicken:  func() { c.mu.Lock(); defer c.mu.Unlock(); c.ill = true },
				}
				if p.Play != "" {
					f.Reloader = oneAtATime{c, new(sync.Mutex)} // there's only one such job
				}
				return f
			})
		})
	}
}

type oneAtATime struct {
	*consumer
	mu *sync.Mutex
}

func (o oneAtATime) Reload(ctx context.Context, r rota.ReloadRequest) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.consumer.Reload(ctx, r)
}

// A fault at any request but the one that starts it is waited out, and no request
// that went wrong makes a second pipeline.
func TestAFaultAtAnyRequestOfAReloadStartsNoSecondPipeline(t *testing.T) {
	for _, fault := range []providertest.FaultKind{providertest.FailBefore, providertest.LoseReply} {
		for n := 0; ; n++ {
			c := deploys(t, gitlab.Pipeline{})
			c.server.Nth(n, "", "/", fault)
			err := c.Reload(t.Context(), rota.ReloadRequest{Version: "v1"})
			requests, pipelines := c.server.Requests(), c.server.Pipelines("shop/api")
			if n >= len(requests) {
				break
			}
			switch started := len(pipelines); {
			case started > 1, err == nil && c.running != "v1", err == nil && started != 1:
				t.Errorf("%s at request %d (%s): %v, %d pipelines, it runs on %q", fault, n, requests[n], err, started, c.running)
			case err != nil && n > 1:
				t.Errorf("%s at request %d (%s): %v", fault, n, requests[n], err)
			}
		}
	}
}

func TestAMarkedPipelineIsNotStartedTwice(t *testing.T) {
	c := deploys(t, gitlab.Pipeline{VersionVariable: "ROTA_VERSION", Timeout: time.Nanosecond})
	c.Timeout = time.Minute
	for _, version := range []string{"v1", "v1", "v2", "v2"} {
		if err := c.Reload(t.Context(), rota.ReloadRequest{Version: version}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.server.Pipelines("shop/api")); n != 2 || c.running != "v2" {
		t.Errorf("%d pipelines for two versions, and it runs on %s", n, c.running)
	}
	c.mu.Lock()
	c.ill = true
	c.mu.Unlock()
	for range 2 { // one that failed is started anew
		if err := c.Reload(t.Context(), rota.ReloadRequest{Version: "v3"}); err == nil {
			t.Fatal("it succeeded although the deployment failed")
		}
	}
	if n := len(c.server.Pipelines("shop/api")); n != 4 {
		t.Errorf("%d pipelines, want two for the version that failed twice", n)
	}
}

func TestWhyADeploymentFailed(t *testing.T) {
	for _, c := range []struct {
		name       string
		pipeline   gitlab.Pipeline
		jobs       []gitlabtest.Job
		ill        bool
		text, hint string
	}{
		{"a failed job", gitlab.Pipeline{}, nil, true, "pipeline 4 is failed: job build failed (script_failure)", "/shop/api/-/pipelines/4"},
		{"the job that's waited for", gitlab.Pipeline{Job: "build"}, nil, true, "run job build of shop/api: it failed (script_failure)", "/-/jobs/"},
		{"another job before it", gitlab.Pipeline{Job: "deploy"}, nil, true, "run job deploy of shop/api: pipeline 4 is failed: job build failed", "/-/pipelines/4"},
		{"the environment's", gitlab.Pipeline{Environment: "production"}, []gitlabtest.Job{{Name: "deploy", Environment: "production"}}, true, "deploy shop/api to production: pipeline 3 is failed: job deploy failed", "/-/pipelines/3"},
		{"no such job", gitlab.Pipeline{Job: "ship"}, nil, false, "find job ship in pipeline 4 of shop/api: it only has build, deploy", "correct the job's name"},
		{"no such environment", gitlab.Pipeline{Environment: "staging"}, nil, false, "succeeded without a deployment there", "correct the environment's name"},
		{"a blocked pipeline", gitlab.Pipeline{}, []gitlabtest.Job{{Name: "approve", Manual: true}}, false, "is manual: job approve waits for a person", "/-/pipelines/"},
		{"a manual job", gitlab.Pipeline{Play: "release"}, nil, true, "run job release of shop/api (main): it failed (script_failure)", "/-/jobs/"},
		{"no such manual job", gitlab.Pipeline{Play: "release"}, []gitlabtest.Job{{Name: "build"}}, false, "find job release", "correct the job's name"},
		{"no such ref", gitlab.Pipeline{Ref: "gone"}, nil, false, "400 Bad Request: Reference not found", "check that the ref exists"},
		{"a wrong trigger token", gitlab.Pipeline{TriggerToken: "glptt-wrong-token"}, nil, false, "404", "check the trigger token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ref := c.pipeline.Ref
			d := deploys(t, c.pipeline)
			if ref != "" {
				d.Ref = ref
			}
			if c.jobs != nil {
				d.server.SetJobs("shop/api", c.jobs...)
				if c.pipeline.Play != "" {
					d.server.Finish(d.server.Start("shop/api", "main"))
				}
			}
			d.ill = c.ill
			err := d.Pipeline.Reload(t.Context(), rota.ReloadRequest{Version: "v1"})
			numbers := strings.NewReplacer("pipeline 3 ", "pipeline 4 ", "pipelines/3", "pipelines/4", "pipeline 2 ", "pipeline 4 ", "pipelines/2", "pipelines/4")
			if err == nil || !strings.Contains(numbers.Replace(err.Error()), numbers.Replace(c.text)) || !strings.Contains(numbers.Replace(rota.Hint(rota.RemediesOf(err))), numbers.Replace(c.hint)) || !strings.HasPrefix(err.Error(), "gitlab test: ") {
				t.Errorf("got %v (%s)", err, rota.Hint(rota.RemediesOf(err)))
			}
			if c.pipeline.TriggerToken != "" && strings.Contains(fmt.Sprint(err), c.pipeline.TriggerToken) {
				t.Error("the error holds the token")
			}
		})
	}
}

func TestADeploymentThatTakesTooLong(t *testing.T) {
	c := deploys(t, gitlab.Pipeline{Timeout: 50 * time.Millisecond})
	c.server.SetJobs("shop/api", gitlabtest.Job{Name: "deploy", Stuck: true})
	err := c.Reload(t.Context(), rota.ReloadRequest{Version: "v1"})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "it wasn't done within") || !strings.Contains(rota.Hint(rota.RemediesOf(err)), "raise the reloader's timeout") {
		t.Errorf("got %v (%s)", err, rota.Hint(rota.RemediesOf(err)))
	}
}

func TestWhatAReloaderNeedsIsKnownAhead(t *testing.T) {
	for name, c := range map[string]struct {
		pipeline gitlab.Pipeline
		ref      string
		token    gitlabtest.Token
		ok       bool
	}{
		"all in order":     {ref: "main", token: gitlabtest.Token{Scopes: []string{"api"}, Level: gitlabtest.Developer}, ok: true},
		"no such ref":      {ref: "gone", token: gitlabtest.Token{Scopes: []string{"api"}, Level: gitlabtest.Developer}},
		"no scope":         {ref: "main", token: gitlabtest.Token{Scopes: []string{"read_api"}, Level: gitlabtest.Developer}},
		"no role":          {ref: "main", token: gitlabtest.Token{Scopes: []string{"api"}, Level: 10}},
		"a manual job":     {ref: "main", pipeline: gitlab.Pipeline{Play: "release"}, token: gitlabtest.Token{Scopes: []string{"api"}, Level: gitlabtest.Developer}, ok: true},
		"no such pipeline": {ref: "gone", pipeline: gitlab.Pipeline{Play: "release"}, token: gitlabtest.Token{Scopes: []string{"api"}, Level: gitlabtest.Developer}},
	} {
		t.Run(name, func(t *testing.T) {
			d := deploys(t, c.pipeline)
			d.Ref, d.Connection = c.ref, connect(t, d.server, d.server.AddToken(c.token))
			before := len(d.server.Pipelines("shop/api"))
			bad := slices.ContainsFunc(d.Preflight(t.Context()), func(f rota.Finding) bool { return !f.OK && !f.Warning && len(f.Remedies) > 0 })
			if bad == c.ok || len(d.server.Pipelines("shop/api")) != before {
				t.Errorf("it finds %+v", d.Preflight(t.Context()))
			}
		})
	}
}

// A job that's already running may have begun with the old value: it's waited for, and
// runs again. What GitLab says about it is read again after that, since somebody may
// have started it, and it may have another number.
func TestAJobIsReadAgainBeforeItRuns(t *testing.T) {
	for _, c := range []struct {
		name  string
		state string // before
		runs  int    // how often it ran after the value was delivered
		fault providertest.FaultKind
	}{
		{"a manual job", "manual", 1, ""},
		{"a job that has run", "success", 1, ""},
		{"a job that has failed", "failed", 1, ""},
		{"a job that waits for its time", "scheduled", 2, ""},
		{"a job that's running", "running", 1, ""},
		{"a manual job, and the answer is lost", "manual", 1, providertest.LoseReply},
		{"a job that has run, and the answer is lost", "success", 1, providertest.LoseReply},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := deploys(t, gitlab.Pipeline{Play: "release"})
			d.server.SetJobState("shop/api", "release", c.state)
			if c.fault != "" {
				d.server.Next("POST", "/jobs/", c.fault)
			}
			if err := d.Reload(t.Context(), rota.ReloadRequest{Version: "v2"}); err != nil || d.running != "v2" {
				t.Errorf("it runs on %q: %v", d.running, err)
			}
			if n := d.runs["v2"]; n != c.runs {
				t.Errorf("it ran %d times with the new value, want %d", n, c.runs)
			}
		})
	}
}
