package rotation_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// keptAlive is a bench whose keys are meant to last for five days, and end after an hour
// unless they're renewed.
type keptAlive struct {
	*bench
	keys  *memory.Sessions
	given []rota.Credential // that the target ever had
}

func newKeptAlive(t *testing.T, change ...func(*memory.SessionsOptions)) *keptAlive {
	t.Helper()
	b := newBench(t)
	o := memory.SessionsOptions{Options: memory.Options{Now: func() time.Time { return b.now }, Faults: b.fault}, Lifetime: 5 * rota.Day, RenewFor: time.Hour, Revocable: true}
	for _, f := range change {
		f(&o)
	}
	l := &keptAlive{bench: b, keys: memory.NewSessions(o)}
	b.secret.Issuer, b.secret.Policy = l.keys, rotation.Policy{}.ForLifetime(o.Lifetime)
	return l
}

// try takes a turn whatever comes of it.
func (l *keptAlive) try(t *testing.T) (rotation.Result, error) {
	t.Helper()
	res, err := l.rotator.Advance(t.Context(), l.secret, rotation.Options{})
	if held, ok := l.target.Current(); ok && !slices.ContainsFunc(l.given, held.Credential.Equal) {
		l.given = append(l.given, held.Credential)
	}
	return res, err
}

// lives takes the turns that are due until a time, and makes sure before each of them
// that what consumers have works until it's meant to end.
func (l *keptAlive) lives(t *testing.T, d time.Duration) (made int) {
	t.Helper()
	for end := l.now.Add(d); l.now.Before(end); {
		res, _ := l.try(t)
		for _, d := range res.Done {
			if d.Step == rota.StepCreate {
				made++
			}
		}
		next := l.progress(t).NextAt
		if !next.After(l.now) {
			t.Fatalf("at %s the next turn is due at %s: %+v", l.now, next, res.Last)
		}
		l.now = next.Add(-time.Second)
		for _, c := range l.given {
			if l.now.Before(c.ExpiresAt()) && !l.keys.Login(c) {
				t.Fatalf("at %s, %s is dead, which is meant to last until %s", l.now, l.keys.CredentialID(c), c.ExpiresAt())
			}
		}
		l.now = next
	}
	return made
}

// current is what the target has.
func (l *keptAlive) current(t *testing.T) rota.Credential {
	t.Helper()
	held, ok := l.target.Current()
	if !ok {
		t.Fatal("the target has nothing")
	}
	return held.Credential
}

// always injects a fault into every call of an operation.
func (l *keptAlive) always(op string, f memory.Fault) {
	l.strike = func(c memory.Call) memory.Fault {
		if c.Op == op {
			return f
		}
		return memory.Fault{}
	}
}

var errAway = &rota.Error{System: "vault", Class: rota.ClassWait, Err: errors.New("connection refused")}

func TestALeaseIsKeptAliveUntilItsMeantToEnd(t *testing.T) {
	l := newKeptAlive(t)
	if made := l.lives(t, 20*rota.Day); made < 6 || made > 7 {
		t.Errorf("%d were made in 20 days, want one each 80 hours", made)
	}
	if kinds := l.kinds(); kinds != "" {
		t.Errorf("people heard %q: renewals that go well are no news", kinds)
	}
}

func TestADisplacedLeaseLastsAsLongAsItsMeantTo(t *testing.T) {
	l := newKeptAlive(t)
	for range 3 {
		l.lives(t, 2*time.Hour)
		l.advance(t, rotation.Options{Force: rota.StepCreate})
	}
	l.lives(t, 6*rota.Day)
	if len(l.given) < 4 {
		t.Errorf("the target had %d", len(l.given))
	}
}

func TestNothingKeepsRotaFromRenewing(t *testing.T) {
	for name, stop := range map[string]func(l *keptAlive){
		"a pause":                    func(l *keptAlive) { l.journal.Pause("prod/cms", rotation.Halt{By: "ann"}) },
		"a reload that fails":        func(l *keptAlive) { l.always("reloader.reload", memory.Fault{Before: errDenied}) },
		"a target that's away":       func(l *keptAlive) { l.always("target.deliver", memory.Fault{Before: errAway}) },
		"another that can't be made": func(l *keptAlive) { l.always("issuer.create", memory.Fault{Before: errAway}) },
		"a lost journal":             func(l *keptAlive) { l.journal.Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			l := newKeptAlive(t)
			l.lives(t, 3*rota.Day)
			stop(l)
			l.lives(t, 2*rota.Day-time.Hour)
			l.strike = nil
			l.journal.Resume("prod/cms")
			l.lives(t, 5*rota.Day)
		})
	}
}

