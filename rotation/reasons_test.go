package rotation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// The audit and the events repeat these reasons, so they have to be true.
func TestReasonsSayWhoAskedAndWhatIsKnown(t *testing.T) {
	asked := func(st rotation.State, step rota.Step) rotation.State {
		st.Force, st.Requested, st.By = step, step, "ann@example"
		return st
	}
	off := func(st rotation.State) rotation.State {
		st.Issued[0].Active = false
		st.Progress.Versions["rota-1"] = rotation.VersionProgress{DeactivatedAt: at(92)}
		return st
	}
	with := func(st rotation.State, f func(*rotation.State)) rotation.State { f(&st); return st }
	foreign := rota.Issued{ID: "X", Active: true, CreatedAt: at(3), Use: never}
	for _, test := range []struct {
		name  string
		state rotation.State
		now   time.Time
		want  string
	}{
		{"rotated ahead of its date", asked(served(), rota.StepCreate), at(1), "asked for by ann@example"},
		{"rotated ahead of its date by nobody known", with(served(), func(s *rotation.State) { s.Force = rota.StepCreate }), at(1), "asked for"},
		{"deactivated early", asked(rotated(never), rota.StepDeactivate), at(91), "asked for by ann@example before its grace period was over, and nobody uses it"},
		{"deactivated by hand when it was due", asked(rotated(never), rota.StepDeactivate), at(100), "asked for by ann@example, and nobody uses it"},
		{"deactivated by the policy", rotated(never), at(100), "its grace period is over, and nobody uses it"},
		{"deactivated by someone else", with(rotated(never), func(s *rotation.State) { s.Issued[0].Active = false }), at(100), "its grace period is over, and it is inactive at the issuer already"},
		{"deleted by someone else", with(rotated(never), func(s *rotation.State) { s.Issued = s.Issued[1:] }), at(100), "its grace period is over, and it is not at the issuer any more"},
		{"deactivated where nothing can be listed", with(rotated(never), func(s *rotation.State) { s.Lists, s.Listed, s.Issued = false, false, nil }), at(100),
			"its grace period is over, and the issuer can't say whether it's used"},
		{"deleted early", asked(off(rotated(never)), rota.StepDelete), at(93), "asked for by ann@example before its second grace period was over; inactive since 2026-04-03 09:00 UTC"},
		{"deleted by the policy", off(rotated(never)), at(110), "inactive since 2026-04-03 09:00 UTC, and its second grace period is over"},
		{"an active one deleted early", asked(with(rotated(never), func(s *rotation.State) { s.CanDeactivate = false }), rota.StepDelete), at(93),
			"asked for by ann@example before its grace periods were over, and nobody uses it"},
		{"a place taken by a stranger", with(served(), func(s *rotation.State) { s.Issued = append(s.Issued, foreign) }), at(90),
			"hold: all 2 places are taken: A, X; Rota neither made nor adopted X"},
		{"a place taken by what a canceled rotation made", with(served(), func(s *rotation.State) {
			s.Issued = append(s.Issued, foreign)
			s.Contents.Versions = append(s.Contents.Versions, rota.Version{ID: "9e1f", Labels: []rota.Label{rota.LabelMade("9e1f")}, CredentialID: "X"})
		}), at(90), "hold: all 2 places are taken: A, X; the rotation that made X was canceled, so Rota can't know who uses it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if d := rotation.Plan(test.state, policy90, test.now); d.Reason != test.want {
				t.Errorf("got %q, want %q", d.Reason, test.want)
			}
		})
	}
}

func TestTheAuditNamesWhoAskedForWhatATurnDoesLater(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.days(40)
	if err := b.ask(t, token); err != nil {
		t.Fatal(err)
	}
	b.advance(t, rotation.Options{})
	if !slices.ContainsFunc(b.journal.Entries(), func(e rotation.Entry) bool {
		return e.Step == string(rota.StepCreate) && e.Version == token && e.Detail == "asked for by ci"
	}) {
		t.Errorf("no entry says who asked: %+v", b.journal.Entries())
	}
}

func TestTheAuditSaysWhatBecameOfAStepWhoseProcessDied(t *testing.T) {
	for _, test := range []struct{ name, op, step, want string }{
		{"before the call", "target.deliver", "deliver", "it is done again"},
		{"while the consumers are reloaded", "reloader.reload", "reload", "it is done again"},
		{"while the store takes the label", "store.move", "promote", "it is done again"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			b.faults.Next(test.op, memory.Fault{Crash: true})
			crash(t, func() { _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); t.Error(err) })
			b.now = b.now.Add(2 * time.Hour) // the lease has expired
			b.advance(t, rotation.Options{})
			var outcomes, said []string
			for _, e := range b.journal.Entries() {
				if e.Step == test.step {
					outcomes = append(outcomes, string(e.Outcome))
				}
				if e.Outcome == rotation.OutcomeInterrupted {
					said = append(said, e.Detail)
				}
			}
			if got := strings.Join(outcomes, " "); got != "begun interrupted begun ok" {
				t.Errorf("the outcomes are %s", got)
			}
			if len(said) != 1 || !strings.HasSuffix(said[0], test.want) {
				t.Errorf("it says %q", said)
			}
			if p := b.progress(t); len(p.InFlight) > 0 {
				t.Errorf("still in flight: %+v", p.InFlight)
			}
			b.days(90)
			b.advance(t, rotation.Options{})
			for _, e := range b.journal.Entries()[len(b.journal.Entries())-4:] {
				if e.Outcome == rotation.OutcomeInterrupted {
					t.Errorf("a turn that ended by itself counts as interrupted: %+v", e)
				}
			}
		})
	}
}
