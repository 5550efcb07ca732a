package rotation_test

import (
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// unknownKey is an access key that the issuer doesn't have.
func unknownKey() rota.Credential {
	return rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "AKIAAAAAAAAAAAAAAAAA", rota.FieldSecretAccessKey: "no"})
}

// theirs puts keys of somebody else's in the store, a day after each other; the last
// one is current.
func (s *tale) theirs(keys ...rota.Credential) {
	for _, c := range keys {
		s.planted++
		s.store.Plant(fmt.Sprintf("theirs-%d", s.planted), c, rota.LabelCurrent)
		s.days(1)
	}
}

// key is the id of the n-th key that there is.
func (s *tale) key(n int) string {
	if keys := s.keys.Keys(); n < len(keys) {
		return keys[n].ID
	}
	return ""
}

func (s *tale) switchOff(id string) {
	s.outside(func() error { return s.keys.Deactivate(s.t.Context(), rota.RetireRequest{CredentialID: id}) })
}

func (s *tale) remove(id string) {
	s.switchOff(id)
	s.outside(func() error { return s.keys.Delete(s.t.Context(), rota.RetireRequest{CredentialID: id}) })
}

// undated is a store that doesn't say when it was changed.
type undated struct{ *memory.Store }

func (u undated) Describe(ctx context.Context) (rota.Contents, error) {
	c, err := u.Store.Describe(ctx)
	c.ChangedAt = time.Time{}
	return c, err
}