func TestALeaseThatTheIssuerExtendsNoFurtherIsRotatedBefore(t *testing.T) {
	l := newKeptAlive(t, func(o *memory.SessionsOptions) { o.Most = 10 * time.Hour })
	l.try(t)
	for end := l.now.Add(3 * rota.Day); l.now.Before(end); l.now = l.progress(t).NextAt {
		if c := l.current(t); !l.keys.Login(c) {
			t.Fatalf("at %s, the current one is dead", l.now)
		}
		l.try(t)
	}
	if n := len(l.given); n < 7 || n > 9 {
		t.Errorf("%d were made in 3 days, want one in less than ten hours", n)
	}
	if kinds := l.kinds(); strings.Contains(kinds, "failed") {
		t.Errorf("people heard %q", kinds)
	}
}

func TestALeaseThatNobodyMayRenewIsRotatedBefore(t *testing.T) {
	l := newKeptAlive(t)
	l.lives(t, time.Hour)
	l.always("issuer.renew", memory.Fault{Before: errDenied})
	l.given = nil
	for end := l.now.Add(6 * time.Hour); l.now.Before(end); l.now = l.progress(t).NextAt {
		if c := l.current(t); !l.keys.Login(c) {
			t.Fatalf("at %s, the current one is dead", l.now)
		}
		l.try(t)
	}
	if n := len(l.given); n < 7 {
		t.Errorf("%d were made in 6 hours", n)
	}
}

func TestARenewalThatFailsIsReportedAndKeepsNothingWaiting(t *testing.T) {
	l := newKeptAlive(t)
	l.lives(t, time.Hour)
	began := l.now
	l.always("issuer.renew", memory.Fault{Before: rota.WithRemedies(errAway, rota.Outside("start Vault"))})
	l.secret.Targets = append(l.secret.Targets, memory.NewTarget("second", memory.Options{}))
	l.now = began.Add(5 * time.Minute)
	res, err := l.try(t)
	if err == nil || !strings.Contains(err.Error(), "renew") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("the turn says %v", err)
	}
	if got := steps(res); !strings.Contains(got, "deliver") {
		t.Errorf("it did %q, and a target was missing", got)
	}
	if res.Last.Hold != rotation.HoldRetrying || res.Last.Next != rota.StepRenew || len(res.Last.Remedies) != 1 {
		t.Errorf("it ended with %+v", res.Last)
	}
	if wait := res.Last.At.Sub(l.now); wait < time.Second || wait > 10*time.Minute {
		t.Errorf("it's tried again in %s", wait)
	}
	if kinds := l.kinds(); !strings.HasSuffix(kinds, "failed") {
		t.Errorf("people heard %q", kinds)
	}
	if failed := l.entry(t, "renew", rotation.OutcomeFailed); !strings.Contains(failed, "start Vault") {
		t.Errorf("the audit says %q", failed)
	}
	l.strike = nil
	l.now = res.Last.At
	l.try(t)
	if kinds := l.kinds(); !strings.HasSuffix(kinds, "failed, recovered") {
		t.Errorf("people heard %q", kinds)
	}
	if r := l.progress(t).Versions[res.Status.Version].Renewed; r.Attempts != 0 || r.Error != "" || r.Until.Sub(l.now) != time.Hour {
		t.Errorf("it keeps %+v", r)
	}
}

// A renewal in between doesn't begin the count of another step's failures anew.
func TestARenewalForgetsNoFailure(t *testing.T) {
	l := newKeptAlive(t)
	l.lives(t, time.Hour)
	l.lives(t, 3*rota.Day)
	l.advance(t, rotation.Options{Force: rota.StepCreate})
	l.lives(t, 2*rota.Day-time.Hour)
	l.always("store.move", memory.Fault{Before: errAway})
	before := 0
	for end := l.now.Add(4 * rota.Day); l.now.Before(end) && before < 20; l.now = l.progress(t).NextAt {
		l.try(t)
		if f := l.progress(t).Failure; f != nil && f.Step == rota.StepDelete {
			if f.Attempts < before {
				t.Fatalf("after %d failures, the next is number %d", before, f.Attempts)
			}
			before = f.Attempts
		}
	}
	if before < 3 {
		t.Errorf("it failed %d times", before)
	}
}

// entry is the detail of the last entry of a step with an outcome.
func (l *keptAlive) entry(t *testing.T, step string, o rotation.Outcome) string {
	t.Helper()
	for _, e := range slices.Backward(l.journal.Entries()) {
		if e.Step == step && e.Outcome == o {
			return e.Detail
		}
	}
	t.Fatalf("the audit has no %s that %s", step, o)
	return ""
}

