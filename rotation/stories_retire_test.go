package rotation_test

import (
	"context"
	"errors"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// restored is a journal that was reverted to an older state at some time.
type restored struct {
	*memory.Journal
	at time.Time
}

func (r *restored) Load(ctx context.Context, secret string, peers ...string) (rotation.Snapshot, error) {
	s, err := r.Journal.Load(ctx, secret, peers...)
	s.RestoredAt = r.at
	return s, err
}

// seals refuse to let in whatever a test says, and may be opened only by hand.
type seals struct {
	*memory.AccessKeys
	locked map[string]bool
}

func (k *seals) List(ctx context.Context) ([]rota.Issued, error) {
	list, err := k.AccessKeys.List(ctx)
	for i := range list {
		if k.locked[list[i].ID] {
			list[i].Active, list[i].Unlock = false, "unlock it"
		}
	}
	return list, err
}

func (s *tale) tokens() {
	k := memory.NewTokens(memory.AccessKeysOptions{Options: memory.Options{Now: s.rotator.Now, Faults: s.fault}})
	s.keys, s.secret.Issuer = k.All, k
}

func (s *tale) asked(step rota.Step) { s.advance(rotation.Options{Force: step}) }

// endings end the life of a previous credential, of a new one that was given up,
// or of one that nobody knows.
var endings = []story{
	{"a previous key that's retired when a person asks", func(s *tale) {
		s.turns(0, 90)
		s.days(1)
		s.asked(rota.StepDelete)
		s.asked(rota.StepDeactivate)
		s.asked(rota.StepDeactivate)
		s.asked(rota.StepDelete)
		s.asked(rota.StepDelete)
	}},
	{"a previous key that's switched off again by hand", func(s *tale) {
		s.turns(0, 90, 10)
		previous := rota.RetireRequest{CredentialID: s.key(0)}
		s.outside(func() error { return s.keys.Reactivate(s.t.Context(), previous) })
		s.keys.Use(previous.CredentialID)
		s.turns(2)
		s.outside(func() error { return s.keys.Deactivate(s.t.Context(), previous) })
		s.turns(1, 8, 10)
	}},
	{"a previous key that's retired by hand", func(s *tale) {
		s.turns(0, 90)
		s.days(1)
		s.switchOff(s.key(0))
		s.turns(1, 10)
	}},
	{"a previous key that's gone", func(s *tale) {
		s.turns(0, 90)
		s.days(1)
		s.remove(s.key(0))
		s.turns(1, 10, 10)
	}},
	{"a previous key that's gone when it's retired", func(s *tale) {
		s.turns(0, 90)
		s.days(10)
		s.faults.Next("issuer.deactivate", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: rota.ErrNotFound}})
		s.advance(rotation.Options{})
		s.turns(10, 1)
	}},
	{"a previous key that's active again when a person asks", func(s *tale) {
		s.turns(0, 90, 10)
		s.outside(func() error {
			return s.keys.Reactivate(s.t.Context(), rota.RetireRequest{CredentialID: s.key(0)})
		})
		s.days(1)
		s.asked(rota.StepDeactivate)
		s.turns(5, 10)
	}},
	{"a previous key while the current one isn't let in", func(s *tale) {
		s.turns(0, 90)
		keys := &guardedKeys{AccessKeys: s.keys, test: func(string) error { return errDenied }}
		s.secret.Issuer = keys
		s.turns(10, 1)
		s.asked(rota.StepDeactivate)
		keys.test = func(string) error { return rota.ErrRefused }
		s.asked(rota.StepDeactivate)
		s.turns(1)
		keys.test = nil
		s.turns(1)
	}},
	{"a previous key of somebody else's", func(s *tale) {
		s.turns(0, 90)
		s.outside(func() error {
			id, _, _ := s.store.Read(rota.LabelPrevious)
			s.store.Plant("theirs", unknownKey(), "custom")
			return s.store.Move(s.t.Context(), rota.MoveRequest{Label: rota.LabelPrevious, From: id, To: "theirs"})
		})
		s.turns(10, 10)
		s.asked(rota.StepDeactivate)
		s.asked(rota.StepDelete)
		s.rollback()
	}},
	{"a previous token", func(s *tale) {
		s.tokens()
		s.turns(0, 90, 10)
		s.days(9)
		s.keys.Use(s.key(0))
		s.turns(1, 1, 7)
		s.rollback()
		s.turns(1)
	}},
	{"a previous token that's deleted when a person asks", func(s *tale) {
		s.tokens()
		s.turns(0, 90)
		s.days(1)
		s.asked(rota.StepDeactivate)
		s.faults.Next("issuer.test", memory.Fault{Before: errDenied})
		s.asked(rota.StepDelete)
		s.asked(rota.StepDelete)
	}},
	{"a previous token that's rolled back to", func(s *tale) {
		s.tokens()
		s.turns(0, 90)
		s.days(1)
		s.rollback()
		s.turns(1, 10, 10)
		s.remove(s.key(0))
	}},
	{"a previous role with open sessions", func(s *tale) {
		p := s.pair()
		s.advance(atOnce)
		_, c, _ := s.store.Read(rota.LabelCurrent)
		p.Connect(c)
		s.turns(90, 1, 9, 1)
		p.Disconnect("app_a")
		s.turns(1, 1, 5, 10)
	}},
	{"a new token that's given up", func(s *tale) {
		s.tokens()
		s.turns(0)
		s.secret.Checks = []rota.Check{memory.NewCheck("query", func(rota.Credential) error { return errDenied }, memory.Options{})}
		s.turns(90, 1)
		s.secret.Checks = nil
		s.turns(1)
	}},
	{"a new role's password that's given up", func(s *tale) {
		s.pair()
		s.advance(atOnce)
		s.secret.Checks = []rota.Check{memory.NewCheck("query", func(rota.Credential) error { return errDenied }, memory.Options{})}
		s.turns(90, 1)
		s.secret.Checks = nil
		s.turns(1)
	}},
	{"a password that the server refuses", func(s *tale) {
		refuse := true
		s.secret.Issuer = memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Now: s.rotator.Now, Faults: s.fault}, Accept: func(string) error {
			if refuse {
				return errors.New("too short")
			}
			return nil
		}})
		s.advance(atOnce)
		s.turns(1)
		refuse = false
		s.turns(1)
	}},
	{"a key that's lost twice", func(s *tale) {
		s.turns(0)
		s.days(90)
		for range 2 {
			s.faults.Next("issuer.create", memory.Fault{After: errors.New("connection reset")})
			s.advance(rotation.Options{})
			s.now = s.now.Add(time.Hour)
		}
		s.turns(0)
	}},
	{"a key that somebody made at the moment that ours was lost", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.faults.Next("issuer.create", memory.Fault{Before: errors.New("connection reset")})
		s.advance(rotation.Options{})
		s.keys.Plant()
		s.turns(0, 1)
	}},
	{"a driven key that's called off", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.driven(false, rota.StepCreate)
		s.outside(func() error {
			id, _, _ := s.store.Read(rota.LabelPending)
			return s.store.Move(s.t.Context(), rota.MoveRequest{Label: rota.LabelPending, From: id})
		})
		s.turns(1)
		s.driven(false, rota.StepCreate, rota.StepTest, rota.StepPromote)
		s.turns(10, 10, 70)
	}},
	{"a driven password that's called off", func(s *tale) {
		s.password()
		s.advance(atOnce)
		s.days(90)
		s.driven(false, rota.StepCreate, rota.StepSet)
		s.outside(func() error {
			id, _, _ := s.store.Read(rota.LabelPending)
			return s.store.Move(s.t.Context(), rota.MoveRequest{Label: rota.LabelPending, From: id})
		})
		s.turns(1)
		s.driven(false, rota.StepCreate, rota.StepSet, rota.StepTest, rota.StepPromote)
		s.turns(10, 90)
	}},
	{"several targets and reloaders, some of which are away", func(s *tale) {
		o := memory.Options{Now: s.rotator.Now, Faults: s.fault}
		away := map[string]bool{}
		s.secret.Targets = append(s.secret.Targets, &elsewhere{Target: memory.NewTarget("second", o), away: away}, memory.NewTarget("third", o))
		s.secret.Reloaders = append(s.secret.Reloaders, &elsewhereReloader{Reloader: memory.NewReloader("second", nil, o), away: away}, memory.NewReloader("third", nil, o))
		s.turns(0)
		away["second"] = true
		s.turns(90)
		s.now = s.now.Add(time.Hour)
		s.turns(0)
		s.now = s.now.Add(time.Hour)
		delete(away, "second")
		away["reload second"] = true
		s.turns(0)
		s.now = s.now.Add(time.Hour)
		delete(away, "reload second")
		s.turns(0)
		s.do("asked to deliver again", func() error { _, err := s.rotator.Redeliver(s.t.Context(), s.secret); return err })
	}},
	{"targets alone", func(s *tale) {
		s.secret.Reloaders = nil
		s.turns(0, 90)
	}},
	{"neither targets nor reloaders", func(s *tale) {
		s.secret.Targets, s.secret.Reloaders = nil, nil
		s.turns(0, 90, 10)
		s.rollback()
		s.turns(1)
	}},
	{"a store that was restored", func(s *tale) {
		s.turns(0)
		j := &restored{Journal: s.journal}
		s.rotator.Journal = j
		s.days(10)
		j.at = s.now
		s.turns(1, 1)
		s.days(90)
		j.at = s.now
		s.remove(s.key(0))
		s.turns(0, 1)
		s.asked(rota.StepCreate)
	}},
	{"a store that was restored, with a password", func(s *tale) {
		p := memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Now: s.rotator.Now, Faults: s.fault}})
		s.secret.Issuer = p
		s.advance(atOnce)
		j := &restored{Journal: s.journal}
		s.rotator.Journal = j
		s.days(10)
		j.at = s.now
		p.Plant("app", "set before the restore")
		s.turns(1, 1)
		s.asked(rota.StepCreate)
	}},
	{"a store that was restored, and holds nothing", func(s *tale) {
		s.rotator.Journal = &restored{Journal: s.journal, at: s.now}
		s.turns(0, 1)
	}},
	{"a store that was restored, with somebody else's key", func(s *tale) {
		s.theirs(unknownKey())
		s.rotator.Journal = &restored{Journal: s.journal, at: s.now}
		s.turns(0, 1)
	}},
	{"a store that was restored, of what people rotate", func(s *tale) {
		s.turns(0)
		s.secret.Issuer = manualIssuer{s.secret.Issuer}
		s.rotator.Journal = &restored{Journal: s.journal, at: s.now.Add(time.Hour)}
		s.turns(1)
	}},
	{"a store that was restored, with a key on its way", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.faults.Next("issuer.test", memory.Fault{Before: errDenied})
		s.advance(rotation.Options{})
		s.rotator.Journal = &restored{Journal: s.journal, at: s.now}
		s.switchOff(s.key(0))
		s.turns(1, 1)
	}},
	{"a store that was restored, with a password that was never set", func(s *tale) {
		p := memory.NewPassword("app", memory.RolesOptions{Options: s.options()})
		s.secret.Issuer = p
		s.advance(atOnce)
		s.days(90)
		s.faults.Next("issuer.set", memory.Fault{Before: errDenied})
		s.advance(rotation.Options{})
		p.Plant("app", "by hand 1")
		s.rotator.Journal = &restored{Journal: s.journal, at: s.now}
		s.turns(1, 1)
	}},
	{"a store that was restored, with a token that's the only one", func(s *tale) {
		p := &soleToken{memory.NewPassword("app", memory.RolesOptions{Options: s.options()})}
		s.secret.Issuer = p
		s.advance(atOnce)
		p.Plant("app", "by hand 1")
		s.rotator.Journal = &restored{Journal: s.journal, at: s.now}
		s.turns(1, 1)
	}},
	{"a token that's the only one, and isn't let in", func(s *tale) {
		s.secret.Issuer = &soleToken{memory.NewPassword("app", memory.RolesOptions{Options: s.options()})}
		s.advance(atOnce)
		s.days(90)
		s.faults.Next("issuer.test", memory.Fault{})
		s.faults.Next("issuer.test", memory.Fault{Before: errDown})
		s.driven(false, rota.StepCreate, rota.StepSet, rota.StepTest, rota.StepTest)
	}},
	{"a store that was restored, with a password on its way", func(s *tale) {
		s.password()
		s.advance(atOnce)
		s.days(90)
		s.faults.Next("issuer.set", memory.Fault{After: errors.New("connection reset")})
		for range 4 {
			s.faults.Next("issuer.set", memory.Fault{Before: errors.New("connection reset")})
		}
		s.advance(rotation.Options{})
		s.rotator.Journal = &restored{Journal: s.journal, at: s.now}
		s.turns(1)
	}},
}

// soleToken is chosen by its issuer, which ends the one before it.
type soleToken struct{ *memory.Password }

func (s *soleToken) Traits() rota.Traits {
	t := s.Password.Traits()
	t.IssuerChooses = true
	return t
}

func (s *soleToken) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	c, err := s.Password.Create(ctx, r)
	if err == nil {
		s.Plant(c.Field(rota.FieldUsername), c.Field(rota.FieldPassword))
	}
	return c, err
}

// elsewhere is a target that may be away.
type elsewhere struct {
	*memory.Target
	away map[string]bool
}

func (e *elsewhere) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	if e.away[e.Name()] {
		return errors.New("away")
	}
	return e.Target.Deliver(ctx, r)
}

type elsewhereReloader struct {
	*memory.Reloader
	away map[string]bool
}

func (e *elsewhereReloader) Reload(ctx context.Context, r rota.ReloadRequest) error {
	if e.away["reload "+e.Name()] {
		return errors.New("away")
	}
	return e.Reloader.Reload(ctx, r)
}
