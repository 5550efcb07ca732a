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

// crash runs f, in which the process must die.
func crash(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if _, ok := recover().(memory.Crash); !ok {
			t.Fatal("the process did not die")
		}
	}()
	f()
}

func (b *bench) progress(t *testing.T) rotation.Progress {
	t.Helper()
	snapshot, err := b.journal.Load(t.Context(), b.secret.Name)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Progress
}

func TestATurnThatNeverCameToItsEndIsLate(t *testing.T) {
	for _, test := range []struct {
		name  string
		lived []int // days before each earlier turn
		turn  func(*bench) error
	}{
		{"a rotation that a person asked for", []int{0}, func(b *bench) error {
			_, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate})
			return err
		}},
		{"a rollback", []int{0, 90}, func(b *bench) error {
			_, err := b.rotator.Rollback(t.Context(), b.secret)
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			for _, days := range test.lived {
				b.days(days)
				b.advance(t, rotation.Options{})
			}
			b.days(2)
			b.faults.Next("target.deliver", memory.Fault{Crash: true})
			crash(t, func() { t.Error(test.turn(b)) })
			begun := b.now
			for _, look := range []struct {
				after time.Duration
				late  bool
			}{{12 * time.Hour, false}, {25 * time.Hour, true}} {
				b.now = begun.Add(look.after)
				if late, err := b.rotator.Alert(t.Context(), b.secret); err != nil || late != look.late {
					t.Errorf("after %s: late %t (%v), want %t", look.after, late, err, look.late)
				}
			}
			b.advance(t, rotation.Options{})
			if at := b.progress(t).Status.BegunAt; !at.IsZero() {
				t.Errorf("the next turn came to its end, and what began at %s has not", at)
			}
		})
	}
}

func TestAFailureEndsWhenItsStepTurnsOutToBeDone(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.days(90)
	b.advance(t, rotation.Options{})
	b.days(10)
	b.faults.Next("issuer.deactivate", memory.Fault{Before: errors.New("503")})
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Fatal("the failure went unnoticed")
	}
	b.now = b.now.Add(time.Hour)
	b.faults.Next("store.move", memory.Fault{Crash: true}) // as ROTA_DEACTIVATED is on
	crash(t, func() { b.advance(t, rotation.Options{}) })
	if f := b.progress(t).Failure; f == nil || f.Step != rota.StepDeactivate {
		t.Fatalf("after the crash the failure is %+v, want that of deactivate", f)
	}
	b.now = b.now.Add(time.Hour)
	if got := steps(b.advance(t, rotation.Options{})); got != "" {
		t.Errorf("after the crash it did %q, want nothing", got)
	}
	if f := b.progress(t).Failure; f != nil {
		t.Errorf("it was deactivated, and the failure is still %+v", f)
	}
}

// What is booked under a step that could not be tried at all would use up the
// tries that it has.
func TestAnOutsideThatCannotBeSeenCostsNoStepATry(t *testing.T) {
	b := newBench(t)
	b.faults.Next("target.deliver", memory.Fault{Before: errors.New("deliver: 503")})
	b.faults.Next("target.deliver", memory.Fault{Before: errors.New("deliver: 503")})
	b.faults.Next("target.deliver", memory.Fault{Before: errors.New("deliver: 503")})
	fail := func(op string, times int) rotation.Progress {
		t.Helper()
		for range times {
			b.faults.Next(op, memory.Fault{Before: errors.New(op + ": 503")})
		}
		if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
			t.Fatal("the failure went unnoticed")
		}
		return b.progress(t)
	}
	if f := fail("target.deliver", 0).Failure; f.Step != rota.StepDeliver || f.Attempts != 1 {
		t.Fatalf("%+v, want the first of deliver", f)
	}
	for attempt := 1; attempt <= 2; attempt++ {
		p := fail("store.describe", 3)
		f, behind := p.Failure, p.StepFailure
		if f.Step != "observe" || f.Attempts != attempt || !strings.Contains(f.Error, "describe") || behind == nil || behind.Step != rota.StepDeliver || behind.Attempts != 1 {
			t.Errorf("%+v behind %+v, want observe, tried %d times, and deliver as it was", f, behind, attempt)
		}
	}
	if res := b.advance(t, rotation.Options{}); res.Last.Hold != rotation.HoldRetrying || !strings.Contains(res.Last.Reason, "deliver failed (1 of 20)") {
		t.Errorf("%+v, want deliver to wait for its next try", res.Last)
	}
	b.now = b.now.Add(time.Hour)
	if got, want := steps(b.advance(t, rotation.Options{})), "deliver reload"; got != want {
		t.Errorf("it did %q, want %q", got, want)
	}
	if p := b.progress(t); p.Failure != nil || p.StepFailure != nil {
		t.Errorf("all went well, and there is still %+v or %+v", p.Failure, p.StepFailure)
	}
}

