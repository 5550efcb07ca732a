package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// request is what somebody wants from a turn.
type request struct {
	due bool // nothing: it is merely due
	// step is what a person asked for, all through the turn. force is the same
	// step until it was taken: what was asked for is not done twice.
	step, force rota.Step
	// recorded says that step came from a [RotationRequest].
	recorded bool
	chain    Chain
	driver   *Driving // of a driven rotation, else nil
	// patience is how long the turn may wait in one go.
	patience time.Duration
}

// taken says that a step was taken, which may be the one asked for.
func (q *request) taken(step rota.Step) {
	if step == q.force || step == rota.StepPromote && q.force == rota.StepCreate {
		q.force = rota.StepNone
	}
}

// RotationRequest asks for a new credential on behalf of somebody who doesn't
// wait for it.
type RotationRequest struct {
	Version string    `json:"version"` // the id of the version to be made
	At      time.Time `json:"at"`
}

// Request records durably, as one commit with the entry saying who asked, that a
// new credential is wanted. It doesn't make one: the secret becomes due at once,
// and the next turn makes the credential ahead of the policy's date, as a
// version with this id, or with another id if the issuer's answer got lost.
// Asking again for a version that is already wanted, or exists, changes nothing.
//
// [rota.ErrConflict] means that another rotation isn't complete, and
// [rota.ErrBusy] that another worker has the secret.
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
		p.Requested = &RotationRequest{Version: version, At: t.Now()}
		p.Rollback = nil // a person wants a new one instead
		p.NextAt = time.Time{}
		t.ledger.entries = append(t.ledger.entries, by)
		return nil
	})
	return err
}

// takeRequest makes a recorded request this turn's own.
func (t *turn) takeRequest() {
	if t.ledger.progress.Requested != nil && t.asked.step == rota.StepNone {
		t.asked.step, t.asked.force, t.asked.recorded = rota.StepCreate, rota.StepCreate, true
	}
}

// endFulfilledRequest ends a recorded request once its version exists. From then
// on that version is finished like any other.
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

// requestedVersion is the id that was asked for, "" for any. A version whose
// answer got lost may still leave traces, which must not be mistaken for those of
// the next call.
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
