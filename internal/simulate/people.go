package simulate

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// people have access to the systems. They interfere while faults occur, and fix
// what Rota tells them to fix.
type people struct {
	versions int
	resets   int
	blows    int             // what they did since the last time all was well that doesn't end on its own
	meddled  bool            // they moved labels, which can push a version out of the store
	made     rota.Credential // the last credential made by hand
}

// startPeople schedules people's first actions.
func (s *subject) startPeople() {
	if s.only != nil {
		s.people.made = s.only.Plant() // the first one is made by hand
	}
	if s.chance(0.3) {
		s.quietly(func() { s.putByHand(s.newByHand()) })
	}
	if s.rare.Float64() < 0.2 {
		s.quietly(s.rotateByHand)
	}
	s.at(s.now.Add(s.during(rota.Day, 40*rota.Day)), "person", s.disturb)
	s.turnAt(s.now.Add(s.during(time.Hour, 12*time.Hour)), "look", s.look)
}

// did counts an action by a person.
func (s *subject) did(what string) {
	s.w.result.People[what]++
	s.note(what, "", "")
	if !s.operator.busy {
		s.truth.disturbedAt = s.now
	}
}

// disturb is one random act of interference.
func (s *subject) disturb(context.Context) {
	s.at(s.now.Add(s.during(time.Hour, 40*rota.Day)), "person", s.disturb)
	if !s.w.faulty(s.now) {
		return
	}
	command := func(name string, force rota.Step) {
		s.turnAt(s.now, name, func(ctx context.Context) {
			_, _ = s.command(ctx, name, force) // like any command, it can fail
		})
	}
	switch n := s.rng.IntN(23); {
	case n < 3:
		s.turnAt(s.now, "lose", s.loseFolder)
	case n < 6:
		command("rollback", rota.StepRollback)
	case n < 7:
		command("rotate", rota.StepCreate)
	case n < 8:
		s.turnAt(s.now, "ask", s.ask)
	case n < 9:
		command("deactivate", rota.StepDeactivate)
	case n < 10:
		command("delete", rota.StepDelete)
	case n < 12:
		command("redeliver", rota.StepDeliver)
	case n < 15:
		s.turnAt(s.now, "foreign key", func(context.Context) { s.people.blows++; s.plantKey() })
	case n < 17:
		s.turnAt(s.now, "foreign rotation", func(context.Context) { s.putByHand(s.newByHand()) })
	case n < 18:
		s.turnAt(s.now, "edit", func(context.Context) {
			if version, c, ok := s.store.Read(rota.LabelCurrent); ok && !s.truth.personBroke && !s.truth.broken[version] {
				s.putByHand(c)
			}
		})
	case n < 19:
		s.turnAt(s.now, "foreign pending", func(context.Context) { s.plantPending() })
	case n < 22:
		s.turnAt(s.now, "dead end", func(context.Context) { s.deadEnd() })
	default:
		s.turnAt(s.now, "password", func(context.Context) { s.changePassword() })
	}
}

// command runs a command for a person, as the command line does.
func (s *subject) command(ctx context.Context, name string, force rota.Step) (rotation.Result, error) {
	s.did(name)
	if force == rota.StepCreate {
		s.wish()
	}
	if force == rota.StepRollback || force == rota.StepCreate {
		s.truth.fails = 0 // a person's request restarts the retries
	}
	if force == rota.StepRollback && s.policy.Retire == rotation.RetireBeforeCreate {
		// The version rolled back from lives until the next rotation is due,
		// which might be soon: before_create promises no overlap after a
		// rollback.
		s.excuse(s.idOf(rota.LabelCurrent))
	}
	if force != rota.StepDeliver {
		s.excuse(s.idOf(rota.LabelPrevious))
	}
	res, err, crashed := s.work(ctx, name, force, func(r *rotation.Rotator) (rotation.Result, error) {
		switch force {
		case rota.StepRollback:
			s.w.result.RollBacks++
			return r.Rollback(ctx, s.secret)
		case rota.StepDeliver:
			return r.Redeliver(ctx, s.secret)
		}
		return r.Advance(ctx, s.secret, rotation.Options{Force: force})
	})
	return res, orCrashed(name, err, crashed)
}

func orCrashed(name string, err error, crashed bool) error {
	if crashed {
		return fmt.Errorf("%s: crashed", name)
	}
	return err
}

// ask records a person's request for a new credential, as RotateSecret does,
// for the daemon's next turns to fulfill.
func (s *subject) ask(ctx context.Context) {
	s.did("ask")
	s.wish()
	_, err, crashed := s.work(ctx, "ask", rota.StepNone, func(r *rotation.Rotator) (rotation.Result, error) { // like any command, it can fail
		return rotation.Result{}, r.Request(ctx, s.secret, s.newID(), rotation.Entry{Step: "rotate", Outcome: rotation.OutcomeBegun})
	})
	if err == nil || crashed {
		s.truth.fails = 0 // whatever failed before is retried
	}
}

// wish records what a person permits by asking for a new credential.
func (s *subject) wish() {
	s.truth.personPassword = false // it can be replaced
	if s.temp != nil || s.only != nil || s.kept != nil {
		s.truth.given = s.truth.current
	}
}

// excuse records that a person had a credential retired early, so anyone who
// still holds it can be locked out.
func (s *subject) excuse(id string) {
	for _, c := range s.consumers {
		if id != "" && s.issuer.CredentialID(c.credential) == id {
			s.truth.forcedOff[proof(c.credential)] = true
		}
	}
}

