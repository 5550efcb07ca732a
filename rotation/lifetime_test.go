package rotation_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

var stsLike = rota.Traits{Kind: "session key", IssuerChooses: true, Lifetime: time.Hour}

// session is a state in which a key that lives for an hour was made at nine.
func session(change ...func(*rotation.State)) rotation.State {
	st := rotation.State{
		Secret: "s", Traits: stsLike,
		Contents: rota.Contents{
			Versions:  []rota.Version{{ID: "rota-1", Labels: []rota.Label{rota.LabelCurrent, rota.LabelServed}, CreatedAt: day0, CredentialID: "A", ExpiresAt: day0.Add(time.Hour)}},
			ChangedAt: day0,
		},
		Progress: rotation.Progress{Versions: map[string]rotation.VersionProgress{"rota-1": {CredentialID: "A", TestedAt: day0, PromotedAt: day0, ServedAt: day0}}},
	}
	for _, f := range change {
		f(&st)
	}
	return st
}

// renewed adds the key that replaced it after forty minutes.
func renewed(st *rotation.State) {
	at := day0.Add(40 * time.Minute)
	st.Contents.Versions[0].Labels = []rota.Label{rota.LabelPrevious}
	st.Contents.Versions = append(st.Contents.Versions, rota.Version{ID: "rota-2", Labels: []rota.Label{rota.LabelCurrent, rota.LabelServed}, CreatedAt: at, CredentialID: "B", ExpiresAt: at.Add(time.Hour)})
	st.Progress.Versions["rota-2"] = rotation.VersionProgress{CredentialID: "B", TestedAt: at, PromotedAt: at, ServedAt: at}
}

func TestPlanForWhatEndsByItself(t *testing.T) {
	minutes := func(n int) time.Time { return day0.Add(time.Duration(n) * time.Minute) }
	label := func(l ...rota.Label) func(*rotation.State) {
		return func(st *rotation.State) { st.Contents.Versions[0].Labels = l }
	}
	for _, test := range []struct {
		name   string
		state  rotation.State
		policy rotation.Policy
		now    int // minutes
		step   rota.Step
		next   rota.Step
		hold   rotation.HoldKind
		at     time.Time
	}{
		{name: "a third of its life is left", state: session(), now: 1, next: rota.StepCreate, at: minutes(40)},
		{name: "it is renewed then", state: session(), now: 40, step: rota.StepCreate},
		{name: "the policy may be quicker", state: session(), policy: rotation.Policy{RotateEvery: 10 * time.Minute}, now: 10, step: rota.StepCreate},
		{name: "a policy that is too slow does not let it end", state: session(), policy: policy90, now: 1, next: rota.StepCreate, at: minutes(55)},
		{name: "one that ends earlier than it should is renewed in time", state: session(func(st *rotation.State) {
			st.Contents.Versions[0].ExpiresAt = minutes(15)
		}), now: 1, step: rota.StepCreate},
		{name: "one that does not say its end is taken for made when it was stored", state: session(func(st *rotation.State) {
			st.Contents.Versions[0].ExpiresAt = time.Time{}
		}), now: 1, next: rota.StepCreate, at: minutes(40)},
		{name: "the first needs nobody's word", state: session(func(st *rotation.State) { st.Contents.Versions = nil }), step: rota.StepCreate},
		{name: "neither window nor blackout let it end", state: session(), policy: rotation.Policy{
			Blackouts: []rotation.Blackout{{From: day0, Until: at(10)}}}, now: 41, step: rota.StepCreate},
		{name: "a previous one that lives is no obstacle", state: session(renewed), policy: rotation.Policy{RotateEvery: 10 * time.Minute}, now: 51, step: rota.StepCreate},
		{name: "a previous one is waited for until it has ended", state: session(renewed), now: 41, next: rota.StepDelete, at: minutes(65)},
		{name: "and then dropped", state: session(renewed), now: 65, step: rota.StepDelete},
		{name: "a previous one that is not Rota's is left", state: session(renewed, func(st *rotation.State) {
			st.Contents.Versions[0].ID = "foreign"
		}), now: 65, next: rota.StepCreate, at: minutes(80)},
		{name: "it can't be switched off", state: session(renewed, func(st *rotation.State) { st.Force = rota.StepDeactivate }), now: 41, next: rota.StepDeactivate, hold: rotation.HoldStillActive, at: minutes(65)},
		{name: "a rollback does not stop the renewal", state: session(func(st *rotation.State) { st.Progress.RolledBackAt = minutes(5) }), now: 40, step: rota.StepCreate},
		{name: "a new one that has nearly ended is given up", state: session(label(rota.LabelPending), func(st *rotation.State) { st.Progress.Versions = nil }), now: 56, step: rota.StepDelete},
		{name: "a new one that lives is tested", state: session(label(rota.LabelPending), func(st *rotation.State) { st.Progress.Versions = nil }), now: 40, step: rota.StepTest},
		{name: "renewing goes before handing out what ends soon", state: session(func(st *rotation.State) { st.Targets = []string{"t"} }), now: 40, step: rota.StepCreate},
		{name: "what has time left is handed out first", state: session(func(st *rotation.State) { st.Targets = []string{"t"} }), now: 39, step: rota.StepDeliver},
		{name: "what is not Rota's is held", state: session(func(st *rotation.State) { st.Contents.Versions[0].ID = "foreign" }), now: 70, next: rota.StepCreate, hold: rotation.HoldNotAdopted, at: minutes(130)},
		{name: "a person may replace it", state: session(func(st *rotation.State) { st.Contents.Versions[0].ID, st.Force = "foreign", rota.StepCreate }), now: 70, step: rota.StepCreate},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := rotation.Plan(test.state, test.policy, minutes(test.now))
			if d.Step != test.step || d.Next != test.next || d.Hold != test.hold || test.step == rota.StepNone && !d.At.Equal(test.at) {
				t.Errorf("got %+v, want step %q, next %q, hold %q at %s", d, test.step, test.next, test.hold, test.at)
			}
		})
	}
}

