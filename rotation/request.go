package rotation

import (
	"context"
	"errors"
	"fmt"
	"github.com/rota-dev/rota"
	"time"
)

// RotationRequest is a new credential that was asked for by somebody who does not wait for
// it.
type RotationRequest struct {
	Version string    `json:"version"` // the id that its version is to have
	At      time.Time `json:"at"`
}

// Request notes durably that a new credential is wanted, and who asked, as one. It
// makes none: the secret is due at once, and whichever turn comes next makes it,
// ahead of the policy's date, as a version with this id, or with another where
// an answer of the issuer's got lost. A version that is wanted already, or
// there, is not noted again.
//
// [rota.ErrConflict] tells that another rotation is not complete, and [rota.ErrBusy] that
// another worker is at the secret.
func (r *Rotator) Request(ctx context.Context, s *Secret, version string, by Entry) error {
	_, err := r.withWork(ctx, s, func(ctx context.Context, w *turn) error {
		_, known := w.progress.Versions[version]
		if a := w.progress.Requested; known || a != nil && a.Version == version {
			return nil
		}
		if err := w.observe(ctx); err != nil {
			return err
		}
		versions := w.state.Contents.Versions
		if _, there := rota.FindID(versions, version); there {
			return nil
		}
		other, under := rota.Find(versions, rota.LabelPending)
		if a := w.progress.Requested; a != nil {
			other, under = rota.Version{ID: a.Version}, true
		}
		if under && !other.Has(rota.LabelCurrent) {
			return fmt.Errorf("the rotation to version %s is not complete: %w", other.ID, rota.ErrConflict)
		}
		w.progress.Requested = &RotationRequest{Version: version, At: w.Now()}
		w.progress.Rollback = nil // a person wants a new one instead
		w.progress.NextAt = time.Time{}
		w.entries = append(w.entries, by)
		return nil
	})
	return err
}

// takeRequest makes a wish that was noted this turn's.
func (w *turn) takeRequest() {
	if w.progress.Requested != nil && w.requested == rota.StepNone {
		w.force, w.requested, w.fromRequest = rota.StepCreate, rota.StepCreate, true
	}
}

// endFulfilledRequest ends a wish whose version is there: it is finished as any other.
func (w *turn) endFulfilledRequest() {
	if w.progress.Requested == nil {
		return
	}
	if _, there := rota.FindID(w.state.Contents.Versions, w.progress.Requested.Version); !there {
		return
	}
	w.progress.Requested = nil
	if w.fromRequest {
		w.force, w.requested = rota.StepNone, rota.StepNone
	}
	w.state.Progress, w.state.Force = w.progress, w.force
}

// requestedVersion is the id that a new version is to have; "" for any. One whose answer
// got lost may still leave traces, which must not be taken for the next one's.
func (w *turn) requestedVersion() string {
	if w.progress.Requested == nil {
		return ""
	}
	for _, i := range w.progress.Intents {
		if i.Version == w.progress.Requested.Version {
			return ""
		}
	}
	return w.progress.Requested.Version
}

// settleRequest keeps a wish as long as it may still come true by itself: the turn was
// broken off, something has to be waited for, or what failed is tried again.
// Else it is over, and where it was refused the audit tells why.
func (w *turn) settleRequest(d Decision, err error) {
	a := w.progress.Requested
	if a == nil || w.requested != rota.StepCreate {
		return
	}
	refused := Decision{Step: rota.StepCreate, Version: a.Version, Credential: d.Credential}
	f := w.progress.Failure
	switch {
	case w.force == rota.StepNone: // done
	case errors.Is(err, context.Canceled), errors.Is(err, rota.ErrFenced), err == nil && d.Hold == HoldNone:
		return
	case err != nil && rota.ClassOf(err) == rota.ClassWait && f != nil && f.Attempts < w.s.Policy.WithDefaults().MaxAttempts:
		return
	case err != nil:
		w.entry(refused, "", OutcomeFailed, "what was asked for is given up: "+rota.Sanitize(err, w.redactions...).Error())
	default:
		w.entry(refused, "", OutcomeFailed, "what was asked for is refused: "+d.Reason)
	}
	w.progress.Requested = nil
}
