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

// What status promises and what the plan shows come from the same rules: a date
// on which a hold begins isn't announced as a date on which something happens.
func TestAWaitSaysIfItWillBeHeld(t *testing.T) {
	notReporting := func(st rotation.State) rotation.State { st.ReportsNoUse = true; return st }
	undone := func(st rotation.State) rotation.State { st.Progress.RolledBackAt = at(92); return st }
	lone := served()
	lone.Traits, lone.Issued = pgLike, []rota.Issued{{ID: "A", Active: true}}
	stranger := served()
	stranger.Issued = append(slices.Clone(stranger.Issued), rota.Issued{ID: "X", Active: true, Use: never})
	paused := served()
	paused.Halts.Paused = &rotation.Halt{By: "ann", At: day0}
	used := rota.Use{Evidence: rota.EvidenceRecorded, At: at(90)}
	for _, test := range []struct {
		name   string
		state  rotation.State
		now    time.Time
		next   rota.Step
		remedy rota.RemedyAction // none: it's a promise
	}{
		{name: "a rotation that nothing stops", state: served(), now: at(1), next: rota.StepCreate},
		{name: "a rotation after a rollback", state: undone(lone), now: at(60), next: rota.StepCreate, remedy: rota.RemedyRotate},
		{name: "a rotation while a stranger has the last place", state: stranger, now: at(1), next: rota.StepCreate, remedy: rota.RemedyOutside},
		{name: "a rotation that's paused, which status shows itself", state: paused, now: at(1), next: rota.StepCreate},
		{name: "a deactivation that the issuer can prove harmless", state: rotated(used), now: at(95), next: rota.StepDeactivate},
		{name: "a deactivation that it can't", state: notReporting(rotated(rota.Use{})), now: at(95), next: rota.StepDeactivate, remedy: rota.RemedyDeactivate},
		{name: "a deletion that it can't", state: notReporting(undeactivatable(rota.Use{})), now: at(95), next: rota.StepDelete, remedy: rota.RemedyDelete},
		{name: "a deletion that waits for a permission", state: undeactivatable(rota.Use{}), now: at(95), next: rota.StepDelete, remedy: rota.RemedyOutside},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := rotation.Plan(test.state, policy90, test.now)
			if d.Step != rota.StepNone || d.Hold != rotation.HoldNone || d.Next != test.next || !d.At.After(test.now) {
				t.Fatalf("it doesn't wait for %s: %+v", test.next, d)
			}
			if warned := strings.HasPrefix(d.Reason, "it will be held then: "); warned != (test.remedy != "") {
				t.Errorf("it says %q", d.Reason)
			}
			if test.remedy == "" && len(d.Remedies) > 0 || test.remedy != "" && (len(d.Remedies) == 0 || d.Remedies[0].Action != test.remedy) {
				t.Errorf("remedies %v, want %q", d.Remedies, test.remedy)
			}
			for p := range rotation.Project(test.state, policy90, test.now, at(400)) {
				held := p.Decision.Hold != rotation.HoldNone && p.Decision.Hold != rotation.HoldPaused
				if held != (test.remedy != "") {
					t.Errorf("the plan says %q on day %v", p.Decision.Reason, p.At.Sub(day0)/rota.Day)
				}
				break
			}
		})
	}
}

// quietTokens are tokens whose issuer can neither deactivate them nor say whether
// one is in use.
type quietTokens struct {
	rota.Issuer
	rota.Lister
}

// Where the issuer can never know, a person can, and Rota does what they ask.
func TestAPersonRetiresWhatTheIssuerCantProveUnused(t *testing.T) {
	b := newTokens(t)
	tokens := memory.NewTokens(memory.AccessKeysOptions{Options: memory.Options{Now: func() time.Time { return b.now }, Faults: b.faults.Fault}})
	b.keys, b.secret.Issuer = tokens.All, quietTokens{tokens, tokens}
	b.advance(t, rotation.Options{})
	b.days(90)
	if res := b.advance(t, rotation.Options{}); res.Last.Next != rota.StepDelete || !strings.Contains(res.Status.Reason, "it will be held then") || res.Status.Remedies[0].Action != rota.RemedyDelete {
		t.Errorf("after the rotation it says %s, %q with %v", res.Last.Next, res.Status.Reason, res.Status.Remedies)
	}
	b.days(20)
	if res := b.advance(t, rotation.Options{}); res.Last.Hold != rotation.HoldStillActive || res.Last.Remedies[0].Action != rota.RemedyDelete {
		t.Fatalf("unasked it says %q with %v", res.Last.Reason, res.Last.Remedies)
	}
	res := b.advance(t, rotation.Options{Force: rota.StepDelete})
	if steps(res) != "delete" || len(b.keys.Keys()) != 1 || !strings.Contains(res.Done[0].Reason, "can't say whether it's used") {
		t.Errorf("asked to delete it did %q (%v)", steps(res), res.Done)
	}
}
