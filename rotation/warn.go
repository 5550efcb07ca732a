package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// remindAgain is how often to repeat the reminder for an overdue rotation.
const remindAgain = 7 * rota.Day

// warn notifies ahead of an expiry, or of a rotation that a person has to do.
func (t *turn) warn(s Status, now time.Time) {
	if t.s.Issuer.Traits().Manual {
		t.ledger.remind(s, now, t.s.Policy.WithDefaults().WarnBefore)
		return
	}
	b, p := t.basis, &t.ledger.progress
	if b.expiresAt.IsZero() || now.Before(b.warnAt) || p.ExpiryNotified.Equal(b.expiresAt) {
		return
	}
	p.ExpiryNotified = b.expiresAt
	t.ledger.event(rota.EventExpiring, s.Version, s.Credential, fmt.Sprintf("it expires at %s", stamp(b.expiresAt)))
}

// remind sends a reminder shortly before a rotation is due, when it's due, and
// every week after that.
func (l *ledger) remind(s Status, now time.Time, before time.Duration) {
	if s.DueAt.IsZero() || now.Before(s.DueAt.Add(-before)) {
		return
	}
	last := l.progress.RemindedAt
	near := last.Before(s.DueAt.Add(-before))
	there := !now.Before(s.DueAt) && last.Before(s.DueAt)
	again := !now.Before(s.DueAt) && now.Sub(last) >= remindAgain
	if near || there || again {
		l.progress.RemindedAt = now
		l.event(rota.EventReminder, "", "", s.Reason+", due "+stamp(s.DueAt), s.Remedies...)
	}
}

// refuseManual refuses what needs the value of a credential that only a person
// can rotate: Rota never has it.
func (t *turn) refuseManual() error {
	if !t.s.Issuer.Traits().Manual {
		return nil
	}
	return &rota.Error{Class: rota.ClassStop, Err: errors.New("only a person can rotate it, and Rota doesn't hold its value"),
		Remedies: []rota.Remedy{{Action: rota.RemedyDone, Secret: t.s.Name, Text: "once a person has rotated it"}}}
}

// Done records that a person has rotated a secret that only a person can rotate.
func (r *Rotator) Done(ctx context.Context, s *Secret) (Result, error) {
	return r.withTurn(ctx, s, request{}, func(ctx context.Context, t *turn) error {
		if !s.Issuer.Traits().Manual {
			return &rota.Error{Op: "done", Class: rota.ClassStop, Remedies: []rota.Remedy{{Action: rota.RemedyRotate, Secret: s.Name}}, Err: fmt.Errorf("there is nothing for a person to do, because Rota rotates it itself: %w", rota.ErrConflict)}
		}
		d := Decision{Step: StepDone, Reason: "a person has rotated it"}
		p := &t.ledger.progress
		p.DoneAt, p.RemindedAt, p.Held = t.Now(), time.Time{}, HoldNone
		t.ledger.noteOutcome(d, "", nil)
		t.ledger.event(rota.EventRotated, "", "", d.Reason)
		t.result.Done = append(t.result.Done, d)
		return t.lookAgain(ctx)
	})
}