// adoptions are of credentials that Rota didn't make.
var adoptions = []story{
	{"an adoption without anything to adopt", func(s *tale) {
		s.adopt(rotation.AdoptOptions{})
		s.adopt(rotation.AdoptOptions{Credential: rota.NewCredential(map[string]string{"half": "of it"})})
	}},
	{"an adoption of what people rotate", func(s *tale) {
		s.password()
		s.secret.Issuer = manualIssuer{s.secret.Issuer}
		s.adopt(rotation.AdoptOptions{})
	}},
	{"an adoption of a key that's inactive", func(s *tale) {
		s.theirs(s.keys.Plant())
		s.switchOff(s.key(0))
		s.adopt(rotation.AdoptOptions{})
	}},
	{"an adoption of a key that's inactive, but logs in", func(s *tale) {
		s.theirs(s.keys.Plant())
		s.secret.Issuer = &guardedKeys{AccessKeys: s.keys, test: func(string) error { return nil }}
		s.switchOff(s.key(0))
		s.adopt(rotation.AdoptOptions{})
		s.remove(s.key(0))
		s.adopt(rotation.AdoptOptions{})
	}},
	{"an adoption of a key that isn't let in", func(s *tale) {
		s.theirs(s.keys.Plant())
		s.secret.Issuer = &guardedKeys{AccessKeys: s.keys, test: func(string) error { return errDenied }}
		s.adopt(rotation.AdoptOptions{})
		s.theirs(unknownKey())
		s.adopt(rotation.AdoptOptions{})
		s.adopt(rotation.AdoptOptions{Credential: unknownKey()})
	}},
	{"an adoption of a key that another secret changes too", func(s *tale) {
		s.theirs(s.keys.Plant())
		s.rival(true)
		s.adopt(rotation.AdoptOptions{})
		s.secret.Rivals = nil
		s.adopt(rotation.AdoptOptions{})
		s.rival(true)
		s.turns(1)
		s.rollback()
	}},
	{"an adoption of a version with a name that programs stumble over", func(s *tale) {
		s.store.Plant("$(touch x)", s.keys.Plant(), rota.LabelCurrent)
		s.adopt(rotation.AdoptOptions{})
		s.driven(true, rota.StepCreate)
	}},
	{"an adoption of a password that leads elsewhere", func(s *tale) {
		role := memory.NewPassword("orders", memory.RolesOptions{Options: memory.Options{Now: s.rotator.Now, Faults: s.fault}})
		role.Plant("orders", "right")
		s.secret.Issuer, s.secret.Fields = placed{role}, []string{rota.FieldUsername, rota.FieldPassword, "host"}
		s.theirs(rota.NewCredential(map[string]string{rota.FieldUsername: "orders", rota.FieldPassword: "right", "host": "elsewhere"}))
		s.adopt(rotation.AdoptOptions{})
		s.adopt(rotation.AdoptOptions{Credential: rota.NewCredential(map[string]string{rota.FieldPassword: "right", "host": "elsewhere"})})
		s.adopt(rotation.AdoptOptions{Credential: rota.NewCredential(map[string]string{rota.FieldPassword: "right"})})
	}},
	{"a driver's adoption of a password that leads elsewhere", func(s *tale) {
		role := memory.NewPassword("orders", memory.RolesOptions{Options: s.options()})
		role.Plant("orders", "right")
		s.secret.Issuer, s.secret.Fields = placed{role}, []string{rota.FieldUsername, rota.FieldPassword, "host"}
		s.theirs(rota.NewCredential(map[string]string{rota.FieldUsername: "orders", rota.FieldPassword: "right", "host": "elsewhere"}))
		s.driven(true, rota.StepCreate)
	}},
	{"an adoption of a password that doesn't say where it leads", func(s *tale) {
		role := memory.NewPassword("orders", memory.RolesOptions{Options: s.options()})
		role.Plant("orders", "right")
		s.secret.Issuer, s.secret.Fields = placed{role}, []string{rota.FieldUsername, rota.FieldPassword, "host"}
		s.theirs(rota.NewCredential(map[string]string{rota.FieldUsername: "orders", rota.FieldPassword: "right"}))
		s.adopt(rotation.AdoptOptions{})
	}},
	{"an adoption in a store without dates", func(s *tale) {
		s.secret.Store = undated{s.store}
		s.theirs(s.keys.Plant())
		s.adopt(rotation.AdoptOptions{})
		s.turns(1)
	}},
	{"an adoption that's put off, again", func(s *tale) {
		s.theirs(s.keys.Plant())
		s.adopt(rotation.AdoptOptions{NotBefore: at(100)})
		s.adopt(rotation.AdoptOptions{NotBefore: at(100)})
		s.adopt(rotation.AdoptOptions{NotBefore: at(200)})
		_, c, _ := s.store.Read(rota.LabelCurrent)
		s.adopt(rotation.AdoptOptions{Credential: c, NotBefore: at(300)})
	}},
	{"an adoption of a key that's current already", func(s *tale) {
		c := s.keys.Plant()
		s.theirs(c)
		s.adopt(rotation.AdoptOptions{Credential: c})
	}},
	{"an adoption of a key that's current already, and marked as served", func(s *tale) {
		c := s.keys.Plant()
		s.store.Plant("theirs", c, rota.LabelCurrent, rota.LabelServed)
		s.adopt(rotation.AdoptOptions{Credential: c})
	}},
	{"an adoption of two keys that were looked at before", func(s *tale) {
		s.theirs(s.keys.Plant(), s.keys.Plant())
		s.turns(0)
		s.adopt(rotation.AdoptOptions{})
	}},
	{"an adoption of two passwords whose issuer can't list", func(s *tale) {
		p := memory.NewAlternating("app_a", "app_b", memory.RolesOptions{Options: s.options()})
		s.secret.Issuer = struct{ rota.Issuer }{p}
		s.theirs(rota.NewCredential(map[string]string{rota.FieldUsername: "app_b", rota.FieldPassword: "wrong"}), p.Plant("app_a", "theirs a"))
		s.adopt(rotation.AdoptOptions{})
		s.adopt(rotation.AdoptOptions{})
		s.store.Plant("theirs-3", p.Plant("app_b", "theirs b"), rota.LabelPrevious)
		s.adopt(rotation.AdoptOptions{})
		s.turns(10, 10)
	}},
	{"an adoption of keys that live for an hour, of somebody else's", func(s *tale) {
		keys := memory.NewSessions(memory.SessionsOptions{Options: s.options()})
		s.secret.Issuer, s.secret.Policy = keys, rotation.Policy{}.ForLifetime(time.Hour)
		for i := range 2 {
			s.outside(func() error {
				c, err := keys.Create(s.t.Context(), rota.CreateRequest{})
				s.store.Plant("theirs-"+string(rune('1'+i)), c, rota.LabelCurrent)
				return err
			})
		}
		s.adopt(rotation.AdoptOptions{})
		s.now = s.now.Add(30 * time.Minute)
		s.turns(0)
	}},
	{"an adoption of a key in place of Rota's", func(s *tale) {
		s.turns(0)
		s.days(1)
		s.adopt(rotation.AdoptOptions{Credential: s.keys.Plant()})
		s.turns(10, 10)
	}},
	{"an adoption by a clock that's behind the store's", func(s *tale) {
		p := memory.NewPassword("app", memory.RolesOptions{Options: s.options()})
		s.secret.Issuer = p
		s.theirs(p.Plant("app", "theirs"))
		s.now = s.now.Add(-25 * time.Hour)
		s.adopt(rotation.AdoptOptions{})
	}},
	{"an adoption while a key is on its way", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.faults.Next("issuer.test", memory.Fault{Before: errDenied})
		s.advance(rotation.Options{})
		s.adopt(rotation.AdoptOptions{})
		s.adopt(rotation.AdoptOptions{Credential: s.keys.Plant()})
		s.rollback()
		s.turns(1)
		s.adopt(rotation.AdoptOptions{})
	}},
	{"an adoption while somebody else's is on its way", func(s *tale) {
		s.turns(0)
		s.store.Plant("theirs", s.keys.Plant(), rota.LabelPending)
		s.adopt(rotation.AdoptOptions{})
		s.rollback()
		s.turns(90)
	}},
	{"an adoption while a promotion is half done", func(s *tale) {
		s.turns(0)
		s.days(90)
		s.faults.Next("store.move", memory.Fault{After: errDenied})
		s.advance(rotation.Options{})
		s.adopt(rotation.AdoptOptions{})
		s.turns(1)
	}},
	{"an adoption after new keys were given up", func(s *tale) {
		s.turns(0)
		s.secret.Checks = []rota.Check{memory.NewCheck("query", func(rota.Credential) error { return errDenied }, memory.Options{})}
		s.turns(90, 1, 0)
		s.secret.Checks = nil
		s.adopt(rotation.AdoptOptions{})
		s.turns(0)
	}},
	{"an adoption of another key after new ones were given up", func(s *tale) {
		s.turns(0)
		s.secret.Checks = []rota.Check{memory.NewCheck("query", func(rota.Credential) error { return errDenied }, memory.Options{})}
		s.turns(90, 1, 0)
		s.secret.Checks = nil
		s.adopt(rotation.AdoptOptions{Credential: s.keys.Plant()})
		s.turns(0)
	}},
	{"an adoption of a key that's handed in, in place of an adopted one", func(s *tale) {
		s.theirs(s.keys.Plant())
		s.adopt(rotation.AdoptOptions{})
		s.days(1)
		s.adopt(rotation.AdoptOptions{Credential: s.keys.Plant()})
		s.turns(10)
	}},
	{"an adoption of a key after two adopted ones", func(s *tale) {
		s.theirs(s.keys.Plant())
		s.adopt(rotation.AdoptOptions{})
		s.turns(1)
		s.theirs(s.keys.Plant())
		s.adopt(rotation.AdoptOptions{})
		s.turns(10, 10)
		s.theirs(s.keys.Plant())
		s.adopt(rotation.AdoptOptions{})
		s.turns(10)
	}},
	{"an adoption whose previous key isn't there", func(s *tale) {
		s.theirs(unknownKey(), s.keys.Plant())
		s.adopt(rotation.AdoptOptions{})
		s.adopt(rotation.AdoptOptions{})
		s.turns(10)
	}},
	{"an adoption whose previous key is inactive", func(s *tale) {
		s.theirs(s.keys.Plant(), s.keys.Plant())
		s.switchOff(s.key(0))
		s.adopt(rotation.AdoptOptions{})
		s.turns(1, 10, 10)
	}},
	{"an adoption of a pair of passwords", func(s *tale) {
		p := s.pair()
		s.theirs(p.Plant("app_b", "theirs b"), p.Plant("app_a", "theirs a"))
		s.adopt(rotation.AdoptOptions{})
		s.turns(10, 10, 90)
	}},
	{"an adoption of a pair of passwords, of which one is wrong", func(s *tale) {
		p := s.pair()
		s.theirs(rota.NewCredential(map[string]string{rota.FieldUsername: "app_b", rota.FieldPassword: "wrong"}), p.Plant("app_a", "theirs a"))
		p.Plant("app_b", "theirs b")
		s.adopt(rotation.AdoptOptions{})
		s.adopt(rotation.AdoptOptions{})
		s.turns(10, 90)
	}},
	{"an adoption of a pair of passwords, of which one may not log in", func(s *tale) {
		p := s.pair()
		s.theirs(p.Plant("app_b", "theirs b"), p.Plant("app_a", "theirs a"))
		s.outside(func() error { return p.Deactivate(s.t.Context(), rota.RetireRequest{CredentialID: "app_b"}) })
		s.adopt(rotation.AdoptOptions{})
		s.turns(10, 10)
	}},
	{"an adoption of a password that was replaced by hand", func(s *tale) {
		p := memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Now: s.rotator.Now, Faults: s.fault}})
		s.secret.Issuer = p
		s.theirs(p.Plant("app", "theirs 1"), p.Plant("app", "theirs 2"))
		s.adopt(rotation.AdoptOptions{})
		p.Plant("app", "theirs 3")
		s.turns(1)
		s.adopt(rotation.AdoptOptions{})
		s.rollback()
	}},
	{"an adoption of keys that live for an hour", func(s *tale) {
		keys := memory.NewSessions(memory.SessionsOptions{Options: memory.Options{Now: s.rotator.Now, Faults: s.fault}})
		s.secret.Issuer, s.secret.Policy = keys, rotation.Policy{}.ForLifetime(time.Hour)
		s.advance(rotation.Options{})
		_, c, _ := s.store.Read(rota.LabelCurrent)
		s.now = s.now.Add(10 * time.Minute)
		s.adopt(rotation.AdoptOptions{Credential: c})
		s.store.Plant("theirs", c, rota.LabelCurrent)
		s.adopt(rotation.AdoptOptions{})
		s.now = s.now.Add(40 * time.Minute)
		s.advance(rotation.Options{})
		s.rollback()
		s.now = s.now.Add(30 * time.Minute)
		s.rollback()
		s.advance(rotation.Options{})
	}},
	{"a driver's adoption of what can't be adopted", func(s *tale) {
		s.theirs(unknownKey())
		s.driven(true, rota.StepTest, rota.StepCreate)
		s.theirs(s.keys.Plant())
		s.driven(false, rota.StepCreate)
	}},
}
