package rota

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Wish is a new credential that was asked for by somebody who does not wait for
// it.
type Wish struct {
	Version string    `json:"version"` // the id that its version is to have
	At      time.Time `json:"at"`
}

// Ask notes durably that a new credential is wanted, and who asked, as one. It
// makes none: the secret is due at once, and whichever turn comes next makes it,
// ahead of the policy's date, as a version with this id, or with another where
// an answer of the issuer's got lost. A version that is wanted already, or
// there, is not noted again.
//
// [ErrConflict] tells that another rotation is not complete, and [ErrBusy] that
// another worker is at the secret.
func (r *Rotator) Ask(ctx context.Context, s *Secret, version string, by Entry) error {
	_, err := r.withWork(ctx, s, func(ctx context.Context, w *work) error {
		_, known := w.progress.Versions[version]
		if a := w.progress.Asked; known || a != nil && a.Version == version {
			return nil
		}
		if err := w.observe(ctx); err != nil {
			return err
		}
		versions := w.state.Contents.Versions
		if _, there := FindID(versions, version); there {
			return nil
		}
		other, under := Find(versions, Pending)
		if a := w.progress.Asked; a != nil {
			other, under = Version{ID: a.Version}, true
		}
		if under && !other.Has(Current) {
			return fmt.Errorf("the rotation to version %s is not complete: %w", other.ID, ErrConflict)
		}
		w.progress.Asked = &Wish{Version: version, At: w.Now()}
		w.progress.Rollback = nil // a person wants a new one instead
		w.progress.NextAt = time.Time{}
		w.entries = append(w.entries, by)
		return nil
	})
	return err
}

// takeUp makes a wish that was noted this turn's.
func (w *work) takeUp() {
	if w.progress.Asked != nil && w.asked == None {
		w.force, w.asked, w.wishing = Create, Create, true
	}
}

// fulfilled ends a wish whose version is there: it is finished as any other.
func (w *work) fulfilled() {
	if w.progress.Asked == nil {
		return
	}
	if _, there := FindID(w.state.Contents.Versions, w.progress.Asked.Version); !there {
		return
	}
	w.progress.Asked = nil
	if w.wishing {
		w.force, w.asked = None, None
	}
	w.state.Progress, w.state.Force = w.progress, w.force
}

// wished is the id that a new version is to have; "" for any. One whose answer
// got lost may still leave traces, which must not be taken for the next one's.
func (w *work) wished() string {
	if w.progress.Asked == nil {
		return ""
	}
	for _, i := range w.progress.Intents {
		if i.Version == w.progress.Asked.Version {
			return ""
		}
	}
	return w.progress.Asked.Version
}

// answer keeps a wish as long as it may still come true by itself: the turn was
// broken off, something has to be waited for, or what failed is tried again.
// Else it is over, and where it was refused the audit tells why.
func (w *work) answer(d Decision, err error) {
	a := w.progress.Asked
	if a == nil || w.asked != Create {
		return
	}
	refused := Decision{Step: Create, Version: a.Version, Credential: d.Credential}
	f := w.progress.Failure
	switch {
	case w.force == None: // done
	case errors.Is(err, context.Canceled), errors.Is(err, ErrFenced), err == nil && d.Hold == NotHeld:
		return
	case err != nil && ClassOf(err) == Wait && f != nil && f.Attempts < w.s.Policy.WithDefaults().MaxAttempts:
		return
	case err != nil:
		w.entry(refused, "", Erred, "what was asked for is given up: "+Sanitize(err, w.seen...).Error())
	default:
		w.entry(refused, "", Erred, "what was asked for is refused: "+d.Reason)
	}
	w.progress.Asked = nil
}
