package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// operator is a person who does exactly what a remedy says, in Rota or at the
// outside system, and knows nothing else. They see the remedies of a held or
// failed secret as values, never the messages.
type operator struct {
	// choosy operators follow any of the alternatives, others only the
	// recommended one.
	choosy bool
	// seen are the states in which a remedy was followed since the last state
	// without a hold. followed is how many remedies that took; waiting doesn't
	// count.
	seen     []string
	followed int
	// answer is the last command's answer, if it was refused. again is a
	// command to repeat, because what its answer asked for was done outside.
	answer *situation
	again  *situation
	// atRest means that the operator came past a hold that a person asked for.
	// The count restarted there.
	atRest bool
	// actedAt is when the last remedy was followed. Its effect shows in the
	// first turn that ends after it.
	actedAt time.Time
	// waiting is the state being waited out, since waitingSince.
	waiting      string
	waitingSince time.Time
	retries      bool      // what they wait for is to be able to follow the remedy
	restUntil    time.Time // they were told that only time ends it
	began        time.Time // when they started on the last remedy
	complained   bool      // users did, who can't log in
	busy         bool      // the current action is theirs
}

// enough is how many remedies must suffice to get out of any hold.
const enough = 3

// situation is what a person is told: what is wrong, and what they can do.
type situation struct {
	what     string
	remedies []rota.Remedy
	// command is the refused command, if this is its answer. It is repeated
	// once what the answer asks for has been done outside.
	command rota.Remedy
}

// state identifies a situation. The same hold with different remedies is a
// different state, because something has been achieved.
func (x situation) state() string {
	state := x.what
	for _, r := range x.remedies {
		state += fmt.Sprintf("; %s %s %s %s %s %s", r.Action, r.Verb, r.Object, r.Key, r.Value, r.Then)
	}
	return state
}

// look is a person checking on Rota, several times a day.
func (s *subject) look(ctx context.Context) {
	next := s.during(6*time.Hour, rota.Day)
	if len(s.operator.seen) > 0 {
		next = s.during(time.Hour, 4*time.Hour) // they're working on it
	}
	s.turnAt(s.now.Add(next), "look", s.look)
	if s.w.upAt(s.now).After(s.now) || s.w.faulty(s.now) && s.chance(0.3) {
		return
	}
	s.operator.busy = true
	defer func() { s.operator.busy = false }()
	if s.complain() && s.operator.complained { // users can't wait, and there is a credential that works
		_, _ = s.carryOut(ctx, rota.Remedy{Action: rota.RemedyAdoptGiven, Secret: s.name})
		s.operator.begin()
	}
	s.operator.complained = s.complain()
	for range enough + 1 {
		if !s.obey(ctx) || s.w.broken != nil {
			return
		}
	}
}

// obey follows one remedy. It reports whether there is an answer to act on
// right away.
func (s *subject) obey(ctx context.Context) (more bool) {
	o := &s.operator
	if s.truth.workedAt.Before(o.actedAt) || s.now.Before(o.restUntil) {
		return false // the effect doesn't show yet
	}
	if s.disturbedSince(o.began) {
		o.begin() // remedies can't foresee what others do
	}
	x, held := s.situation()
	if !held {
		if len(o.seen) > 0 {
			s.w.result.WaysOut++
		}
		o.begin()
		if !s.disturbedSince(s.truth.workedAt) {
			s.people.blows = 0 // a turn has found that all is well
		}
		return s.mendOwn(ctx)
	}
	state := x.state()
	switch {
	case state == o.waiting && !s.waitedTooLong(x):
		if !o.retries && (!o.choosy || s.chance(0.7)) {
			return false
		}
	case state != o.waiting && o.waiting != "":
		o.waiting = "" // it may come back, as to wait is to follow nothing
	}
	if hold := s.truth.progress.Status.Hold; len(o.seen) > 0 && o.answer == nil && (hold == rotation.HoldRolledBack || hold == rotation.HoldPaused) {
		if !o.atRest { // the problem is over, and someone asked for this hold
			o.seen, o.followed, o.atRest = nil, 0, true
		}
	}
	switch {
	case slices.Contains(o.seen, state):
		s.violate(15, "following the remedies led back to where they began: %s", state)
	case o.followed >= enough*max(s.people.blows, 1) && !asksForPermission(x): // which is a fault of its own
		s.violate(15, "%d remedies did not lead out: %s", o.followed, state)
	}
	if s.w.broken != nil {
		return false
	}
	return s.follow15(ctx, x)
}

// asksForPermission reports whether a permission has to be granted.
func asksForPermission(x situation) bool {
	return slices.ContainsFunc(x.remedies, func(r rota.Remedy) bool { return r.Verb == rota.VerbGrant })
}

// begin forgets past attempts.
func (o *operator) begin() {
	o.seen, o.followed, o.answer, o.again, o.waiting, o.atRest = nil, 0, nil, nil, "", false
}

