package crash

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

var policy = rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 10 * rota.Day, DeletePreviousAfter: 20 * rota.Day}

// life is what happens to one secret, step by step.
type life struct {
	name  string
	build func(t testing.TB, w *world) *scene
	kinds func(call) []kind // in which a call fails
	steps []step
	// loses means that the store isn't in the data folder, which can then be
	// lost.
	loses bool
}

// command is what a person, or cron, asks a process to do.
type command func(context.Context, *rotation.Rotator, *rotation.Secret) (rotation.Result, error)

// step is one moment of a life: a run by cron, or a person's command.
type step struct {
	name  string
	after time.Duration // since the previous step
	// ask is the person's command; nil for cron's rota run.
	ask command
	// grace means that the step may come a grace period later if it's no longer
	// known when that started.
	grace bool
	// done returns what is still missing.
	done func(m moment) error
}

// moment is what the store and the issuer have, in the form that goals need.
type moment struct {
	current, previous string // names of credentials, "" for none
	previousID        string // at the issuer
	previousState     string // "active", "inactive" or "gone"
	currentForeign    bool   // AWSCURRENT is on a version that isn't Rota's
	previousForeign   bool   // and AWSPREVIOUS
	before            string // the current one when the step started
	prior             string // the previous one when the step started
	priorGone         bool   // that one is no longer at the issuer
}

func rotateNow(ctx context.Context, r *rotation.Rotator, s *rotation.Secret) (rotation.Result, error) {
	return r.Advance(ctx, s, rotation.Options{Force: rota.StepCreate})
}

func rollBack(ctx context.Context, r *rotation.Rotator, s *rotation.Secret) (rotation.Result, error) {
	return r.Rollback(ctx, s)
}

func adopt(ctx context.Context, r *rotation.Rotator, s *rotation.Secret) (rotation.Result, error) {
	return r.Adopt(ctx, s, rotation.AdoptOptions{})
}

// deletePrevious is a person's word that nobody uses the previous one anymore.
func deletePrevious(ctx context.Context, r *rotation.Rotator, s *rotation.Secret) (rotation.Result, error) {
	return r.Advance(ctx, s, rotation.Options{Force: rota.StepDelete})
}

func isIssued(m moment) error {
	if m.current == "" {
		return errors.New("nothing is current")
	}
	return nil
}

func isOurs(m moment) error {
	if m.currentForeign {
		return errors.New("the key is not adopted")
	}
	return nil
}

func isRotated(m moment) error {
	if m.current == m.before {
		return fmt.Errorf("%s is still current", m.current)
	}
	return nil
}

func isDeactivated(m moment) error {
	if m.previousState != "inactive" {
		return fmt.Errorf("the previous one is %s, not inactive", m.previousState)
	}
	return nil
}

func isDeleted(m moment) error {
	if (m.previous != "" && !m.previousForeign) || !m.priorGone {
		return fmt.Errorf("the previous one, %s, is not deleted", m.prior)
	}
	return nil
}

func isRolledBack(m moment) error {
	if m.current != m.prior {
		return fmt.Errorf("%s is current, not %s", m.current, m.prior)
	}
	return nil
}

// lifeOfPassword is the life of an account's only password.
var lifeOfPassword = []step{
	{name: "day 0", ask: rotateNow, done: isIssued},
	{name: "day 90", after: 90 * rota.Day, done: isRotated},
	{name: "day 180", after: 90 * rota.Day, done: isRotated},
	{name: "day 182, rolled back", after: 2 * rota.Day, ask: rollBack, done: isRolledBack},
}

// lifeOfPair is the life of credentials that can be switched off, and whose use is
// only seen while they're used.
var lifeOfPair = []step{
	{name: "day 0", ask: rotateNow, done: isIssued},
	{name: "day 90", after: 90 * rota.Day, done: isRotated},
	aLook, aLook,
	{name: "day 100", after: 4 * rota.Day, grace: true, done: isDeactivated},
	{name: "day 110", after: 10 * rota.Day, grace: true, done: isDeleted},
	{name: "day 180", after: 70 * rota.Day, done: isRotated},
	aLook, aLook,
	{name: "day 190", after: 4 * rota.Day, grace: true, done: isDeactivated},
	{name: "day 192, rolled back", after: 2 * rota.Day, ask: rollBack, done: isRolledBack},
}

// lifeOfKey is the life of credentials that can be switched off, and whose last use
// is recorded.
var lifeOfKey = []step{
	{name: "day 0", done: isIssued},
	{name: "day 90", after: 90 * rota.Day, done: isRotated},
	{name: "day 100", after: 10 * rota.Day, grace: true, done: isDeactivated},
	{name: "day 110", after: 10 * rota.Day, grace: true, done: isDeleted},
	{name: "day 180", after: 70 * rota.Day, done: isRotated},
	{name: "day 190", after: 10 * rota.Day, grace: true, done: isDeactivated},
	{name: "day 192, rolled back", after: 2 * rota.Day, ask: rollBack, done: isRolledBack},
}

// lifeOfToken is the life of credentials that can only be deleted.
var lifeOfToken = []step{
	{name: "day 0", done: isIssued},
	{name: "day 90", after: 90 * rota.Day, done: isRotated},
	{name: "day 110", after: 20 * rota.Day, grace: true, done: isDeleted},
	{name: "day 180", after: 70 * rota.Day, done: isRotated},
	{name: "day 182, rolled back", after: 2 * rota.Day, ask: rollBack, done: isRolledBack},
}

