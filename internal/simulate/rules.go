package simulate

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// truth is the real state of the simulation, whatever Rota believes.
type truth struct {
	mine     map[string]bool // credentials that Rota made or adopted
	promoted map[string]bool // access keys that have ever been current
	foreign  map[string]bool // versions that a person put and Rota hasn't adopted
	given    string          // the one of those that a person wants replaced
	streak   map[string]int  // consecutive successful test logins, by value
	proven   map[string]bool // values that have logged in enough times in a row
	offAt    map[string]time.Time
	usedAt   map[string]time.Time // when a sample last showed use
	// createdAt are the creation dates of versions.
	createdAt map[string]time.Time
	// values are the versions' values. A person can put one twice.
	values map[string]string
	// forcedOff are values that a person had retired early.
	forcedOff map[string]bool
	// abandoned are Rota's keys of which no record is left: the data folder was
	// lost together with the intent, or a person pushed the version out of the
	// store.
	abandoned map[string]bool

	inHand    rota.Credential // the credential of the call in flight
	creating  rota.CreateRequest
	current   string   // the version with AWSCURRENT
	pending   string   // the version with AWSPENDING
	delivered []string // the version on each target
	reloaded  []string // the version each reloader's consumers run on
	servedAt  time.Time
	served    string
	// currentSince is when AWSCURRENT last moved.
	currentSince time.Time
	lostAt       time.Time // when the data folder was last lost
	gap          bool      // without overlap: set or made, but not yet picked up everywhere
	gapSince     time.Time
	grantedAt    time.Time // when a person last granted a permission
	issuerAt     time.Time

	pendingValue   rota.Credential
	personPassword bool      // a person set the password in force
	personBroke    bool      // a person locked the consumers out
	brokeAt        time.Time // when
	driftSince     time.Time // since when the current credential hasn't been in force, as far as anyone looked
	personAt       time.Time
	broken         map[string]bool // versions that hold half a credential
	disturbedAt    time.Time       // when a fault last occurred, or a person last acted on their own
	savedAt        time.Time       // when progress was last saved
	workedAt       time.Time       // when a turn last ended

	progress  rotation.Progress // as saved; don't read its maps
	nextAt    time.Time
	hold      rotation.HoldKind // since holdSince
	holdSince time.Time
	// failingSince is the first save since which each one has had a failure.
	failingSince time.Time
	hadPrevious  bool // as of the last save
	fence        int64
	waiting      time.Time // since when a turn has been waiting for a slot
	failStep     rota.Step
	failVersion  string
	fails        int
	turns        []time.Time
}

func newTruth() truth {
	return truth{broken: map[string]bool{}, mine: map[string]bool{}, promoted: map[string]bool{}, foreign: map[string]bool{}, streak: map[string]int{},
		proven: map[string]bool{}, usedAt: map[string]time.Time{}, createdAt: map[string]time.Time{}, values: map[string]string{},
		offAt: map[string]time.Time{}, forcedOff: map[string]bool{}, abandoned: map[string]bool{}}
}

// tested counts consecutive logins with a value.
func (t *truth) tested(value string, ok bool, need int) {
	if !ok {
		delete(t.streak, value)
		return
	}
	if t.streak[value]++; t.streak[value] >= need {
		t.proven[value] = true
	}
}

func (t *truth) succeeded(d rotation.Decision) {
	if d.Step == t.failStep {
		t.fails = 0
	}
}

// tolerance is the allowed difference between clocks and between turns.
const tolerance = 5 * time.Minute

// effect is called right after every change that a call actually made.
func (s *subject) effect(e memory.Effect) {
	k := s.worker
	if e.Op == "journal.save" {
		if k != nil {
			s.durable(k, k.saving)
			s.pauseAfter(k)
		}
		return
	}
	if e.Op == "notifier.notify" {
		e.ID = "" // random
	}
	s.note(e.Op, e.ID, "")
	if strings.HasPrefix(e.Op, "issuer.") {
		s.truth.issuerAt = s.now
	}
	if k != nil {
		if k.lost {
			s.violate(6, "%s did %s %s after it had lost its lease", k.holder, e.Op, e.ID)
		}
		s.checkAudited(k, e)
		s.checkIssuer(k, e)
		s.checkStore(k, e)
	}
	s.follow(e)
	s.checkAlways()
	if strings.HasPrefix(e.Op, "issuer.") && e.Op != "issuer.create" {
		s.probeAll()
	}
	if k != nil {
		s.pauseAfter(k)
	}
}

func (s *subject) pauseAfter(k *worker) {
	if k.pause {
		k.pause = false
		s.takeover()
	}
}