func TestAPolicyThatWouldLetACredentialEndIsRefused(t *testing.T) {
	window, err := rotation.ParseWindow("0 9 * * MON", time.Hour, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		policy rotation.Policy
		want   string
	}{
		"too slow":   {rotation.Policy{RotateEvery: 56 * time.Minute}, "rotate_every (56m) is longer than the 55m"},
		"a window":   {rotation.Policy{RotateEvery: 40 * time.Minute, Window: window}, "window would let"},
		"a grace":    {rotation.Policy{DeletePreviousAfter: time.Minute}, "delete_previous_after has no meaning"},
		"a quick":    {rotation.Policy{RotateEvery: 55 * time.Minute}, ""},
		"an adapted": {rotation.Policy{RotateEvery: 90 * rota.Day, Window: window, DeletePreviousAfter: rota.Day, Jitter: rota.Day}.ForLifetime(time.Hour), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.policy.Validate(stsLike)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// newSessions is a bench whose keys live for an hour.
func newSessions(t *testing.T) (*bench, *memory.Sessions) {
	t.Helper()
	b := newBench(t)
	keys := memory.NewSessions(memory.SessionsOptions{Options: memory.Options{Now: func() time.Time { return b.now }, Faults: b.faults.Fault}})
	b.secret.Issuer, b.secret.Policy = keys, rotation.Policy{}.ForLifetime(time.Hour)
	return b, keys
}

func TestAConsumerNeverHoldsWhatHasEnded(t *testing.T) {
	b, keys := newSessions(t)
	for end := b.now.Add(24 * time.Hour); b.now.Before(end); {
		b.advance(t, rotation.Options{})
		b.now = b.progress(t).NextAt.Add(-time.Second)
		if held, ok := b.target.Current(); !ok || !keys.Login(held.Credential) {
			t.Fatalf("at %s the target holds nothing that lets in", b.now)
		}
		b.now = b.now.Add(time.Second)
	}
	contents, err := b.store.Describe(t.Context())
	if err != nil || len(contents.Versions) > 2 {
		t.Errorf("%d versions are left (%v), want two at most", len(contents.Versions), err)
	}
	var kinds []rota.EventKind
	for _, e := range b.notifier.Events() {
		kinds = append(kinds, e.Kind)
	}
	if len(kinds) > 1 {
		t.Errorf("people heard %v: renewals that go well are no news", kinds)
	}
}

func TestALostJournalKnowsTheEndFromTheCredential(t *testing.T) {
	b, _ := newSessions(t)
	b.advance(t, rotation.Options{})
	began := b.now
	b.journal.Reset()
	b.now = b.now.Add(10 * time.Minute)
	res := b.advance(t, rotation.Options{})
	if want := began.Add(time.Hour); res.Status.ExpiresAt.Sub(want).Abs() > time.Second {
		t.Errorf("its end is %s, want %s", res.Status.ExpiresAt, want)
	}
	if len(res.Done) != 0 {
		t.Errorf("it did %v", res.Done)
	}
}

func TestAFailedRenewalIsTriedAgainInTime(t *testing.T) {
	b, _ := newSessions(t)
	b.advance(t, rotation.Options{})
	b.now = b.now.Add(40 * time.Minute)
	b.faults.Next("issuer.create", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: context.DeadlineExceeded}})
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Fatal("create succeeded")
	}
	if wait := b.progress(t).Failure.RetryAt.Sub(b.now); wait > 15*time.Minute {
		t.Errorf("it is tried again in %s, when it has ended", wait)
	}
}