// lifeOfUnseen is the life of credentials that can only be deleted, and whose use
// nobody records.
var lifeOfUnseen = []step{
	{name: "day 0", done: isIssued},
	{name: "day 90", after: 90 * rota.Day, done: isRotated},
	{name: "day 110, deleted by a person", after: 20 * rota.Day, ask: deletePrevious, done: isDeleted},
	{name: "day 180", after: 70 * rota.Day, done: isRotated},
	{name: "day 182, rolled back", after: 2 * rota.Day, ask: rollBack, done: isRolledBack},
}

// lifeOfTwoPasswords is the life of an account's two passwords, which can only be
// deleted, and whose use is only seen while the account is used.
var lifeOfTwoPasswords = []step{
	{name: "day 0", ask: rotateNow, done: isIssued},
	{name: "day 90", after: 90 * rota.Day, done: isRotated},
	lookAfter(10), lookAfter(3), lookAfter(3),
	{name: "day 110", after: 4 * rota.Day, grace: true, done: isDeleted},
	{name: "day 180", after: 70 * rota.Day, done: isRotated},
	{name: "day 182, rolled back", after: 2 * rota.Day, ask: rollBack, done: isRolledBack},
}

// lookAfter is a look at who is logged in.
func lookAfter(days int) step {
	return step{name: "a look at the account's sessions", after: rota.Day * time.Duration(days), done: func(moment) error { return nil }}
}

var aLook = lookAfter(3)

// play plays the life until the fault happens, then the runs that follow.
func (w *world) play() verdict {
	for _, s := range w.life.steps {
		w.pass(s.after)
		w.begin(s)
		out := w.run(s.ask)
		if err := w.broken(); err != nil {
			return verdict{err: err}
		}
		if w.struck {
			if w.plan.lose {
				w.tell("the data folder is lost")
				w.lose()
			}
			return w.recover(s)
		}
		if out.err != nil {
			return verdict{err: fmt.Errorf("%w: %s: %w", errElsewhere, s.name, out.err)}
		}
		if err := w.reached(s); err != nil {
			return verdict{err: fmt.Errorf("%s: %w", s.name, err)}
		}
	}
	if w.plan.at >= 0 {
		return verdict{err: errors.New("the call to strike never came")}
	}
	return verdict{}
}

// patience is how long recovery can take.
const patience = 48 * time.Hour

// recover plays the runs that cron starts after the one with the fault: one
// immediately, as a person would, and then one an hour.
func (w *world) recover(s step) verdict {
	var last outcome
	var missing error
	asked := false
	w.pass(time.Minute)
	for spent := time.Duration(0); spent < patience; spent += time.Hour {
		last = w.run(nil)
		if err := w.broken(); err != nil {
			return verdict{err: err}
		}
		quiet := last.err == nil && !last.busy && last.hold != rotation.HoldRetrying && last.hold != rotation.HoldQuarantined
		missing = w.reached(s)
		if quiet && missing == nil {
			return verdict{}
		}
		if quiet && s.ask != nil && !asked && w.goal(s) != nil {
			asked = true
			w.tell("the person asks again")
			w.pass(time.Minute)
			_ = w.run(s.ask)
		}
		w.pass(time.Hour)
	}
	if err := w.scene.safe(); err != nil {
		return verdict{err: err}
	}
	if held, ok := w.scene.mayHold(last.hold, missing); ok {
		orphan, _ := errors.AsType[orphanError](missing)
		if w.scene.madeTwo() && last.hold == rotation.HoldNone {
			if out := w.run(isNamed(string(orphan))); out.err != nil {
				return verdict{err: out.err}
			}
		}
		return verdict{held: held}
	}
	if last.hold == rotation.HoldNone && last.err == nil && s.grace {
		// Because it doesn't know since when it has been served or inactive,
		// Rota waits for both grace periods again.
		for range 2 {
			w.tell("a grace later")
			w.pass(10 * rota.Day)
			if last = w.run(nil); last.err == nil && w.broken() == nil && w.reached(s) == nil {
				return verdict{later: true}
			}
		}
	}
	return verdict{err: fmt.Errorf("after %s: %w; the last run: hold %q, failure %v, error %v",
		rota.FormatDuration(patience), missing, last.hold, last.failure, last.err)}
}

// isNamed makes sure that rota check names a credential that's left alone.
func isNamed(id string) command {
	return func(ctx context.Context, _ *rotation.Rotator, s *rotation.Secret) (rotation.Result, error) {
		for _, f := range rotation.Preflight(ctx, s) {
			if !f.OK && strings.Contains(f.Detail, id) {
				return rotation.Result{}, nil
			}
		}
		return rotation.Result{}, fmt.Errorf("rota check doesn't name %s", id)
	}
}

// reached returns what is still missing after a step: its goal, and everything
// that must be true whenever nothing is in flight.
func (w *world) reached(s step) error {
	return errors.Join(w.goal(s), w.scene.settled())
}

func (w *world) goal(s step) error {
	m, err := w.moment()
	if err != nil {
		return err
	}
	return s.done(m)
}