// The process dies when a label was moved and nothing of it written down.
func TestEventsOutliveTheProcess(t *testing.T) {
	kinds := func(b *bench) string {
		var out []string
		for _, e := range b.notifier.Events() {
			out = append(out, string(e.Kind))
		}
		return strings.Join(out, ", ")
	}
	for _, test := range []struct {
		name  string
		serve func(*rotation.Secret) // what the secret lacks
	}{
		{"served by a reload", func(*rotation.Secret) {}},
		{"served by a delivery", func(s *rotation.Secret) { s.Reloaders = nil }},
		{"served by its promotion", func(s *rotation.Secret) { s.Targets, s.Reloaders = nil, nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			test.serve(b.secret)
			dieAt(b, rota.LabelServed)
			crash(t, func() { b.advance(t, rotation.Options{}) })
			b.advance(t, rotation.Options{})
			b.days(90)
			b.advance(t, rotation.Options{})
			b.days(10)
			dieAt(b, rota.LabelDeactivated)
			crash(t, func() { b.advance(t, rotation.Options{}) })
			b.advance(t, rotation.Options{})
			b.advance(t, rotation.Options{})
			if got, want := kinds(b), "rotated, rotated, deactivated"; got != want {
				t.Errorf("notified %s, want %s", got, want)
			}
		})
	}
	t.Run("a past that was lost is told to nobody", func(t *testing.T) {
		b := newBench(t)
		b.advance(t, rotation.Options{})
		b.rotator.Journal = memory.NewJournal(memory.Options{Now: func() time.Time { return b.now }})
		b.advance(t, rotation.Options{})
		if got, want := kinds(b), "rotated"; got != want {
			t.Errorf("notified %s, want %s", got, want)
		}
	})
}

// dieAt ends the process as soon as the label was moved, once.
func dieAt(b *bench, l rota.Label) {
	b.secret.Store = &deadly{Store: b.store, label: l, after: func() { b.secret.Store = b.store }}
}

type deadly struct {
	*memory.Store
	label rota.Label
	after func()
}

func (d *deadly) Move(ctx context.Context, r rota.MoveRequest) error {
	err := d.Store.Move(ctx, r)
	if r.Label == d.label && err == nil {
		d.after()
		panic(memory.Crash{})
	}
	return err
}

// bounded is a journal that tells which of its calls had no deadline.
type bounded struct {
	*memory.Journal
	endless []string
}

func (b *bounded) see(ctx context.Context, call string) {
	if _, ok := ctx.Deadline(); !ok {
		b.endless = append(b.endless, call)
	}
}

func (b *bounded) Acquire(ctx context.Context, r rotation.AcquireRequest) (rotation.Lease, error) {
	b.see(ctx, "acquire")
	return b.Journal.Acquire(ctx, r)
}

func (b *bounded) Release(ctx context.Context, l rotation.Lease) error {
	b.see(ctx, "release")
	return b.Journal.Release(ctx, l)
}

func (b *bounded) Load(ctx context.Context, secret string, peers ...string) (rotation.Snapshot, error) {
	b.see(ctx, "load")
	return b.Journal.Load(ctx, secret, peers...)
}

func (b *bounded) Save(ctx context.Context, r rotation.SaveRequest) error {
	b.see(ctx, "save")
	return b.Journal.Save(ctx, r)
}

func TestCallsOfTheJournalHaveADeadline(t *testing.T) {
	b := newBench(t)
	journal := &bounded{Journal: b.journal}
	b.rotator.Journal = journal
	b.advance(t, rotation.Options{})
	if _, _, err := b.rotator.Observe(t.Context(), b.secret); err != nil {
		t.Error(err)
	}
	if _, err := b.rotator.Alert(t.Context(), b.secret); err != nil {
		t.Error(err)
	}
	if len(journal.endless) > 0 {
		t.Errorf("without a deadline: %v", journal.endless)
	}
}

func TestAPersonHasWhatWasGivenUpDeliveredAnew(t *testing.T) {
	b := newBench(t)
	b.secret.Policy.MaxAttempts = 1
	for range 3 {
		b.faults.Next("target.deliver", memory.Fault{Before: errors.New("503")})
	}
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Fatal("the failure went unnoticed")
	}
	if res := b.advance(t, rotation.Options{}); res.Last.Hold != rotation.HoldQuarantined {
		t.Fatalf("%+v, want it given up", res.Last)
	}
	res, err := b.rotator.Redeliver(t.Context(), b.secret)
	if got, want := steps(res), "deliver reload"; err != nil || got != want {
		t.Errorf("asked to deliver again, it did %q (%v), want %q", got, err, want)
	}
}

