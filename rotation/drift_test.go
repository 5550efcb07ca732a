package rotation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// database is a bench whose secret is a password of one role, or of two, and counts
// the logins.
type database struct {
	*bench
	single *memory.Password
	pair   *memory.Alternating
	logins int
	fault  error
}

func newDatabase(t *testing.T, roles int) *database {
	d := &database{bench: newBench(t)}
	o := memory.RolesOptions{Options: memory.Options{Now: d.rotator.Now, Faults: func(c memory.Call) memory.Fault {
		if c.Op != "issuer.test" {
			return memory.Fault{}
		}
		d.logins++
		return memory.Fault{Before: d.fault}
	}}}
	if roles == 1 {
		d.single = memory.NewPassword("app", o)
		d.secret.Issuer = d.single
	} else {
		d.pair = memory.NewAlternating("app_a", "app_b", o)
		d.secret.Issuer = d.pair
	}
	d.advance(t, rotation.Options{Force: rota.StepCreate})
	return d
}

// change changes the current role's password by hand.
func (d *database) change() rota.Credential {
	_, c, _ := d.store.Read(rota.LabelCurrent)
	if d.single != nil {
		return d.single.Plant("app", "made by hand 1")
	}
	return d.pair.Plant(c.Field(rota.FieldUsername), "made by hand 1")
}

// untilNext lets time pass until the secret is due for a look.
func (d *database) untilNext(t *testing.T) rotation.Result {
	t.Helper()
	if at := d.journal.Progress(d.secret.Name).NextAt; at.After(d.now) {
		d.now = at
	}
	return d.advance(t, rotation.Options{})
}

func TestDriftIsHeldWithinADay(t *testing.T) {
	for roles := 1; roles <= 2; roles++ {
		t.Run(fmt.Sprint(roles, " roles"), func(t *testing.T) {
			d := newDatabase(t, roles)
			d.days(1)
			d.untilNext(t)
			changed := d.now
			d.change()
			last := d.untilNext(t).Last
			if last.Hold != rotation.HoldDrifted || d.now.Sub(changed) > rota.Day+time.Minute {
				t.Fatalf("after %s: %+v", d.now.Sub(changed), last)
			}
			held := 0
			for range 3 {
				if got := d.untilNext(t).Last.Hold; got != rotation.HoldDrifted {
					t.Errorf("later: %q", got)
				}
			}
			for _, e := range d.notifier.Events() {
				if e.Kind == rota.EventHeld {
					held++
				}
			}
			if held != 1 {
				t.Errorf("%d events say that it's held, want 1", held)
			}
			if _, plan, err := d.rotator.Observe(t.Context(), d.secret); err != nil || plan.Hold != rotation.HoldDrifted {
				t.Errorf("the plan says %+v, %v", plan, err)
			}
			d.days(90)
			if got := d.untilNext(t); roles == 1 && (got.Last.Hold != rotation.HoldDrifted || len(got.Done) > 0) {
				t.Errorf("once the next rotation is due: %+v", got)
			}
		})
	}
}

func TestDriftThatEndsIsOver(t *testing.T) {
	d := newDatabase(t, 1)
	_, c, _ := d.store.Read(rota.LabelCurrent)
	d.days(1)
	d.change()
	d.untilNext(t)
	d.single.Plant("app", c.Field(rota.FieldPassword))
	if got := d.untilNext(t).Last.Hold; got != rotation.HoldNone {
		t.Errorf("still held: %q", got)
	}
}

func TestALookLogsInOnceAndARotationNotAtAll(t *testing.T) {
	d := newDatabase(t, 2)
	d.days(1)
	for name, step := range map[string]struct {
		check  rotation.DriftCheck
		force  rota.Step
		logins int
	}{
		"a look":                         {logins: 1},
		"a look that mustn't log in":     {check: rotation.DriftPassive},
		"a rotation, which tests it too": {force: rota.StepCreate, logins: 3},
	} {
		t.Run(name, func(t *testing.T) {
			d.secret.Policy.DriftCheck, d.logins = step.check, 0
			d.now = d.now.Add(time.Hour)
			d.advance(t, rotation.Options{Force: step.force})
			if d.logins != step.logins {
				t.Errorf("%d logins, want %d", d.logins, step.logins)
			}
		})
	}
}

func TestASystemThatIsDownIsNoDrift(t *testing.T) {
	d := newDatabase(t, 1)
	d.days(1)
	d.change()
	d.fault = &rota.Error{Class: rota.ClassWait, Err: errors.New("too many connections")}
	if got := d.untilNext(t).Last; got.Hold != rotation.HoldNone {
		t.Errorf("held: %+v", got)
	}
	d.fault = nil
	if got := d.untilNext(t).Last; got.Hold != rotation.HoldDrifted {
		t.Errorf("not held: %+v", got)
	}
}