func TestALeaseThatEndedIsReplacedAtOnce(t *testing.T) {
	for name, end := range map[string]func(l *keptAlive){
		"somebody revoked it":        func(l *keptAlive) { l.keys.Revoke(l.keys.CredentialID(l.given[0])) },
		"Rota was off for too long":  func(l *keptAlive) { l.now = l.now.Add(3 * time.Hour) },
		"and the journal is lost":    func(l *keptAlive) { l.now = l.now.Add(3 * time.Hour); l.journal.Reset() },
		"revoked, and journal's new": func(l *keptAlive) { l.keys.Revoke(l.keys.CredentialID(l.given[0])); l.journal.Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			l := newKeptAlive(t)
			l.lives(t, time.Hour)
			end(l)
			l.now = l.now.Add(20 * time.Minute)
			if _, err := l.try(t); err != nil {
				t.Errorf("the turn that replaced it says %v", err)
			}
			if c := l.current(t); !l.keys.Login(c) || c.Equal(l.given[0]) {
				t.Error("the current one is dead, or the old one")
			}
			if kinds := l.kinds(); !strings.Contains(kinds, "failed, rotated") {
				t.Errorf("people heard %q", kinds)
			}
			l.given = l.given[1:]
			l.lives(t, rota.Day)
		})
	}
}

func TestWhatAPersonDeletesIsRenewedNoMore(t *testing.T) {
	l := newKeptAlive(t)
	l.lives(t, time.Hour)
	l.advance(t, rotation.Options{Force: rota.StepCreate})
	l.now = l.now.Add(50 * time.Minute)
	renewals := len(l.renewals())
	if got := steps(l.advance(t, rotation.Options{Force: rota.StepDelete})); !strings.Contains(got, "delete") {
		t.Fatalf("it did %q", got)
	}
	if l.keys.Login(l.given[0]) {
		t.Error("the previous one still works")
	}
	l.given = nil
	l.lives(t, 3*time.Hour)
	for _, id := range l.renewals()[renewals:] {
		if id != l.keys.CredentialID(l.current(t)) {
			t.Errorf("%s was renewed", id)
		}
	}
}

// renewals are the ids of the keys that were renewed.
func (l *keptAlive) renewals() (ids []string) {
	for _, e := range l.journal.Entries() {
		if e.Step == string(rota.StepRenew) && e.Outcome == rotation.OutcomeSucceeded {
			ids = append(ids, e.Credential)
		}
	}
	return ids
}

func TestAStoreThatCantBeReadDoesntPutOffTheLookForARenewal(t *testing.T) {
	l := newKeptAlive(t)
	l.lives(t, time.Hour)
	l.always("store.describe", memory.Fault{Before: errDenied})
	for range 3 {
		l.try(t)
		p := l.progress(t)
		if left := p.Status.LastsUntil.Sub(l.now); p.NextAt.Sub(l.now) > max(left, time.Minute) {
			t.Fatalf("it looks again in %s, and %s are left", p.NextAt.Sub(l.now), left)
		}
		l.now = p.NextAt
	}
}

func TestAMissedRenewalIsLate(t *testing.T) {
	s := rotation.Status{LookedAt: at(0), RotateAt: at(80), DueAt: at(80), ExpiresAt: at(120), RenewAt: at(1), LastsUntil: at(1).Add(40 * time.Minute)}
	for after, want := range map[time.Duration]bool{20 * time.Minute: false, 21 * time.Minute: true} {
		if due, late := rotation.Lateness(s, rotation.Policy{}, at(1).Add(after)); late != want || late && !due.Equal(at(1)) {
			t.Errorf("%s after it's due, late is %v", after, late)
		}
	}
}