// A person edits the secret just while a new password is in force and not yet
// current. When the new one is given up, that of the store must let in.
func TestGivingUpASetPasswordLocksNobodyOut(t *testing.T) {
	for _, test := range []struct {
		name   string
		person func(*memory.Password, rota.Credential) rota.Credential // what they put
	}{
		{"a person put the old password again", func(_ *memory.Password, old rota.Credential) rota.Credential { return old }},
		{"a person set a password of their own", func(p *memory.Password, _ rota.Credential) rota.Credential { return p.Plant("app", "theirs") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			pass := memory.NewPassword("app", memory.RolesOptions{RefusedLogins: 2,
				Options: memory.Options{Now: func() time.Time { return b.now }, Faults: b.faults.Fault}})
			b.secret.Issuer = pass
			b.advance(t, rotation.Options{Force: rota.StepCreate})
			b.days(90)
			for range 4 {
				b.faults.Next("store.move", memory.Fault{Before: errors.New("503")})
			}
			if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
				t.Fatal("the promotion succeeded")
			}
			_, old, _ := b.store.Read(rota.LabelCurrent)
			put := test.person(pass, old)
			b.store.Plant("person-1", put, rota.LabelCurrent)
			if _, err := b.rotator.Rollback(t.Context(), b.secret); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				pass.Login(put) // until it is known everywhere
			}
			if !pass.Login(put) {
				t.Error("the current password does not log in")
			}
			if _, _, ok := b.store.Read(rota.LabelPending); ok {
				t.Error("the new password is still AWSPENDING")
			}
			if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{}); err != nil {
				t.Errorf("adopt: %v", err)
			}
		})
	}
}

func TestAFailedTestWithoutOverlapPutsTheOldPasswordBackAtOnce(t *testing.T) {
	b := newBench(t)
	o := memory.Options{Now: func() time.Time { return b.now }}
	app := memory.NewPassword("app", memory.RolesOptions{Options: o})
	var old rota.Credential
	b.secret.Issuer = app
	b.secret.Checks = []rota.Check{memory.NewCheck("query", func(c rota.Credential) error {
		if !old.IsZero() && !c.Equal(old) {
			return &rota.Error{Class: rota.ClassStop, Err: errors.New("no such table")}
		}
		return nil
	}, o)}
	b.advance(t, rotation.Options{Force: rota.StepCreate})
	held, _ := b.target.Current()
	old = held.Credential
	b.days(90)
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Fatal("the failed test went unnoticed")
	}
	if !app.Login(held.Credential) {
		t.Error("what the application holds does not log in after the failed test")
	}
	c, err := b.store.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := rota.Find(c.Versions, rota.LabelPending); ok {
		t.Errorf("version %s is still AWSPENDING", v.ID)
	}
}

// While the current credential is dead, no reload can help: it must not be
// repeated each time that the hold is looked at.
func TestAReloadThatCannotHelpIsNotRepeated(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	_, current, _ := b.store.Read(rota.LabelCurrent)
	b.days(1)
	if err := b.keys.Deactivate(t.Context(), rota.RetireRequest{CredentialID: b.keys.CredentialID(current)}); err != nil {
		t.Fatal(err)
	}
	b.faults.Next("reloader.reload", memory.Fault{Before: errors.New("not healthy")})
	if _, err := b.rotator.Redeliver(t.Context(), b.secret); err == nil {
		t.Fatal("the reload worked")
	}
	for range 4 {
		b.now = b.now.Add(time.Hour)
		if r := b.advance(t, rotation.Options{}); len(r.Done) > 0 || r.Last.Hold != rotation.HoldNotAtIssuer {
			t.Fatalf("it did %q, held %q", steps(r), r.Last.Hold)
		}
	}
}

func TestAFailedReloadNamesWhatHidesItsCause(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.faults.Next("reloader.reload", memory.Fault{Before: errors.New("not healthy")})
	b.faults.Next("issuer.test", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: errors.New("denied"), Remedies: rota.Outside("allow it to log in")}})
	_, err := b.rotator.Redeliver(t.Context(), b.secret)
	if got := rota.Hint(rota.RemediesOf(err)); got != "allow it to log in" {
		t.Errorf("%v, try: %s", err, got)
	}
}
