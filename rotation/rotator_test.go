package rotation_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// bench is one secret on in-memory systems with a clock of its own.
type bench struct {
	now      time.Time
	keys     *memory.AccessKeys
	store    *memory.Store
	journal  *memory.Journal
	target   *memory.Target
	reloader *memory.Reloader
	notifier *memory.Notifier
	secret   *rotation.Secret
	rotator  *rotation.Rotator
	faults   memory.Injector
	strike   memory.Faults // instead of faults, if set
}

var policy90 = rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 10 * rota.Day, DeletePreviousAfter: 20 * rota.Day}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{now: time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)}
	b.build(b.fault)
	return b
}

// build makes the bench's systems.
func (b *bench) build(faults memory.Faults) {
	o := memory.Options{Now: func() time.Time { return b.now }, Faults: faults}
	b.keys = memory.NewAccessKeys(memory.AccessKeysOptions{Options: o, Settle: 10 * time.Second})
	b.store = memory.NewStore(o)
	b.journal = memory.NewJournal(o)
	b.target = memory.NewTarget("app", o)
	b.reloader = memory.NewReloader("app", nil, o)
	b.notifier = memory.NewNotifier("ops", o)
	b.secret = &rotation.Secret{
		Name: "prod/cms", Issuer: b.keys, Store: b.store, Policy: policy90,
		Targets: []rota.Target{b.target}, Reloaders: []rota.Reloader{b.reloader}, Notifiers: []rota.Notifier{b.notifier},
	}
	b.rotator = &rotation.Rotator{
		Journal: b.journal, Now: func() time.Time { return b.now },
		Sleep: func(_ context.Context, d time.Duration) error { b.now = b.now.Add(d); return nil },
	}
}

func (b *bench) fault(c memory.Call) memory.Fault {
	if b.strike != nil {
		return b.strike(c)
	}
	return b.faults.Fault(c)
}

// advance runs what is due and fails the test on an error.
func (b *bench) advance(t *testing.T, o rotation.Options) rotation.Result {
	t.Helper()
	res, err := b.rotator.Advance(t.Context(), b.secret, o)
	if err != nil {
		t.Fatalf("advance at %s: %v", b.now, err)
	}
	return res
}

func (b *bench) days(n int) { b.now = b.now.Add(time.Duration(n) * rota.Day) }

func steps(r rotation.Result) string {
	var s []string
	for _, d := range r.Done {
		s = append(s, string(d.Step))
	}
	return strings.Join(s, " ")
}

func labels(t *testing.T, s rota.Store) string {
	t.Helper()
	c, err := s.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range rota.Labels() {
		if v, ok := rota.Find(c.Versions, l); ok {
			cred, err := s.Get(t.Context(), rota.GetRequest{Version: v.ID})
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(l)+"="+cred.Field(rota.FieldAccessKeyID))
		}
	}
	return strings.Join(out, " ")
}

func TestAWholeLifeOfAnAccessKey(t *testing.T) {
	b := newBench(t)
	if got, want := steps(b.advance(t, rotation.Options{})), "create test promote deliver reload"; got != want {
		t.Fatalf("the first issue did %q, want %q", got, want)
	}
	first := b.keys.Keys()[0].ID
	b.days(89)
	if got := steps(b.advance(t, rotation.Options{})); got != "" {
		t.Fatalf("day 89 did %q, want nothing", got)
	}
	b.days(1)
	if got, want := steps(b.advance(t, rotation.Options{})), "create test promote deliver reload"; got != want {
		t.Fatalf("day 90 did %q, want %q", got, want)
	}
	second := b.keys.Keys()[1].ID
	if got, want := labels(t, b.store), "AWSCURRENT="+second+" AWSPREVIOUS="+first+" ROTA_SERVED="+second; got != want {
		t.Errorf("labels after day 90: %s, want %s", got, want)
	}
	b.days(10)
	if got, want := steps(b.advance(t, rotation.Options{})), "deactivate"; got != want {
		t.Fatalf("day 100 did %q, want %q", got, want)
	}
	b.days(9)
	if got := steps(b.advance(t, rotation.Options{})); got != "" {
		t.Fatalf("day 109 did %q, want nothing", got)
	}
	b.days(1)
	if got, want := steps(b.advance(t, rotation.Options{})), "delete"; got != want {
		t.Fatalf("day 110 did %q, want %q", got, want)
	}
	if keys := b.keys.Keys(); len(keys) != 1 || keys[0].ID != second || !keys[0].Active {
		t.Errorf("after day 110 the issuer has %v, want %s active alone", keys, second)
	}
	if got, want := labels(t, b.store), "AWSCURRENT="+second+" ROTA_SERVED="+second; got != want {
		t.Errorf("labels after day 110: %s, want %s", got, want)
	}
	var kinds []string
	for _, e := range b.notifier.Events() {
		kinds = append(kinds, string(e.Kind))
	}
	if got, want := strings.Join(kinds, ", "), "rotated, rotated, deactivated, deleted"; got != want {
		t.Errorf("notified %s, want %s", got, want)
	}
}

