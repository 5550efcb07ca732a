package rotation_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// Each alternative that a dead end names, followed to its end: afterwards the
// current credential logs in, and consumers have it.
func TestEveryWayOutOfADeadEndLeadsOut(t *testing.T) {
	type world struct {
		*bench
		login func(rota.Credential) bool
	}
	access := func(t *testing.T) world {
		b := newBench(t)
		b.advance(t, rotation.Options{})
		b.days(90)
		b.advance(t, rotation.Options{})
		return world{b, b.keys.Login}
	}
	pair := func(t *testing.T) (world, *memory.Alternating) {
		b := newBench(t)
		alt := memory.NewAlternating("app_a", "app_b", memory.RolesOptions{Options: memory.Options{Now: b.rotator.Now}})
		b.secret.Issuer = alt
		b.advance(t, rotation.Options{Force: rota.StepCreate})
		return world{b, alt.Login}, alt
	}
	current := func(b *bench) rota.Credential {
		_, c, _ := b.store.Read(rota.LabelCurrent)
		return c
	}
	off := func(t *testing.T, b *bench, remove bool) {
		for _, k := range b.keys.Keys() {
			object := rota.RetireRequest{CredentialID: k.ID}
			if err := b.keys.Deactivate(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			if remove {
				if err := b.keys.Delete(t.Context(), object); err != nil {
					t.Fatal(err)
				}
			}
		}
		b.days(1)
	}
	for _, end := range []struct {
		name string
		// given makes the dead end, and returns the credential in use, if any.
		given func(t *testing.T) (world, rota.Credential)
		ways  int // of those that an operator can carry out
	}{
		{"both keys are inactive", func(t *testing.T) (world, rota.Credential) {
			w := access(t)
			off(t, w.bench, false)
			return w, rota.Credential{}
		}, 2},
		{"both keys are gone", func(t *testing.T) (world, rota.Credential) {
			w := access(t)
			off(t, w.bench, true)
			return w, rota.Credential{}
		}, 1},
		{"the entry holds half a key", func(t *testing.T) (world, rota.Credential) {
			w := access(t)
			c := current(w.bench)
			w.store.Plant("by-hand", rota.NewCredential(map[string]string{rota.FieldAccessKeyID: c.Field(rota.FieldAccessKeyID)}), rota.LabelCurrent)
			w.days(1)
			return w, c
		}, 2},
		{"the other role of a pair can log in", func(t *testing.T) (world, rota.Credential) {
			w, alt := pair(t)
			other := "app_a"
			if current(w.bench).Field(rota.FieldUsername) == other {
				other = "app_b"
			}
			alt.Plant(other, "made by hand 1")
			w.days(90)
			return w, current(w.bench)
		}, 1},
		{"consumers can't pick up a dead credential", func(t *testing.T) (world, rota.Credential) {
			w := access(t)
			w.secret.Reloaders = []rota.Reloader{memory.NewReloader("app", func(rota.ReloadRequest) error {
				if !w.keys.Login(current(w.bench)) {
					return errors.New("the consumer can't log in")
				}
				return nil
			}, memory.Options{})}
			if err := w.keys.Deactivate(t.Context(), rota.RetireRequest{CredentialID: w.keys.CredentialID(current(w.bench))}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.rotator.Redeliver(t.Context(), w.secret); err == nil {
				t.Fatal("it was picked up")
			}
			w.days(1)
			return w, rota.Credential{}
		}, 2},
		{"consumers of a pair can't pick up a password that was changed, and the other role is off", func(t *testing.T) (world, rota.Credential) {
			w, alt := pair(t)
			w.days(30)
			w.advance(t, rotation.Options{Force: rota.StepCreate})
			for !strings.Contains(steps(w.advance(t, rotation.Options{})), "deactivate") {
				w.days(1)
			}
			w.secret.Reloaders = []rota.Reloader{memory.NewReloader("app", func(rota.ReloadRequest) error {
				if !w.login(current(w.bench)) {
					return errors.New("the consumer can't log in")
				}
				return nil
			}, memory.Options{})}
			inUse := alt.Plant(alt.CredentialID(current(w.bench)), "made by hand 1")
			if _, err := w.rotator.Redeliver(t.Context(), w.secret); err == nil {
				t.Fatal("it was picked up")
			}
			w.days(1)
			if err := w.target.Deliver(t.Context(), rota.DeliverRequest{Secret: w.secret.Name, Version: "by-hand", Credential: inUse}); err != nil {
				t.Fatal(err)
			}
			return w, inUse
		}, 2},
		{"a rollback can't succeed", func(t *testing.T) (world, rota.Credential) {
			w := access(t)
			_, previous, _ := w.store.Read(rota.LabelPrevious)
			off(t, w.bench, false)
			object := rota.RetireRequest{CredentialID: w.keys.CredentialID(previous)}
			if err := w.keys.Delete(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			if _, err := w.rotator.Rollback(t.Context(), w.secret); err == nil || len(rota.RemediesOf(err)) == 0 {
				t.Fatalf("a rollback to a key that is gone: %v", err)
			}
			return w, rota.Credential{}
		}, 2},
	} {
		t.Run(end.name, func(t *testing.T) {
			ways := 0
			for alternative := range 4 {
				t.Run(fmt.Sprint("alternative ", alternative), func(t *testing.T) {
					w, inUse := end.given(t)
					if !(testenv.Operator{Rotator: w.rotator, Secret: w.secret, InUse: inUse, Wait: func() { w.days(1) }}).LeadOut(t, alternative) {
						return
					}
					ways++
					if c := current(w.bench); !w.login(c) {
						t.Error("the current credential doesn't log in")
					} else if d, ok := w.target.Current(); !ok || !d.Credential.Equal(c) {
						t.Error("consumers don't have it")
					}
				})
			}
			if ways != end.ways {
				t.Errorf("%d ways lead out, want %d", ways, end.ways)
			}
		})
	}
}

// A new key needs the place of the previous one, which is off, even though the key
// that's current isn't Rota's.
func TestADeadKeyOfSomebodyElseIsReplaced(t *testing.T) {
	for _, removed := range []bool{false, true} {
		t.Run(fmt.Sprint("removed ", removed), func(t *testing.T) {
			b := newBench(t)
			b.advance(t, rotation.Options{})
			b.store.Plant("by-hand", b.keys.Plant(), rota.LabelCurrent)
			for _, k := range b.keys.Keys() {
				if err := b.keys.Deactivate(t.Context(), rota.RetireRequest{CredentialID: k.ID}); err != nil {
					t.Fatal(err)
				}
			}
			if _, theirs, _ := b.store.Read(rota.LabelCurrent); removed {
				if err := b.keys.Delete(t.Context(), rota.RetireRequest{CredentialID: b.keys.CredentialID(theirs)}); err != nil {
					t.Fatal(err)
				}
				b.keys.Plant()
			}
			b.days(1)

			makePlace := rota.Remedy{Action: rota.RemedyDelete, Secret: b.secret.Name, Text: "for a place", Then: rota.RemedyRotate}
			if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{}); !slices.Contains(rota.RemediesOf(err), makePlace) {
				t.Errorf("adopting it: %v, and the remedies are %v, want %v among them", err, rota.RemediesOf(err), makePlace)
			}
			if res := b.advance(t, rotation.Options{Force: rota.StepCreate}); !slices.Contains(res.Last.Remedies, makePlace) {
				t.Errorf("rotating it: %s, and the remedies are %v, want %v among them", res.Last.Reason, res.Last.Remedies, makePlace)
			}
			b.advance(t, rotation.Options{Force: rota.StepDelete})
			b.advance(t, rotation.Options{Force: rota.StepCreate})
			version, c, _ := b.store.Read(rota.LabelCurrent)
			if version == "by-hand" || !b.keys.Login(c) {
				t.Errorf("%s is current, and logs in: %t", version, b.keys.Login(c))
			} else if d, ok := b.target.Current(); !ok || !d.Credential.Equal(c) {
				t.Error("consumers don't have it")
			}
		})
	}
}
