package rotation

import (
	"context"
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
)

// Drive carries out one step of a rotation that is led from outside, with the
// same lease, intents, proofs and audit as Advance. A step that was done before
// is no error and does nothing; a version that is current already is done
// altogether. A version that does not carry AWSPENDING, or has no value where
// the step needs one, is an error of class [rota.ClassStop].
//
// Create makes room first: orphans of lost answers go, and where the issuer is
// full, the previous credential, if it is Rota's and proven unused. Promote
// proves the credential once more, unless this journal knows that it was
// tested, and serves targets and reloaders. What only time can bring is waited
// for until ctx ends.
func (r *Rotator) Drive(ctx context.Context, s *Secret, request DriveRequest) (Result, error) {
	return r.withWork(ctx, s, func(ctx context.Context, w *turn) error {
		w.driver, w.patience = &Driving{DriveRequest: request}, forever
		err := w.act(ctx)
		if err == nil {
			err = w.undriven(w.result.Last)
		}
		w.conclude(err)
		return err
	})
}

// undriven is why a driver did not get its step: the driver must hear of a hold
// or a wait as of an error, or it would go on to the next step.
func (w *turn) undriven(d Decision) error {
	var err error
	switch {
	case d.Hold != HoldNone:
		err = &rota.Error{Op: "make room for the next credential", Class: rota.ClassWait, Err: fmt.Errorf("%s: %w", d.Reason, rota.ErrLimit)}
	case !d.At.IsZero():
		err = &rota.Error{Op: "wait", Class: rota.ClassWait, Err: fmt.Errorf("%s, and there is not the time for it now", d.Reason)}
	default:
		return nil
	}
	return w.failed(Decision{Step: w.driver.Step, Version: w.driver.Version}, err)
}

// takeOver adopts the current credential, which must log in.
func (w *turn) takeOver(ctx context.Context, d Decision) error {
	if err := w.currentLogsIn(ctx); err != nil {
		return fmt.Errorf("adopt: log in with the current credential: %w", err)
	}
	if err := w.writeAhead(ctx, d); err != nil {
		return err
	}
	holder, _ := rota.Find(w.state.Contents.Versions, rota.LabelAdopted)
	err := w.move(ctx, rota.LabelAdopted, holder.ID, d.Version)
	w.noteOutcome(d, "", err)
	if err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	w.event(rota.EventAdopted, d.Version, d.Credential, d.Reason)
	return nil
}

// rehearse is a test before anything is made: the current credential must log
// in, and the issuer find nothing amiss.
func (w *turn) rehearse(ctx context.Context, d Decision) error {
	var errs []error
	if _, ok := findCredential(w.state.Contents.Versions, rota.LabelCurrent); ok {
		errs = append(errs, w.currentLogsIn(ctx))
	}
	if p, ok := w.s.Issuer.(rota.Preflighter); ok {
		err := w.call(ctx, "issuer.preflight", "", func(ctx context.Context) error {
			for _, f := range p.Preflight(ctx) {
				if !f.OK && !f.Warning {
					errs = append(errs, &rota.Error{Op: f.Check, Class: rota.ClassStop, Hint: f.Hint, Err: errors.New(f.Detail)})
				}
			}
			return nil
		})
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	w.noteOutcome(d, "", err)
	return err
}
