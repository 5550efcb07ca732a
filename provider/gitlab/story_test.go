package gitlab_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// The whole way of an IAM key: it's made, written to GitLab's variables, deployed by
// a pipeline, and the old one goes only when the deployment has succeeded and the
// last pipeline that began with it has ended. After every step, whoever holds a key
// that may be in use logs in with it.
func TestAKeyGoesFromIAMToGitLabAndTheOldOneGoesLast(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	server, _ := start(t)
	server.SetNow(clock)
	connection := connectAt(t, server, clock)
	server.SetJobs("shop/api", gitlabtest.Job{Name: "deploy", Environment: "production"})
	keys := memory.NewAccessKeys(memory.AccessKeysOptions{Options: memory.Options{Now: clock}})
	login := func(variables map[string]string) error {
		if !keys.Login(rota.NewCredential(map[string]string{rota.FieldAccessKeyID: variables["AWS_ACCESS_KEY_ID"], rota.FieldSecretAccessKey: variables["AWS_SECRET_ACCESS_KEY"]})) {
			return errors.New("the key is refused")
		}
		return nil
	}
	ill := false
	server.RunJobs(func(variables map[string]string) error {
		if ill {
			return errors.New("the deployment fails for another reason")
		}
		return login(variables)
	})
	var held []map[string]string // what running jobs hold
	rotator := &rotation.Rotator{
		Journal: memory.NewJournal(memory.Options{Now: clock}), Now: clock,
		Report: func(r rotation.Report) {
			for _, variables := range held {
				if err := login(variables); r.Done && err != nil {
					t.Errorf("after %s: a running job's %v", r.Decision.Step, err)
				}
			}
			if values := server.JobVariables("shop/api", "production"); r.Done && len(values) > 0 && login(values) != nil {
				t.Errorf("after %s: the key that a new job gets is refused", r.Decision.Step)
			}
		},
	}
	place := shopAPI
	place.Environment = "production"
	secret := &rotation.Secret{
		Name: "prod/shop-s3", Issuer: keys, Store: memory.NewStore(memory.Options{Now: clock}),
		Targets:   []rota.Target{&gitlab.Variables{Target: "ci", Connection: connection, Place: place, Fields: fields(t, pair)}},
		Reloaders: []rota.Reloader{&gitlab.Pipeline{Reloader: "deploy", Connection: connection, Project: "shop/api", Ref: "main", Environment: "production", Poll: time.Millisecond}},
		Policy:    rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 7 * rota.Day, DeletePreviousAfter: 14 * rota.Day},
	}
	advance := func() (string, rotation.Result, error) {
		r, err := rotator.Advance(t.Context(), secret, rotation.Options{})
		var steps []string
		for _, d := range r.Done {
			steps = append(steps, string(d.Step))
		}
		return strings.Join(steps, " "), r, err
	}
	if steps, _, err := advance(); err != nil || steps != "create test promote deliver reload" {
		t.Fatalf("at first, it did %q: %v", steps, err)
	}
	first := server.JobVariables("shop/api", "production")

	now = now.Add(90 * rota.Day)
	running := server.Start("shop/api", "main")
	held = append(held, first)
	ill = true
	steps, _, err := advance()
	if err == nil || steps != "create test promote deliver" || !strings.Contains(err.Error(), "job deploy failed (script_failure)") || !strings.Contains(err.Error(), "prod/shop-s3") || !strings.Contains(rota.Hint(rota.RemediesOf(err)), "/shop/api/-/pipelines/") {
		t.Fatalf("with a failing deployment, it did %q: %v", steps, err)
	}
	if login(server.JobVariables("shop/api", "production")) != nil || server.JobVariables("shop/api", "production")["AWS_ACCESS_KEY_ID"] == first["AWS_ACCESS_KEY_ID"] {
		t.Error("jobs don't get the new key")
	}
	now = now.Add(30 * rota.Day)
	if steps, r, err := advance(); err == nil || len(steps) > 0 || !keys.Login(credential(first)) {
		t.Fatalf("a month later, it did %q (%s): %v", steps, r.Last.Reason, err)
	}
	ill = false
	now = now.Add(rota.Day)
	if steps, _, err := advance(); err != nil || steps != "reload" {
		t.Fatalf("once the deployment works, it did %q: %v", steps, err)
	}

	now = now.Add(9 * rota.Day) // the grace period is over, and nobody has used it for a week
	steps, r, err := advance()
	if want := fmt.Sprintf("may still be held: by pipeline %d of shop/api on main", running); err != nil || steps != "" || r.Last.Hold != rotation.HoldInUse || !strings.Contains(r.Last.Reason, want) {
		t.Fatalf("while a pipeline holds the old key, it did %q and says %q: %v", steps, r.Last.Reason, err)
	}
	server.Finish(running)
	if i := slices.IndexFunc(server.Pipelines("shop/api"), func(p gitlabtest.Pipeline) bool { return p.ID == running }); server.Pipelines("shop/api")[i].Jobs[0].Status != "success" {
		t.Error("the pipeline that held the old key couldn't use it to the end")
	}
	held = nil
	now = now.Add(8 * rota.Day) // it was used until then
	if steps, r, err := advance(); err != nil || steps != "deactivate" || keys.Login(credential(first)) {
		t.Fatalf("once it has ended, it did %q (%s): %v", steps, r.Last.Reason, err)
	}
	now = now.Add(8 * rota.Day)
	if steps, r, err := advance(); err != nil || steps != "delete" || len(keys.Keys()) != 1 {
		t.Fatalf("after the second grace period, it did %q (%s) and left %d keys: %v", steps, r.Last.Reason, len(keys.Keys()), err)
	}
}

func credential(variables map[string]string) rota.Credential {
	return rota.NewCredential(map[string]string{rota.FieldAccessKeyID: variables["AWS_ACCESS_KEY_ID"], rota.FieldSecretAccessKey: variables["AWS_SECRET_ACCESS_KEY"]})
}
