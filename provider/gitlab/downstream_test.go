package gitlab_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
)

// A trigger job without a strategy has succeeded as soon as its pipeline exists, and so has
// the pipeline that it's in. What it started may still hold the variables that it was given.
func TestAPipelineThatAnotherProjectWasGivenHolds(t *testing.T) {
	server, connection := start(t)
	server.AddProject("infra/deploy", gitlabtest.Job{Name: "apply"})
	up := server.Start("shop/api", "main")
	down := server.Trigger(up, "hand on", "infra/deploy", false)
	server.Finish(up)
	for name, r := range map[string]rota.HolderReporter{
		"variables": &gitlab.Variables{Connection: connection, Place: shopAPI},
		"pipeline":  &gitlab.Pipeline{Connection: connection, Project: "shop/api", Ref: "main"},
		"wait_for":  &gitlab.Variables{Connection: connection, Place: gitlab.Place{Level: gitlab.LevelGroup, ID: "shop"}, WaitFor: []string{"shop/api"}},
	} {
		since := rota.HoldersRequest{Since: time.Now().Add(time.Minute)}
		h, err := r.Holders(t.Context(), since)
		if err != nil || len(h) != 1 || !strings.HasPrefix(h[0].Name, fmt.Sprintf("pipeline %d of another project", down)) || !strings.Contains(h[0].Name, "job hand on of shop/api") || len(h[0].Remedies) == 0 {
			t.Errorf("%s: %+v (%v)", name, h, err)
		}
		if h, err := r.Holders(t.Context(), rota.HoldersRequest{Since: time.Now().Add(-time.Hour)}); err != nil || len(h) > 0 {
			t.Errorf("%s, since before it began: %+v (%v)", name, h, err)
		}
	}
	server.Finish(down)
	if h, err := (&gitlab.Variables{Connection: connection, Place: shopAPI}).Holders(t.Context(), rota.HoldersRequest{Since: time.Now().Add(time.Minute)}); err != nil || len(h) > 0 {
		t.Errorf("one that has ended: %+v (%v)", h, err)
	}
}

// A child pipeline can trigger one, too. GitLab lists children only to who asks for them.
func TestAPipelineThatAChildTriggeredHolds(t *testing.T) {
	server, connection := start(t)
	server.AddProject("infra/deploy", gitlabtest.Job{Name: "apply"})
	up := server.Start("shop/api", "main")
	child := server.Trigger(up, "child", "shop/api", false)
	down := server.Trigger(child, "hand on", "infra/deploy", false)
	server.Finish(up)
	server.Finish(child)
	h, err := (&gitlab.Variables{Connection: connection, Place: shopAPI}).Holders(t.Context(), rota.HoldersRequest{Since: time.Now().Add(time.Minute)})
	if err != nil || len(h) != 1 || !strings.HasPrefix(h[0].Name, fmt.Sprintf("pipeline %d of another project", down)) {
		t.Errorf("%+v (%v), want the one that the child triggered", h, err)
	}
}

// GitLab before 17.11 lists the pipelines that began since, too, and lists them first.
func TestAPipelineTriggeredBeforeManyLaterOnesHolds(t *testing.T) {
	server, connection := start(t)
	server.BeOlder()
	server.SetNow(func() time.Time { return time.Now().Add(-time.Hour) })
	server.AddProject("infra/deploy", gitlabtest.Job{Name: "apply"})
	up := server.Start("shop/api", "main")
	server.Trigger(up, "hand on", "infra/deploy", false)
	server.Finish(up)
	server.SetNow(time.Now)
	for range 120 {
		server.Finish(server.Start("shop/api", "main"))
	}
	h, err := (&gitlab.Variables{Connection: connection, Place: shopAPI}).Holders(t.Context(), rota.HoldersRequest{Since: time.Now().Add(-30 * time.Minute)})
	if err != nil || len(h) != 1 {
		t.Errorf("%+v (%v), want the one downstream of the first pipeline", h, err)
	}
}