// follow keeps the truth up to date.
func (s *subject) follow(e memory.Effect) {
	t := &s.truth
	t.current, _, _ = s.store.Read(rota.LabelCurrent)
	t.pending, _, _ = s.store.Read(rota.LabelPending)
	switch e.Op {
	case "issuer.create":
		if s.worker != nil {
			s.made(e.ID)
		}
	case "issuer.set":
		s.opensGap()
		delete(t.offAt, e.ID)
		t.mine[e.ID], t.personPassword = true, false
	case "issuer.deactivate":
		t.offAt[e.ID] = s.now
	case "issuer.reactivate":
		delete(t.offAt, e.ID)
		s.letIn(e.ID)
	case "target.deliver":
		i := slices.IndexFunc(s.targets, func(x *memory.Target) bool { return x.Name() == e.System })
		t.delivered[i] = e.ID
	case "store.move":
		s.followMove(e)
	case "store.put":
		s.followPut(e.ID)
	}
	s.followServed()
	s.followEnds()
	s.followLeases()
}

// followServed notes that everyone has a version again that has been served
// before, as after a person moved AWSCURRENT back to it.
func (s *subject) followServed() {
	t := &s.truth
	other := func(version string) bool { return version != t.current }
	if t.served == t.current || s.versionOf(rota.LabelServed) != t.current || slices.ContainsFunc(t.delivered, other) || slices.ContainsFunc(t.reloaded, other) {
		return
	}
	t.served, t.servedAt = t.current, s.now
}

func (s *subject) followMove(e memory.Effect) {
	t := &s.truth
	if version, ok := isLabel(e.ID, rota.LabelServed); ok && version != "" {
		if version != t.served {
			t.servedAt = s.now
			s.w.result.Rotations++
		}
		t.served, t.gap, t.personBroke = version, false, t.personPassword
	}
	if version, c, ok := s.store.Read(rota.LabelAdopted); ok && version == t.current {
		delete(t.foreign, version)
		t.personPassword = false
		t.mine[s.issuer.CredentialID(c)] = true
	}
	if version, ok := isLabel(e.ID, rota.LabelAdoptedPrevious); ok && version != "" {
		_, c, _ := s.store.Read(rota.LabelAdoptedPrevious)
		if !s.labelled(s.issuer.CredentialID(c)) || (s.keys != nil || s.hashed != nil) && t.foreign[version] && !s.exists(s.issuer.CredentialID(c)) {
			s.violate(3, "version %s was adopted as the previous one, and nobody knows what it holds", version)
		}
		delete(t.foreign, version)
		t.mine[s.issuer.CredentialID(c)] = true
	}
	if _, ok := isLabel(e.ID, rota.LabelCurrent); ok {
		t.currentSince = s.now
		_, c, _ := s.store.Read(rota.LabelCurrent)
		t.promoted[s.issuer.CredentialID(c)] = true
		if s.logsIn(c) {
			delete(t.forcedOff, proof(c))
		}
	}
}

// idOf returns the issuer's id of the credential in the version with the label.
func (s *subject) idOf(l rota.Label) string {
	_, c, _ := s.store.Read(l)
	return s.issuer.CredentialID(c)
}

// checkAlways checks what must hold at all times: rule 10, and the limit of
// rule 5.
func (s *subject) checkAlways() {
	if err := s.store.Invariant(); err != nil {
		s.violate(10, "%v", err)
	}
	if version, c, ok := s.store.Read(rota.LabelCurrent); ok {
		s.checkWhole(version, c)
	}
	if err := s.issuer.Invariant(); err != nil {
		s.violate(5, "%v", err)
	}
}

// checkWhole checks rule 10 for what a consumer reads: no field is missing.
func (s *subject) checkWhole(version string, c rota.Credential) {
	if !s.truth.broken[version] && (s.issuer.CredentialID(c) == "" || proof(c) == "") {
		s.violate(10, "version %s is read with the fields %v only", version, c.Names())
	}
}

// checkAudited checks rule 12: effects are announced in the audit log first.
func (s *subject) checkAudited(k *worker, e memory.Effect) {
	steps, object := auditOf(e)
	if steps != nil && !k.hasBegun(object, steps...) {
		s.violate(12, "%s %s happened and the audit has none of %v as begun", e.Op, e.ID, steps)
	}
}

// auditOf returns the audit steps that an effect can belong to.
func auditOf(e memory.Effect) (steps []string, object string) {
	switch e.Op {
	case "issuer.create":
		return []string{"create"}, ""
	case "issuer.set":
		return []string{"set", "rollback"}, ""
	case "issuer.deactivate":
		return []string{"deactivate"}, ""
	case "issuer.delete":
		return []string{"delete"}, ""
	case "issuer.renew":
		return []string{"renew"}, ""
	case "issuer.reactivate":
		return []string{"rollback"}, ""
	case "store.put":
		return []string{"create", "promote", "adopt"}, ""
	case "target.deliver":
		return []string{"deliver"}, e.System
	case "reloader.reload":
		return []string{"reload"}, e.System
	case "store.move":
		label, _, _ := strings.Cut(e.ID, "=")
		return moves[rota.Label(label)], ""
	}
	return nil, "" // an event reports what is already in the audit log
}

