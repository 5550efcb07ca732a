package simulate

import (
	"context"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// checkDeactivate checks rules 3 and 4 for a credential that a worker is about
// to deactivate.
func (s *subject) checkDeactivate(id string) {
	k := s.worker
	if k == nil || !s.checkMine(id, "deactivate") {
		return
	}
	if id == s.idOf(rota.LabelCurrent) {
		s.violate(4, "%s would be deactivated while it is current", id)
		return
	}
	if id == s.idOf(rota.LabelPrevious) && s.active(id) {
		s.checkGrace(k, id)
		s.checkUnused(k, id)
	}
}

// checkMine checks rule 3: Rota only retires credentials that it made or
// adopted, and only if the store still has them or they were never served.
func (s *subject) checkMine(id, what string) bool {
	if s.keys == nil && (s.hashed == nil || !s.exists(id)) {
		return true
	}
	if !s.truth.mine[id] {
		s.violate(3, "%s would %s, but a person made it", id, what)
		return false
	}
	if s.truth.promoted[id] && !s.labelled(id) {
		s.violate(3, "%s would %s as an orphan, but it has served", id, what)
		return false
	}
	return true
}

// labelled reports whether a version with a label holds the credential.
func (s *subject) labelled(id string) bool {
	return slices.ContainsFunc([]rota.Label{rota.LabelCurrent, rota.LabelPending, rota.LabelPrevious},
		func(l rota.Label) bool { return s.idOf(l) == id })
}

func (s *subject) exists(id string) bool {
	return slices.ContainsFunc(s.issuer.Keys(), func(i rota.Issued) bool { return i.ID == id })
}

func (s *subject) active(id string) bool {
	return slices.ContainsFunc(s.issuer.Keys(), func(i rota.Issued) bool { return i.ID == id && i.Active })
}

// checkGrace checks rule 4: the successor has been served everywhere, and for
// long enough.
func (s *subject) checkGrace(k *worker, id string) {
	t := &s.truth
	if t.served != t.current {
		s.violate(4, "%s would be retired, but its successor %s is not served", id, t.current)
	}
	for i, version := range t.delivered {
		if version != t.current {
			s.violate(4, "%s would be retired, but target %d has version %q", id, i, version)
		}
	}
	for i, version := range t.reloaded {
		if version != t.current {
			s.violate(4, "%s would be retired, but the consumers of reloader %d run on version %q", id, i, version)
		}
	}
	if k.force == rota.StepDeactivate || k.force == rota.StepDelete || k.force == rota.StepCreate {
		return
	}
	due := t.servedAt.Add(s.policy.DeactivatePreviousAfter)
	if s.tokens {
		due = t.servedAt.Add(s.policy.DeletePreviousAfter)
	}
	if s.policy.Retire == rotation.RetireBeforeCreate {
		due, _ = s.policedAt()
		due, _ = s.early(due)
	}
	if s.endsSoon() {
		return
	}
	if s.now.Before(due.Add(-tolerance)) {
		s.violate(4, "%s would be retired before its grace is over at %s", id, stamp(due))
	}
}

// checkUnused checks rule 4: the issuer has reported in this turn that the
// credential isn't in use.
func (s *subject) checkUnused(k *worker, id string) {
	quiet := s.policy.WithDefaults().UnusedFor - tolerance
	u, asked := k.answers[id]
	switch {
	case u.Ambiguous && k.force == rota.StepDelete: // only the person who asks can know
	case !asked || u.Evidence == rota.EvidenceUnknown:
		s.violate(4, "%s would be retired, but the issuer has not said whether it is used", id)
	case u.Evidence == rota.EvidenceRecorded && !u.At.IsZero() && s.now.Sub(u.At) < quiet:
		s.violate(4, "%s would be retired, but it was used at %s", id, stamp(u.At))
	case u.Evidence == rota.EvidenceSampled && s.now.Sub(s.truth.usedAt[id]) < quiet:
		s.violate(4, "%s would be retired, but it was seen in use at %s", id, stamp(s.truth.usedAt[id]))
	}
}

// checkDelete checks rules 3 and 4 for a credential that a worker is about to
// delete.
func (s *subject) checkDelete(id string) {
	k := s.worker
	if k == nil || !s.checkMine(id, "delete") {
		return
	}
	if !s.traits.Overlap() {
		s.checkDeleteOnly(id)
		return
	}
	if s.traits.Lifetime > 0 && id != s.idOf(rota.LabelPrevious) {
		return // a new credential that is being given up: no call deactivates those
	}
	if !s.exists(id) {
		return // a person got there first
	}
	if s.active(id) && s.tokens {
		s.checkDeleteActive(k, id)
		return
	}
	if s.active(id) && s.traits.Revocable {
		s.checkRevoke(k, id)
		return
	}
	if s.active(id) {
		s.violate(4, "%s would be deleted while it is active", id)
		return
	}
	if s.tokens && id == s.idOf(rota.LabelPrevious) {
		if k.force == rota.StepNone {
			s.checkGrace(k, id) // a person deactivated it, which changes none of the dates
		}
		return // there's no second grace: nothing can reactivate it
	}
	off, known := s.truth.offAt[id]
	second := s.policy.DeletePreviousAfter - s.policy.DeactivatePreviousAfter
	if id == s.idOf(rota.LabelPrevious) && known && !s.endsSoon() && s.policy.Retire != rotation.RetireBeforeCreate && k.force != rota.StepDelete &&
		s.now.Before(off.Add(second-tolerance)) {
		s.violate(4, "%s would be deleted before its second grace, which began at %s, is over", id, stamp(off))
	}
}

// checkDeleteActive is rule 4 for a credential that could not be deactivated: its
// deletion needs what a deactivation needs.
func (s *subject) checkDeleteActive(k *worker, id string) {
	switch id {
	case s.idOf(rota.LabelCurrent):
		s.violate(4, "%s would be deleted while it is current", id)
	case s.idOf(rota.LabelPrevious):
		s.checkGrace(k, id)
		s.checkUnused(k, id)
	}
}

// dueAt returns when the current credential is due for rotation at the latest, or
// false if there is none.
func (s *subject) dueAt() (time.Time, bool) {
	at, ok := s.policedAt()
	_, last := s.early(at)
	return last, ok
}

// policedAt returns when it's due by the policy.
func (s *subject) policedAt() (time.Time, bool) {
	if s.idOf(rota.LabelCurrent) == "" {
		return time.Time{}, false
	}
	if _, c, ok := s.store.Read(rota.LabelCurrent); ok && s.temp != nil {
		return c.ExpiresAt().Add(s.policy.RotateEvery - s.traits.Lifetime), true
	}
	i := slices.IndexFunc(s.issuer.Keys(), func(i rota.Issued) bool { return i.ID == s.idOf(rota.LabelCurrent) })
	if (s.keys != nil || s.only != nil) && i >= 0 {
		return s.policy.Window.Open(s.issuer.Keys()[i].CreatedAt.Add(s.policy.RotateEvery)), true
	}
	if at, ok := s.truth.createdAt[s.truth.current]; ok {
		return s.policy.Window.Open(at.Add(s.policy.RotateEvery)), true
	}
	return time.Time{}, false
}

// checkIssuer checks what must hold for an effect at the issuer.
func (s *subject) checkIssuer(k *worker, e memory.Effect) {
	switch {
	case e.Op == "issuer.create" && s.traits.IssuerChooses:
		s.checkIntent(e.ID)
		s.checkTakesOver(k)
		s.checkMadeOnce(k)
		if s.only == nil { // which has been asked before the call, as that ends the current one
			s.checkDue(k)
		}
	case e.Op == "issuer.set":
		s.checkDurable()
		if s.truth.personPassword && k.force != rota.StepCreate && !k.hasBegun("", "rollback") && !s.isAsked() {
			s.violate(3, "the password of %s is set, but a person has changed it", e.ID)
		}
	}
}

// isAsked reports whether the set under way is of a rotation that a person asked
// for. What is set by hand meanwhile is replaced, as the one before was to be.
func (s *subject) isAsked() bool { return s.truth.progress.Versions[s.truth.pending].Asked }

// checkIntent checks rule 2 if the issuer chooses values: an intent has been
// saved, and no orphan of an earlier lost reply is left.
func (s *subject) checkIntent(id string) {
	if !slices.ContainsFunc(s.truth.progress.Intents, func(i rotation.Intent) bool { return !i.Until.Add(2 * time.Minute).Before(s.rotaClock()) }) {
		s.violate(2, "%s was made without a durable intent", id)
	}
	if orphans := s.orphans(id); len(orphans) > 0 {
		s.violate(2, "%s was made while %v was still an orphan", id, orphans)
	}
}

// orphans returns the keys that Rota made but no labeled version holds, except
// one given key and those that people are to blame for.
func (s *subject) orphans(but string) []string {
	if s.keys == nil && s.only == nil {
		return nil
	}
	var out []string
	for _, i := range s.issuer.Keys() {
		if i.ID != but && s.truth.mine[i.ID] && !s.truth.abandoned[i.ID] && !s.labelled(i.ID) && (!s.people.meddled || !s.truth.promoted[i.ID]) {
			out = append(out, i.ID)
		}
	}
	return out
}

// checkDurable checks rule 2 if Rota chooses values: the value is in the store.
func (s *subject) checkDurable() {
	for _, l := range []rota.Label{rota.LabelPending, rota.LabelCurrent, rota.LabelPrevious} {
		if _, c, ok := s.store.Read(l); ok && c.Equal(s.truth.inHand) {
			return
		}
	}
	s.violate(2, "a password was set that is not in the store")
}

// checkMadeOnce checks rule 7: finished work isn't repeated.
func (s *subject) checkMadeOnce(k *worker) {
	if k.made++; k.made > 1 {
		s.violate(7, "%s made credentials twice in one turn", k.holder)
	}
}

// checkDue checks rule 7: nothing is created early, unless somebody revoked a credential
// that would have expired later.
func (s *subject) checkDue(k *worker) {
	if s.temp != nil && (!s.active(s.idOf(rota.LabelCurrent)) || s.endsUnrenewed()) {
		return
	}
	due, ok := s.policedAt()
	if due, _ = s.early(due); ok && k.force == rota.StepNone && s.now.Before(due.Add(-tolerance)) {
		s.violate(7, "a new credential is made, though the current one is due at %s only", stamp(due))
	}
}

// checkStore checks what must hold for an effect in the store, given the state
// before it.
func (s *subject) checkStore(k *worker, e memory.Effect) {
	t := &s.truth
	switch e.Op {
	case "store.put":
		s.checkPut(k, e.ID)
	case "store.move":
		version, ok := isLabel(e.ID, rota.LabelCurrent)
		if !ok || k.command == "adopt" || k.command == "rollback" || k.hasBegun("", "rollback") {
			return
		}
		if t.foreign[t.current] && t.current != t.given && !s.isDead(t.current) {
			s.violate(3, "AWSCURRENT was taken off version %s, which a person put", t.current)
		}
		if _, c, _ := s.store.Read(rota.LabelCurrent); !t.proven[proof(c)] {
			s.violate(4, "version %s was promoted without a test", version)
		}
	}
}

// isDead reports whether a person's version holds no credential, or one that
// isn't active at the issuer. Replacing it takes nothing away from anyone.
func (s *subject) isDead(version string) bool {
	var c rota.Credential
	var err error
	s.quietly(func() { c, err = s.store.Get(context.Background(), rota.GetRequest{Version: version}) })
	id := s.issuer.CredentialID(c)
	next := s.truth.progress.Versions[s.truth.pending]
	overwritten := next.CredentialID == id && next.Base == version && !next.SetBegunAt.IsZero() // of the same role, which was off
	return err == nil && (id == "" || (s.keys != nil || s.alt != nil || s.only != nil || s.hashed != nil) && (!s.active(id) || overwritten))
}

// checkPut checks rule 10: a new version doesn't displace another one.
func (s *subject) checkPut(k *worker, id string) {
	t := &s.truth
	t.createdAt[id] = s.now
	s.noteValue(id)
	_, c, _ := s.store.Read(rota.LabelPending)
	if t.pending == "" || t.pending == id || t.pending == t.current || k.command == "adopt" {
		t.pendingValue = c
		if !s.traits.IssuerChooses && k.command != "adopt" {
			s.checkMadeOnce(k)
			s.checkDue(k)
		}
		return
	}
	if t.foreign[t.pending] {
		s.violate(3, "AWSPENDING was taken off version %s, which a person put", t.pending)
	}
	if !c.Equal(t.pendingValue) {
		s.violate(10, "version %s became AWSPENDING while %s was", id, t.pending)
	}
}

// checkLimit checks rule 5 after a call has hit the limit: only something that
// appeared moments ago can have taken the slot.
func (s *subject) checkLimit() {
	for _, i := range s.issuer.Keys() {
		if s.now.Sub(i.CreatedAt) < tolerance && s.keys != nil {
			return
		}
	}
	s.violate(5, "a call ran into the issuer's limit of %d", s.traits.Limit)
}
