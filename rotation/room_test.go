package rotation_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// unnamed is a state whose current version doesn't say which credential it is,
// while these roles can log in.
func unnamed(traits rota.Traits, roles ...string) rotation.State {
	st := served()
	st.Traits = traits
	st.Contents.Versions[0].ID, st.Contents.Versions[0].CredentialID = "by-hand", rota.NoCredential
	st.Issued = nil
	for _, name := range roles {
		st.Issued = append(st.Issued, rota.Issued{ID: name, Active: true, CreatedAt: day0})
	}
	return st
}

func TestARoleThatMayBeInUseGetsNoNewPassword(t *testing.T) {
	pair := rota.Traits{Kind: "role", Limit: 2}
	rotates := func(r rota.Remedy) bool { return r.Action == rota.RemedyRotate }
	for name, test := range map[string]struct {
		state rotation.State
		free  bool
	}{
		"both of a pair can log in": {unnamed(pair, "app_a", "app_b"), false},
		"one of a pair can log in":  {unnamed(pair, "app_a"), true},
		"the only role there is":    {unnamed(pgLike, "app"), true},
	} {
		t.Run(name, func(t *testing.T) {
			d := rotation.Plan(test.state, policy90, at(1))
			if d.Hold != rotation.HoldNeverIssued || slices.ContainsFunc(d.Remedies, rotates) != test.free {
				t.Errorf("held %q, try: %s", d.Hold, rota.Hint(d.Remedies))
			}
			test.state.Force = rota.StepCreate
			d = rotation.Plan(test.state, policy90, at(1))
			if test.free && d.Step != rota.StepCreate || !test.free && d.Hold != rotation.HoldNoFreeSlot {
				t.Errorf("a person asks for a new one: %q, held %q", d.Step, d.Hold)
			}
		})
	}
}

// A previous version that isn't Rota's, and whose role no longer logs in, keeps
// neither the planner nor the issuer from using that role.
func TestARoleThatIsGoneIsTakenAgain(t *testing.T) {
	b := newBench(t)
	pair := memory.NewAlternating("app_a", "app_b", memory.RolesOptions{Options: memory.Options{Now: func() time.Time { return b.now }}})
	b.secret.Issuer = pair
	b.store.Plant("by-hand", rota.NewCredential(map[string]string{rota.FieldUsername: "app_b"}), rota.LabelPrevious)
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: pair.Plant("app_a", "in use")}); err != nil {
		t.Fatal(err)
	}
	b.days(91)
	if got := steps(b.advance(t, rotation.Options{})); got != "create set test promote deliver reload" {
		t.Errorf("it did %q", got)
	}
}

func TestAFullIssuerIsNamedBeforeARotationThatItWouldRefuse(t *testing.T) {
	st := rotated(never)
	st.Progress.RolledBackAt = at(91)
	st.Issued = []rota.Issued{st.Issued[1], {ID: "X", Active: true, CreatedAt: at(92), Use: never}} // A was deleted by hand
	policy := policy90
	policy.Retire = rotation.RetireBeforeCreate
	d := rotation.Plan(st, policy, at(181))
	if r := first(t, d); d.Hold != rotation.HoldRolledBack || r.Verb != rota.VerbDelete || r.Object != "X" {
		t.Errorf("held %q, try: %s", d.Hold, rota.Hint(d.Remedies))
	}
}

func TestARefusedCredentialIsReplacedOnlyWhereThereIsAPlace(t *testing.T) {
	for _, full := range []bool{false, true} {
		b := newBench(t)
		dead := b.keys.Plant()
		b.store.Plant("by-hand", dead, rota.LabelCurrent)
		if err := b.keys.Deactivate(t.Context(), rota.RetireRequest{CredentialID: b.keys.CredentialID(dead)}); err != nil {
			t.Fatal(err)
		}
		want := "reactivate it there, or adopt prod/cms with the one in use, or rotate prod/cms to replace it"
		if full {
			b.store.Plant("rota-1", dead, rota.LabelPrevious) // someone edited the entry of Rota's key
			other := b.keys.CredentialID(b.keys.Plant())
			want = "reactivate it there, or adopt prod/cms with the one in use, or delete " + other + " if nobody uses it, then rotate prod/cms"
		}
		b.days(1)
		_, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{})
		if got := rota.Hint(rota.RemediesOf(err)); got != want {
			t.Errorf("full: %t, got %q, want %q", full, got, want)
		}
	}
}

