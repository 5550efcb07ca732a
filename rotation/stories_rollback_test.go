package rotation_test

import (
	"errors"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// login makes the secret's issuer a single role whose logins go as a story says.
func (s *tale) login() *login {
	l := &login{Password: memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Now: s.rotator.Now, Faults: s.fault}})}
	l.told = func() { s.called = append(s.called, "issuer.tell") }
	s.secret.Issuer = l
	return l
}

// rollbacks go back to the previous credential, or are refused.
var rollbacks = []story{
	{"a rollback of nothing", func(s *tale) {
		s.rollback()
		s.turns(0)
		s.rollback()
	}},
	{"a rollback to a key that was deactivated", func(s *tale) {
		s.turns(0, 90, 10)
		s.rollback()
		s.turns(1, 10, 10)
	}},
	{"a rollback to a key that was deleted", func(s *tale) {
		s.turns(0, 90, 10, 10)
		s.rollback()
	}},
	{"a rollback to a key that's gone", func(s *tale) {
		s.turns(0, 90)
		s.remove(s.key(0))
		s.rollback()
		s.turns(1)
	}},
	{"a rollback to a key that's gone by then", func(s *tale) {
		s.turns(0, 90)
		s.faults.Next("issuer.reactivate", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: rota.ErrNotFound}})
		s.rollback()
		s.remove(s.key(0))
		s.turns(1, 1)
	}},
	{"a rollback to a key that's locked", func(s *tale) {
		s.turns(0, 90)
		s.secret.Issuer = &seals{AccessKeys: s.keys, locked: map[string]bool{s.key(0): true}}
		s.rollback()
		s.secret.Issuer = &seals{AccessKeys: s.keys, locked: map[string]bool{s.key(1): true}}
		s.rollback()
	}},
	{"a rollback to a token that's inactive", func(s *tale) {
		s.tokens()
		s.turns(0, 90)
		s.switchOff(s.key(0))
		s.rollback()
	}},
	{"a rollback to a key that isn't let in", func(s *tale) {
		s.turns(0, 90)
		keys := &guardedKeys{AccessKeys: s.keys, test: func(string) error { return rota.ErrRefused }}
		s.secret.Issuer = keys
		s.rollback()
		s.turns(0)
		s.rollback()
		keys.test = nil
		s.turns(1)
	}},
	{"a rollback that's asked for twice", func(s *tale) {
		s.turns(0, 90)
		s.faults.Next("store.move", memory.Fault{Before: errDenied})
		s.rollback()
		s.rollback()
		s.turns(1)
	}},
	{"a rollback of a rollback", func(s *tale) {
		s.turns(0, 90, 5)
		s.rollback()
		s.turns(1)
		s.rollback()
		s.turns(1, 10, 10)
	}},
	{"a rollback while a promotion is half done", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.faults.Next("store.move", memory.Fault{After: errDenied})
		s.advance(rotation.Options{})
		s.rollback()
		s.turns(1)
	}},
	{"a rollback before a delivery", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.faults.Next("target.deliver", memory.Fault{Before: errDenied})
		s.advance(rotation.Options{})
		s.rollback()
		s.turns(1)
	}},
	{"a rollback whose versions somebody moves", func(s *tale) {
		s.turns(0, 90)
		s.faults.Next("store.move", memory.Fault{Before: errDenied})
		s.rollback()
		_, c, _ := s.store.Read(rota.LabelCurrent)
		s.store.Plant("theirs", c, rota.LabelCurrent)
		s.turns(1, 1)
	}},
	{"a rollback to a password that isn't let in", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		_, before, _ := s.store.Read(rota.LabelCurrent)
		s.turns(90)
		l.test = func(c rota.Credential) error {
			if c.Equal(before) || !l.Login(c) {
				return rota.ErrRefused
			}
			return nil
		}
		s.rollback()
		s.turns(1)
		s.rollback()
	}},
	{"a rollback to a password that's rejected, and the server is away", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		_, before, _ := s.store.Read(rota.LabelCurrent)
		s.turns(90)
		l.test = func(c rota.Credential) error {
			if c.Equal(before) || !l.Login(c) {
				return rota.ErrRefused
			}
			return nil
		}
		s.faults.Next("issuer.set", memory.Fault{})
		for range 3 {
			s.faults.Next("issuer.set", memory.Fault{Before: errors.New("away")})
		}
		s.rollback()
		s.turns(0, 1)
	}},
	{"a rollback to a password that's rejected, and somebody sets another", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		_, before, _ := s.store.Read(rota.LabelCurrent)
		s.turns(90)
		l.test = func(c rota.Credential) error {
			if c.Equal(before) {
				l.Plant("app", "by hand 1")
			}
			if !l.Login(c) {
				return rota.ErrRefused
			}
			return nil
		}
		l.inForce = func(c rota.Credential) (bool, bool) { return l.Login(c), true }
		s.rollback()
		s.turns(1)
	}},
	{"a rollback to a password while a target isn't ready", func(s *tale) {
		s.password()
		s.advance(atOnce)
		s.turns(90)
		p := &picky{Target: s.target, finding: rota.Finding{Check: "it can be written", Detail: "it's a folder", Remedies: rota.Outside("remove the folder")}}
		s.secret.Targets = append(s.secret.Targets, p)
		s.rollback()
		s.turns(1)
		p.finding.OK = true
		s.rollback()
	}},
	{"a rollback of a pair of passwords", func(s *tale) {
		s.pair()
		s.advance(atOnce)
		s.turns(90, 10)
		s.rollback()
		s.turns(1, 10, 10)
	}},
	{"a password whose setting gets no answer", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		s.days(90)
		l.inForce = func(c rota.Credential) (bool, bool) { return l.Login(c), true }
		s.faults.Next("issuer.set", memory.Fault{After: errors.New("connection reset")})
		s.advance(rotation.Options{})
		s.turns(1)
	}},
	{"a password whose test gets no answer", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		_, before, _ := s.store.Read(rota.LabelCurrent)
		s.days(90)
		l.test = func(c rota.Credential) error {
			if c.Equal(before) {
				return nil
			}
			return errors.New("too many connections")
		}
		s.advance(rotation.Options{})
		s.turns(1)
		l.inForce = func(c rota.Credential) (bool, bool) { return l.Login(c), true }
		s.turns(1)
	}},
	{"a password that somebody changed after its test", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		s.days(90)
		s.faults.Next("store.move", memory.Fault{Before: errDenied})
		s.advance(rotation.Options{})
		l.Plant("app", "by hand 1")
		s.turns(0, 1)
		s.asked(rota.StepCreate)
	}},
	{"a driven password that isn't let in", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		_, before, _ := s.store.Read(rota.LabelCurrent)
		s.days(90)
		l.test = func(c rota.Credential) error {
			if c.Equal(before) && l.Login(c) {
				return nil
			}
			return rota.ErrRefused
		}
		s.driven(false, rota.StepCreate, rota.StepSet, rota.StepTest, rota.StepSet, rota.StepTest)
		s.turns(1)
	}},
}
