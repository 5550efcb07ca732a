package rotation_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// interrupted is a secret of which an adoption stopped after the credential was
// stored, and the key that's in use.
func interrupted(t *testing.T) (*bench, rota.Credential) {
	t.Helper()
	b := newBench(t)
	used := b.keys.Plant()
	b.days(1)
	b.faults.Next("store.move", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: rota.ErrConflict}})
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: used}); err == nil {
		t.Fatal("the adoption wasn't interrupted")
	}
	return b, used
}

func TestAnInterruptedAdoptionTakesNothingAway(t *testing.T) {
	half := rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "half of it"})
	for name, end := range map[string]func(*bench) error{
		"given up by a person": func(b *bench) error {
			_, err := b.rotator.Rollback(t.Context(), b.secret)
			return err
		},
		"given up by a person who put an entry of their own": func(b *bench) error {
			b.store.Plant("by-hand", half, rota.LabelCurrent)
			_, err := b.rotator.Rollback(t.Context(), b.secret)
			return err
		},
		"refused by the user's own test": func(b *bench) error {
			b.secret.Checks = append(b.secret.Checks, memory.NewCheck("check", func(rota.Credential) error { return rota.ErrConflict }, memory.Options{}))
			for range 8 {
				b.days(1)
				_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{}) // fails until it's given up
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, used := interrupted(t)
			if err := end(b); err != nil {
				t.Fatal(err)
			}
			if !b.keys.Login(used) {
				t.Error("the key in use doesn't log in any more")
			}
			if v, _, ok := b.store.Read(rota.LabelPending); ok {
				t.Errorf("%s is still AWSPENDING", v)
			}
		})
	}
}

func TestAnInterruptedAdoptionIsRepeatedOrFinished(t *testing.T) {
	b, used := interrupted(t)
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: used}); err != nil {
		t.Error(err)
	}
	if _, c, _ := b.store.Read(rota.LabelCurrent); !c.Equal(used) {
		t.Error("repeated: the key in use isn't current")
	}
	b, used = interrupted(t)
	if got := steps(b.advance(t, rotation.Options{})); got != "test promote deliver reload" {
		t.Errorf("the next turn did %q", got)
	}
	if _, c, _ := b.store.Read(rota.LabelCurrent); !c.Equal(used) || !b.keys.Login(used) {
		t.Error("finished: the key in use isn't current")
	}
}

// What an interrupted adoption left is dropped only once that's written down.
func TestNothingIsDroppedThatIsntWrittenDown(t *testing.T) {
	for n := 0; ; n++ {
		b, used := interrupted(t)
		saves, struck := 0, false
		b.strike = func(c memory.Call) memory.Fault {
			switch {
			case c.Op == "journal.save" && saves == n:
				struck = true
			case c.Op == "journal.save":
				saves++
			case struck && (c.Op == "store.move" || c.Op == "store.put"):
				t.Errorf("after save %d failed, it called %s", n, c.Op)
			}
			if struck {
				return memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: errors.New("no space left")}}
			}
			return memory.Fault{}
		}
		_, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: used})
		if !struck {
			if err != nil || n == 0 {
				t.Errorf("without a fault: %v, after %d saves", err, n)
			}
			return
		}
	}
}

// Consumers have had an adopted credential since the store was changed last, or at the
// latest since now.
func TestSinceWhenAnAdoptedCredentialIsServed(t *testing.T) {
	for name, since := range map[string]time.Duration{"the store says": -rota.Day, "the store doesn't say": 0, "the store's clock is ahead": 0} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			key := b.keys.Plant()
			b.days(2)
			b.store.Plant("by-hand", key, rota.LabelCurrent)
			switch name {
			case "the store says":
				b.days(1)
			case "the store doesn't say":
				b.days(1)
				b.secret.Store = undated{b.store}
			default:
				b.days(-1)
			}
			if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{}); err != nil {
				t.Fatal(err)
			}
			if vp := b.progress(t).Versions["by-hand"]; !vp.ServedAt.Equal(b.now.Add(since)) || !vp.PromotedAt.Equal(vp.ServedAt) {
				t.Errorf("it's served since %s, promoted since %s, and it's %s", vp.ServedAt, vp.PromotedAt, b.now)
			}
		})
	}
}

// The mark of one that was adopted earlier goes along when another is handed in.
func TestHandingInAnotherKeepsTheMarkOfTheOneBefore(t *testing.T) {
	b := newBench(t)
	first := b.keys.Plant()
	b.store.Plant("by-hand", first, rota.LabelCurrent)
	b.adopted(t)
	b.days(1)
	second := b.keys.Plant()
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: second}); err != nil {
		t.Fatal(err)
	}
	for label, want := range map[rota.Label]rota.Credential{rota.LabelAdoptedPrevious: first, rota.LabelPrevious: first, rota.LabelAdopted: second, rota.LabelCurrent: second} {
		if _, c, _ := b.store.Read(label); !c.Equal(want) {
			t.Errorf("%s is on %s", label, c.Field(rota.FieldAccessKeyID))
		}
	}
}
