package rota_test

import (
	"errors"
	"testing"
	"time"

	"rota"
	"rota/provider/memory"
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

func (b *bench) progress(t *testing.T) rota.Progress {
	t.Helper()
	p, err := b.journal.Load(t.Context(), b.secret.Name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestATurnThatNeverCameToItsEndIsLate(t *testing.T) {
	for _, test := range []struct {
		name  string
		lived []int // days before each earlier turn
		turn  func(*bench) error
	}{
		{"a rotation that a person asked for", []int{0}, func(b *bench) error {
			_, err := b.rotator.Advance(t.Context(), b.secret, rota.Options{Force: rota.Create})
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
				b.advance(t, rota.Options{})
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
			b.advance(t, rota.Options{})
			if at := b.progress(t).Status.BegunAt; !at.IsZero() {
				t.Errorf("the next turn came to its end, and what began at %s has not", at)
			}
		})
	}
}

func TestAFailureEndsWhenItsStepTurnsOutToBeDone(t *testing.T) {
	b := newBench(t)
	b.advance(t, rota.Options{})
	b.days(90)
	b.advance(t, rota.Options{})
	b.days(10)
	b.faults.Next("issuer.deactivate", memory.Fault{Before: errors.New("503")})
	if _, err := b.rotator.Advance(t.Context(), b.secret, rota.Options{}); err == nil {
		t.Fatal("the failure went unnoticed")
	}
	b.now = b.now.Add(time.Hour)
	b.faults.Next("store.move", memory.Fault{Crash: true}) // as ROTA_DEACTIVATED is on
	crash(t, func() { b.advance(t, rota.Options{}) })
	if f := b.progress(t).Failure; f == nil || f.Step != rota.Deactivate {
		t.Fatalf("after the crash the failure is %+v, want that of deactivate", f)
	}
	b.now = b.now.Add(time.Hour)
	if got := steps(b.advance(t, rota.Options{})); got != "" {
		t.Errorf("after the crash it did %q, want nothing", got)
	}
	if f := b.progress(t).Failure; f != nil {
		t.Errorf("it was deactivated, and the failure is still %+v", f)
	}
}

func TestAPersonHasWhatWasGivenUpDeliveredAnew(t *testing.T) {
	b := newBench(t)
	b.secret.Policy.MaxAttempts = 1
	for range 3 {
		b.faults.Next("target.deliver", memory.Fault{Before: errors.New("503")})
	}
	if _, err := b.rotator.Advance(t.Context(), b.secret, rota.Options{}); err == nil {
		t.Fatal("the failure went unnoticed")
	}
	if res := b.advance(t, rota.Options{}); res.Last.Hold != rota.GaveUp {
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
			b.advance(t, rota.Options{Force: rota.Create})
			b.days(90)
			for range 4 {
				b.faults.Next("store.move", memory.Fault{Before: errors.New("503")})
			}
			if _, err := b.rotator.Advance(t.Context(), b.secret, rota.Options{}); err == nil {
				t.Fatal("the promotion succeeded")
			}
			_, old, _ := b.store.Read(rota.Current)
			put := test.person(pass, old)
			b.store.Plant("person-1", put, rota.Current)
			if _, err := b.rotator.Rollback(t.Context(), b.secret); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				pass.Login(put) // until it is known everywhere
			}
			if !pass.Login(put) {
				t.Error("the current password does not log in")
			}
			if _, _, ok := b.store.Read(rota.Pending); ok {
				t.Error("the new password is still AWSPENDING")
			}
			if _, err := b.rotator.Adopt(t.Context(), b.secret, rota.AdoptOptions{}); err != nil {
				t.Errorf("adopt: %v", err)
			}
		})
	}
}

func TestAFailedTestWithoutOverlapPutsTheOldPasswordBackAtOnce(t *testing.T) {
	b := newBench(t)
	o := memory.Options{Now: func() time.Time { return b.now }}
	app := memory.NewPassword("app", memory.RolesOptions{Options: o})
	broken := false
	b.secret.Issuer = app
	b.secret.Checks = []rota.Check{memory.NewCheck("query", func(rota.Credential) error {
		if broken {
			return &rota.Error{Class: rota.Stop, Err: errors.New("no such table")}
		}
		return nil
	}, o)}
	b.advance(t, rota.Options{Force: rota.Create})
	held, _ := b.target.Current()
	broken = true
	b.days(90)
	if _, err := b.rotator.Advance(t.Context(), b.secret, rota.Options{}); err == nil {
		t.Fatal("the failed test went unnoticed")
	}
	if !app.Login(held.Credential) {
		t.Error("what the application holds does not log in after the failed test")
	}
	c, err := b.store.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := rota.Find(c.Versions, rota.Pending); ok {
		t.Errorf("version %s is still AWSPENDING", v.ID)
	}
}