func TestARetirementNeverMakesAKey(t *testing.T) {
	for _, step := range []rota.Step{rota.StepDeactivate, rota.StepDelete} {
		b := newBench(t)
		if r := b.advance(t, rotation.Options{Force: step}); steps(r) != "" || len(b.keys.Keys()) != 0 {
			t.Errorf("%s with nothing there did %q", step, steps(r))
		}
		b.advance(t, rotation.Options{})
		b.days(90)
		if r := b.advance(t, rotation.Options{Force: step}); steps(r) != "" || len(b.keys.Keys()) != 1 {
			t.Errorf("%s with nothing to retire did %q", step, steps(r))
		}
		if r := b.advance(t, rotation.Options{}); !strings.HasPrefix(steps(r), "create") {
			t.Errorf("after %s, what was due did %q", step, steps(r))
		}
	}
}

func TestAPreviousKeyInUseIsHeld(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	first := b.keys.Keys()[0].ID
	b.days(90)
	b.advance(t, rotation.Options{})
	b.days(10)
	b.now = b.now.Add(-3 * time.Hour)
	b.keys.Use(first)
	b.now = b.now.Add(3 * time.Hour)
	res := b.advance(t, rotation.Options{})
	if res.Last.Hold != rotation.HoldInUse || !strings.Contains(res.Last.Reason, "used 3h ago") {
		t.Fatalf("got %+v, want a hold because it was used 3h ago", res.Last)
	}
	b.days(7)
	if got := steps(b.advance(t, rotation.Options{})); got != "deactivate" {
		t.Errorf("a week without use later did %q, want deactivate", got)
	}
}

func TestALostReplyOfCreateLeavesNoOrphan(t *testing.T) {
	b := newBench(t)
	b.faults.Next("issuer.create", memory.Fault{After: errors.New("connection reset")})
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Fatal("the lost reply went unnoticed")
	}
	for range 4 {
		b.now = b.now.Add(time.Minute)
		b.advance(t, rotation.Options{})
	}
	keys := b.keys.Keys()
	if len(keys) != 1 {
		t.Fatalf("the issuer has %d keys, want 1: %v", len(keys), keys)
	}
	if got := labels(t, b.store); !strings.HasPrefix(got, "AWSCURRENT="+keys[0].ID) {
		t.Errorf("labels %s, want the one key as AWSCURRENT", got)
	}
}

func TestRollbackPutsThePreviousKeyBack(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	first := b.keys.Keys()[0].ID
	b.days(90)
	b.advance(t, rotation.Options{})
	b.days(10)
	b.advance(t, rotation.Options{}) // deactivates the first
	if _, err := b.rotator.Rollback(t.Context(), b.secret); err != nil {
		t.Fatal(err)
	}
	second := b.keys.Keys()[1].ID
	if got, want := labels(t, b.store), "AWSCURRENT="+first+" AWSPREVIOUS="+second+" ROTA_SERVED="+first; got != want {
		t.Errorf("labels %s, want %s", got, want)
	}
	delivered, _ := b.target.Current()
	if got := delivered.Credential.Field(rota.FieldAccessKeyID); got != first {
		t.Errorf("delivered %s, want %s", got, first)
	}
	res := b.advance(t, rotation.Options{})
	if res.Last.Hold != rotation.HoldRolledBack {
		t.Errorf("after the rollback: %+v, want a hold and no new rotation", res.Last)
	}
}

