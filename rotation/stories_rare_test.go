package rotation_test

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// derived is the password of a role whose next credential keeps a field of the
// current one.
type derived struct{ *memory.Alternating }

func (d derived) Traits() rota.Traits {
	t := d.Alternating.Traits()
	t.FromCurrent = true
	return t
}

func (d derived) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	c, err := d.Alternating.Create(ctx, r)
	if note := r.Current.Field("note"); note != "" && err == nil {
		fields := maps.Clone(c.Fields())
		fields["note"] = note
		c = rota.NewCredential(fields)
	}
	return c, err
}

// listedRole is a single role, of which the issuer tells whether it has a password.
type listedRole struct{ *memory.Password }

func (l listedRole) List(ctx context.Context) ([]rota.Issued, error) { return l.Keys(), nil }

func (s *tale) options() memory.Options {
	return memory.Options{Now: s.rotator.Now, Faults: s.fault}
}

// refusing is a check that refuses every credential.
func (s *tale) refusing() []rota.Check {
	return []rota.Check{memory.NewCheck("query", func(rota.Credential) error {
		return &rota.Error{Class: rota.ClassRegenerate, Err: errors.New("no rows")}
	}, memory.Options{})}
}

// oddities are what few secrets go through.
var oddities = []story{
	{"a password that's made from the current one", func(s *tale) {
		p := memory.NewAlternating("app_a", "app_b", memory.RolesOptions{Options: s.options()})
		s.secret.Issuer = derived{p}
		fields := maps.Clone(p.Plant("app_a", "theirs").Fields())
		fields["note"] = "kept"
		s.theirs(rota.NewCredential(fields))
		s.adopt(rotation.AdoptOptions{})
		s.turns(90)
		_, c, _ := s.store.Read(rota.LabelCurrent)
		s.outcomeOf("the new one's note: " + c.Field("note"))
	}},
	{"a first password that would be made from the current one", func(s *tale) {
		s.secret.Issuer = derived{s.pair()}
		s.turns(0)
	}},
	{"a password whose role is listed", func(s *tale) {
		l := listedRole{memory.NewPassword("app", memory.RolesOptions{Options: s.options()})}
		s.secret.Issuer = l
		s.turns(0, 1)
		l.Plant("app", "by hand 1")
		s.turns(1)
		s.asked(rota.StepCreate)
		s.turns(90)
	}},
	{"a role that somebody made while its first password was on its way", func(s *tale) {
		l := listedRole{memory.NewPassword("app", memory.RolesOptions{Options: s.options()})}
		s.secret.Issuer = l
		s.faults.Next("issuer.set", memory.Fault{Before: errDenied})
		s.advance(rotation.Options{})
		l.Plant("app", "by hand 1")
		s.turns(1)
		s.asked(rota.StepCreate)
	}},
	{"a third key that's given up", func(s *tale) {
		s.keys = memory.NewAccessKeys(memory.AccessKeysOptions{Options: s.options(), Limit: 3})
		s.secret.Issuer = s.keys
		s.turns(0, 90)
		s.days(1)
		s.secret.Checks = s.refusing()
		s.advance(atOnce)
		s.turns(1)
		s.secret.Checks = nil
		s.turns(8, 10)
		s.faults.Next("issuer.create", memory.Fault{After: errors.New("connection reset")})
		s.advance(atOnce)
		s.turns(1)
	}},
	{"a third key that's lost after the previous one was deactivated", func(s *tale) {
		s.keys = memory.NewAccessKeys(memory.AccessKeysOptions{Options: s.options(), Limit: 3})
		s.secret.Issuer = s.keys
		s.turns(0, 90, 10)
		s.days(1)
		s.faults.Next("issuer.create", memory.Fault{After: errors.New("connection reset")})
		s.advance(atOnce)
		s.turns(1)
	}},
	{"a third token that's given up", func(s *tale) {
		k := memory.NewTokens(memory.AccessKeysOptions{Options: s.options(), Limit: 3})
		s.keys, s.secret.Issuer = k.All, k
		s.faults.Next("issuer.create", memory.Fault{After: errors.New("connection reset")})
		s.turns(0, 1, 90)
		s.days(1)
		s.secret.Checks = s.refusing()
		s.advance(atOnce)
		s.turns(1)
		s.secret.Checks = nil
		s.turns(8, 10)
	}},
	{"driven keys, none of which is delivered or reloaded", func(s *tale) {
		s.keys = memory.NewAccessKeys(memory.AccessKeysOptions{Options: s.options(), Limit: 9})
		s.secret.Issuer = s.keys
		s.turns(0)
		for _, op := range []string{"target.deliver", "target.deliver", "reloader.reload", "reloader.reload"} {
			s.days(10)
			s.away(op, 0, 3)
			s.driven(false, rota.StepCreate, rota.StepTest, rota.StepPromote)
			s.faults = memory.Injector{}
		}
	}},
	{"a driven third key that's called off", func(s *tale) {
		s.keys = memory.NewAccessKeys(memory.AccessKeysOptions{Options: s.options(), Limit: 3})
		s.secret.Issuer = s.keys
		s.turns(0, 90)
		s.driven(false, rota.StepCreate)
		s.rollback()
		s.turns(10)
		s.driven(false, rota.StepCreate)
		s.rollback()
		s.turns(10)
	}},
	{"a driven third key that's lost", func(s *tale) {
		s.keys = memory.NewAccessKeys(memory.AccessKeysOptions{Options: s.options(), Limit: 3})
		s.secret.Issuer = s.keys
		s.turns(0, 90, 10)
		s.faults.Next("issuer.create", memory.Fault{After: errors.New("connection reset")})
		s.driven(false, rota.StepCreate)
		s.now = s.now.Add(time.Hour)
		s.driven(false, rota.StepCreate)
		s.turns(10)
	}},
	{"a driven third token that's called off", func(s *tale) {
		k := memory.NewTokens(memory.AccessKeysOptions{Options: s.options(), Limit: 3})
		s.keys, s.secret.Issuer = k.All, k
		s.turns(0, 90)
		s.driven(false, rota.StepCreate)
		s.rollback()
		s.turns(20)
	}},
	{"a driven key that's called off and deleted by hand", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.driven(false, rota.StepCreate)
		s.outside(func() error {
			id, _, _ := s.store.Read(rota.LabelPending)
			return s.store.Move(s.t.Context(), rota.MoveRequest{Label: rota.LabelPending, From: id})
		})
		s.remove(s.key(1))
		s.turns(1)
	}},
	{"a key whose entry somebody changed a moment ago", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.faults.Next("store.move", memory.Fault{Before: errDenied})
		s.advance(rotation.Options{})
		_, c, _ := s.store.Read(rota.LabelCurrent)
		s.store.Plant("edited", c, rota.LabelCurrent, rota.LabelAdopted, rota.LabelServed)
		s.now = s.now.Add(time.Minute)
		s.asked(rota.StepCreate)
		s.turns(1)
	}},
	{"a password whose promotion is denied", func(s *tale) {
		s.login()
		s.advance(atOnce)
		s.days(90)
		s.faults.Next("store.move", memory.Fault{Before: errDenied})
		s.advance(rotation.Options{})
		s.turns(1)
	}},
	{"a key that's asked for while the one before isn't delivered", func(s *tale) {
		s.turns(0)
		s.days(90)
		for range 3 {
			s.faults.Next("target.deliver", memory.Fault{Before: errors.New("away")})
		}
		s.advance(rotation.Options{})
		s.now = s.now.Add(time.Minute)
		s.asked(rota.StepCreate)
		s.turns(1)
		s.faults.Next("reloader.reload", memory.Fault{Before: errors.New("away")})
		s.asked(rota.StepCreate)
		s.now = s.now.Add(time.Minute)
		s.asked(rota.StepCreate)
		s.turns(1)
	}},
	{"an adopted previous key that somebody makes current again", func(s *tale) {
		s.theirs(s.keys.Plant(), s.keys.Plant())
		s.adopt(rotation.AdoptOptions{})
		s.turns(10)
		s.outside(func() error {
			return s.keys.Reactivate(s.t.Context(), rota.RetireRequest{CredentialID: s.key(0)})
		})
		s.outside(func() error {
			return s.store.Move(s.t.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: "theirs-2", To: "theirs-1"})
		})
		s.turns(1, 10, 10, 90, 1)
	}},
	{"a previous key that somebody makes current again", func(s *tale) {
		s.turns(0, 90, 10)
		s.outside(func() error {
			return s.keys.Reactivate(s.t.Context(), rota.RetireRequest{CredentialID: s.key(0)})
		})
		s.outside(func() error {
			return s.store.Move(s.t.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: "rota-2", To: "rota-1"})
		})
		s.turns(1, 10, 10, 90, 10)
	}},
	{"a key that a target can't take", func(s *tale) {
		first := ""
		s.secret.Targets = []rota.Target{&choosy{s.target, func(c rota.Credential) error {
			if id := c.Field(rota.FieldAccessKeyID); first == "" {
				first = id
			} else if id != first {
				return errors.New("can't be masked")
			}
			return nil
		}}}
		s.turns(0, 90)
	}},
	{"a password that a target can't take", func(s *tale) {
		s.password()
		s.advance(atOnce)
		asked := 0
		s.secret.Targets = []rota.Target{&choosy{s.target, func(rota.Credential) error {
			if asked++; asked%2 == 0 && asked < 5 {
				return &rota.Error{Class: rota.ClassRegenerate, Err: errors.New("can't be masked")}
			}
			return nil
		}}}
		s.turns(90, 1, 1)
	}},
	{"a driven password whose journal was lost before the test", func(s *tale) {
		s.secret.Issuer = memory.NewPassword("app", memory.RolesOptions{Options: s.options(), RefusedLogins: 2})
		s.advance(atOnce)
		s.days(90)
		s.driven(false, rota.StepCreate, rota.StepSet)
		s.journal.Reset()
		s.entries = 0
		id, _, _ := s.store.Read(rota.LabelPending)
		for _, step := range []rota.Step{rota.StepTest, rota.StepPromote} {
			s.do("driven to "+string(step), func() error {
				_, err := s.rotator.Drive(s.t.Context(), s.secret, rotation.DriveRequest{Step: step, Version: id})
				return err
			})
		}
	}},
	{"keys that live for an hour", func(s *tale) {
		keys := memory.NewSessions(memory.SessionsOptions{Options: s.options()})
		s.secret.Issuer, s.secret.Policy = keys, rotation.Policy{}.ForLifetime(time.Hour)
		soon := func(o rotation.Options) {
			s.now = s.now.Add(25 * time.Minute)
			s.advance(o)
		}
		s.advance(rotation.Options{})
		soon(rotation.Options{})
		soon(atOnce)
		s.faults.Next("issuer.create", memory.Fault{Before: errDown})
		soon(rotation.Options{})
		soon(rotation.Options{})
		s.faults.Next("issuer.create", memory.Fault{Before: errDown})
		soon(rotation.Options{})
		s.now = s.now.Add(2 * time.Hour)
		s.advance(rotation.Options{})
		s.rollback()
	}},
	{"a rotation whose call takes longer than it may", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.slow = "issuer.create"
		s.faults.Next("issuer.create", memory.Fault{After: errors.New("deadline exceeded")})
		s.advance(rotation.Options{})
		s.slow = ""
		s.turns(1)
	}},
}
