package simulate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// startDeadEnds makes people do their worst just before each quiet phase. Only
// remedies can get a secret out of the states they leave behind.
func (s *subject) startDeadEnds() {
	for _, p := range s.w.phases {
		if s.chance(0.7) && s.w.options.Faults > 0 {
			s.turnAt(p.to.Add(-time.Minute), "dead end", func(context.Context) { s.deadEnd() })
		}
	}
}

// deadEnd is one thing that people do outside Rota from which a secret doesn't
// recover on its own.
func (s *subject) deadEnd() {
	ends := []func(){s.denySomething, s.halve, s.pause, s.takeLabelOff, s.moveCurrentBack, s.takeForeignAway}
	if s.keys != nil || s.alt != nil {
		ends = append(ends, s.deactivateAll, s.deleteAll, s.deactivateAll, s.deleteAll, s.deactivateCurrent, s.deleteCurrent, s.deletePending)
	}
	if s.hashed != nil || s.only != nil || s.traits.Revocable {
		ends = append(ends, s.deleteCurrent, s.deletePending, s.deleteAll)
	}
	if s.alt != nil {
		ends = append(ends, s.turnOnPeer, s.turnOnPeer, s.turnOnPeer, s.changeRole)
	}
	s.people.blows++
	end := ends[s.rng.IntN(len(ends))]
	if s.changes() && s.rare.Float64() < 0.3 {
		end = s.changePassword
	}
	if (s.keys != nil || s.alt != nil) && s.rare.Float64() < 0.1 {
		end = s.replaceAll
	}
	end()
}

func (s *subject) deactivateAll() {
	s.did("deactivated all")
	for _, i := range s.issuer.Keys() {
		s.switchOff(i.ID)
	}
}

func (s *subject) deleteAll() {
	s.did("deleted all")
	for _, i := range s.issuer.Keys() {
		s.remove(i.ID)
	}
}

// replaceAll leaves two credentials behind that aren't Rota's, as a person who
// started over does.
func (s *subject) replaceAll() {
	s.deleteAll()
	s.rotateByHand()
}

// rotateByHand is a person's rotation without Rota: what was current stays, as
// AWSPREVIOUS.
func (s *subject) rotateByHand() {
	for _, role := range []string{"app_b", "app_a"} {
		c := rota.Credential{}
		if s.alt != nil {
			s.plantRole(role)
			c = s.people.made
		} else if s.keys != nil {
			c = s.newByHand()
		}
		s.putByHand(c)
	}
}

func (s *subject) deactivateCurrent() {
	s.did("deactivated the current")
	s.switchOff(s.idOf(rota.LabelCurrent))
}

func (s *subject) deleteCurrent() {
	s.did("deleted the current")
	s.remove(s.idOf(rota.LabelCurrent))
}

func (s *subject) deletePending() {
	s.did("deleted the pending")
	s.remove(s.idOf(rota.LabelPending))
}

func (s *subject) switchOff(id string) {
	s.lockOut(id)
	if off, ok := s.issuer.(rota.Deactivator); ok {
		_ = off.Deactivate(context.Background(), rota.RetireRequest{CredentialID: id}) // it might not exist
	}
}

func (s *subject) remove(id string) {
	s.switchOff(id)
	if s.hashed != nil {
		s.hashed.Discard(id)
		return
	}
	_ = s.issuer.Delete(context.Background(), rota.RetireRequest{CredentialID: id})
}

// lockOut records that a person takes a credential away from those who hold it
// or have yet to pick it up.
func (s *subject) lockOut(id string) {
	s.excuse(id)
	for _, l := range []rota.Label{rota.LabelCurrent, rota.LabelPending, rota.LabelPrevious} {
		if _, c, ok := s.store.Read(l); ok && id != "" && s.issuer.CredentialID(c) == id {
			s.truth.forcedOff[proof(c)] = true
		}
	}
	for _, t := range s.targets {
		if d, ok := t.Current(); ok && s.issuer.CredentialID(d.Credential) == id {
			s.truth.forcedOff[proof(d.Credential)] = true
		}
	}
}

// turnOnPeer sets a password by hand for the role that isn't current. Both
// roles can then log in, and Rota doesn't know about one of them.
func (s *subject) turnOnPeer() {
	for _, name := range []string{"app_a", "app_b"} {
		if name != s.idOf(rota.LabelCurrent) && name != s.idOf(rota.LabelPending) {
			s.did("turned a role on")
			s.plantRole(name)
			return
		}
	}
}

