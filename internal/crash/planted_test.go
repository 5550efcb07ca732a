package crash

import (
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

// TestTheMatrixFindsPlantedBugs plays single cells with a Rotator that has a
// bug, from the run on that follows the fault, and wants each to be found.
func TestTheMatrixFindsPlantedBugs(t *testing.T) {
	planner := func(change func(*rota.State)) func(*rota.Rotator) {
		return func(r *rota.Rotator) {
			r.Plan = func(s rota.State, p rota.Policy, now time.Time) rota.Decision {
				change(&s)
				return rota.Plan(s, p, now)
			}
		}
	}
	without := func(step rota.Step) func(*rota.Rotator) {
		return func(r *rota.Rotator) {
			r.Plan = func(s rota.State, p rota.Policy, now time.Time) rota.Decision {
				d := rota.Plan(s, p, now)
				if d.Step == step {
					return rota.Decision{Reason: "planted: no " + string(step), At: now.Add(time.Hour)}
				}
				return d
			}
		}
	}
	first := life{name: "a key's first issue", build: newIAM, loses: true, steps: []step{
		{name: "day 0", done: isIssued}, {name: "day 90", after: 90 * rota.Day, done: isRotated},
	}}
	calls, stepOf := record(t, first)
	for _, bug := range []struct {
		name string
		call call // the last of its kind
		kind kind
		bug  func(*rota.Rotator)
	}{
		{"orphans are not looked for", call{"iam", "CreateAccessKey", ""}, replyLost, planner(func(s *rota.State) { s.Progress.Intents = nil })},
		{"a pending version is left lying", call{"secretsmanager", "PutSecretValue", "AWSPENDING"}, dies, without(rota.StepTest)},
		{"what is promoted is not delivered", call{"secretsmanager", "UpdateSecretVersionStage", "AWSCURRENT"}, dies, without(rota.StepDeliver)},
		{"AWSPENDING is left on the promoted version", call{"secretsmanager", "UpdateSecretVersionStage", "AWSCURRENT"}, dies, without(rota.StepPromote)},
		{"consumers are not reloaded", call{"target", "deliver", ""}, dies, without(rota.StepReload)},
		{"the previous key is retired too early", call{"reloader", "reload", ""}, dies, func(r *rota.Rotator) {
			r.Plan = func(s rota.State, p rota.Policy, now time.Time) rota.Decision {
				previous, ok := rota.Find(s.Contents.Versions, rota.LabelPrevious)
				if !ok || previous.Has(rota.LabelDeactivated) {
					return rota.Plan(s, p, now)
				}
				return rota.Decision{Step: rota.StepDeactivate, Version: previous.ID, Credential: previous.CredentialID}
			}
		}},
	} {
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			at := -1
			for i, c := range calls {
				if c == bug.call {
					at = i
				}
			}
			if at < 0 {
				t.Fatalf("the life has no call %s", bug.call)
			}
			c := cell{first, plan{at: at, step: stepOf[at], call: bug.call, kind: bug.kind}}
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
