package rotation

import (
	"context"
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
)

// Drive carries out one step of a rotation that is led from outside, with the
// same lease, intents, proofs and audit as Advance. A step that was done before
// does nothing and is no error; a version that is already current is done
// altogether. A version that doesn't carry AWSPENDING, or has no value where the
// step needs one, is an error of class [rota.ClassStop].
//
// Create makes room first: orphans of lost answers go, and if the issuer is
// full, the previous credential, if it is Rota's and proven unused. Promote
// proves the credential once more, unless this journal knows that it was tested,
// and serves targets and reloaders. Drive waits until ctx ends for what only
// time can bring.
func (r *Rotator) Drive(ctx context.Context, s *Secret, step DriveRequest) (Result, error) {
	asked := request{driver: &Driving{DriveRequest: step}, patience: forever}
	return r.withTurn(ctx, s, asked, func(ctx context.Context, t *turn) error {
		err := t.act(ctx)
		if err == nil {
			err = t.notDriven(t.result.Last)
		}
		t.conclude(err)
		return err
	})
}

// HeldError is why a driver didn't get its step although nothing failed: it must
// not happen now.
type HeldError struct {
	Hold HoldKind
	Err  error
}

// Error returns the reason.
func (e *HeldError) Error() string { return e.Err.Error() }

func (e *HeldError) Unwrap() error { return e.Err }

// notDriven is why a driver didn't get its step: it must hear of a hold or a
// wait as an error, or it would go on to the next step.
func (t *turn) notDriven(d Decision) error {
	var err error
	switch {
	case d.Hold == HoldNotReady:
		err = &HeldError{d.Hold, &rota.Error{Class: rota.ClassStop, Err: errors.New(d.Reason), Remedies: d.Remedies}}
	case d.Hold != HoldNone && d.Hold != HoldRetrying:
		err = &HeldError{d.Hold, &rota.Error{Op: "make room for the next credential", Class: rota.ClassWait, Err: fmt.Errorf("%s: %w", d.Reason, rota.ErrLimit), Remedies: d.Remedies}}
	case !d.At.IsZero():
		err = &rota.Error{Op: "wait", Class: rota.ClassWait, Err: fmt.Errorf("%s, and there isn't enough time for that now", d.Reason)}
	default:
		return nil
	}
	driver := t.asked.driver
	return t.failed(Decision{Step: driver.Step, Version: driver.Version}, err)
}

// takeOver adopts the current credential, which must log in, or the previous one,
// which must prove itself.
func (t *turn) takeOver(ctx context.Context, d Decision) error {
	label := rota.LabelAdopted
	if d.Version == t.seen.holder(rota.LabelCurrent) {
		if err := t.currentLogsIn(ctx); err != nil {
			return fmt.Errorf("adopt: log in with the current credential: %w", err)
		}
	} else {
		label = rota.LabelAdoptedPrevious
		if err := t.provesPrevious(ctx); err != nil {
			return err
		}
	}
	if err := t.checkStored(ctx, d.Version); err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	if err := t.ledger.writeAhead(ctx, d); err != nil {
		return err
	}
	var err error
	if label == rota.LabelAdopted {
		err = t.keepAdopted(ctx, d.Version)
	}
	if err == nil {
		err = t.outside.move(ctx, label, t.seen.holder(label), d.Version)
	}
	t.ledger.noteOutcome(d, "", err)
	if err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	t.ledger.event(rota.EventAdopted, d.Version, d.Credential, d.Reason)
	return nil
}

// recognizeRehearsal compares the announced version with the current one, if the
// test is asked for and someone else put a value there.
func (t *turn) recognizeRehearsal(ctx context.Context) error {
	driver := t.asked.driver
	version, _ := t.seen.version(driver.Version)
	current, ok := t.seen.find(rota.LabelCurrent)
	if driver.Step != rota.StepTest || !ok || version.ID == "" || version.Empty || version.Ours() || version.ID == current.ID {
		return nil
	}
	announced, err := t.outside.get(ctx, version.ID)
	if err != nil {
		return err
	}
	credential, err := t.outside.get(ctx, current.ID)
	if err != nil {
		return err
	}
	driver.Rehearsal = announced.Equal(credential)
	return nil
}

// rehearse is a test before anything is made: the current credential must log
// in, and the issuer's preflight must find no problem.
func (t *turn) rehearse(ctx context.Context, d Decision) error {
	var errs []error
	if _, ok := t.seen.credential(rota.LabelCurrent); ok {
		errs = append(errs, t.currentLogsIn(ctx))
	}
	if p, ok := t.s.Issuer.(rota.Preflighter); ok {
		err := t.outside.call(ctx, "issuer.preflight", "", func(ctx context.Context) error {
			for _, f := range p.Preflight(ctx) {
				if !f.OK && !f.Warning {
					errs = append(errs, &rota.Error{Op: f.Check, Class: rota.ClassStop, Remedies: f.Remedies, Err: errors.New(f.Detail)})
				}
			}
			return nil
		})
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	t.ledger.noteOutcome(d, "", err)
	return err
}
