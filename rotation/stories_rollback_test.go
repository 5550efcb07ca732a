package rotation_test

import (
	"context"
	"errors"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// login makes the secret's issuer a single role whose logins go as a story says.
func (s *tale) login() *login {
	l := &login{Password: memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Now: s.rotator.Now, Faults: s.fault}})}
	l.told = func() error { return s.fault(memory.Call{Op: "issuer.tell"}).Before }
	s.secret.Issuer = l
	return l
}

// away has calls get no answer, after some that do.
func (s *tale) away(op string, after, n int) {
	for i := range after + n {
		f := memory.Fault{}
		if i >= after {
			f.Before = errors.New("away")
		}
		s.faults.Next(op, f)
	}
}

// tellingPair are two roles whose passwords in force the issuer knows.
type tellingPair struct {
	*memory.Alternating
	test error
}

func (p *tellingPair) Test(ctx context.Context, r rota.TestRequest) error {
	if p.test != nil {
		return p.test
	}
	return p.Alternating.Test(ctx, r)
}

func (p *tellingPair) InForce(_ context.Context, c rota.Credential) (inForce, known bool, err error) {
	return p.Login(c), true, nil
}

// hiddenRole is a single role that may have lost its password, or be locked.
type hiddenRole struct {
	listedRole
	hidden bool
	unlock string
}

