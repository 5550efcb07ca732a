package rotation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"github.com/rota-dev/rota"
	"time"
)

// Lateness reports whether something is overdue by more than the policy's
// LateAfter, or by half of what's left of a credential that ends, and when it was
// due. It goes by the status that the last turn left
// behind, and by turns that began and never finished. A secret that has never had
// a turn is late.
func Lateness(s Status, p Policy, now time.Time) (due time.Time, late bool) {
	if s.LookedAt.IsZero() {
		return time.Time{}, true
	}
	after := p.WithDefaults().LateAfter
	if left := s.ExpiresAt.Sub(s.RotateAt); !s.RotateAt.IsZero() && left > 0 { // while there's still time to act
		after = min(after, left/2)
	}
	for _, t := range []time.Time{s.DueAt, s.RotateAt, s.BegunAt} {
		if !t.IsZero() && now.Sub(t) > after && (!late || t.Before(due)) {
			due, late = t, true
		}
	}
	if since, missed := s.missedRenewal(after, now); missed && (!late || since.Before(due)) {
		due, late = since, true
	}
	return due, late
}

// missedRenewal reports whether a credential in use wasn't renewed for so long that half
// of the time is over that was left to do it in, and since when that's due.
func (s Status) missedRenewal(after time.Duration, now time.Time) (due time.Time, missed bool) {
	if s.RenewAt.IsZero() {
		return time.Time{}, false
	}
	if left := s.LastsUntil.Sub(s.RenewAt); left > 0 {
		after = min(after, left/2)
	}
	return s.RenewAt, now.Sub(s.RenewAt) > after
}

// Alert raises a [rota.EventLate] event, once, for a secret whose due step wasn't
// taken in time, and reports whether the secret is late. Call it from outside the
// loop that takes the steps. It talks to no issuer, store or target.
func (r *Rotator) Alert(ctx context.Context, s *Secret) (bool, error) {
	r = r.withDefaults()
	snapshot, err := r.snapshot(ctx, s)
	if err != nil {
		return false, err
	}
	p := snapshot.Progress
	due, late := Lateness(p.Status, s.Policy, r.Now())
	if !late || p.lateNotified(due) {
		return late, nil
	}
	e := newEvent(s.Name, rota.EventLate, p.Status.Version, p.Status.Credential, lateReason(p.Status, due), due)
	if e.Remedies = p.Status.Remedies; due.IsZero() || due.Equal(p.Status.BegunAt) {
		e.Remedies = []rota.Remedy{{Action: rota.RemedyRun}}
	}
	e.At = r.Now().UTC() // the ID is the due date's, so two watchdogs raise the same event
	_, err = r.withTurn(ctx, s, request{}, func(_ context.Context, t *turn) error {
		if !t.ledger.progress.lateNotified(due) { // otherwise another watchdog was faster
			t.ledger.progress.LateNotified = due
			t.ledger.raise(e)
		}
		return nil
	})
	if errors.Is(err, rota.ErrBusy) {
		err = r.notifyNow(ctx, s, e) // the loop that is late holds the lease
	}
	return true, err
}

// lateNotified reports whether notifiers already know about this lateness. A
// secret that has never had a turn has no due date.
func (p Progress) lateNotified(due time.Time) bool {
	return p.LateNotified.Equal(due) && (!due.IsZero() || p.Trouble == rota.EventLate)
}

func lateReason(s Status, due time.Time) string {
	switch {
	case due.IsZero():
		return "it has never been looked at"
	case due.Equal(s.BegunAt):
		return fmt.Sprintf("what began at %s never finished", stamp(due))
	case due.Equal(s.RenewAt) && s.Next != rota.StepRenew:
		return fmt.Sprintf("%s has been due since %s: a credential in use ends at %s unless it's renewed", rota.StepRenew, stamp(due), stamp(s.LastsUntil))
	}
	return fmt.Sprintf("%s has been due since %s: %s", cmp.Or(s.Next, StepObserve), stamp(due), s.Reason)
}

// notifyNow sends an event immediately and without a lease. Nothing records it.
func (r *Rotator) notifyNow(ctx context.Context, s *Secret, e rota.Event) error {
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