// situation returns what the secret's status says, or what the last command
// did.
func (s *subject) situation() (situation, bool) {
	if p := s.truth.progress; p.Status.Hold == rotation.HoldNone && p.Failure == nil {
		s.operator.again = nil // meanwhile all is well
	}
	for _, x := range []*situation{s.operator.answer, s.operator.again} {
		if x != nil {
			return *x, true
		}
	}
	p := s.truth.progress
	st := p.Status
	if len(st.Remedies) > 0 && (st.Hold != rotation.HoldNone || p.Failure != nil) {
		what := string(st.Hold)
		if st.Hold == rotation.HoldNone {
			what = "failed: " + string(p.Failure.Step)
		}
		return situation{what: what, remedies: st.Remedies}, true
	}
	if f := p.Failure; f != nil && len(f.Remedies) == 0 && f.Attempts > 3 && !s.disturbedSince(f.At.Add(-time.Hour)) && !s.disturbedSince(s.now.Add(-rota.Day)) {
		s.violate(15, "%s failed %d times without a fault, and names no remedy: %s", f.Step, f.Attempts, f.Error)
	}
	return situation{}, false
}

// checkRemedied checks rule 15 for a hold: unless time alone ends it, it names
// a remedy.
func (s *subject) checkRemedied(d rotation.Decision) {
	if d.Hold == rotation.HoldNone || d.Hold == rotation.HoldInUse || d.Hold == rotation.HoldRetrying || len(d.Remedies) > 0 {
		return
	}
	s.violate(15, "a hold names no remedy: %s", d.Reason)
}

// disturbedSince reports whether a fault has occurred, or a person has acted on
// their own, since then.
func (s *subject) disturbedSince(at time.Time) bool { return !s.truth.disturbedAt.Before(at) }

// waitedTooLong checks rule 15 for waiting.
func (s *subject) waitedTooLong(x situation) bool {
	p := s.policy.WithDefaults()
	if s.now.Sub(s.operator.waitingSince) > p.RotateEvery+p.DeletePreviousAfter+2*p.UnusedFor+30*rota.Day && !s.disturbedSince(s.operator.waitingSince) {
		s.violate(15, "waiting ended nothing: %s", x.state())
	}
	return false
}

// follow15 follows the recommended remedy, or another one, and checks that this
// locks out no one who uses the current credential.
func (s *subject) follow15(ctx context.Context, x situation) (more bool) {
	o := &s.operator
	answer, again := o.answer, o.again
	requirements := rota.Requirements(x.remedies)
	last := len(requirements) - 1
	for _, alternatives := range requirements[:last] {
		s.meet(ctx, alternatives)
	}
	remedies := requirements[last]
	if o.choosy {
		s.rng.Shuffle(len(remedies), func(i, j int) { remedies[i], remedies[j] = remedies[j], remedies[i] })
	}
	for _, r := range remedies {
		logins := s.logins(r)
		o.began = s.now
		var done outcome
		done, o.answer = s.carryOut(ctx, r.First())
		if next, then := r.Next(); then && done == carriedOut && o.answer == nil {
			s.spend(s.during(time.Minute, 5*time.Minute)) // the issuer's list lags for less than a person needs
			done, o.answer = s.carryOut(ctx, next)
		}
		switch done {
		case impossible:
			continue
		case rests: // time alone ends it, and ends earlier attempts
			o.restUntil = s.now.Add(s.during(rota.Day, 3*rota.Day))
			o.begin()
			return false
		case waits:
			if answer != nil && r.Action == rota.RemedyWait { // they repeat the command another day
				o.restUntil = s.now.Add(s.during(rota.Day, 3*rota.Day))
				o.begin()
				return false
			}
			o.answer, o.again = answer, again
			if o.waiting != x.state() {
				o.waiting, o.waitingSince = x.state(), s.now
			}
			o.retries = r.Action != rota.RemedyWait
			return false
		}
		if o.answer != nil {
			o.answer.command = r
		}
		s.w.result.Remedies[remedyKind(r)]++
		s.checkLogins(r, logins)
		o.seen, o.actedAt, o.again = append(o.seen, x.state()), s.now, nil
		if o.followed++; x.command.Action != "" && r.Action == rota.RemedyOutside {
			o.again = &situation{what: "again", remedies: []rota.Remedy{x.command}}
		}
		if r.Verb == rota.VerbGrant {
			o.seen, o.followed = nil, 0 // a missing permission is its own problem: the one it was hiding starts now
		}
		return o.answer != nil
	}
	s.violate(15, "none of the remedies can be carried out: %s", x.state())
	return false
}

// meet carries out the first of the alternatives that means anything here.
func (s *subject) meet(ctx context.Context, alternatives []rota.Remedy) {
	for _, r := range alternatives {
		logins := s.logins(r)
		if done, _ := s.carryOut(ctx, r.First()); done != impossible {
			s.checkLogins(r, logins)
			return
		}
	}
}

