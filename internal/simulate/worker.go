package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

const (
	callTimeout = 30 * time.Second
	leaseTTL    = 2 * time.Minute
)

// worker is one run of a process that works on a secret. A crash ends it, after
// which it has no further effect.
type worker struct {
	holder  string
	command string // "run", or the command a person gave
	force   rota.Step
	began   time.Time
	dead    bool  // it crashed
	lost    bool  // another worker has taken over its lease
	fence   int64 // of its lease
	pause   bool  // pauses right after its call takes effect
	begun   []act
	made    int                 // the number of credentials made since the last was given up
	answers map[string]rota.Use // what the issuer reported about use
	saving  rotation.SaveRequest
	unsaved bool // the last save failed
}

// act is an effect whose beginning is in the audit log.
type act struct{ step, object string }

// startTurns schedules the first turn and the daily ones.
func (s *subject) startTurns() {
	s.turnAt(s.now.Add(time.Minute), "run", s.turn)
	s.turnAt(s.now.Add(rota.Day), "daily", s.daily)
	s.at(s.now.Add(s.during(time.Hour, 12*time.Hour)), "alert", s.alert)
}

func (s *subject) daily(ctx context.Context) {
	s.turnAt(s.now.Add(rota.Day), "daily", s.daily)
	s.again(ctx)
}

// again is an extra turn, besides those the daemon has scheduled. It is
// repeated if it doesn't finish.
func (s *subject) again(ctx context.Context) {
	if !s.w.upAt(s.now).Equal(s.now) {
		return
	}
	repeats := slices.ContainsFunc(s.queue, func(e event) bool { return e.name == "again" })
	if next, ok := s.advance(ctx); !ok && !repeats {
		s.turnAt(next, "again", s.again)
	}
}

// turn is one turn of the daemon, run as soon as a slot is free.
func (s *subject) turn(ctx context.Context) {
	if up := s.w.upAt(s.now); up.After(s.now) {
		s.turnAt(up, "run", s.turn)
		return
	}
	if s.truth.waiting.IsZero() {
		s.truth.waiting = s.now
	}
	slot, at := s.w.slot(s.now)
	if slot < 0 {
		s.turnAt(at, "run", s.turn)
		return
	}
	s.checkPunctual()
	s.truth.waiting = time.Time{}
	next, _ := s.advance(ctx)
	s.w.busy[slot] = s.now
	s.turnAt(next, "run", s.turn)
}

// maxTurn is how long a turn can take if every call hangs until its deadline.
const maxTurn = time.Hour

// advance runs a turn. It returns when the next is due, and whether this one
// finished.
func (s *subject) advance(ctx context.Context) (next time.Time, ended bool) {
	if s.chance(0.05) && s.w.faulty(s.now) {
		s.skew = s.during(-90*time.Second, 90*time.Second)
	}
	began := s.now
	_, err, crashed := s.work(ctx, "run", rota.StepNone, func(r *rotation.Rotator) (rotation.Result, error) {
		return r.Advance(ctx, s.secret, rotation.Options{})
	})
	if took := s.now.Sub(began); took > maxTurn {
		s.violate(8, "a turn took %s", took)
	}
	s.checkSpin()
	next, ended = s.truth.nextAt.Add(-s.skew), err == nil && !crashed
	switch {
	case crashed:
		return s.now.Add(s.during(time.Second, 3*time.Minute)), false
	case errors.Is(err, rota.ErrBusy) || errors.Is(err, rota.ErrFenced):
		return s.now.Add(time.Minute), false
	case err != nil && s.truth.savedAt.Before(began): // as if it had never begun
		return s.now.Add(time.Minute), false
	case s.truth.nextAt.IsZero(): // something is half done, or asked for
		return s.now.Add(time.Minute), ended
	case next.Before(s.now.Add(time.Second)):
		return s.now.Add(time.Second), ended
	}
	return next, ended
}

// work makes a new worker do something. crashed reports whether it died doing
// so.
func (s *subject) work(ctx context.Context, command string, force rota.Step, f func(*rotation.Rotator) (rotation.Result, error)) (res rotation.Result, err error, crashed bool) {
	s.workers++
	if s.truth.progress.Requested != nil && force == rota.StepNone {
		force = rota.StepCreate // this turn handles the request
		s.wish()
		s.excuse(s.idOf(rota.LabelPrevious))
	}
	k := &worker{holder: fmt.Sprintf("w%d", s.workers), command: command, force: force, began: s.now, answers: map[string]rota.Use{}}
	outer := s.worker
	s.worker = k
	defer func() {
		s.worker = outer
		if r := recover(); r != nil {
			if _, ok := r.(memory.Crash); !ok {
				panic(r)
			}
			crashed = true
			s.w.result.Crashes++
		}
	}()
	s.w.result.Turns++
	s.note("turn", command, string(force))
	if s.hashed != nil && command != "takeover" && s.chance(0.5) {
		s.hashed.Forget() // it's a new process
	}
	res, err = f(&rotation.Rotator{
		Journal: s.w.hooks.wrapJournal(&ledger{s: s, k: k}), Now: s.rotaClock, NewID: s.newID, Plan: s.w.hooks.plan,
		Holder: k.holder, CallTimeout: callTimeout, LeaseTTL: leaseTTL, Report: s.report,
		Sleep: func(_ context.Context, d time.Duration) error { s.spend(d); return nil },
	})
	s.truth.workedAt = s.now
	s.checkTurn(k, res, err)
	s.plan()
	return res, err, false
}