// deploysDownstream is a reload whose pipeline hands the deployment on to another one.
func deploysDownstream(t *testing.T, p gitlab.Pipeline, path string, depends bool) (server *gitlabtest.Server, down int64, reload func() error) {
	t.Helper()
	server, connection := start(t)
	server.AddProject("infra/deploy", gitlabtest.Job{Name: "apply", Environment: "production"})
	server.SetJobs("shop/api", gitlabtest.Job{Name: "build"})
	p.Connection, p.Project, p.Ref, p.Poll = connection, "shop/api", "main", time.Millisecond
	id, err := p.Begin(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	if path == "shop/api" { // the child's jobs are others
		server.SetJobs("shop/api", gitlabtest.Job{Name: "apply", Environment: "production"})
	}
	down = server.Trigger(id, "hand on", path, depends)
	return server, down, func() error {
		for range 20 {
			if done, err := p.Deployed(t.Context(), id); done || err != nil {
				return err
			}
		}
		return errGoesOn
	}
}

var errGoesOn = fmt.Errorf("it goes on")

func TestADeploymentDownstreamIsWaitedFor(t *testing.T) {
	for _, path := range []string{"infra/deploy", "shop/api"} {
		for _, depends := range []bool{false, true} {
			for name, p := range map[string]gitlab.Pipeline{"the pipeline": {}, "the trigger job": {Job: "hand on"}, "an environment": {Environment: "production"}} {
				if p.Environment != "" && path != "shop/api" {
					continue // its deployments are another project's
				}
				t.Run(fmt.Sprintf("%s, %s, depends %v", path, name, depends), func(t *testing.T) {
					server, down, reload := deploysDownstream(t, p, path, depends)
					if err := reload(); err != errGoesOn {
						t.Fatalf("the downstream pipeline runs, and the reload says %v", err)
					}
					server.Finish(down)
					if err := reload(); err != nil {
						t.Errorf("it has succeeded, and the reload says %v", err)
					}
					server, down, reload = deploysDownstream(t, p, path, depends)
					_ = reload()
					server.Fail(down)
					err := reload()
					if err == nil || err == errGoesOn || !strings.Contains(err.Error(), "failed") || len(rota.RemediesOf(err)) == 0 {
						t.Errorf("it has failed, and the reload says %v", err)
					}
				})
			}
		}
	}
}

// GitLab's API can't run a trigger job.
func TestATriggerJobCantBePlayed(t *testing.T) {
	server, connection := start(t)
	up := server.Start("shop/api", "main")
	server.Trigger(up, "hand on", "shop/api", false)
	p := &gitlab.Pipeline{Connection: connection, Project: "shop/api", Ref: "main", Play: "hand on", Poll: time.Millisecond}
	err := p.Reload(t.Context(), rota.ReloadRequest{Version: "v1"})
	if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(rota.RemediesOf(err)[0].Text, "not played") {
		t.Errorf("it says %v, %+v", err, rota.RemediesOf(err))
	}
}

func TestEnvironmentsThatAreTurnedOffAreNamed(t *testing.T) {
	server, connection := start(t)
	server.BeQuick()
	server.TurnOffEnvironments("shop/api")
	p := &gitlab.Pipeline{Connection: connection, Project: "shop/api", Ref: "main", Environment: "production", Poll: time.Millisecond}
	err := p.Reload(t.Context(), rota.ReloadRequest{Version: "v1"})
	if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), "environments turned off") {
		t.Fatalf("it says %v", err)
	}
	if r := rota.RemediesOf(err); len(r) != 1 || !strings.Contains(r[0].Text, "turn on Environments") || strings.Contains(r[0].Text, "scope api") {
		t.Errorf("the remedies are %+v", r)
	}
}

// A group's projects are asked one by one, so what each costs counts.
func TestWhatLookingForHoldersCosts(t *testing.T) {
	server, connection := start(t)
	const projects = 20
	for n := range projects - 1 {
		server.AddProject(fmt.Sprintf("shop/p%d", n), gitlabtest.Job{Name: "build"})
	}
	group := &gitlab.Variables{Connection: connection, Place: gitlab.Place{Level: gitlab.LevelGroup, ID: "shop"}}
	since := rota.HoldersRequest{Since: time.Now().Add(time.Minute)}
	if _, err := group.Holders(t.Context(), since); err != nil { // learns GitLab's clock
		t.Fatal(err)
	}
	before := len(server.Requests())
	if h, err := group.Holders(t.Context(), since); err != nil || len(h) > 0 {
		t.Fatalf("%+v (%v)", h, err)
	}
	if calls := len(server.Requests()) - before; calls != 1+5*projects { // it was 14 for each
		t.Errorf("%d calls for %d projects", calls, projects)
	}
}

// Whatever state an active job is in, its pipeline holds.
func TestEachStateOfAJobHolds(t *testing.T) {
	for _, older := range []bool{false, true} {
		for _, state := range []string{"running", "pending", "preparing", "waiting_for_resource", "scheduled", "canceling", "waiting_for_callback"} {
			if older && (state == "canceling" || state == "waiting_for_callback") {
				continue
			}
			server, connection := start(t)
			if older {
				server.BeOlder()
			}
			id := server.Start("shop/api", "main")
			server.SetJobState("shop/api", "build", state)
			server.SetJobState("shop/api", "deploy", "manual")
			h, err := (&gitlab.Variables{Connection: connection, Place: shopAPI}).Holders(t.Context(), rota.HoldersRequest{Since: time.Now().Add(time.Minute)})
			if err != nil || len(h) != 1 || !strings.HasPrefix(h[0].Name, fmt.Sprintf("pipeline %d of shop/api on main, begun ", id)) {
				t.Errorf("%s, older %v: %+v (%v)", state, older, h, err)
			}
		}
	}
}