func TestAfterARollbackAndADeletionNothingRotatesUnasked(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.days(90)
	b.advance(t, rotation.Options{})
	if _, err := b.rotator.Rollback(t.Context(), b.secret); err != nil {
		t.Fatal(err)
	}
	b.days(10)
	for _, step := range []rota.Step{rota.StepDeactivate, rota.StepDelete} {
		if got := steps(b.advance(t, rotation.Options{Force: step})); got != string(step) {
			t.Fatalf("asked for %s, it did %q", step, got)
		}
	}
	if res := b.advance(t, rotation.Options{}); len(res.Done) > 0 || res.Last.Hold != rotation.HoldRolledBack {
		t.Errorf("did %q, %+v, want a hold", steps(res), res.Last)
	}
	if got, want := steps(b.advance(t, rotation.Options{Force: rota.StepCreate})), "create test promote deliver reload"; got != want {
		t.Errorf("asked to rotate, it did %q, want %q", got, want)
	}
}

func TestAfterTheDeletionThereIsNoRollback(t *testing.T) {
	b := newBench(t)
	for _, days := range []int{0, 90, 10, 10} {
		b.days(days)
		b.advance(t, rotation.Options{})
	}
	if _, err := b.rotator.Rollback(t.Context(), b.secret); rota.ClassOf(err) != rota.ClassStop {
		t.Errorf("rollback after the deletion: %v, want a refusal", err)
	}
	if got := len(b.keys.Keys()); got != 1 {
		t.Errorf("%d keys, want 1", got)
	}
}

func TestALostDataFolderIsRebuiltFromTheStore(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	first := b.keys.Keys()[0].ID
	lose := func() { b.journal.Reset() }
	for _, day := range []struct {
		days int
		want string
	}{{0, ""}, {50, ""}, {40, "create test promote deliver reload"}, {5, ""}, {5, "deactivate"}, {5, ""}, {5, "delete"}, {1, ""}} {
		b.days(day.days)
		lose()
		if got := steps(b.advance(t, rotation.Options{})); got != day.want {
			t.Fatalf("%d days later without a memory: did %q, want %q", day.days, got, day.want)
		}
	}
	if keys := b.keys.Keys(); len(keys) != 1 || keys[0].ID == first {
		t.Errorf("the issuer has %v, want the second key alone", keys)
	}
}

func TestProjectTellsAWholeYear(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	st, _, err := b.rotator.Observe(t.Context(), b.secret)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for p := range rotation.Project(st, b.secret.Policy, b.now, b.now.Add(205*rota.Day)) {
		got = append(got, p.At.Format("01-02")+" "+string(p.Decision.Step))
	}
	want := "04-01 create 04-01 test 04-01 promote 04-01 deliver 04-01 reload 04-11 deactivate 04-21 delete " +
		"06-30 create 06-30 test 06-30 promote 06-30 deliver 06-30 reload 07-10 deactivate 07-20 delete"
	if strings.Join(got, " ") != want {
		t.Errorf("projected\n%s\nwant\n%s", strings.Join(got, " "), want)
	}
}

func TestASecretWithOtherFieldsButNoCredentialGetsItsFirst(t *testing.T) {
	b := newBench(t)
	other := rota.NewCredential(map[string]string{"bucket": "binary-leancms"})
	if err := b.store.Put(t.Context(), rota.PutRequest{Version: "9f0c7f3e-made-by-a-person", Credential: other, Labels: []rota.Label{rota.LabelCurrent}}); err != nil {
		t.Fatal(err)
	}
	if got, want := steps(b.advance(t, rotation.Options{})), "create test promote deliver reload"; got != want {
		t.Fatalf("did %q, want %q", got, want)
	}
	b.days(20)
	if got := steps(b.advance(t, rotation.Options{})); got != "" {
		t.Errorf("20 days later did %q, want nothing: the previous version holds no credential", got)
	}
	if _, err := b.rotator.Rollback(t.Context(), b.secret); rota.ClassOf(err) != rota.ClassStop {
		t.Errorf("rollback to a version without a credential: %v, want a refusal", err)
	}
}