// plan moves the daemon's next turn forward if someone else's turn found
// earlier work.
func (s *subject) plan() {
	next := s.truth.nextAt.Add(-s.skew)
	for i := range s.queue {
		if e := &s.queue[i]; e.name == "run" && next.After(s.now) && next.Before(e.at) {
			e.at = next
		}
	}
}

func (s *subject) newID() string {
	s.ids++
	return fmt.Sprintf("rota-%08x-0000-4000-8000-%012x", s.i, s.ids)
}

// report counts successful steps and consecutive failures.
func (s *subject) report(r rotation.Report) {
	if !r.Done {
		return
	}
	if r.Err == nil {
		s.note("done", string(r.Decision.Step), r.Decision.Reason)
		s.w.result.Steps++
		s.truth.succeeded(r.Decision)
		return
	}
	text := r.Err.Error()
	s.note("failed", string(r.Decision.Step), text)
	s.checkText("an error", text)
	s.checkTries(r.Decision, r.Err)
}

// takeover pauses the worker for longer than its lease, so that another worker
// can take over the secret. If one does, the first worker is stale.
func (s *subject) takeover() {
	stale := s.worker
	if stale == nil || stale.lost || stale.command == "takeover" {
		return
	}
	s.w.result.Takeovers++
	s.note("pause", "", "longer than the lease")
	s.spend(leaseTTL + s.during(time.Second, time.Minute))
	ctx := context.Background()
	fence := stale.fence
	_, _, _ = s.work(ctx, "takeover", rota.StepNone, func(r *rotation.Rotator) (rotation.Result, error) {
		return r.Advance(ctx, s.secret, rotation.Options{})
	})
	stale.lost = s.truth.fence > fence
	s.note("wakes up", "", "")
}

// ledger is a worker's view of the journal. Dead workers write nothing, and the
// checks learn what has been saved.
type ledger struct {
	s *subject
	k *worker
}

func (l *ledger) Acquire(ctx context.Context, r rotation.AcquireRequest) (rotation.Lease, error) {
	lease, err := l.s.journal.Acquire(ctx, r)
	if err == nil {
		l.k.fence = lease.Fence
		l.s.truth.fence = lease.Fence
	}
	return lease, err
}

func (l *ledger) Release(ctx context.Context, lease rotation.Lease) error {
	if l.k.dead {
		return nil
	}
	return l.s.journal.Release(ctx, lease)
}

func (l *ledger) Load(ctx context.Context, secret string, peers ...string) (rotation.Snapshot, error) {
	return l.s.journal.Load(ctx, secret, peers...)
}

func (l *ledger) Save(ctx context.Context, r rotation.SaveRequest) error {
	l.k.saving = r
	err := l.s.journal.Save(ctx, r)
	l.k.unsaved = err != nil
	return err
}

// durable is called after a worker has saved something.
func (s *subject) durable(k *worker, r rotation.SaveRequest) {
	s.truth.progress, s.truth.nextAt, s.truth.savedAt = r.Progress, r.Progress.NextAt, s.now
	// Once the previous credential is gone, people can lift the hold it caused.
	hold, previous := r.Progress.Status.Hold, s.versionOf(rota.LabelPrevious) != ""
	if hold != s.truth.hold || s.truth.hadPrevious && !previous {
		s.truth.hold, s.truth.holdSince = hold, s.now
	}
	s.truth.hadPrevious = previous
	switch {
	case r.Progress.Failure == nil:
		s.truth.failingSince = time.Time{}
	case s.truth.failingSince.IsZero():
		s.truth.failingSince = s.now
	}
	if k.force == rota.StepDeliver && r.Progress.Failure == nil {
		s.truth.fails = 0 // a person asked to repeat the delivery and the reload
	}
	if k.lost || r.Lease.Fence < s.truth.fence {
		s.violate(6, "%s saved progress after it had lost its lease", k.holder)
	}
	for _, e := range r.Entries {
		if e.Outcome == rotation.OutcomeBegun {
			k.begun = append(k.begun, act{e.Step, e.Object})
		}
		s.checkText("an audit entry", e.Detail)
		s.checkText("an audit entry", e.Credential)
	}
	for _, u := range r.Progress.Unsent {
		s.checkText("an event", u.Event.Reason)
	}
}

func (k *worker) hasBegun(object string, steps ...string) bool {
	return slices.ContainsFunc(k.begun, func(a act) bool {
		return slices.Contains(steps, a.step) && (a.object == object || object == "")
	})
}

func isLabel(id string, l rota.Label) (version string, ok bool) {
	return strings.CutPrefix(id, string(l)+"=")
}