func TestARollbackToWhatHasEndedIsRefused(t *testing.T) {
	b, _ := newSessions(t)
	b.advance(t, rotation.Options{})
	b.now = b.now.Add(40 * time.Minute)
	b.advance(t, rotation.Options{})
	b.now = b.now.Add(16 * time.Minute)
	if _, err := b.rotator.Rollback(t.Context(), b.secret); err == nil || !strings.Contains(err.Error(), "has expired") {
		t.Errorf("got %v", err)
	}
}

func TestProjectForWhatEndsByItself(t *testing.T) {
	planned := slices.Collect(rotation.Project(session(), rotation.Policy{}, day0, day0.Add(3*time.Hour)))
	var creates []time.Duration
	for _, p := range planned {
		if p.Decision.Step == rota.StepCreate {
			creates = append(creates, p.At.Sub(day0))
		}
	}
	if want := []time.Duration{40 * time.Minute, 80 * time.Minute, 2 * time.Hour, 160 * time.Minute}; !slices.Equal(creates, want) {
		t.Errorf("created after %v, want %v", creates, want)
	}
}

// Nothing could ever end it, and the renewal would wait for it.
func TestARollbackIsAbandonedWhenWhatItGoesBackToHasEnded(t *testing.T) {
	b, _ := newSessions(t)
	b.advance(t, rotation.Options{})
	b.now = b.now.Add(40 * time.Minute)
	b.advance(t, rotation.Options{})
	b.faults.Next("issuer.test", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: rota.ErrRefused}})
	_, err := b.rotator.Rollback(t.Context(), b.secret)
	if !slices.ContainsFunc(rota.RemediesOf(err), func(r rota.Remedy) bool { return r.Action == rota.RemedyRotate }) {
		t.Errorf("%v, try: %s", err, rota.Hint(rota.RemediesOf(err)))
	}
	if b.progress(t).Rollback == nil {
		t.Fatal("the rollback isn't tried again")
	}
	b.now = b.now.Add(40 * time.Minute)
	if got := steps(b.advance(t, rotation.Options{})); !strings.Contains(got, "create test promote") {
		t.Errorf("it did %q", got)
	}
	if p := b.progress(t); p.Rollback != nil || p.Failure != nil {
		t.Errorf("the rollback is still wanted: %+v, %+v", p.Rollback, p.Failure)
	}
}

func TestOnlyAPersonEndsWhatCanBeRevoked(t *testing.T) {
	revocable := func(st *rotation.State) { st.Traits.Revocable = true }
	force := func(step rota.Step) func(*rotation.State) {
		return func(st *rotation.State) { st.Force, st.Requested = step, step }
	}
	plan := func(change ...func(*rotation.State)) rotation.Decision {
		return rotation.Plan(session(append([]func(*rotation.State){renewed, revocable}, change...)...), rotation.Policy{}, day0.Add(45*time.Minute))
	}
	if d := plan(); d.Step != rota.StepNone || d.Hold != rotation.HoldNone {
		t.Errorf("by itself: %+v", d)
	}
	if d := plan(force(rota.StepDelete)); d.Step != rota.StepDelete || d.Credential != "A" {
		t.Errorf("if a person asks: %+v", d)
	}
	if d := plan(force(rota.StepDeactivate)); d.Hold != rotation.HoldStillActive || len(d.Remedies) != 1 || d.Remedies[0].Action != rota.RemedyDelete {
		t.Errorf("if a person asks to deactivate it: %+v", d)
	}
	failed := func(st *rotation.State) {
		st.Progress.Failure = &rotation.Failure{Step: rota.StepDelete, Class: rota.ClassWait, Error: "reset", Attempts: 1, At: day0.Add(44 * time.Minute), RetryAt: day0.Add(46 * time.Minute)}
	}
	if d := plan(failed); d.Hold != rotation.HoldNone {
		t.Errorf("after a person's deletion failed, nobody retries it: %+v", d)
	}
}