func (h *hiddenRole) List(ctx context.Context) ([]rota.Issued, error) {
	list, err := h.listedRole.List(ctx)
	if h.hidden {
		list = nil
	}
	for i := range list {
		list[i].Active, list[i].Unlock = list[i].Active && h.unlock == "", h.unlock
	}
	return list, err
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
	{"a rollback to a key while a target isn't ready", func(s *tale) {
		s.turns(0, 90)
		s.secret.Targets = append(s.secret.Targets, &picky{Target: s.target, finding: rota.Finding{Check: "it can be written", Detail: "it's a folder"}})
		s.rollback()
	}},
	{"a rollback to a password of a role that has none", func(s *tale) {
		l := &hiddenRole{listedRole{memory.NewPassword("app", memory.RolesOptions{Options: s.options()})}, false, ""}
		s.secret.Issuer = l
		s.advance(atOnce)
		s.turns(90)
		l.hidden = true
		s.rollback()
	}},
	{"a rollback to a password of a role that's locked", func(s *tale) {
		l := &hiddenRole{listedRole{memory.NewPassword("app", memory.RolesOptions{Options: s.options()})}, false, ""}
		s.secret.Issuer = l
		s.advance(atOnce)
		s.turns(90)
		l.unlock = "unlock it"
		s.rollback()
		s.turns(1)
	}},
	{"a rollback that a shutdown interrupts", func(s *tale) {
		s.login()
		s.advance(atOnce)
		s.turns(90)
		s.stops = "issuer.set"
		s.rollback()
		s.stops = ""
		s.turns(0, 1)
	}},
	{"a rotation that a shutdown interrupts", func(s *tale) {
		s.login()
		s.advance(atOnce)
		s.days(90)
		s.stops = "issuer.set"
		s.advance(rotation.Options{})
		s.stops = "store.move"
		s.turns(0)
		s.stops = ""
		s.turns(0)
	}},
	{"a rollback whose last answer was lost, and then it isn't let in", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		s.turns(90)
		s.faults.Next("store.move", memory.Fault{After: errDenied})
		s.rollback()
		l.test = func(rota.Credential) error { return rota.ErrRefused }
		s.turns(0)
		l.test = nil
		s.turns(0, 1)
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
	{"a first password whose setting gets no answer", func(s *tale) {
		s.login()
		s.faults.Next("issuer.set", memory.Fault{After: errors.New("connection reset")})
		s.advance(atOnce)
		s.turns(1)
	}},
	{"a password whose setting gets no answer, and then is denied", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		s.days(90)
		l.inForce = func(c rota.Credential) (bool, bool) { return l.Login(c), true }
		s.faults.Next("issuer.set", memory.Fault{Before: errors.New("connection reset")})
		s.advance(rotation.Options{})
		s.days(1)
		s.faults.Next("issuer.set", memory.Fault{Before: errDenied})
		s.advance(rotation.Options{})
		s.days(1)
		s.faults.Next("issuer.set", memory.Fault{Before: errDenied})
		s.advance(rotation.Options{})
		s.turns(0, 1)
	}},
	{"a password that's given up, and a person puts the old one back", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		_, before, _ := s.store.Read(rota.LabelCurrent)
		s.days(90)
		l.inForce = func(c rota.Credential) (bool, bool) { return l.Login(c), true }
		s.secret.Checks = []rota.Check{memory.NewCheck("query", func(c rota.Credential) error {
			if !c.Equal(before) {
				return errDenied
			}
			return nil
		}, memory.Options{})}
		s.away("issuer.set", 1, 3)
		s.advance(rotation.Options{})
		l.Plant("app", before.Field(rota.FieldPassword))
		s.turns(0, 1)
	}},
	{"a password that's given up, and a person sets another", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		_, before, _ := s.store.Read(rota.LabelCurrent)
		s.days(90)
		l.inForce = func(c rota.Credential) (bool, bool) { return l.Login(c), true }
		s.secret.Checks = []rota.Check{memory.NewCheck("query", func(c rota.Credential) error {
			if !c.Equal(before) {
				return errDenied
			}
			return nil
		}, memory.Options{})}
		s.away("issuer.set", 1, 3)
		s.advance(rotation.Options{})
		l.Plant("app", "by hand 1")
		s.turns(0, 1)
	}},
	{"a rollback to a password that's rejected, and a person puts the current one back", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		_, before, _ := s.store.Read(rota.LabelCurrent)
		s.turns(90)
		_, current, _ := s.store.Read(rota.LabelCurrent)
		l.test = func(c rota.Credential) error {
			if c.Equal(before) || !l.Login(c) {
				return rota.ErrRefused
			}
			return nil
		}
		l.inForce = func(c rota.Credential) (bool, bool) { return l.Login(c), true }
		s.away("issuer.set", 1, 3)
		s.rollback()
		l.Plant("app", current.Field(rota.FieldPassword))
		s.turns(0, 1)
	}},
	{"a password on its way that's called off after a person put their own entry", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		s.days(90)
		s.faults.Next("store.move", memory.Fault{Before: errDenied})
		s.advance(rotation.Options{})
		s.theirs(l.Plant("app", "by hand 1"))
		s.rollback()
		s.turns(1)
	}},
	{"a password on its way that's called off after a person put the old one's entry again", func(s *tale) {
		s.login()
		s.advance(atOnce)
		_, before, _ := s.store.Read(rota.LabelCurrent)
		s.days(90)
		s.faults.Next("store.move", memory.Fault{Before: errDenied})
		s.advance(rotation.Options{})
		s.theirs(before)
		s.rollback()
		s.turns(1)
	}},
	{"a password that passed its test, until the user's own refuses it", func(s *tale) {
		s.login()
		s.advance(atOnce)
		s.days(90)
		s.faults.Next("store.move", memory.Fault{Before: errDenied})
		s.advance(rotation.Options{})
		s.secret.Checks = s.refusing()
		s.turns(1)
		s.secret.Checks = nil
		s.turns(1)
	}},
	{"a password whose own test gets no answer", func(s *tale) {
		l := s.login()
		s.advance(atOnce)
		_, before, _ := s.store.Read(rota.LabelCurrent)
		s.days(90)
		l.inForce = func(c rota.Credential) (bool, bool) { return l.Login(c), true }
		s.secret.Checks = []rota.Check{memory.NewCheck("query", func(c rota.Credential) error {
			if !c.Equal(before) {
				return errors.New("too many connections")
			}
			return nil
		}, memory.Options{})}
		s.turns(0, 1)
	}},
	{"a pair of passwords whose test gets no answer", func(s *tale) {
		p := &tellingPair{Alternating: s.pair()}
		s.secret.Issuer = p
		s.advance(atOnce)
		s.days(90)
		p.test = errors.New("too many connections")
		s.turns(0, 0)
		p.test = nil
		s.turns(1)
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