func remedyKind(r rota.Remedy) string {
	if r.Verb != "" {
		return string(r.Verb)
	}
	return string(r.Action)
}

// outcome is the result of trying to do what a remedy says.
type outcome int

const (
	impossible outcome = iota // it can't mean anything here
	waits                     // the remedy says to wait, or requires waiting until something is unused
	rests                     // refused until some time has passed
	carriedOut
)

// carryOut does exactly what a remedy says, and returns the answer if it was
// refused.
func (s *subject) carryOut(ctx context.Context, r rota.Remedy) (outcome, *situation) {
	s.note("remedy", r.String(), "")
	switch r.Action {
	case rota.RemedyWait:
		return waits, nil
	case rota.RemedyRun:
		s.turnAt(s.now.Add(time.Second), "again", s.again)
		return carriedOut, nil
	case rota.RemedyResume:
		s.journal.Resume(s.name)
		s.truth.progress, s.truth.fails, s.truth.turns = s.journal.Progress(s.name), 0, nil
		s.turnAt(s.now.Add(time.Second), "again", s.again)
		return carriedOut, nil
	case rota.RemedyAdoptGiven:
		c, known := s.inUse()
		if !known {
			return impossible, nil
		}
		return s.ordered(r, func() (rotation.Result, error) { return s.adopt(ctx, c) })
	case rota.RemedyAdopt:
		return s.ordered(r, func() (rotation.Result, error) { return s.adopt(ctx, rota.Credential{}) })
	case rota.RemedyOutside:
		return s.atOutside(ctx, r), nil
	}
	steps := map[rota.RemedyAction]rota.Step{rota.RemedyRotate: rota.StepCreate, rota.RemedyRollBack: rota.StepRollback,
		rota.RemedyDeliver: rota.StepDeliver, rota.RemedyDeactivate: rota.StepDeactivate, rota.RemedyDelete: rota.StepDelete}
	step, known := steps[r.Action]
	if !known {
		return impossible, nil
	}
	return s.ordered(r, func() (rotation.Result, error) { return s.command(ctx, string(r.Action), step) })
}

// ordered runs a command and reads its answer.
func (s *subject) ordered(r rota.Remedy, command func() (rotation.Result, error)) (outcome, *situation) {
	res, err := command()
	what := "refused: " + string(r.Action)
	switch last := res.Last; {
	case errors.Is(err, rota.ErrBusy):
		return waits, nil // nothing was done: they repeat it
	case errors.Is(err, rota.ErrFenced), err == nil && last.Hold == rotation.HoldNone:
		return carriedOut, nil
	case err != nil:
		if remedies := s.w.hooks.said(err); len(remedies) > 0 {
			return carriedOut, &situation{what: what + ": " + string(last.Step), remedies: remedies}
		}
	case len(res.Done) > 0: // the rest is for the next look
	case len(last.Remedies) > 0:
		return carriedOut, &situation{what: what + ": " + string(last.Hold), remedies: last.Remedies}
	default:
		return rests, nil
	}
	return carriedOut, nil
}

// atOutside does something at the issuer or in the store.
func (s *subject) atOutside(ctx context.Context, r rota.Remedy) outcome {
	off, _ := s.issuer.(rota.Deactivator)
	object := rota.RetireRequest{CredentialID: r.Object}
	switch r.Verb {
	case rota.VerbGrant:
		delete(s.denied, r.Object)
		s.truth.grantedAt = s.now
		return carriedOut
	case rota.VerbUnlabel:
		if s.versionOf(rota.LabelPending) == r.Object {
			_ = s.store.Move(ctx, rota.MoveRequest{Label: rota.LabelPending, From: r.Object})
		}
		return carriedOut
	case rota.VerbReactivate:
		if off == nil || off.Reactivate(ctx, object) != nil {
			return impossible
		}
		return carriedOut
	case rota.VerbDeactivate, rota.VerbDelete:
		if r.Object == s.idOf(rota.LabelCurrent) && s.isUsed(r.Object) && !s.disturbedSince(s.truth.savedAt) {
			s.violate(15, "the remedy is to %s %s, which is in use", r.Verb, r.Object)
		}
		id := r.Object
		if s.hashed != nil {
			id = s.hashed.Resolve(id)
		}
		if off == nil && (s.hashed == nil || r.Verb != rota.VerbDelete) {
			return impossible
		}
		if s.isUsed(id) {
			return waits
		}
		if s.hashed != nil {
			s.hashed.Discard(id)
			return carriedOut
		}
		_ = off.Deactivate(ctx, object) // it might already be gone
		if r.Verb == rota.VerbDelete {
			_ = s.issuer.Delete(ctx, object)
		}
		return carriedOut
	}
	return impossible
}