// A failure ahead of the policy's date is over once nobody asks any more:
// nothing else would ever end it before the date comes.
func TestAFailureAheadOfItsDateIsForgotten(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.days(1)
	b.faults.Next("issuer.create", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: rota.ErrConflict}})
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate}); err == nil {
		t.Fatal("it didn't fail")
	}
	before := len(b.notifier.Events())
	b.days(2)
	b.advance(t, rotation.Options{})
	if f := b.journal.Progress(b.secret.Name).Failure; f != nil {
		t.Errorf("still failing: %+v", f)
	}
	recovered := func(e rota.Event) bool { return e.Kind == rota.EventRecovered }
	if !slices.ContainsFunc(b.notifier.Events()[before:], recovered) {
		t.Error("nobody heard that it's over")
	}
}

// As above, for a role of which the store knows nothing, and one that the current
// version holds in vain.
func TestTheNextRoleIsTheOneThatCannotLogIn(t *testing.T) {
	b := newBench(t)
	pair := memory.NewAlternating("app_a", "app_b", memory.RolesOptions{Options: memory.Options{Now: func() time.Time { return b.now }}})
	b.secret.Issuer = pair
	current := pair.Plant("app_b", "dropped")
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: current}); err != nil {
		t.Fatal(err)
	}
	used := pair.Plant("app_a", "in use")
	gone := rota.RetireRequest{CredentialID: "app_b"}
	if err := errors.Join(pair.Deactivate(t.Context(), gone), pair.Delete(t.Context(), gone)); err != nil {
		t.Fatal(err)
	}
	b.days(1)
	if got := steps(b.advance(t, rotation.Options{Force: rota.StepCreate})); got != "create set test promote deliver reload" {
		t.Errorf("it did %q", got)
	}
	if !pair.Login(used) {
		t.Error("the role in use has another password")
	}
}

// The effect of a call can come at its very end, and the list lags behind it.
func TestTheListIsTrustedAWhileAfterALostAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		fault memory.Fault
		after time.Duration // until the list shows what the call did
	}{
		"the answer is lost at once":     {memory.Fault{After: errors.New("reset by peer")}, 10 * time.Second},
		"the process dies, so who knows": {memory.Fault{Crash: true}, 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.advance(t, rotation.Options{})
			b.days(90)
			began := b.now
			b.faults.Next("issuer.create", test.fault)
			func() {
				defer func() { _ = recover() }()
				_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{}) // fails either way
			}()
			_, d, err := b.rotator.Observe(t.Context(), b.secret)
			if err != nil || !d.At.Equal(began.Add(test.after)) {
				t.Errorf("it goes on at %s, want after %s (%q, %v)", d.At, test.after, d.Reason, err)
			}
		})
	}
}

func TestARefusedRollbackEndsOnceTheCurrentCredentialIsBack(t *testing.T) {
	b := newBench(t)
	pair := memory.NewAlternating("app_a", "app_b", memory.RolesOptions{Options: memory.Options{Now: func() time.Time { return b.now }}})
	b.secret.Issuer = pair
	b.advance(t, rotation.Options{Force: rota.StepCreate})
	b.days(90)
	b.advance(t, rotation.Options{})
	_, current, _ := b.store.Read(rota.LabelCurrent)
	_, previous, _ := b.store.Read(rota.LabelPrevious)
	pair.Plant(pair.CredentialID(previous), "someone else's")
	object := rota.RetireRequest{CredentialID: pair.CredentialID(current)}
	if err := pair.Deactivate(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	_, err := b.rotator.Rollback(t.Context(), b.secret)
	if got := rota.Hint(rota.RemediesOf(err)); !strings.HasPrefix(got, "reactivate it there, then adopt prod/cms") {
		t.Fatalf("%v, try: %s", err, got)
	}
	if err := pair.Reactivate(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{}); !errors.Is(err, rota.ErrAdopted) {
		t.Error(err)
	}
	if r := b.advance(t, rotation.Options{}); len(r.Done) > 0 || r.Last.Hold != rotation.HoldNone {
		t.Errorf("it did %q, held %q", steps(r), r.Last.Reason)
	}
}