func TestAKeyThatIsSwitchedOffByHandIsHeldWithinADay(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.days(1)
	b.advance(t, rotation.Options{})
	_, c, _ := b.store.Read(rota.LabelCurrent)
	if err := b.keys.Deactivate(t.Context(), rota.RetireRequest{CredentialID: b.keys.CredentialID(c)}); err != nil {
		t.Fatal(err)
	}
	at := b.journal.Progress(b.secret.Name).NextAt
	if wait := at.Sub(b.now); wait > rota.Day {
		t.Fatalf("the next look is in %s", wait)
	}
	b.now = at
	if got := b.advance(t, rotation.Options{}).Last.Hold; got != rotation.HoldNotAtIssuer {
		t.Errorf("the hold is %q", got)
	}
}

// Someone changes the password of the role in use while the one before it still has
// a session: neither a rotation nor a retirement can go on.
func TestTheWaysOutOfDrift(t *testing.T) {
	for name, given := range map[string]func(*testing.T) *database{
		"one role": func(t *testing.T) *database {
			d := newDatabase(t, 1)
			d.days(1)
			return d
		},
		"a pair": func(t *testing.T) *database {
			d := newDatabase(t, 2)
			d.days(1)
			return d
		},
		"a pair whose previous role is in use": func(t *testing.T) *database {
			d := newDatabase(t, 2)
			d.days(30)
			_, first, _ := d.store.Read(rota.LabelCurrent)
			d.pair.Connect(first)
			d.advance(t, rotation.Options{Force: rota.StepCreate})
			d.days(15)
			return d
		},
		"a pair whose previous role is off": func(t *testing.T) *database {
			d := newDatabase(t, 2)
			d.days(30)
			d.advance(t, rotation.Options{Force: rota.StepCreate})
			for !strings.Contains(steps(d.advance(t, rotation.Options{})), "deactivate") {
				d.days(1)
			}
			return d
		},
	} {
		t.Run(name, func(t *testing.T) {
			ways := 0
			for alternative := range 3 {
				d := given(t)
				inUse := d.change()
				for _, step := range []rota.Step{rota.StepDeactivate, rota.StepNone} {
					if got := d.advance(t, rotation.Options{Force: step}).Last; got.Hold != rotation.HoldDrifted {
						t.Fatalf("%q: %+v", step, got)
					}
				}
				if !(testenv.Operator{Rotator: d.rotator, Secret: d.secret, InUse: inUse, Wait: func() { d.days(1) }}).LeadOut(t, alternative) {
					continue
				}
				ways++
				_, c, _ := d.store.Read(rota.LabelCurrent)
				if err := d.secret.Issuer.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
					t.Errorf("alternative %d: the current credential doesn't log in: %v", alternative, err)
				}
			}
			if ways != 2 {
				t.Errorf("%d ways lead out, want 2", ways)
			}
		})
	}
}

func TestDriftIsSaidWhateverElseIsWaitedFor(t *testing.T) {
	for name, test := range map[string]struct {
		roles int
		given func(*testing.T, *database)
	}{
		"the next rotation is weeks away":                                       {1, func(*testing.T, *database) {}},
		"no rotation is scheduled":                                              {1, func(_ *testing.T, d *database) { d.secret.Policy = rotation.Policy{} }},
		"the next one is due, and would lock out whoever uses the one in force": {1, func(_ *testing.T, d *database) { d.days(90) }},
		"the next one is due, and its target would fail": {2, func(_ *testing.T, d *database) {
			d.days(90)
			d.secret.Targets = []rota.Target{&picky{Target: d.target, finding: rota.Finding{Check: "write"}}}
			d.secret.Reloaders = nil
		}},
		"the next one is due, and it's paused": {2, func(_ *testing.T, d *database) {
			d.days(90)
			d.journal.Pause(d.secret.Name, rotation.Halt{By: "ana"})
		}},
		"the previous one is in use": {2, func(t *testing.T, d *database) {
			_, first, _ := d.store.Read(rota.LabelCurrent)
			d.pair.Connect(first)
			d.advance(t, rotation.Options{Force: rota.StepCreate})
			d.days(15)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t, test.roles)
			d.days(1)
			test.given(t, d)
			before := d.advance(t, rotation.Options{Force: rota.StepDeactivate}).Last // which takes no step by the policy's dates
			d.change()
			r := d.advance(t, rotation.Options{})
			if r.Last.Hold != rotation.HoldDrifted || len(r.Done) > 0 {
				t.Errorf("it did %q and says %q: %s (before: %s)", steps(r), r.Last.Hold, r.Last.Reason, before.Reason)
			}
		})
	}
}

