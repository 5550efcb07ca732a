package rotation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// undeactivatable is a state in which token B replaced A on day 90, of an issuer
// that can only delete.
func undeactivatable(use rota.Use, change ...func(*rotation.State)) rotation.State {
	st := rotated(use)
	st.CanDeactivate = false
	for _, f := range change {
		f(&st)
	}
	return st
}

func TestPlanToDeleteWhatCannotBeDeactivated(t *testing.T) {
	force := func(step rota.Step) func(*rotation.State) {
		return func(st *rotation.State) { st.Force, st.Requested = step, step }
	}
	// An older Rota took it for deactivated, though nothing was called outside.
	mislabeled := func(st *rotation.State) {
		st.Contents.Versions[0].Labels = append(st.Contents.Versions[0].Labels, rota.LabelDeactivated)
		st.Progress.Versions["rota-1"] = rotation.VersionProgress{CredentialID: "A", DeactivatedAt: at(100)}
	}
	unlisting := func(st *rotation.State) { st.Lists, st.Listed, st.Issued = false, false, nil }
	quiet := func(st *rotation.State) {
		st.Progress.Versions["rota-1"] = rotation.VersionProgress{QuietSince: at(102), QuietSamples: 3}
	}
	driven := func(st *rotation.State) {
		st.Contents.Versions = append(st.Contents.Versions, rota.Version{ID: "rota-3", Labels: []rota.Label{rota.LabelPending}, CreatedAt: at(109), Empty: true})
		st.Driver = &rotation.Driving{DriveRequest: rotation.DriveRequest{Step: rota.StepCreate, Version: "rota-3"}}
	}
	used := rota.Use{Evidence: rota.EvidenceRecorded, At: at(110).Add(-9692 * time.Millisecond)}
	sampled := rota.Use{Evidence: rota.EvidenceSampled}
	shared := rota.Use{Evidence: rota.EvidenceSampled, Ambiguous: true, At: at(110), Detail: "1 connection"}
	beforeCreate := policy90
	beforeCreate.Retire = rotation.RetireBeforeCreate
	blackout := policy90
	blackout.Blackouts = []rotation.Blackout{{From: at(105), Until: at(115), Why: "year's end"}}
	for _, test := range []struct {
		name   string
		state  rotation.State
		policy rotation.Policy
		now    time.Time
		step   rota.Step
		hold   rotation.HoldKind
		next   rota.Step
		at     time.Time
		reason string
	}{
		{name: "it stays active when the first grace is over", state: undeactivatable(never), now: at(100), next: rota.StepDelete, at: at(110), reason: "grace periods are over"},
		{name: "the date to delete it is the policy's", state: undeactivatable(never), now: at(110), step: rota.StepDelete, reason: "nobody uses it"},
		{name: "it is held while it is in use", state: undeactivatable(used), now: at(110), hold: rotation.HoldInUse, next: rota.StepDelete, at: used.At.Add(7 * rota.Day), reason: "was used 9s ago; it"},
		{name: "it is held while nobody says whether it is in use", state: undeactivatable(rota.Use{}), now: at(110), hold: rotation.HoldInUse, next: rota.StepDelete, at: at(110).Add(time.Hour),
			reason: "delete it by hand when nobody uses it"},
		{name: "looks are taken before the date", state: undeactivatable(sampled), now: at(100), next: rota.StepDelete, at: at(100).Add(7 * rota.Day / 4), reason: "look whether"},
		{name: "one look is no proof", state: undeactivatable(sampled), now: at(110), hold: rotation.HoldInUse, next: rota.StepDelete, at: at(110).Add(7 * rota.Day / 4), reason: "0 looks"},
		{name: "several looks over the quiet time are", state: undeactivatable(sampled, quiet), now: at(110), step: rota.StepDelete},
		{name: "an older mark of deactivation counts for nothing", state: undeactivatable(used, mislabeled), now: at(110), hold: rotation.HoldInUse, next: rota.StepDelete, at: used.At.Add(7 * rota.Day)},
		{name: "nor does it move the date", state: undeactivatable(never, mislabeled), now: at(109), next: rota.StepDelete, at: at(110)},
		{name: "one that a person deactivated needs no proof", state: undeactivatable(used, func(st *rotation.State) { st.Issued[0].Active = false }), now: at(110), step: rota.StepDelete, reason: "no longer lists it as active"},
		{name: "nor does one that is gone", state: undeactivatable(never, func(st *rotation.State) { st.Issued = st.Issued[1:] }), now: at(110), step: rota.StepDelete},
		{name: "to deactivate it is refused", state: undeactivatable(never, force(rota.StepDeactivate)), now: at(95), hold: rotation.HoldStillActive, next: rota.StepDeactivate, at: at(95).Add(time.Hour), reason: "rota delete s` when nobody uses it"},
		{name: "a person may delete it ahead of its date", state: undeactivatable(never, force(rota.StepDelete)), now: at(95), step: rota.StepDelete, reason: "asked for"},
		{name: "but not while it is in use", state: undeactivatable(used, force(rota.StepDelete)), now: at(110), hold: rotation.HoldInUse, next: rota.StepDelete, at: used.At.Add(7 * rota.Day)},
		{name: "without a list only a person has it deleted", state: undeactivatable(never, unlisting), now: at(110), hold: rotation.HoldStillActive, next: rota.StepDelete, at: at(110).Add(time.Hour), reason: "rota delete s` when nobody uses it"},
		{name: "who then has it deleted", state: undeactivatable(never, unlisting, force(rota.StepDelete)), now: at(110), step: rota.StepDelete},
		{name: "where it can't be told from others in use, only a person has it deleted", state: undeactivatable(shared), now: at(110), hold: rotation.HoldStillActive, next: rota.StepDelete, at: at(110).Add(7 * rota.Day / 4),
			reason: "can't say whether it's the one in use from 1 connection (try: `rota delete s` when nobody uses it"},
		{name: "who then does, and nobody claims that it's unused", state: undeactivatable(shared, force(rota.StepDelete)), now: at(110), step: rota.StepDelete, reason: "can't say whether it's used"},
		{name: "without any in use, looks are proof", state: undeactivatable(rota.Use{Evidence: rota.EvidenceSampled, Ambiguous: true}, quiet), now: at(110), step: rota.StepDelete, reason: "nobody uses it"},
		{name: "a blackout is waited for", state: undeactivatable(never), policy: blackout, now: at(110), next: rota.StepDelete, at: at(115), reason: "year's end"},
		{name: "with before_create it stays until the next is due", state: undeactivatable(never), policy: beforeCreate, now: at(179), next: rota.StepDelete, at: at(180)},
		{name: "with before_create it is deleted just before", state: undeactivatable(never), policy: beforeCreate, now: at(180), step: rota.StepDelete},
		{name: "with before_create only if it is unused", state: undeactivatable(used), policy: beforeCreate, now: at(180), step: rota.StepDelete},
		{name: "one that Rota did not make is a person's to delete", state: undeactivatable(never, func(st *rotation.State) { st.Contents.Versions[0].ID = "foreign" }), now: at(110), hold: rotation.HoldNotAdopted, next: rota.StepDelete, at: at(110).Add(time.Hour)},
		{name: "it stands in the way of the next, and is to be deleted", state: undeactivatable(never, force(rota.StepCreate)), now: at(95), hold: rotation.HoldNoFreeSlot, next: rota.StepCreate, at: at(95).Add(time.Hour), reason: "rota delete s"},
		{name: "a driver has it deleted for a place", state: undeactivatable(never, driven), now: at(110), step: rota.StepDelete},
		{name: "a driver has to wait while it is in use", state: undeactivatable(used, driven), now: at(110), hold: rotation.HoldInUse, next: rota.StepDelete, at: used.At.Add(7 * rota.Day)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.policy.RotateEvery == 0 {
				test.policy = policy90
			}
			d := rotation.Plan(test.state, test.policy, test.now)
			if d.Step != test.step || d.Hold != test.hold || d.Next != test.next || !d.At.Equal(test.at) {
				t.Errorf("got step %q, hold %q, next %q at %s (%s)\nwant step %q, hold %q, next %q at %s",
					d.Step, d.Hold, d.Next, d.At, d.Reason, test.step, test.hold, test.next, test.at)
			}
			if text := hint.Add(d.Reason, d.Remedies); !strings.Contains(text, test.reason) || strings.Contains(text, "rota deactivate") {
				t.Errorf("reason %q does not say %q, or says to deactivate", text, test.reason)
			}
		})
	}
}