func TestARenewalFitsWhatWasPlannedBefore(t *testing.T) {
	minutes := func(n int) time.Time { return day0.Add(time.Duration(n) * time.Minute) }
	lease := func(change ...func(*rotation.VersionProgress)) func(*rotation.State) {
		return func(st *rotation.State) {
			st.Traits.Lifetime, st.Traits.Renewable = 10*time.Hour, true
			v := &st.Contents.Versions[0]
			v.ExpiresAt = minutes(600)
			vp := st.Progress.Versions["rota-1"]
			vp.Renewed = rotation.Renewed{At: minutes(0), Until: minutes(60)}
			for _, f := range change {
				f(&vp)
			}
			st.Progress.Versions["rota-1"] = vp
		}
	}
	renewed := func(r rotation.Renewed) func(*rotation.State) {
		return lease(func(vp *rotation.VersionProgress) { vp.Renewed = r })
	}
	also := func(f, g func(*rotation.State)) func(*rotation.State) {
		return func(st *rotation.State) { f(st); g(st) }
	}
	frozen := func(st *rotation.State) { st.Halts.Frozen = &rotation.Halt{By: "ann", At: day0} }
	undelivered := func(st *rotation.State) { st.Targets = []string{"t"} }
	for name, test := range map[string]struct {
		change func(*rotation.State)
		now    int
		step   rota.Step
		next   rota.Step
		hold   rotation.HoldKind
		at     int
	}{
		"a third of it is over":                   {change: lease(), now: 20, step: rota.StepRenew},
		"a third of it isn't over":                {change: lease(), now: 19, next: rota.StepCreate, at: 20},
		"nobody knows when it ends":               {change: renewed(rotation.Renewed{}), now: 1, step: rota.StepRenew},
		"it ends when it's meant to":              {change: renewed(rotation.Renewed{At: minutes(300), Until: minutes(600)}), now: 390, next: rota.StepCreate, at: 400},
		"the issuer extends it no further":        {change: renewed(rotation.Renewed{At: minutes(0), Until: minutes(60), Last: true}), now: 30, next: rota.StepCreate, at: 40},
		"the issuer did, and a third is left":     {change: renewed(rotation.Renewed{At: minutes(0), Until: minutes(60), Last: true}), now: 40, step: rota.StepCreate},
		"renewing has failed":                     {change: renewed(rotation.Renewed{At: minutes(0), Until: minutes(60), Attempts: 2, RetryAt: minutes(25), Error: "no"}), now: 22, next: rota.StepRenew, hold: rotation.HoldRetrying, at: 25},
		"renewing has failed, and it's tried":     {change: renewed(rotation.Renewed{At: minutes(0), Until: minutes(60), Attempts: 2, RetryAt: minutes(25), Error: "no"}), now: 25, step: rota.StepRenew},
		"renewing fails, and a third is left":     {change: renewed(rotation.Renewed{At: minutes(0), Until: minutes(60), Attempts: 9, RetryAt: minutes(45), Error: "no"}), now: 41, step: rota.StepCreate},
		"nobody renewed it for long":              {change: lease(), now: 50, step: rota.StepRenew},
		"everything is frozen":                    {change: also(lease(), frozen), now: 20, step: rota.StepRenew},
		"a target is behind":                      {change: also(lease(), undelivered), now: 20, step: rota.StepRenew},
		"a target is behind, and it has time":     {change: also(lease(), undelivered), now: 10, step: rota.StepDeliver},
		"a person asks for another":               {change: also(lease(), func(st *rotation.State) { st.Force = rota.StepCreate }), now: 20, step: rota.StepRenew},
		"somebody else made it":                   {change: also(lease(), func(st *rotation.State) { st.Contents.Versions[0].ID = "theirs" }), now: 20, next: rota.StepCreate, hold: rotation.HoldNotAdopted, at: 80},
		"the issuer's credentials aren't renewed": {change: also(lease(), func(st *rotation.State) { st.Traits.Renewable = false }), now: 20, next: rota.StepCreate, at: 400},
	} {
		t.Run(name, func(t *testing.T) {
			d := rotation.Plan(session(test.change), rotation.Policy{}, minutes(test.now))
			if d.Step != test.step || d.Next != test.next || d.Hold != test.hold || test.step == rota.StepNone && !d.At.Equal(minutes(test.at)) {
				t.Errorf("got %+v, want step %q, next %q, hold %q at %s", d, test.step, test.next, test.hold, minutes(test.at))
			}
		})
	}
}

func TestAProjectionLeavesRenewalsOut(t *testing.T) {
	l := newKeptAlive(t)
	l.try(t)
	st, _, err := l.rotator.Observe(context.Background(), l.secret)
	if err != nil {
		t.Fatal(err)
	}
	if next, renews := rotation.NextRenewal(st, l.secret.Policy, l.now); !renews || next.At.Sub(l.now) != 20*time.Minute || next.Decision.Step != rota.StepRenew {
		t.Errorf("the next renewal is %+v", next)
	}
	for p := range rotation.Project(st, l.secret.Policy, l.now, l.now.Add(20*rota.Day)) {
		if p.Decision.Step == rota.StepRenew || p.Decision.Hold != rotation.HoldNone {
			t.Fatalf("at %s: %+v", p.At, p.Decision)
		}
	}
}
