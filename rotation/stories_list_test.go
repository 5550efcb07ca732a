package rotation_test

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

var atOnce = rotation.Options{Force: rota.StepCreate}

type story struct {
	name string
	play func(*tale)
}

// stories are all of them.
var stories = slices.Concat(lives, adoptions, endings, rollbacks, oddities, earlyLives, traitLives)

// lives are rotations, and what gets in their way.
var lives = []story{
	{"a key", func(s *tale) { s.turns(0, 90, 10, 10) }},
	{"a password", func(s *tale) { s.password(); s.advance(atOnce); s.turns(90, 10) }},
	{"a pair of passwords", func(s *tale) { s.pair(); s.advance(atOnce); s.turns(90, 10, 10, 70) }},
	{"a key that's rolled back", func(s *tale) { s.turns(0, 90); s.days(5); s.rollback(); s.turns(1, 9, 10); s.advance(atOnce) }},
	{"a password that's rolled back", func(s *tale) { s.password(); s.advance(atOnce); s.turns(90); s.rollback(); s.turns(1) }},
	{"a key that's rolled back on its way", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.faults.Next("store.put", memory.Fault{After: &rota.Error{Class: rota.ClassStop, Err: errors.New("no answer")}})
		s.advance(rotation.Options{})
		s.rollback()
		s.turns(1)
	}},
	{"a key that's adopted", func(s *tale) {
		s.store.Plant("theirs", s.keys.Plant(), rota.LabelCurrent)
		s.days(1)
		s.adopt(rotation.AdoptOptions{NotBefore: at(200)})
		s.adopt(rotation.AdoptOptions{})
		s.turns(10, 190)
	}},
	{"a key that's handed in", func(s *tale) {
		c := s.keys.Plant()
		s.days(1)
		s.adopt(rotation.AdoptOptions{Credential: c})
		s.adopt(rotation.AdoptOptions{Credential: c})
		s.turns(90)
	}},
	{"two keys that are adopted", func(s *tale) {
		s.store.Plant("theirs-1", s.keys.Plant(), rota.LabelPrevious)
		s.days(1)
		s.store.Plant("theirs-2", s.keys.Plant(), rota.LabelCurrent)
		s.days(1)
		s.adopt(rotation.AdoptOptions{})
		s.turns(10, 10)
	}},
	{"a key that isn't there is refused for adoption", func(s *tale) {
		s.store.Plant("theirs", rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "AKIAAAAAAAAAAAAAAAAA", rota.FieldSecretAccessKey: "no"}), rota.LabelCurrent)
		s.adopt(rotation.AdoptOptions{})
	}},
	{"a password that's handed in while another is on its way", func(s *tale) {
		s.password()
		s.advance(atOnce)
		_, inUse, _ := s.store.Read(rota.LabelCurrent)
		s.days(90)
		s.faults.Next("issuer.set", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: errors.New("denied")}})
		s.advance(rotation.Options{})
		s.adopt(rotation.AdoptOptions{})
		s.adopt(rotation.AdoptOptions{Credential: inUse})
		s.turns(1)
	}},
	{"a key whose answer was lost", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.faults.Next("issuer.create", memory.Fault{After: errors.New("connection reset")})
		s.advance(rotation.Options{})
		s.turns(1)
	}},
	{"a key that the user's own test refuses", func(s *tale) {
		s.turns(0)
		s.secret.Checks = []rota.Check{memory.NewCheck("query", func(rota.Credential) error {
			return &rota.Error{Class: rota.ClassRegenerate, Err: errors.New("no rows")}
		}, memory.Options{})}
		s.turns(90, 1)
		s.secret.Checks = nil
		s.turns(1)
	}},
	{"a password that the user's own test refuses", func(s *tale) {
		s.password()
		s.advance(atOnce)
		s.secret.Checks = []rota.Check{memory.NewCheck("query", func(rota.Credential) error {
			return &rota.Error{Class: rota.ClassRegenerate, Err: errors.New("no rows")}
		}, memory.Options{})}
		s.turns(90)
		s.secret.Checks = nil
		s.turns(1)
	}},
	{"a target that's away", func(s *tale) {
		s.turns(0)
		s.days(90)
		for range 8 {
			s.faults.Next("target.deliver", memory.Fault{Before: errors.New("away")})
		}
		s.turns(0, 1, 1)
		s.do("asked to deliver again", func() error { _, err := s.rotator.Redeliver(s.t.Context(), s.secret); return err })
	}},
	{"a key that's active again", func(s *tale) {
		s.turns(0, 90, 10)
		s.outside(func() error {
			for _, k := range s.keys.Keys() {
				if err := s.keys.Reactivate(s.t.Context(), rota.RetireRequest{CredentialID: k.ID}); err != nil {
					return err
				}
			}
			return nil
		})
		s.turns(2, 10)
	}},
	{"a key that's driven", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.driven(false, rota.StepCreate, rota.StepSet, rota.StepTest, rota.StepPromote, rota.StepPromote)
		s.days(20)
		s.driven(false, rota.StepCreate)
	}},
	{"a password that's driven, from somebody else's", func(s *tale) {
		s.password()
		c := rota.NewCredential(map[string]string{rota.FieldUsername: "app", rota.FieldPassword: "theirs 123"})
		s.outside(func() error { return s.secret.Issuer.Set(s.t.Context(), rota.SetRequest{Credential: c}) })
		s.store.Plant("theirs", c, rota.LabelCurrent)
		s.driven(true, rota.StepTest, rota.StepCreate, rota.StepSet, rota.StepTest, rota.StepPromote)
	}},
	{"a key that's driven, after two of somebody else's", func(s *tale) {
		s.store.Plant("theirs-1", s.keys.Plant(), rota.LabelPrevious)
		s.days(1)
		s.store.Plant("theirs-2", s.keys.Plant(), rota.LabelCurrent)
		s.days(30)
		s.driven(true, rota.StepCreate)
	}},
	{"a key whose entry somebody changed on its way", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.faults.Next("store.move", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: errors.New("denied")}})
		s.advance(rotation.Options{})
		_, c, _ := s.store.Read(rota.LabelCurrent)
		s.store.Plant("edited", c, rota.LabelCurrent, rota.LabelAdopted, rota.LabelServed)
		s.turns(1)
	}},
	{"a key in the journal's own store", func(s *tale) { s.keep(); s.turns(0, 90, 10, 10) }},
	{"a key in the journal's own store that's delivered again", func(s *tale) {
		s.keep()
		s.turns(0)
		s.do("asked to deliver again", func() error { _, err := s.rotator.Redeliver(s.t.Context(), s.secret); return err })
	}},
	{"a password in the journal's own store", func(s *tale) {
		s.keep()
		s.password()
		s.advance(atOnce)
		s.turns(90)
		s.rollback()
		s.turns(1)
	}},
	{"a key in the journal's own store, which nothing uses", func(s *tale) {
		s.keep()
		s.secret.Targets, s.secret.Reloaders = nil, nil
		s.turns(0, 90, 10)
	}},
	{"a key in the journal's own store, whose entry somebody changed", func(s *tale) {
		s.keep()
		s.turns(0)
		s.days(90)
		s.keeper.before = func() { // just before the promotion is committed
			_, c, _ := s.store.Read(rota.LabelCurrent)
			s.store.Plant("edited", c, rota.LabelCurrent, rota.LabelAdopted)
		}
		s.turns(0, 1)
	}},
	{"a password that somebody changed", func(s *tale) {
		issuer := memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Now: s.rotator.Now, Faults: s.fault}})
		s.secret.Issuer = issuer
		s.advance(atOnce)
		inUse := issuer.Plant("app", "by hand 1")
		s.turns(1)
		s.adopt(rotation.AdoptOptions{Credential: inUse})
		s.turns(1)
	}},
	{"what's late", func(s *tale) {
		s.turns(0)
		s.days(95)
		s.alert()
		s.alert()
		s.days(1)
		s.alert()
		s.turns(0)
	}},
	{"what only people rotate", func(s *tale) {
		s.password()
		s.secret.Issuer = manualIssuer{s.secret.Issuer}
		s.advance(rotation.Options{})
		s.rotated()
		s.turns(76, 7, 7, 8)
		s.rotated()
		s.advance(atOnce)
	}},
	{"a notifier that's away", func(s *tale) {
		for range 12 {
			s.faults.Next("notifier.notify", memory.Fault{Before: errors.New("away")})
		}
		s.turns(0, 1, 1, 1, 1)
	}},
	{"a previous key that's in use", func(s *tale) {
		s.turns(0, 90)
		s.days(10)
		s.keys.Use(s.keys.Keys()[0].ID)
		s.turns(0, 1, 6)
	}},
	{"a rotation that's requested", func(s *tale) {
		s.turns(0)
		s.days(1)
		s.do("requested", func() error {
			return s.rotator.Request(s.t.Context(), s.secret, "rota-requested", rotation.Entry{Actor: "ann", Step: string(rota.StepCreate)})
		})
		s.turns(0, 1)
	}},
}

// manualIssuer is one that only people can use.
type manualIssuer struct{ rota.Issuer }

func (m manualIssuer) Traits() rota.Traits {
	t := m.Issuer.Traits()
	t.Manual = true
	return t
}

func (s *tale) alert() {
	var late bool
	s.do("asked whether it's late", func() (err error) {
		late, err = s.rotator.Alert(s.t.Context(), s.secret)
		return err
	})
	s.outcomeOf(fmt.Sprintf("late: %t", late))
}

func (s *tale) rotated() {
	s.do("a person has rotated it", func() error { _, err := s.rotator.Done(s.t.Context(), s.secret); return err })
}
