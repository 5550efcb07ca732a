package rotation_test

import (
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// first is what a hold recommends.
func first(t *testing.T, d rotation.Decision) rota.Remedy {
	t.Helper()
	if d.Hold == rotation.HoldNone || len(d.Remedies) == 0 {
		t.Fatalf("no hold with a remedy: %+v", d)
	}
	return d.Remedies[0]
}

// issuedAs are a user's keys as the issuer lists them.
func issuedAs(st rotation.State, change func(*rota.Issued)) rotation.State {
	issued := append([]rota.Issued(nil), st.Issued...)
	for i := range issued {
		change(&issued[i])
	}
	st.Issued = issued
	return st
}

func TestBothKeysInactiveIsNoDeadEnd(t *testing.T) {
	st := issuedAs(rotated(never), func(i *rota.Issued) { i.Active = false })
	d := rotation.Plan(st, policy90, at(91))
	r := first(t, d)
	if d.Hold != rotation.HoldNotAtIssuer || r.Verb != rota.VerbReactivate || r.Object == "" {
		t.Errorf("it recommends %+v", r)
	}
	if second := d.Remedies[1]; second.Action != rota.RemedyDelete {
		t.Errorf("the other way out is %+v: a new key has no place yet", second)
	}
	st.Force = rota.StepDelete
	if d := rotation.Plan(st, policy90, at(91)); d.Step != rota.StepDelete {
		t.Errorf("following it leads back: %+v", d)
	}
}

func TestBothKeysGoneIsNoDeadEnd(t *testing.T) {
	st := rotated(never)
	st.Issued = nil
	if r := first(t, rotation.Plan(st, policy90, at(91))); r.Action != rota.RemedyRotate && r.Action != rota.RemedyOutside {
		t.Errorf("it recommends %+v", r)
	}
	st.Force = rota.StepCreate
	if d := rotation.Plan(st, policy90, at(91)); d.Step == rota.StepNone {
		t.Errorf("a rotation that a person asks for is held: %+v", d)
	}
}

func TestAForeignEntryCanBeHandedIn(t *testing.T) {
	st := rotated(never)
	for i := range st.Contents.Versions {
		st.Contents.Versions[i].ID = "by-hand-" + st.Contents.Versions[i].ID
	}
	d := rotation.Plan(st, policy90, at(91))
	if first(t, d).Action != rota.RemedyAdopt || len(d.Remedies) < 2 || d.Remedies[1].Action != rota.RemedyAdoptGiven {
		t.Errorf("where the entry holds half a key, nothing leads out: %+v", d)
	}
}

func TestAQuarantineWithSeveralCausesIsLiftedAfterTheLast(t *testing.T) {
	st := served()
	st.Progress.Failure = &rotation.Failure{Step: rota.StepCreate, Attempts: 100, At: at(90), Error: "denied",
		Remedies: rota.AllOf(rota.Outside("allow the one"), rota.Outside("allow the other"))}
	d := rotation.Plan(st, policy90, at(91))
	if got, want := rota.Hint(d.Remedies), "allow the one; and also allow the other, then resume "+st.Secret; d.Hold != rotation.HoldQuarantined || got != want {
		t.Errorf("%s: got %q, want %q", d.Hold, got, want)
	}
}

// People look when they're at work, not when the window is open.
func TestAFailureIsShownWhileItsRetryWaitsForTheWindow(t *testing.T) {
	window, err := rotation.ParseWindow("0 2 * * *", time.Hour, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	policy := policy90
	policy.Window = window
	grant := []rota.Remedy{{Action: rota.RemedyOutside, Verb: rota.VerbGrant, Object: "create keys"}}
	for attempts, want := range map[int]rotation.HoldKind{3: rotation.HoldRetrying, policy.WithDefaults().MaxAttempts: rotation.HoldQuarantined} {
		st := served()
		failed := at(91).Add(-7 * time.Hour) // at two in the morning
		st.Progress.Failure = &rotation.Failure{Step: rota.StepCreate, Attempts: attempts, At: failed, RetryAt: failed.Add(time.Hour), Error: "denied", Remedies: grant}
		d := rotation.Plan(st, policy, at(91))
		if d.Hold != want || first(t, d).Object != "create keys" || d.Next != rota.StepCreate || d.At.After(at(92).Add(-7*time.Hour)) {
			t.Errorf("after %d attempts: %+v, want %q", attempts, d, want)
		}
		st.Progress.Failure.Step = rota.StepDelete
		if d := rotation.Plan(st, policy, at(91)); d.Hold != rotation.HoldNone {
			t.Errorf("the failure of another step: %+v", d)
		}
	}
}