func TestAProjectionDeletesWhatCannotBeDeactivated(t *testing.T) {
	var got []string
	for p := range rotation.Project(undeactivatable(never), policy90, at(90), at(201)) {
		if p.Decision.Step == rota.StepDelete || p.Decision.Step == rota.StepDeactivate {
			got = append(got, string(p.Decision.Step)+" "+p.At.Sub(day0).String())
		}
	}
	if want := []string{"delete 2640h0m0s", "delete 4800h0m0s"}; !slices.Equal(got, want) {
		t.Errorf("the projection retires at %q, want %q", got, want)
	}
}

func newTokens(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	tokens := memory.NewTokens(memory.AccessKeysOptions{Options: memory.Options{Now: func() time.Time { return b.now }, Faults: b.faults.Fault}})
	b.keys, b.secret.Issuer = tokens.All, tokens
	return b
}

func TestAWholeLifeOfATokenThatCannotBeDeactivated(t *testing.T) {
	b := newTokens(t)
	b.advance(t, rotation.Options{})
	first := b.keys.Keys()[0].ID
	b.days(90)
	b.advance(t, rotation.Options{})
	b.days(10)
	res := b.advance(t, rotation.Options{})
	if steps(res) != "" || res.Status.PreviousOff || strings.Contains(labels(t, b.store), string(rota.LabelDeactivated)) {
		t.Fatalf("day 100 did %q, inactive: %t, labels %s; want the previous one active", steps(res), res.Status.PreviousOff, labels(t, b.store))
	}
	b.days(9)
	if !b.keys.Use(first) {
		t.Fatal("the previous token doesn't log in")
	}
	res = b.advance(t, rotation.Options{Force: rota.StepDeactivate})
	if steps(res) != "" || res.Last.Hold != rotation.HoldStillActive || len(res.Last.Remedies) != 1 || res.Last.Remedies[0].Action != rota.RemedyDelete {
		t.Errorf("asked to deactivate it did %q and held for %q with %v, want a refusal that names the deletion", steps(res), res.Last.Hold, res.Last.Remedies)
	}
	b.days(1)
	for _, o := range []rotation.Options{{}, {Force: rota.StepDelete}} {
		if res := b.advance(t, o); steps(res) != "" || res.Last.Hold != rotation.HoldInUse || !b.keys.Use(first) {
			t.Fatalf("in use, %+v did %q with hold %q", o, steps(res), res.Last.Hold)
		}
	}
	b.days(7)
	if res := b.advance(t, rotation.Options{}); steps(res) != "delete" || len(b.keys.Keys()) != 1 {
		t.Fatalf("unused for seven days: did %q (%s), want a deletion", steps(res), res.Last.Reason)
	}
	for _, e := range b.notifier.Events() {
		if e.Kind == rota.EventDeactivated {
			t.Errorf("notified of a deactivation: %s", e.Reason)
		}
	}
}