// moves are the steps that move a label.
var moves = map[rota.Label][]string{
	rota.LabelCurrent:     {"promote", "rollback", "adopt"},
	rota.LabelPending:     {"promote", "rollback", "delete", "adopt"},
	rota.LabelPrevious:    {"delete"},
	rota.LabelServed:      {"promote", "deliver", "reload", "rollback", "delete", "adopt"},
	rota.LabelDeactivated: {"deactivate", "rollback", "delete"},
	rota.LabelAdopted:     {"adopt", "delete"},

	rota.LabelAdoptedPrevious: {"adopt", "delete"},
}

// checkText checks rule 11: a text contains none of the current values.
func (s *subject) checkText(what, text string) {
	if text == "" {
		return
	}
	for _, l := range []rota.Label{rota.LabelCurrent, rota.LabelPending, rota.LabelPrevious} {
		if _, c, ok := s.store.Read(l); ok && proof(c) != "" && strings.Contains(text, proof(c)) {
			s.violate(11, "%s has the value of %s in it", what, l)
		}
	}
	if p := proof(s.truth.inHand); p != "" && strings.Contains(text, p) {
		s.violate(11, "%s has the value in hand in it", what)
	}
}

// checkTries checks rule 9: nothing is retried forever.
func (s *subject) checkTries(d rotation.Decision, err error) {
	t := &s.truth
	if d.Step == rota.StepRenew {
		return // it's tried until the credential has ended
	}
	if d.Step != t.failStep || d.Version != t.failVersion {
		t.failStep, t.failVersion, t.fails = d.Step, d.Version, 0
	}
	if s.worker == nil || s.worker.force != rota.StepNone || errors.Is(err, rota.ErrFenced) {
		return
	}
	if d.Step == rota.StepSet && d.Version == t.current {
		return // what puts the current credential back isn't given up: until it succeeds, nobody can log in
	}
	if d.Step == rota.StepCreate && s.only != nil && t.gap {
		return // nor is what takes the place of a token whose value was lost
	}
	t.fails++
	if limit := s.policy.WithDefaults().MaxAttempts + 8; t.fails > limit {
		s.violate(9, "%s was tried %d times in a row", d.Step, t.fails)
	}
}

// checkTurn checks what must hold at the end of a turn.
func (s *subject) checkTurn(k *worker, res rotation.Result, err error) {
	if err == nil {
		s.checkRemedied(res.Last)
		if s.kept != nil && res.Last.Hold == rotation.HoldDrifted {
			s.violate(13, "the issuer shows the credential in force, and it's held instead of taken over")
		}
		if res.Last.Hold != rotation.HoldNone {
			s.note("hold", string(res.Last.Hold), res.Last.Reason)
			s.w.result.Holds++
		}
		return
	}
	text := err.Error()
	s.note("error", "", text)
	s.checkText("an error", text)
	if k.command != "run" || k.unsaved || k.fence != s.truth.fence || errors.Is(err, rota.ErrFenced) || errors.Is(err, rota.ErrBusy) {
		return
	}
	p := s.truth.progress
	abandoned := k.hasBegun("", "rollback") && p.Rollback == nil && p.Trouble == rota.EventFailed // nothing's left to be tried again
	if k.begun != nil && p.Failure == nil && p.Rejections == 0 && !abandoned && !failsToRenew(p) {
		s.violate(9, "a failure was not remembered: %s", text)
	}
}

// maxTurnsADay is more than any retry schedule needs.
const maxTurnsADay = 200

// checkSpin checks rule 9 for the loop: it doesn't spin.
func (s *subject) checkSpin() {
	t := &s.truth
	t.turns = append(t.turns, s.now)
	if len(t.turns) <= maxTurnsADay {
		return
	}
	if s.now.Sub(t.turns[0]) < rota.Day {
		s.violate(9, "%d turns within %s", len(t.turns), s.now.Sub(t.turns[0]))
	}
	t.turns = t.turns[1:]
}

// checkPunctual checks rule 8: a turn doesn't wait for other secrets' failing
// systems.
func (s *subject) checkPunctual() {
	if waited := s.now.Sub(s.truth.waiting); waited > maxTurn {
		s.violate(8, "a turn waited %s for a slot", waited)
	}
}

func (s *subject) reloading() bool {
	k := s.worker
	return k != nil && len(k.begun) > 0 && k.begun[len(k.begun)-1].step == string(rota.StepReload)
}