// The remedy must not be answered with the hold that recommends it.
func TestWhoAsksForANewPasswordHearsWhatHoldsThat(t *testing.T) {
	d := newDatabase(t, 1)
	d.days(1)
	d.change()
	d.secret.Targets = []rota.Target{&picky{Target: d.target, finding: rota.Finding{Check: "write"}}}
	d.secret.Reloaders = nil
	if got := d.advance(t, rotation.Options{}).Last.Hold; got != rotation.HoldDrifted {
		t.Errorf("a look says %q", got)
	}
	if got := d.advance(t, rotation.Options{Force: rota.StepCreate}).Last.Hold; got != rotation.HoldNotReady {
		t.Errorf("whoever asks for a new one hears %q", got)
	}
}

func TestDriftOnceKnownOutlastsASystemThatIsDown(t *testing.T) {
	d := newDatabase(t, 1)
	d.days(1)
	d.change()
	d.untilNext(t)
	d.logins = 0
	d.fault = &rota.Error{Class: rota.ClassWait, Err: errors.New("the server starts up")}
	if got := d.untilNext(t).Last.Hold; got != rotation.HoldDrifted {
		t.Errorf("while it's down: %q", got)
	}
	if d.logins != 1 {
		t.Errorf("%d logins to see drift that's known already, want 1", d.logins)
	}
	for _, e := range d.notifier.Events() {
		if e.Kind == rota.EventRecovered {
			t.Errorf("it counts as over: %+v", e)
		}
	}
}

func TestDriftThatNothingMaySeeAnyMoreIsForgotten(t *testing.T) {
	d := newDatabase(t, 1)
	d.days(1)
	d.change()
	d.untilNext(t)
	d.secret.Policy.DriftCheck = rotation.DriftPassive
	if got := d.untilNext(t).Last.Hold; got != rotation.HoldNone {
		t.Errorf("held as %q", got)
	}
}

// What the server keeps and what a login shows can differ: a server may trust
// everyone, or ask somebody else.
func TestALookCombinesWhatTheIssuerKeepsWithALogin(t *testing.T) {
	accepted := func(rota.Credential) error { return nil }
	refused := func(rota.Credential) error { return rota.ErrRefused }
	trusted := func(rota.Credential) error {
		return &rota.Error{Class: rota.ClassStop, Err: errors.New("the server asks for no password")}
	}
	kept := func(yes, known bool) func(rota.Credential) (bool, bool) {
		return func(rota.Credential) (bool, bool) { return yes, known }
	}
	for name, test := range map[string]struct {
		inForce func(rota.Credential) (bool, bool)
		test    func(rota.Credential) error
		passive bool
		hold    rotation.HoldKind
	}{
		"it keeps this one":                                   {inForce: kept(true, true), test: refused},
		"it keeps another":                                    {inForce: kept(false, true), test: refused, hold: rotation.HoldDrifted},
		"it keeps another, and no login may be tried":         {inForce: kept(false, true), test: accepted, passive: true, hold: rotation.HoldDrifted},
		"it keeps another, and trusts everyone":               {inForce: kept(false, true), test: trusted, hold: rotation.HoldDrifted},
		"it keeps another, and lets this one in nevertheless": {inForce: kept(false, true), test: accepted},
		"it can't tell, and lets this one in":                 {inForce: kept(false, false), test: accepted},
		"it can't tell, and refuses this one":                 {inForce: kept(false, false), test: refused, hold: rotation.HoldDrifted},
		"it can't tell, and trusts everyone":                  {inForce: kept(false, false), test: trusted, hold: rotation.HoldUnverified},
		"it can't tell, and no login may be tried":            {inForce: kept(false, false), test: refused, passive: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l, _ := newLogin(t, b)
			b.secret.Policy.RotateEvery = 365 * rota.Day
			l.inForce, l.test = test.inForce, test.test
			if test.passive {
				b.secret.Policy.DriftCheck = rotation.DriftPassive
			}
			if got := b.advance(t, rotation.Options{}).Last.Hold; got != test.hold {
				t.Errorf("held as %q, want %q", got, test.hold)
			}
			f := finding(t, b.secret, "issuer: the current credential app is in force")
			if f.OK != (test.hold == rotation.HoldNone) || f.Warning {
				t.Errorf("check says %+v", f)
			}
		})
	}
}

func TestCheckSeesWhetherTheCurrentKeyIsInForce(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	id := b.keys.Keys()[0].ID
	check := "issuer: the current credential " + id + " is in force"
	if f := finding(t, b.secret, check); !f.OK {
		t.Errorf("it says %+v", f)
	}
	if err := b.keys.Deactivate(t.Context(), rota.RetireRequest{CredentialID: id}); err != nil {
		t.Fatal(err)
	}
	if f := finding(t, b.secret, check); f.OK || f.Warning {
		t.Errorf("it's inactive, and check says %+v", f)
	}
	b.strike = func(c memory.Call) memory.Fault {
		if c.Op == "issuer.list" {
			return memory.Fault{Before: errors.New("503")}
		}
		return memory.Fault{}
	}
	if f := finding(t, b.secret, check); f.OK || !strings.Contains(f.Detail, "503") {
		t.Errorf("the issuer is down, and check says %+v", f)
	}
}
