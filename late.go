package rota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// Alert raises a [Late] event, once, for a secret whose due step was not done
// in time. It is to be called from outside the loop that does the steps, and
// speaks to no issuer, store or target. It tells whether the secret is late.
func (r *Rotator) Alert(ctx context.Context, s *Secret) (bool, error) {
	r = r.withDefaults()
	p, err := r.load(ctx, s.Name)
	if err != nil {
		return false, fmt.Errorf("%s: %w", s.Name, err)
	}
	due, late := Lateness(p.Status, s.Policy, r.Now())
	if !late || (p.LateNotified.Equal(due) && !due.IsZero()) {
		return late, nil
	}
	reason := "it was never looked at (try: rota run)"
	switch {
	case due.IsZero():
	case due.Equal(p.Status.BegunAt):
		reason = fmt.Sprintf("what was begun at %s never came to its end (try: rota run)", stamp(due))
	default:
		reason = fmt.Sprintf("%s is due since %s: %s", cmp.Or(p.Status.Next, observing), stamp(due), p.Status.Reason)
	}
	_, err = r.withWork(ctx, s, func(w *work) error {
		if w.progress.LateNotified.Equal(due) && !due.IsZero() {
			return nil // another watchdog was faster
		}
		w.progress.LateNotified = due
		w.event(Late, p.Status.Version, p.Status.Credential, reason)
		return nil
	})
	if !errors.Is(err, ErrBusy) {
		return true, err
	}
	// The loop that is late holds the lease: tell all the same.
	e := newEvent(s.Name, Late, p.Status.Version, p.Status.Credential, reason, r.Now())
	var errs []error
	for _, n := range s.Notifiers {
		ctx, cancel := context.WithTimeout(ctx, r.CallTimeout)
		errs = append(errs, n.Notify(ctx, e))
		cancel()
	}
	return true, errors.Join(errs...)
}
