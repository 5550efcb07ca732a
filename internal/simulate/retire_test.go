package simulate

import (
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// subjectWith returns a secret of the first world that has such a one.
func subjectWith(t *testing.T, has func(*subject) bool) *subject {
	t.Helper()
	for seed := range uint64(50) {
		w, err := newWorld(Options{Seed: seed, Days: 60}.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range w.subjects {
			if has(s) {
				return s
			}
		}
	}
	t.Fatal("no world has such a secret")
	return nil
}

func TestARoleThatAPersonTurnedOffIsDead(t *testing.T) {
	s := subjectWith(t, func(s *subject) bool { return s.alt != nil })
	s.quietly(func() {
		s.plantRole("app_b")
		s.putByHand(s.people.made)
	})
	if version := s.truth.current; s.isDead(version) {
		t.Error("it's dead while it can log in")
	}
	s.quietly(func() { s.switchOff("app_b") })
	if version := s.truth.current; !s.isDead(version) {
		t.Error("it isn't dead, though it can't log in any more")
	}
}

func TestOnlyWhatCanBeReactivatedHasASecondGrace(t *testing.T) {
	for name, tokens := range map[string]bool{"a token": true, "a key": false} {
		t.Run(name, func(t *testing.T) {
			s := subjectWith(t, func(s *subject) bool {
				return s.keys != nil && s.tokens == tokens && len(s.keys.Keys()) < s.traits.Limit
			})
			s.policy = rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 10 * rota.Day, DeletePreviousAfter: 20 * rota.Day}
			var id string
			s.quietly(func() {
				c := s.keys.Plant()
				id = s.keys.CredentialID(c)
				s.store.Plant("rota-1", c, rota.LabelPrevious)
				s.switchOff(id)
			})
			s.truth.mine[id], s.worker = true, &worker{force: rota.StepCreate}
			s.checkDelete(id)
			if broken := s.w.broken != nil; broken == tokens {
				t.Errorf("to delete it breaks a rule: %t (%v)", broken, s.w.broken)
			}
		})
	}
}