func TestAnOlderRotasMarkOfDeactivationIsNoProof(t *testing.T) {
	b := newTokens(t)
	b.advance(t, rotation.Options{})
	first := b.keys.Keys()[0].ID
	b.days(90)
	b.advance(t, rotation.Options{})
	contents, err := b.store.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	previous, _ := rota.Find(contents.Versions, rota.LabelPrevious)
	if err := b.store.Move(t.Context(), rota.MoveRequest{Label: rota.LabelDeactivated, To: previous.ID}); err != nil {
		t.Fatal(err)
	}
	b.days(20)
	if !b.keys.Use(first) {
		t.Fatal("the previous token doesn't log in")
	}
	if res := b.advance(t, rotation.Options{}); steps(res) != "" || res.Last.Hold != rotation.HoldInUse || res.Status.PreviousOff {
		t.Fatalf("did %q with hold %q, inactive: %t; want it held as in use", steps(res), res.Last.Hold, res.Status.PreviousOff)
	}
	b.days(7)
	if res := b.advance(t, rotation.Options{}); steps(res) != "delete" || strings.Contains(labels(t, b.store), string(rota.LabelDeactivated)) {
		t.Errorf("did %q, labels %s; want it deleted with its labels", steps(res), labels(t, b.store))
	}
}

func TestATokenIsDeletedOnlyWhileItsSuccessorLogsIn(t *testing.T) {
	b := newTokens(t)
	b.advance(t, rotation.Options{})
	b.days(90)
	b.advance(t, rotation.Options{})
	b.days(20)
	for range 20 {
		b.faults.Next("issuer.test", memory.Fault{Before: rota.ErrRefused})
	}
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil || !strings.Contains(err.Error(), "before the previous one is deleted") {
		t.Errorf("the successor is refused: %v", err)
	}
	if n := len(b.keys.Keys()); n != 2 {
		t.Errorf("%d tokens are left, want both", n)
	}
}

// The first deactivation left a date and a label, which a second one that's cut
// short must not go by.
func TestAReactivatedKeyGetsItsSecondGraceAnew(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.days(90)
	b.advance(t, rotation.Options{})
	_, old, _ := b.store.Read(rota.LabelPrevious)
	b.days(10)
	if got := steps(b.advance(t, rotation.Options{})); got != "deactivate" {
		t.Fatalf("it did %q", got)
	}
	b.days(9)
	if err := b.keys.Reactivate(t.Context(), rota.RetireRequest{CredentialID: b.keys.CredentialID(old)}); err != nil {
		t.Fatal(err)
	}
	b.faults.Next("issuer.deactivate", memory.Fault{Crash: true})
	crash(t, func() { b.advance(t, rotation.Options{}) })
	for range 9 { // the policy's second grace is ten days
		b.days(1)
		if got := steps(b.advance(t, rotation.Options{})); strings.Contains(got, "delete") {
			t.Fatalf("it was deleted at %s", b.now)
		}
	}
	b.days(2)
	if got := steps(b.advance(t, rotation.Options{})); got != "delete" {
		t.Errorf("at the end of its second grace, it did %q", got)
	}
}
