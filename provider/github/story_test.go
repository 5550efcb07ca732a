package github_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/github"
	"github.com/rota-dev/rota/provider/github/githubtest"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/rotation"
)

// The whole way of an IAM key: it's made, written to GitHub's secrets, deployed by a
// workflow run, and the old one goes only when the deployment has succeeded and the
// last run that was queued with it has ended. After every step, whoever holds a key
// that may be in use logs in with it.
func TestAKeyGoesFromIAMToGitHubAndTheOldOneGoesLast(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	server, _ := start(t)
	server.SetNow(clock)
	connection := connect(t, server, github.Config{Token: githubtest.AdminToken, Now: clock})
	server.SetWorkflow("shop/api", "deploy.yml", githubtest.Workflow{})
	keys := memory.NewAccessKeys(memory.AccessKeysOptions{Options: memory.Options{Now: clock}})
	login := func(variables map[string]string) error {
		if !keys.Login(rota.NewCredential(map[string]string{rota.FieldAccessKeyID: variables["AWS_ACCESS_KEY_ID"], rota.FieldSecretAccessKey: variables["AWS_SECRET_ACCESS_KEY"]})) {
			return errors.New("the key is refused")
		}
		return nil
	}
	ill := false
	server.RunJobs(func(variables, _ map[string]string) error {
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
			if values := jobSecrets(server); r.Done && len(values) > 0 && login(values) != nil {
				t.Errorf("after %s: the key that a new job gets is refused", r.Decision.Step)
			}
		},
	}
	secret := &rotation.Secret{
		Name: "prod/shop-s3", Issuer: keys, Store: memory.NewStore(memory.Options{Now: clock}),
		Targets:   []rota.Target{&github.Secrets{Target: "ci", Connection: connection, Place: shopAPI, Fields: fields(t, pair), Pause: time.Millisecond}},
		Reloaders: []rota.Reloader{&github.Workflow{Reloader: "deploy", Connection: connection, Owner: "shop", Repository: "api", File: "deploy.yml", Ref: "main", Poll: time.Millisecond}},
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
	first := jobSecrets(server)

	now = now.Add(90 * rota.Day)
	running := server.Start("shop/api", "in_progress")
	held = append(held, first)
	ill = true
	steps, _, err := advance()
	if err == nil || steps != "create test promote deliver" || !strings.Contains(err.Error(), "job deploy: failure in step Roll out") || !strings.Contains(err.Error(), "prod/shop-s3") || !strings.Contains(rota.Hint(rota.RemediesOf(err)), "/shop/api/actions/runs/") {
		t.Fatalf("with a failing deployment, it did %q: %v", steps, err)
	}
	if login(jobSecrets(server)) != nil || jobSecrets(server)["AWS_ACCESS_KEY_ID"] == first["AWS_ACCESS_KEY_ID"] {
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
	if want := fmt.Sprintf("may still be held: by run %d of shop/api (ci.yml)", running); err != nil || steps != "" || r.Last.Hold != rotation.HoldInUse || !strings.Contains(r.Last.Reason, want) {
		t.Fatalf("while a run holds the old key, it did %q and says %q: %v", steps, r.Last.Reason, err)
	}
	server.Finish(running)
	if i := slices.IndexFunc(server.Runs("shop/api"), func(r githubtest.Run) bool { return r.ID == running }); server.Runs("shop/api")[i].Conclusion != "success" {
		t.Error("the run that held the old key couldn't use it to the end")
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

// jobSecrets are the secrets that a new run gets.
func jobSecrets(server *githubtest.Server) map[string]string {
	values := map[string]string{}
	for _, s := range server.Secrets("actions shop/api") {
		values[s.Name] = s.Value
	}
	return values
}

// Deploy keys live through rotations whose every request may go wrong. After every
// step, the key that consumers have is let in, and there's one in the end.
func TestDeployKeysLiveThroughFaults(t *testing.T) {
	for _, fault := range []providertest.FaultKind{"", providertest.FailBefore, providertest.LoseReply, providertest.Repeat} {
		for n := 0; n < 16; n++ {
			server, connection := start(t)
			now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
			clock := func() time.Time { return now }
			server.SetNow(clock)
			issuer, target := deployKeys(connection), memory.NewTarget("app", memory.Options{Now: clock})
			rotator := &rotation.Rotator{
				Journal: memory.NewJournal(memory.Options{Now: clock}), Now: clock,
				Sleep: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil },
				Report: func(r rotation.Report) {
					delivered, ok := target.Current()
					if !ok || issuer.Test(t.Context(), rota.TestRequest{Credential: delivered.Credential}) == nil {
						return
					}
					// One look may hit the fault; two can't.
					if err := issuer.Test(t.Context(), rota.TestRequest{Credential: delivered.Credential}); err != nil {
						t.Errorf("%s at request %d: after %s, the consumers' key: %v", fault, n, r.Decision.Step, err)
					}
				},
			}
			secret := &rotation.Secret{
				Name: "prod/mirror", Issuer: issuer, Store: memory.NewStore(memory.Options{Now: clock}), Targets: []rota.Target{target},
				Policy: rotation.Policy{RotateEvery: 30 * rota.Day, DeactivatePreviousAfter: 7 * rota.Day, DeletePreviousAfter: 7 * rota.Day},
			}
			if _, err := rotator.Advance(t.Context(), secret, rotation.Options{}); err != nil {
				t.Fatalf("the first: %v", err)
			}
			now = now.Add(30 * rota.Day)
			if fault != "" {
				server.Nth(n, "", "/", fault)
			}
			for range 40 { // ten days
				_, _ = rotator.Advance(t.Context(), secret, rotation.Options{})
				now = now.Add(6 * time.Hour)
			}
			current, _ := target.Current()
			if list := server.DeployKeys("shop/api"); len(list) != 1 || list[0].Key != current.Credential.Field(github.FieldPublicKey) {
				t.Errorf("%s at request %d: ten days later there are %+v", fault, n, list)
			}
			if fault == "" {
				break
			}
		}
	}
}
