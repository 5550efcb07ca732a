package rotation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"github.com/rota-dev/rota"
	"time"
)

// Lateness tells since when something is due that was not done within the
// policy's LateAfter, judging by what the last look left behind, and by what a
// turn began that never came to its end. A secret that was never looked at is
// late.
func Lateness(s Status, p Policy, now time.Time) (due time.Time, late bool) {
	if s.LookedAt.IsZero() {
		return time.Time{}, true
	}
	after := p.WithDefaults().LateAfter
	for _, t := range []time.Time{s.DueAt, s.RotateAt, s.BegunAt} {
		if !t.IsZero() && now.Sub(t) > after && (!late || t.Before(due)) {
			due, late = t, true
		}
	}
	return due, late
}

// Alert raises a [rota.EventLate] event, once, for a secret whose due step was not done
// in time. It is to be called from outside the loop that does the steps, and
// speaks to no issuer, store or target. It tells whether the secret is late.
func (r *Rotator) Alert(ctx context.Context, s *Secret) (bool, error) {
	r = r.withDefaults()
	snapshot, err := r.snapshot(ctx, s)
	if err != nil {
		return false, err
	}
	p := snapshot.Progress
	due, late := Lateness(p.Status, s.Policy, r.Now())
	if !late || p.toldLate(due) {
		return late, nil
	}
	e := newEvent(s.Name, rota.EventLate, p.Status.Version, p.Status.Credential, lateReason(p.Status, due), due)
	if e.Remedies = p.Status.Remedies; due.IsZero() || due.Equal(p.Status.BegunAt) {
		e.Remedies = []rota.Remedy{{Action: rota.RemedyRun}}
	}
	e.At = r.Now().UTC() // the ID is the due date's, so that two watchdogs tell of one event
	_, err = r.withTurn(ctx, s, request{}, func(_ context.Context, t *turn) error {
		if !t.ledger.progress.toldLate(due) { // else another watchdog was faster
			t.ledger.progress.LateNotified = due
			t.ledger.raise(e)
		}
		return nil
	})
	if errors.Is(err, rota.ErrBusy) {
		err = r.tell(ctx, s, e) // the loop that is late holds the lease
	}
	return true, err
}

// toldLate tells whether this lateness was told of. What was never looked at is
// due at no date.
func (p Progress) toldLate(due time.Time) bool {
	return p.LateNotified.Equal(due) && (!due.IsZero() || p.Trouble == rota.EventLate)
}

func lateReason(s Status, due time.Time) string {
	switch {
	case due.IsZero():
		return "it was never looked at"
	case due.Equal(s.BegunAt):
		return fmt.Sprintf("what was begun at %s never came to its end", stamp(due))
	}
	return fmt.Sprintf("%s is due since %s: %s", cmp.Or(s.Next, StepObserve), stamp(due), s.Reason)
}

// tell sends an event at once, without a lease: nothing remembers it.
func (r *Rotator) tell(ctx context.Context, s *Secret, e rota.Event) error {
	var errs []error
	for _, n := range s.Notifiers {
		if !wants(n, e.Kind) {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, min(notifyTimeout, r.CallTimeout))
		ctx, end := r.Trace(ctx, Span{Name: "notifier.notify", Secret: s.Name, Object: n.Name()})
		err := n.Notify(ctx, e)
		end(err)
		cancel()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
