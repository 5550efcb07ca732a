package rotation

import (
	"context"
	"fmt"
	"github.com/rota-dev/rota"
	"time"
)

// remindAgain is how often a person is reminded of what is overdue.
const remindAgain = 7 * rota.Day

// warn tells ahead of what will end by itself, or what a person has to do.
func (w *turn) warn(s Status, now time.Time) {
	v := newView(w.state, w.s.Policy, now)
	before := v.policy.WarnBefore
	if w.state.Traits.Manual {
		w.remind(s, now, before)
		return
	}
	c, _ := v.issued(v.current.CredentialID)
	end := c.ExpiresAt
	if own, ends := v.endOf(v.current); ends {
		end = own
	}
	if end.IsZero() || now.Before(end.Add(-before)) || w.progress.ExpiryNotified.Equal(end) {
		return
	}
	w.progress.ExpiryNotified = end
	w.event(rota.EventExpiring, s.Version, s.Credential, fmt.Sprintf("it ends by itself at %s", stamp(end)))
}

// remind reminds a person when the time comes near, when it is there, and every
// week after.
func (w *turn) remind(s Status, now time.Time, before time.Duration) {
	if s.DueAt.IsZero() || now.Before(s.DueAt.Add(-before)) {
		return
	}
	last := w.progress.RemindedAt
	near := last.Before(s.DueAt.Add(-before))
	there := !now.Before(s.DueAt) && last.Before(s.DueAt)
	again := !now.Before(s.DueAt) && now.Sub(last) >= remindAgain
	if near || there || again {
		w.progress.RemindedAt = now
		w.event(rota.EventReminder, "", "", s.Reason+", due "+stamp(s.DueAt), s.Remedies...)
	}
}

// Done notes that a person has rotated a secret that no program can rotate.
func (r *Rotator) Done(ctx context.Context, s *Secret) (Result, error) {
	return r.withWork(ctx, s, func(ctx context.Context, w *turn) error {
		if !s.Issuer.Traits().Manual {
			return &rota.Error{Op: "done", Class: rota.ClassStop, Hint: "rota rotate " + s.Name, Err: fmt.Errorf("it is rotated by Rota itself, nothing is to be done by a person: %w", rota.ErrConflict)}
		}
		d := Decision{Step: StepDone, Reason: "a person has rotated it"}
		w.progress.DoneAt, w.progress.RemindedAt, w.progress.Held = w.Now(), time.Time{}, HoldNone
		w.noteOutcome(d, "", nil)
		w.event(rota.EventRotated, "", "", d.Reason)
		w.result.Done = append(w.result.Done, d)
		return w.lookAgain(ctx)
	})
}
