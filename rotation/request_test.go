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

const token = "0b3f7c2e-5a51-4e0b-9a53-2f1f6f1c7d10"

// ask asks for a new credential as somebody who does not wait for it.
func (b *bench) ask(t *testing.T, version string) error {
	t.Helper()
	return b.rotator.Request(t.Context(), b.secret, version, rotation.Entry{
		At: b.now, Actor: "ci", Secret: b.secret.Name, Step: "RotateSecret", Object: version, Outcome: rotation.OutcomeBegun,
	})
}

// wishes counts what the audit has of who asked.
func (b *bench) wishes() int {
	n := 0
	for _, e := range b.journal.Entries() {
		if e.Step == "RotateSecret" {
			n++
		}
	}
	return n
}

// promoted are the versions that came into use, in order.
func (b *bench) promoted() []string {
	var out []string
	for _, e := range b.journal.Entries() {
		if e.Step == string(rota.StepPromote) && e.Outcome == rotation.OutcomeSucceeded {
			out = append(out, e.Version)
		}
	}
	return out
}

func TestWhatWasAskedForComesTrueOnceWhereverTheProcessDied(t *testing.T) {
	for _, test := range []struct {
		name string
		op   string // the call in which the process dies
		ask  bool   // it dies while recording the request, otherwise in the turn after that
		lost bool   // the issuer might have made a credential that Rota doesn't know about
	}{
		{"before the wish is durable", "store.describe", true, false},
		{"once the wish is durable", "journal.save", true, false},
		{"once the turn began", "journal.acquire", false, false},
		{"before the intent is durable", "issuer.list", false, false},
		{"once the intent is durable", "journal.save", false, true},
		{"before the issuer's answer is durable", "issuer.create", false, true},
		{"once the new credential is durable", "store.put", false, false},
		{"as it is promoted", "store.move", false, false},
		{"as it is delivered", "target.deliver", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			b.advance(t, rotation.Options{})
			b.days(40)
			b.advance(t, rotation.Options{})
			if test.ask {
				b.faults.Next(test.op, memory.Fault{Crash: true})
				crash(t, func() { t.Error(b.ask(t, token)) })
				if noted := b.progress(t).Requested != nil; noted != (b.wishes() == 1) || noted != (test.op == "journal.save") {
					t.Errorf("wanted: %t, with %d entries of it", noted, b.wishes())
				}
			} else {
				if err := b.ask(t, token); err != nil {
					t.Fatal(err)
				}
				if p := b.progress(t); !p.NextAt.IsZero() || p.Requested == nil {
					t.Errorf("it is not due: %+v", p)
				}
				b.faults.Next(test.op, memory.Fault{Crash: true})
				crash(t, func() { b.advance(t, rotation.Options{}) })
			}
			b.now = b.now.Add(5 * time.Minute)
			if err := b.ask(t, token); err != nil { // the caller retries
				t.Fatal(err)
			}
			for range 3 {
				b.now = b.now.Add(time.Minute)
				b.advance(t, rotation.Options{})
			}
			if err := b.ask(t, token); err != nil {
				t.Fatal(err)
			}
			b.advance(t, rotation.Options{})
			made := b.promoted()
			if len(made) != 2 || b.wishes() != 1 || b.progress(t).Requested != nil {
				t.Errorf("promoted %v after %d wishes, want one more than the first: %+v", made, b.wishes(), b.progress(t).Requested)
			}
			// A credential that the issuer made unseen must not count as the answer.
			if len(made) == 2 && (made[1] == token) == test.lost {
				t.Errorf("the version is %s", made[1])
			}
		})
	}
}

