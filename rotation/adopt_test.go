package rotation_test

import (
	"testing"

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
