package crash

import (
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// TestTheMatrixFindsPlantedBugs plays single cells with a Rotator that has a
// bug, starting with the run after the fault, and expects each bug to be found.
func TestTheMatrixFindsPlantedBugs(t *testing.T) {
	planner := func(change func(*rotation.State)) func(*rotation.Rotator) {
		return func(r *rotation.Rotator) {
			r.Plan = func(s rotation.State, p rotation.Policy, now time.Time) rotation.Decision {
				change(&s)
				return rotation.Plan(s, p, now)
			}
		}
	}
	without := func(step rota.Step) func(*rotation.Rotator) {
		return func(r *rotation.Rotator) {
			r.Plan = func(s rotation.State, p rotation.Policy, now time.Time) rotation.Decision {
				d := rotation.Plan(s, p, now)
				if d.Step == step {
					return rotation.Decision{Reason: "planted: no " + string(step), At: now.Add(time.Hour)}
				}
				return d
			}
		}
	}
	first := life{name: "a key's first issue", build: newIAM, kinds: everyKind, loses: true, steps: []step{
		{name: "day 0", done: isIssued}, {name: "day 90", after: 90 * rota.Day, done: isRotated},
	}}
	tooEarly := func(r *rotation.Rotator) {
		r.Plan = func(s rotation.State, p rotation.Policy, now time.Time) rotation.Decision {
			previous, ok := rota.Find(s.Contents.Versions, rota.LabelPrevious)
			if !ok || previous.Has(rota.LabelDeactivated) {
				return rotation.Plan(s, p, now)
			}
			retire := rota.StepDelete
			if s.CanDeactivate {
				retire = rota.StepDeactivate
			}
			return rotation.Decision{Step: retire, Version: previous.ID, Credential: previous.CredentialID}
		}
	}
	token := lifeOf("project access token", "project shop/api", projectTokens)
	token.steps = token.steps[:2]
	for _, bug := range []struct {
		name string
		life life
		call call // the last of its kind
		kind kind
		bug  func(*rotation.Rotator)
	}{
		{"orphans are not looked for", first, call{"iam", "CreateAccessKey", ""}, replyLost, planner(func(s *rotation.State) { s.Progress.Intents = nil })},
		{"a pending version is left lying", first, call{"secretsmanager", "PutSecretValue", "AWSPENDING"}, dies, without(rota.StepTest)},
		{"what is promoted is not delivered", first, call{"secretsmanager", "UpdateSecretVersionStage", "AWSCURRENT"}, dies, without(rota.StepDeliver)},
		{"AWSPENDING is left on the promoted version", first, call{"secretsmanager", "UpdateSecretVersionStage", "AWSCURRENT"}, dies, without(rota.StepPromote)},
		{"consumers are not reloaded", first, call{"target", "deliver", ""}, dies, without(rota.StepReload)},
		{"the previous key is retired too early", first, call{"reloader", "reload", ""}, dies, tooEarly},
		{"the token of a lost answer is not looked for", token, call{"gitlab", "create", ""}, replyLost, planner(func(s *rotation.State) { s.Progress.Intents = nil })},
		{"a token is left pending", token, call{"gitlab", "create", ""}, dies, without(rota.StepTest)},
		{"the previous token is retired too early", token, call{"reloader", "reload", ""}, dies, tooEarly},
	} {
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			calls, stepOf := record(t, bug.life)
			at := -1
			for i, c := range calls {
				if c == bug.call {
					at = i
				}
			}
			if at < 0 {
				t.Fatalf("the life has no call %s", bug.call)
			}
			c := cell{bug.life, plan{at: at, step: stepOf[at], call: bug.call, kind: bug.kind}}
			if v := playSafely(t, c); v.err != nil {
				t.Fatalf("%s without the bug: %v", c, v.err)
			}
			c.plan.bug = bug.bug
			if v := playSafely(t, c); v.err == nil {
				t.Errorf("%s: the bug was not found", c)
			} else {
				t.Logf("found: %v", v.err)
			}
		})
	}
}