func TestARequestThatCannotComeTrueIsOverAndTheAuditSaysWhy(t *testing.T) {
	for _, test := range []struct {
		name  string
		days  int // since the last rotation; the previous credential still takes a place
		fault *rota.Error
		want  string
	}{
		{"there is no place for it", 1, nil, "refused: hold: the previous credential"},
		{"the issuer denies it", 40, &rota.Error{Class: rota.ClassStop, Err: errors.New("denied")}, "abandoned: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			b.advance(t, rotation.Options{})
			b.days(90)
			b.advance(t, rotation.Options{})
			for range test.days {
				b.days(1)
				b.advance(t, rotation.Options{})
			}
			if err := b.ask(t, token); err != nil {
				t.Fatal(err)
			}
			if test.fault != nil {
				b.faults.Next("issuer.create", memory.Fault{Before: test.fault})
			}
			if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); (err != nil) != (test.fault != nil) {
				t.Error(err)
			}
			if a := b.progress(t).Requested; a != nil {
				t.Errorf("it is still wanted: %+v", a)
			}
			if !slices.ContainsFunc(b.journal.Entries(), func(e rotation.Entry) bool {
				return e.Step == string(rota.StepCreate) && e.Version == token && e.Outcome == rotation.OutcomeFailed && strings.Contains(e.Detail, test.want)
			}) {
				t.Errorf("the audit does not say %q", test.want)
			}
		})
	}
}

func TestARequestIsTriedAgainWhereWaitingMayHelp(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.days(40)
	if err := b.ask(t, token); err != nil {
		t.Fatal(err)
	}
	b.faults.Next("issuer.create", memory.Fault{Before: errors.New("503")})
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Fatal("the failure went unnoticed")
	}
	if p := b.progress(t); p.Requested == nil || !p.NextAt.Equal(p.Failure.RetryAt) {
		t.Fatalf("asked for %+v, to be tried at %s", p.Requested, p.NextAt)
	}
	b.now = b.progress(t).NextAt
	b.advance(t, rotation.Options{})
	if made := b.promoted(); len(made) != 2 {
		t.Errorf("promoted %v", made)
	}
}

func TestOneRotationIsAskedForAtATime(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.days(40)
	other := strings.Replace(token, "0", "1", 1)
	if err := b.ask(t, token); err != nil {
		t.Fatal(err)
	}
	if err := b.ask(t, other); !errors.Is(err, rota.ErrConflict) {
		t.Errorf("asked for another one before the first is made: %v", err)
	}
	b.faults.Next("issuer.test", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: errors.New("no")}})
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Fatal("the failure went unnoticed")
	}
	if err := b.ask(t, other); !errors.Is(err, rota.ErrConflict) {
		t.Errorf("asked for another one before the first is in use: %v", err)
	}
	lease, err := b.journal.Acquire(t.Context(), rotation.AcquireRequest{Secret: b.secret.Name, Holder: "another", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.ask(t, other); !errors.Is(err, rota.ErrBusy) {
		t.Errorf("asked for another one while a worker is at the secret: %v", err)
	}
	if err := b.journal.Release(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	if n := b.wishes(); n != 1 {
		t.Errorf("%d wishes are in the audit", n)
	}
}

func TestARollbackEndsARequest(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.days(90)
	b.advance(t, rotation.Options{})
	b.days(1)
	if err := b.ask(t, token); err != nil {
		t.Fatal(err)
	}
	if _, err := b.rotator.Rollback(t.Context(), b.secret); err != nil {
		t.Fatal(err)
	}
	if a := b.progress(t).Requested; a != nil {
		t.Errorf("it is still wanted: %+v", a)
	}
}

// What was tried ahead of its date, for a wish that is over, is due no more, and
// no failure of today's.
func TestAFailureEndsWithTheRequestThatItWasFor(t *testing.T) {
	b := newBench(t)
	b.secret.Policy = rotation.Policy{RotateEvery: 90 * rota.Day, Retire: rotation.RetireBeforeCreate}
	b.advance(t, rotation.Options{})
	first := b.keys.Keys()[0].ID
	b.days(90)
	b.advance(t, rotation.Options{})
	b.days(20)
	if err := b.ask(t, token); err != nil {
		t.Fatal(err)
	}
	b.faults.Next("issuer.deactivate", memory.Fault{Before: errors.New("503")})
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Fatal("the failure went unnoticed")
	}
	b.keys.Use(first)
	b.now = b.now.Add(time.Hour)
	if res := b.advance(t, rotation.Options{}); res.Last.Hold != rotation.HoldInUse {
		t.Fatalf("got %+v, want a hold, as the previous key is in use", res.Last)
	}
	b.days(1)
	b.advance(t, rotation.Options{})
	if p := b.progress(t); p.Requested != nil || p.Failure != nil {
		t.Errorf("the wish is %+v, the failure %+v", p.Requested, p.Failure)
	}
}
