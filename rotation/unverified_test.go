package rotation_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

var (
	errDenied = &rota.Error{Class: rota.ClassStop, Err: errors.New("no entry for this host"), Remedies: rota.Outside("add an entry")}
	errDown   = &rota.Error{Class: rota.ClassWait, Err: errors.New("too many connections")}
)

// told counts the events of a kind.
func (b *bench) told(kind rota.EventKind) int {
	return len(slices.DeleteFunc(b.notifier.Events(), func(e rota.Event) bool { return e.Kind != kind }))
}

// While Rota mustn't log in, it can't see drift, and nobody would hear of it.
func TestALoginThatIsDeniedIsToldOnce(t *testing.T) {
	for roles := 1; roles <= 2; roles++ {
		t.Run(fmt.Sprint(roles, " roles"), func(t *testing.T) {
			d := newDatabase(t, roles)
			d.days(1)
			d.change()
			d.fault = errDenied
			for range 3 {
				last := d.untilNext(t).Last
				if last.Hold != rotation.HoldUnverified || !strings.HasSuffix(last.Reason, "no entry for this host") || last.At.Sub(d.now) > time.Hour {
					t.Fatalf("%+v", last)
				}
				if got, want := rota.Hint(last.Remedies), "add an entry, or drift_check: passive in the policy, if nobody has to hear of a change outside Rota"; got != want {
					t.Errorf("the remedies are %q, want %q", got, want)
				}
			}
			if got := d.told(rota.EventHeld); got != 1 {
				t.Errorf("%d events say that it's held, want 1", got)
			}
			if _, plan, err := d.rotator.Observe(t.Context(), d.secret); err != nil || plan.Hold != rotation.HoldUnverified {
				t.Errorf("the plan says %+v, %v", plan, err)
			}
			d.fault = nil
			if got := d.untilNext(t).Last; got.Hold != rotation.HoldDrifted {
				t.Errorf("once it may log in: %+v", got)
			}
			d.fault = errDenied
			if got := d.untilNext(t).Last; got.Hold != rotation.HoldDrifted {
				t.Errorf("denied again, once the drift is known: %+v", got)
			}
		})
	}
}

func TestACurrentCredentialThatIsVerifiedAgainHasRecovered(t *testing.T) {
	for name, end := range map[string]func(*database){
		"the login is allowed again":      func(d *database) { d.fault = nil },
		"nobody has to hear of drift now": func(d *database) { d.secret.Policy.DriftCheck = rotation.DriftPassive },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t, 1)
			d.days(1)
			d.fault = errDenied
			d.untilNext(t)
			end(d)
			if got := d.untilNext(t).Last; got.Hold != rotation.HoldNone {
				t.Errorf("it's still held: %+v", got)
			}
			if held, recovered := d.told(rota.EventHeld), d.told(rota.EventRecovered); held != 1 || recovered != 1 {
				t.Errorf("%d events say that it's held and %d that it has recovered, want 1 each", held, recovered)
			}
		})
	}
}

// A system that's down may answer the next time. If it doesn't for a day, that's
// told too.
func TestASystemThatGivesNoAnswerIsAskedWithinTheHourAndToldAfterADay(t *testing.T) {
	d := newDatabase(t, 1)
	d.days(1)
	d.change()
	d.fault = errDown
	var down time.Time
	for range 30 {
		last := d.untilNext(t).Last
		if down.IsZero() {
			down = d.now
		}
		if got, want := last.Hold == rotation.HoldUnverified, d.now.Sub(down) >= rota.Day; got != want || last.At.Sub(d.now) > time.Hour {
			t.Fatalf("after %s: %+v", d.now.Sub(down), last)
		}
	}
	if got := d.told(rota.EventHeld); got != 1 {
		t.Errorf("%d events say that it's held, want 1", got)
	}
	d.fault = nil
	if got := d.untilNext(t).Last; got.Hold != rotation.HoldDrifted {
		t.Errorf("once it's up: %+v", got)
	}
}

// An answer in between starts the day over.
func TestASystemThatAnswersNowAndThenIsNotTold(t *testing.T) {
	d := newDatabase(t, 1)
	d.days(1)
	for i := range 60 {
		d.fault = nil
		if i%20 > 0 {
			d.fault = errDown
		}
		if got := d.untilNext(t).Last; got.Hold != rotation.HoldNone {
			t.Fatalf("look %d: %+v", i, got)
		}
	}
}

// Whatever waits for a person says more. What time alone ends would keep drift
// unseen for as long.
func TestAnotherHoldIsSaidInPlaceOfALoginThatIsDenied(t *testing.T) {
	for name, test := range map[string]struct {
		given func(*testing.T, *database)
		want  rotation.HoldKind
	}{
		"paused": {func(_ *testing.T, d *database) {
			d.days(90)
			d.journal.Pause(d.secret.Name, rotation.Halt{By: "ana"})
		}, rotation.HoldPaused},
		"the previous one is in use": {func(t *testing.T, d *database) {
			_, first, _ := d.store.Read(rota.LabelCurrent)
			d.pair.Connect(first)
			d.advance(t, rotation.Options{Force: rota.StepCreate})
			d.days(15)
		}, rotation.HoldUnverified},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t, 2)
			d.days(1)
			test.given(t, d)
			d.fault = errDenied
			if got := d.advance(t, rotation.Options{}).Last; got.Hold != test.want {
				t.Errorf("%+v", got)
			}
		})
	}
}

// What can't be verified holds nothing back: a rotation says itself what's in its
// way.
func TestARotationGoesOnThoughTheCurrentCredentialIsNotVerified(t *testing.T) {
	d := newDatabase(t, 2)
	d.days(1)
	d.fault = errDenied
	d.untilNext(t)
	d.fault = nil
	d.days(90)
	if got := steps(d.advance(t, rotation.Options{})); !strings.Contains(got, "create") {
		t.Errorf("it did %q", got)
	}
	if got := d.untilNext(t).Last; got.Hold != rotation.HoldNone {
		t.Errorf("then: %+v", got)
	}
}
