package rotation_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

func cronAt(t *testing.T, spec, zone string) *rotation.Cron {
	t.Helper()
	c, err := rotation.ParseCron(spec, zone)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPlanSchedules(t *testing.T) {
	with := func(f func(*rotation.State)) rotation.State { st := served(); f(&st); return st }
	policy := func(f func(*rotation.Policy)) rotation.Policy { p := policy90; f(&p); return p }
	halt := &rotation.Halt{By: "ann", Why: "audit week", At: at(80)}
	apart := rotation.Apart{Secret: "other", By: 12 * time.Hour}
	monthly := cronAt(t, "0 3 1 * *", "Europe/Berlin")
	mondays, err := rotation.ParseWindow("0 9 * * MON", 4*time.Hour, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	twice, err := rotation.ParseWindow("0 6,12 * * *", 4*time.Hour, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	manual := func(done time.Time) rotation.State {
		return rotation.State{Secret: "s", Owner: "ann", Traits: rota.Traits{Kind: "contract", Manual: true}, Progress: rotation.Progress{DoneAt: done}}
	}
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
		{name: "a schedule says when", state: served(), policy: policy(func(p *rotation.Policy) { p.RotateEvery, p.RotateAt = 0, monthly }), now: at(1),
			next: rota.StepCreate, at: time.Date(2026, 2, 1, 2, 0, 0, 0, time.UTC), reason: "0 3 1 * *"},
		{name: "a schedule's time has come", state: served(), policy: policy(func(p *rotation.Policy) { p.RotateEvery, p.RotateAt = 0, monthly }), now: at(40),
			step: rota.StepCreate, reason: "due by the schedule"},
		{name: "a blackout is waited for", state: served(), policy: policy(func(p *rotation.Policy) {
			p.Blackouts = []rotation.Blackout{{From: at(89), Until: at(95), Why: "year's end"}}
		}), now: at(91), next: rota.StepCreate, at: at(95)},
		{name: "a blackout holds back what a window would let begin", state: served(), policy: policy(func(p *rotation.Policy) {
			p.Window = mondays
			p.Blackouts = []rotation.Blackout{{From: at(90), Until: at(97), Why: "year's end"}}
		}), now: at(95), next: rota.StepCreate, at: time.Date(2026, 4, 13, 9, 0, 0, 0, time.UTC)},
		{name: "blackouts that follow one another", state: served(), policy: policy(func(p *rotation.Policy) {
			p.Blackouts = []rotation.Blackout{{From: at(95), Until: at(97), Why: "audit"}, {From: at(89), Until: at(95)}, {From: at(98), Until: at(99)}}
		}), now: at(91), next: rota.StepCreate, at: at(97), reason: "postponed from 2026-04-01 09:00 UTC by the blackout from 2026-03-31 09:00 UTC until 2026-04-06 09:00 UTC, then the blackout from 2026-04-06 09:00 UTC until 2026-04-08 09:00 UTC (audit)"},
		{name: "a blackout that is to come is named as soon as it puts off", state: served(), policy: policy(func(p *rotation.Policy) {
			p.Blackouts = []rotation.Blackout{{From: at(89), Until: at(95), Why: "year's end"}}
		}), now: at(1), next: rota.StepCreate, at: at(95), reason: "(year's end)"},
		{name: "a retirement waits for a blackout, which is named", state: rotated(never), policy: policy(func(p *rotation.Policy) {
			p.Blackouts = []rotation.Blackout{{From: at(99), Until: at(105), Why: "year's end"}}
		}), now: at(101), next: rota.StepDeactivate, at: at(105), reason: "waiting until the blackout from 2026-04-10 09:00 UTC until 2026-04-16 09:00 UTC (year's end) is over"},
		{name: "a missed window is caught up, and said", state: served(), policy: policy(func(p *rotation.Policy) { p.Window = mondays }),
			now: time.Date(2026, 4, 13, 10, 0, 0, 0, time.UTC), step: rota.StepCreate, reason: "the window of 2026-04-06 09:00 UTC was missed"},
		{name: "a window that was missed shortly before the next", state: served(), policy: policy(func(p *rotation.Policy) { p.Window = twice }),
			now: at(90).Add(210 * time.Minute), step: rota.StepCreate, reason: "the window of 2026-04-01 09:00 UTC was missed"},
		{name: "a neighbor that was just rotated", state: with(func(s *rotation.State) {
			s.Peers = []rotation.Peer{{Apart: apart, IssuedAt: at(90).Add(-time.Hour)}}
		}), policy: policy90, now: at(90), next: rota.StepCreate, at: at(90).Add(11 * time.Hour), reason: "must be 12h apart"},
		{name: "a neighbor that is being rotated", state: with(func(s *rotation.State) {
			s.Peers = []rotation.Peer{{Apart: apart, BegunAt: at(90)}}
		}), policy: policy90, now: at(90), next: rota.StepCreate, at: at(90).Add(5 * time.Minute), reason: "being rotated"},
		{name: "a neighbor that is due as well goes first by its name", state: with(func(s *rotation.State) {
			s.Peers = []rotation.Peer{{Apart: apart, IssuedAt: day0, RotateAt: at(90)}}
		}), policy: policy90, now: at(90), next: rota.StepCreate, at: at(90).Add(5 * time.Minute), reason: "goes first"},
		{name: "a neighbor that can't be rotated is not waited for for ever", state: with(func(s *rotation.State) {
			s.Peers = []rotation.Peer{{Apart: apart, IssuedAt: day0, RotateAt: at(89)}}
		}), policy: policy90, now: at(90), step: rota.StepCreate},
		{name: "a paused secret is held", state: with(func(s *rotation.State) { s.Halts.Paused = halt }), policy: policy90, now: at(90),
			hold: rotation.HoldPaused, next: rota.StepCreate, at: at(90).Add(time.Hour), reason: "paused by ann since 2026-03-22 09:00 UTC: audit week"},
		{name: "a person may rotate a paused secret", state: with(func(s *rotation.State) { s.Halts.Paused, s.Force = halt, rota.StepCreate }), policy: policy90, now: at(10), step: rota.StepCreate},
		{name: "nobody may while all is frozen", state: with(func(s *rotation.State) { s.Halts.Frozen, s.Force = halt, rota.StepCreate }), policy: policy90, now: at(10),
			hold: rotation.HoldFrozen, next: rota.StepCreate, at: at(10).Add(time.Hour), reason: "rota thaw"},
		{name: "what has begun is finished while paused", state: with(func(s *rotation.State) {
			s.Halts.Paused, s.Targets = halt, []string{"file"}
		}), policy: policy90, now: at(90), step: rota.StepDeliver},
		{name: "nothing is retired while paused", state: func() rotation.State { s := rotated(never); s.Halts.Paused = halt; return s }(), policy: policy90, now: at(100),
			hold: rotation.HoldPaused, next: rota.StepDeactivate, at: at(100).Add(time.Hour)},
		{name: "of a manual secret that nobody has done", state: manual(time.Time{}), policy: policy90, now: at(1), hold: rotation.HoldManual, next: rota.StepCreate, at: at(2), reason: "rota done s"},
		{name: "a manual secret waits until the reminder", state: manual(day0), policy: policy90, now: at(1), next: rota.StepCreate, at: at(76), reason: "owner: ann"},
		{name: "and then until it is due", state: manual(day0), policy: policy90, now: at(80), next: rota.StepCreate, at: at(90)},
		{name: "a manual secret that is due", state: manual(day0), policy: policy90, now: at(91), hold: rotation.HoldManual, next: rota.StepCreate, at: at(92), reason: "last done on 2026-01-01"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := rotation.Plan(test.state, test.policy, test.now)
			if d.Step != test.step || d.Hold != test.hold || d.Next != test.next || !d.At.Equal(test.at) || !strings.Contains(hint.Add(d.Reason, d.Remedies), test.reason) {
				t.Errorf("got step %q, hold %q, next %q, at %s: %s", d.Step, d.Hold, d.Next, d.At, d.Reason)
			}
		})
	}
}

func TestABlackoutThatPutsNothingOffIsNotNamed(t *testing.T) {
	mondays, err := rotation.ParseWindow("0 9 * * MON", 4*time.Hour, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		window      *rotation.Window
		from, until time.Time
		due         time.Time
	}{
		"it is over long before":       {nil, at(20), at(30), at(90)},
		"the window is closed all day": {mondays, at(92), at(93), time.Date(2026, 4, 6, 9, 0, 0, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy90
			p.Window, p.Blackouts = c.window, []rotation.Blackout{{From: c.from, Until: c.until}}
			if d := rotation.Plan(served(), p, at(25)); !d.At.Equal(c.due) || strings.Contains(d.Reason, "blackout") {
				t.Errorf("at %s: %s", d.At, d.Reason)
			}
		})
	}
}

// A fleet with one policy is spread over the jitter, and none of it grows older
// than the policy says.
func TestJitterSpreadsAFleet(t *testing.T) {
	p := policy90
	p.Jitter = rota.Day
	hours := map[int]int{}
	for i := range 1000 {
		st := served()
		st.Secret = "app-" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		d := rotation.Plan(st, p, at(1))
		if d.At.After(at(90)) || d.At.Before(at(89)) {
			t.Fatalf("%s is rotated at %s", st.Secret, d.At)
		}
		hours[d.At.Hour()]++
	}
	for h := range 24 {
		if hours[h] < 10 || hours[h] > 120 {
			t.Errorf("%d of 1000 are rotated in hour %d: not spread", hours[h], h)
		}
	}
}

// The opening of a window is no stampede, and what is spread stays inside it.
func TestJitterSpreadsAWindow(t *testing.T) {
	w, err := rotation.ParseWindow("0 9 * * MON", 4*time.Hour, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	p := policy90
	p.Jitter, p.Window = rota.Day, w
	seen := map[time.Time]bool{}
	for i := range 100 {
		st := served()
		st.Secret = strings.Repeat("y", i+1)
		d := rotation.Plan(st, p, at(1))
		if !w.Open(d.At).Equal(d.At) {
			t.Fatalf("%s is outside the window", d.At)
		}
		seen[d.At] = true
	}
	if len(seen) < 90 {
		t.Errorf("100 secrets begin at %d moments only", len(seen))
	}
}

func TestCronAcrossClockChanges(t *testing.T) {
	for name, c := range map[string]struct{ spec, after, want string }{
		"a time that is skipped comes after the change": {"30 2 * * *", "2026-03-28 02:00:00Z", "2026-03-29 01:30:00Z"},
		"a time that comes twice is taken once":         {"30 2 * * *", "2026-10-25 00:30:00Z", "2026-10-26 01:30:00Z"},
		"winter":                                        {"0 9 * * *", "2026-01-10 08:00:00Z", "2026-01-11 08:00:00Z"},
		"summer":                                        {"0 9 * * *", "2026-07-10 08:00:00Z", "2026-07-11 07:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := cronAt(t, c.spec, "Europe/Berlin").Next(moment(t, c.after))
			if want := moment(t, c.want); !ok || !got.Equal(want) {
				t.Errorf("after %s comes %s, want %s", c.after, got, want)
			}
		})
	}
}

func TestCronTakesADayOfOneKind(t *testing.T) {
	for spec, want := range map[string]string{
		"0 9 1-7 * *":   "2026-01-01 09:00:00Z",
		"0 9 * * SUN":   "2026-01-04 09:00:00Z",
		"0 9 ? * SUN#2": "2026-01-11 09:00:00Z",
		"0 9 */2 * FRI": "2026-01-09 09:00:00Z", // a field that begins with * restricts together with the other
	} {
		got, ok := cronAt(t, spec, "UTC").Next(moment(t, "2025-12-31 12:00:00Z"))
		if want := moment(t, want); !ok || !got.Equal(want) {
			t.Errorf("%s first comes %s, want %s", spec, got, want)
		}
	}
}

// Whatever the policy, what is due by it is never in a blackout or outside the
// window.
func TestDueIsOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policy90
		p.Jitter = time.Duration(rapid.IntRange(0, 48).Draw(t, "jitter")) * time.Hour
		if rapid.Bool().Draw(t, "window") {
			w, err := rotation.ParseWindow("0 9 * * MON-FRI", time.Duration(rapid.IntRange(1, 12).Draw(t, "for"))*time.Hour, "Europe/Berlin")
			if err != nil {
				t.Fatal(err)
			}
			p.Window = w
		}
		for range rapid.IntRange(0, 4).Draw(t, "blackouts") {
			from := at(rapid.IntRange(80, 120).Draw(t, "from"))
			p.Blackouts = append(p.Blackouts, rotation.Blackout{From: from, Until: from.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "long")) * time.Hour)})
		}
		d := rotation.Plan(served(), p, at(1))
		if !p.Window.Open(d.At).Equal(d.At) {
			t.Fatalf("%s is outside the window", d.At)
		}
		for _, b := range p.Blackouts {
			if !d.At.Before(b.From) && d.At.Before(b.Until) {
				t.Fatalf("%s is in the blackout from %s", d.At, b.From)
			}
		}
		if d := rotation.Plan(served(), p, d.At); d.Step != rota.StepCreate {
			t.Fatalf("at its time it is not due: %s", d.Reason)
		}
	})
}