// changeRole changes the password of the current role by hand.
func (s *subject) changeRole() {
	if id := s.idOf(rota.LabelCurrent); id != "" {
		s.did("changed a role's password")
		s.truth.personBroke, s.truth.brokeAt = true, s.now
		s.plantRole(id)
	}
}

func (s *subject) plantRole(name string) {
	s.lockOut(name)
	s.people.versions++
	s.people.made = s.alt.Plant(name, fmt.Sprintf("made by hand %s %d", s.name, s.people.versions))
}

// halve drops a field of the current version, as a person editing an entry by
// hand might. Half a key is left.
func (s *subject) halve() {
	t := &s.truth
	_, c, ok := s.store.Read(rota.LabelCurrent)
	if !ok || t.foreign[t.current] {
		return
	}
	s.did("half a key put")
	s.people.meddled = true
	fields := c.Fields()
	lost := []string{rota.FieldAccessKeyID, rota.FieldSecretAccessKey, rota.FieldUsername, rota.FieldPassword}
	for i := s.rng.IntN(2); i < len(lost); i += 2 {
		delete(fields, lost[i])
	}
	id := s.personVersion()
	t.broken[id] = true
	if !t.foreign[t.current] {
		s.people.made = c
	}
	s.put(id, rota.NewCredential(fields))
}

// moveCurrentBack moves AWSCURRENT back by hand, without telling Rota.
func (s *subject) moveCurrentBack() {
	from, to := s.versionOf(rota.LabelCurrent), s.versionOf(rota.LabelPrevious)
	if from == "" || to == "" || s.journal.Progress(s.name).Versions[to].ServedAt.IsZero() {
		return // once the data folder is lost, this looks just like a rollback by Rota
	}
	s.did("label moved")
	s.people.meddled = true
	_, c, _ := s.store.Read(rota.LabelPrevious)
	if !s.logsIn(c) {
		s.lockOut(s.issuer.CredentialID(c))
	}
	_ = s.store.Move(context.Background(), rota.MoveRequest{Label: rota.LabelCurrent, From: from, To: to})
}

// takeLabelOff removes a label that Rota needs, by hand.
func (s *subject) takeLabelOff() {
	l := []rota.Label{rota.LabelPending, rota.LabelPrevious, rota.LabelServed}[s.rng.IntN(3)]
	version, c, ok := s.store.Read(l)
	if !ok {
		return
	}
	s.did("label taken off")
	s.people.meddled = true
	_ = s.store.Move(context.Background(), rota.MoveRequest{Label: l, From: version})
	s.abandon(s.issuer.CredentialID(c))
}

// abandon records that a person hid a credential from Rota.
func (s *subject) abandon(id string) {
	if id != "" && !s.labelled(id) {
		s.truth.abandoned[id] = true
	}
}

// takeForeignAway rotates by hand, then deletes the new credential.
func (s *subject) takeForeignAway() {
	c := s.newByHand()
	s.putByHand(c)
	if id := s.issuer.CredentialID(c); s.keys != nil && id != "" {
		s.did("deleted a foreign current")
		s.remove(id)
	}
}

// pause stops anything new from starting.
func (s *subject) pause() {
	s.did("pause")
	s.journal.Pause(s.name, rotation.Halt{By: "somebody", At: s.now})
}

// permissions are the calls for which Rota's login can lose permission.
var permissions = []string{"issuer.list", "issuer.create", "issuer.last_used", "issuer.deactivate", "issuer.delete", "issuer.test", "issuer.set",
	"store.describe", "store.get", "store.put", "store.move", "target.deliver", "check.check"}

// denySomething revokes a permission until a person grants it again.
func (s *subject) denySomething() {
	op := permissions[s.rng.IntN(len(permissions))]
	if (s.kept != nil || s.hashed != nil) && s.chance(0.1) {
		op = "issuer.tell"
	}
	s.did("denied")
	s.note("denied", op, "")
	s.denied[op] = true
}

// denial returns the error for a call that Rota isn't allowed to make.
func denial(c memory.Call) error {
	return &rota.Error{System: c.System, Op: c.Op, Class: rota.ClassStop, Err: errors.New("access denied"),
		Remedies: []rota.Remedy{{Action: rota.RemedyOutside, Verb: rota.VerbGrant, Object: c.Op}}}
}