// loseFolder loses Rota's data folder. What only Rota knew is lost with it.
func (s *subject) loseFolder(context.Context) {
	s.did("lost data folder")
	for _, id := range s.orphans("") {
		s.truth.abandoned[id] = true
	}
	s.journal.Reset()
	s.truth.lostAt = s.now
	s.people.resets++
	s.truth.progress, s.truth.nextAt, s.truth.fence, s.truth.fails = rotation.Progress{}, time.Time{}, 0, 0
}

// plantKey makes a key by hand, if there is a free slot.
func (s *subject) plantKey() {
	if s.hashed != nil {
		s.addByHand()
		return
	}
	if s.keys == nil || len(s.keys.Keys()) >= s.traits.Limit || s.doubtful() {
		return
	}
	s.did("foreign key")
	s.people.made = s.keys.Plant()
	s.note("made by hand", s.issuer.CredentialID(s.people.made), "")
}

// doubtful reports whether a reply has been lost. A key that appears then can't
// be told apart from an orphan.
func (s *subject) doubtful() bool {
	_, c, _ := s.store.Read(rota.LabelPending)
	for _, i := range s.truth.progress.Intents {
		if v := s.truth.createdAt[i.Version]; v.IsZero() && s.now.Sub(i.Until) < 10*time.Minute {
			return true
		}
	}
	return !c.IsZero()
}

// newByHand makes a new credential by hand, or returns zero if there is no free
// slot.
func (s *subject) newByHand() rota.Credential {
	s.people.versions++
	password := fmt.Sprintf("made by hand %s %d", s.name, s.people.versions)
	switch {
	case s.keys != nil && len(s.keys.Keys()) < s.traits.Limit && !s.doubtful():
		s.people.made = s.keys.Plant()
	case s.pass != nil:
		s.plant(password)
	case s.kept != nil, s.hashed != nil, s.only != nil && !s.doubtful():
		s.plant(password)
	case s.alt != nil && s.operator.busy:
		s.people.made = s.alt.Plant(cmp.Or(s.idOf(rota.LabelCurrent), "app_a"), password)
	default:
		return rota.Credential{}
	}
	return s.people.made
}

// putByHand puts a version as AWSCURRENT and gives it to everyone, as a person
// rotating without Rota does.
func (s *subject) putByHand(c rota.Credential) {
	if c.IsZero() {
		return
	}
	s.did("foreign version")
	s.people.blows++ // it isn't Rota's, and what was AWSPREVIOUS isn't any more
	id := s.personVersion()
	s.put(id, c)
	t := &s.truth
	t.promoted[s.issuer.CredentialID(c)] = true
	s.logsIn(c) // it has propagated everywhere from here on
	s.handOut(id, c)
	t.served, t.servedAt, t.gap, t.personBroke = id, s.now, false, false
}

func (s *subject) personVersion() string {
	s.people.versions++
	return fmt.Sprintf("person-%d", s.people.versions)
}

// put stores a version as AWSCURRENT, and tells no one.
func (s *subject) put(id string, c rota.Credential) {
	t := &s.truth
	pushed := s.idOf(rota.LabelPrevious)
	t.foreign[id], t.createdAt[id], t.personAt = true, s.now, s.now
	s.store.Plant(id, c, rota.LabelCurrent)
	s.noteValue(id)
	s.note("put by hand", id, s.issuer.CredentialID(c))
	s.abandon(pushed)
	t.current, _, _ = s.store.Read(rota.LabelCurrent)
	t.pending, _, _ = s.store.Read(rota.LabelPending)
}

// handOut gives a credential to everyone who uses the secret.
func (s *subject) handOut(id string, c rota.Credential) {
	t := &s.truth
	for i, target := range s.targets {
		_ = target.Deliver(context.Background(), rota.DeliverRequest{Secret: s.name, Version: id, Credential: c})
		t.delivered[i] = id
	}
	for i := range t.reloaded {
		t.reloaded[i] = id
	}
	for _, consumer := range s.consumers {
		s.takeUp(consumer)
	}
}

// plantPending leaves someone else's rotation half done.
func (s *subject) plantPending() {
	if t := &s.truth; t.pending == "" && t.current != "" {
		s.did("foreign pending")
		id := s.personVersion()
		t.foreign[id], t.pending = true, id
		s.store.Plant(id, rota.Credential{}, rota.LabelPending)
	}
}

// changePassword changes a password on the server and tells no one.
func (s *subject) changePassword() {
	if !s.changes() || s.truth.current == "" || s.truth.foreign[s.truth.current] {
		return
	}
	s.did("foreign password")
	s.people.versions++
	s.plant(fmt.Sprintf("made by hand %s %d", s.name, s.people.versions))
	s.truth.personBroke, s.truth.brokeAt = true, s.now
}

// complain reports whether users complain that they can't log in. They give Rota
// time to notice.
func (s *subject) complain() bool {
	return s.truth.personBroke && s.now.Sub(s.truth.brokeAt) > driftKnown
}

// mendOwn fixes what people fix without being told by Rota, because users of
// the secret complain: a password that was changed outside. It reports whether
// there is an answer to act on.
func (s *subject) mendOwn(ctx context.Context) bool {
	if !s.complain() {
		return false
	}
	_, s.operator.answer = s.carryOut(ctx, rota.Remedy{Action: rota.RemedyRotate, Secret: s.name})
	s.operator.began, s.operator.actedAt = s.now, s.now
	return s.operator.answer != nil
}

func (s *subject) versionOf(l rota.Label) string {
	version, _, _ := s.store.Read(l)
	return version
}
