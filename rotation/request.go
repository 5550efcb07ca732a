package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// request is what the caller wants from a turn.
type request struct {
	due bool // nothing was requested: the secret is merely due
	// step is what a person asked for, throughout the turn. force is the same
	// step until it has been taken, so that it isn't taken twice.
	step, force rota.Step
	// recorded means that step came from a [RotationRequest].
	recorded bool
	chain    Chain
	driver   *Driving // nil unless a driver asked
	// patience is how long the turn can wait in one go.
	patience time.Duration
}

// taken records that a step was taken, and clears force if it was the one asked
// for.
func (q *request) taken(step rota.Step) {
	if step == q.force || step == rota.StepPromote && q.force == rota.StepCreate {
		q.force = rota.StepNone
	}
}

// RotationRequest asks for a new credential on behalf of a caller that doesn't
// wait for it.
type RotationRequest struct {
	Version string    `json:"version"` // the id of the version to be made
	At      time.Time `json:"at"`
	By      string    `json:"by,omitempty"` // who asked
}

// Request records a request for a new credential durably, in one commit with the
// audit entry that says who asked. It doesn't create the credential itself: the
// secret becomes due immediately, and the next turn creates the credential ahead
// of the policy's date. Its version has the given id, or another one if the
// issuer's answer got lost. Requesting a version that's already requested or
// already exists is a no-op.
//
// Request returns [rota.ErrConflict] if another rotation isn't complete, and
// [rota.ErrBusy] if another worker has the secret.
func (r *Rotator) Request(ctx context.Context, s *Secret, version string, by Entry) error {
	_, err := r.withTurn(ctx, s, request{}, func(ctx context.Context, t *turn) error {
		p := &t.ledger.progress
		_, known := p.Versions[version]
		if a := p.Requested; known || a != nil && a.Version == version {
			return nil
		}
		if err := t.observe(ctx); err != nil {
			return err
		}
		if _, there := t.seen.version(version); there {
			return nil
		}
		other, underWay := t.seen.find(rota.LabelPending)
		if a := p.Requested; a != nil {
			other, underWay = rota.Version{ID: a.Version}, true
		}
		if underWay && !other.Has(rota.LabelCurrent) {
			return fmt.Errorf("the rotation to version %s is not complete: %w", other.ID, rota.ErrConflict)
		}
		p.Requested = &RotationRequest{Version: version, At: t.Now(), By: by.Actor}
		p.Rollback = nil // a person wants a new one instead
		p.NextAt = time.Time{}
		t.ledger.entries = append(t.ledger.entries, by)
		return nil
	})
	return err
}

// takeRequest makes a recorded request this turn's request.
func (t *turn) takeRequest() {
	if t.ledger.progress.Requested != nil && t.asked.step == rota.StepNone {
		t.asked.step, t.asked.force, t.asked.recorded = rota.StepCreate, rota.StepCreate, true
	}
}

// endFulfilledRequest ends a recorded request once its version exists. From then
// on, that version is completed like any other.
func (t *turn) endFulfilledRequest() {
	a := t.ledger.progress.Requested
	if a == nil {
		return
	}
	if _, there := t.seen.version(a.Version); !there {
		return
	}
	t.ledger.progress.Requested = nil
	if t.asked.recorded {
		t.asked.step, t.asked.force = rota.StepNone, rota.StepNone
	}
}

// requestedVersion returns the requested version id, or "" for any. If a call to
// Create for that id has no known outcome, its effects might still show up, so
// the next call gets a different id to tell them apart.
func (p Progress) requestedVersion() string {
	if p.Requested == nil {
		return ""
	}
	for _, i := range p.Intents {
		if i.Version == p.Requested.Version {
			return ""
		}
	}
	return p.Requested.Version
}

// settleRequest ends a recorded request that this turn fulfilled, or that can't
// be fulfilled without a person. If it was refused, the audit says why.
func (t *turn) settleRequest(d Decision, err error) {
	p := &t.ledger.progress
	if p.Requested == nil || t.asked.step != rota.StepCreate {
		return
	}
	refused := Decision{Step: rota.StepCreate, Version: p.Requested.Version, Credential: d.Credential}
	switch {
	case t.asked.force == rota.StepNone: // fulfilled
	case errors.Is(err, context.Canceled), errors.Is(err, rota.ErrFenced):
		return // interrupted
	case err == nil && d.Hold == HoldNone:
		return // something has to be waited for
	case err != nil && rota.ClassOf(err) == rota.ClassWait && p.Failure != nil && p.Failure.Attempts < t.s.Policy.WithDefaults().MaxAttempts:
		return // to be retried
	case err != nil:
		t.ledger.enter(refused, "", OutcomeFailed, "the request was abandoned: "+t.ledger.explain(err))
	default:
		t.ledger.enter(refused, "", OutcomeFailed, "the request was refused: "+d.Reason)
	}
	p.Requested = nil
}
