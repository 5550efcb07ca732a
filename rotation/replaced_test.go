package rotation_test

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// TestAReplacedCredentialIsNotTakenForANewOne puts AWSPENDING by hand on a
// version that was current.
func TestAReplacedCredentialIsNotTakenForANewOne(t *testing.T) {
	for name, alone := range map[string]bool{"beside AWSPREVIOUS": false, "alone": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.advance(t, rotation.Options{})
			b.days(90)
			b.advance(t, rotation.Options{})
			contents, err := b.store.Describe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			replaced, _ := rota.Find(contents.Versions, rota.LabelPrevious)
			b.move(t, rota.LabelPending, "", replaced.ID)
			if alone {
				b.move(t, rota.LabelPrevious, replaced.ID, "")
			}
			current := "AWSCURRENT=" + b.keys.Keys()[1].ID
			for _, o := range []rotation.Options{{}, {Force: rota.StepCreate}} {
				res := b.advance(t, o)
				if steps(res) != "" || res.Last.Hold != rotation.HoldForeignChange || !strings.Contains(res.Last.Reason, replaced.ID) {
					t.Errorf("the turn did %q and then: %s", steps(res), res.Last.Reason)
				}
				if len(res.Last.Remedies) != 1 || res.Last.Remedies[0].Verb != rota.VerbUnlabel {
					t.Errorf("remedies %v", res.Last.Remedies)
				}
			}
			if got := labels(t, b.store); !strings.Contains(got, current) {
				t.Errorf("labels %s, want %s", got, current)
			}
			b.move(t, rota.LabelPending, replaced.ID, "")
			if res := b.advance(t, rotation.Options{}); res.Last.Hold != rotation.HoldNone {
				t.Errorf("without the label: %s", res.Last.Reason)
			}
		})
	}
}

func (b *bench) move(t *testing.T, l rota.Label, from, to string) {
	t.Helper()
	if err := b.store.Move(t.Context(), rota.MoveRequest{Label: l, From: from, To: to}); err != nil {
		t.Fatal(err)
	}
}
