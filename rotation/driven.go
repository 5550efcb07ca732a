package rotation

import (
	"context"
	"errors"
	"fmt"
	"github.com/rota-dev/rota"
)

// DriveRequest is one step that is asked for by whoever leads the rotation from
// outside, as Secrets Manager does at its own.
type DriveRequest struct {
	// Step is Create, Set, Test or Promote.
	Step rota.Step
	// Version is the id of the version that the driver has announced, with
	// AWSPENDING and perhaps without a value.
	Version string
	// Adopt takes the current credential over before the first Create, where
	// Rota did not make it: it must log in. Without it that is an error.
	Adopt bool
}

// Drive carries out one step of a rotation that is led from outside, with the
// same lease, intents, proofs and audit as Advance. A step that was done before
// is no error and does nothing; a version that is current already is done
// altogether. A version that does not carry AWSPENDING, or has no value where
// the step needs one, is an error of class [rota.ClassStop].
//
// Create makes room first: orphans of lost answers go, and where the issuer is
// full, the previous credential, if it is Rota's and proven unused. Promote
// proves the credential once more, unless this journal knows that it was
// tested, and serves targets and reloaders.
func (r *Rotator) Drive(ctx context.Context, s *Secret, request DriveRequest) (Result, error) {
	return r.withWork(ctx, s, func(ctx context.Context, w *turn) error {
		err := w.drive(ctx, request)
		w.conclude(err)
		return err
	})
}

func (w *turn) drive(ctx context.Context, r DriveRequest) error {
	if err := w.observe(ctx); err != nil {
		return w.failed(Decision{Next: r.Step}, err)
	}
	v, done, err := w.driven(r)
	if err != nil {
		return w.failed(Decision{Step: r.Step, Version: r.Version}, err)
	}
	d := Decision{Step: r.Step, Version: v.ID, Credential: v.CredentialID, Reason: "asked for by the rotation's driver"}
	switch {
	case done:
	case r.Step == rota.StepCreate:
		err = w.driveCreate(ctx, d, r.Adopt)
	case r.Step == rota.StepTest && v.Empty:
		err = w.proveCurrent(ctx, d)
	case r.Step == rota.StepPromote:
		err = w.drivePromote(ctx, d)
	case r.Step == rota.StepSet && w.state.Traits.IssuerChooses: // it is valid since it was made
	default:
		err = w.driveStep(ctx, d)
	}
	if err == nil {
		w.result.Last = Decision{Version: v.ID, Reason: string(r.Step) + " is done"}
	}
	return err
}

// driven finds the version that the driver means, and whether nothing is left
// to do for it.
func (w *turn) driven(r DriveRequest) (v rota.Version, done bool, err error) {
	stop := func(hint, format string, args ...any) (rota.Version, bool, error) {
		return rota.Version{}, false, &rota.Error{Op: string(r.Step), Class: rota.ClassStop, Hint: hint, Err: fmt.Errorf(format, args...)}
	}
	const fresh = "start a new rotation; its own version then carries AWSPENDING"
	v, ok := rota.FindID(w.state.Contents.Versions, r.Version)
	switch {
	case r.Step != rota.StepCreate && r.Step != rota.StepSet && r.Step != rota.StepTest && r.Step != rota.StepPromote:
		return stop("create, set, test, promote", "no such step of a driven rotation: %q", r.Step)
	case w.state.Traits.Manual:
		return stop("rotate it by hand, then rota done "+w.s.Name, "only a person can rotate it")
	case !ok:
		return stop(fresh, "the store has no version %s that carries a label", r.Version)
	case v.Has(rota.LabelCurrent):
		return v, r.Step != rota.StepPromote || !v.Has(rota.LabelPending) && v.Has(rota.LabelServed), nil
	case !v.Has(rota.LabelPending):
		return stop(fresh, "version %s does not carry AWSPENDING", v.ID)
	case v.Empty && (r.Step == rota.StepSet || r.Step == rota.StepPromote):
		return stop("the step create first", "version %s has no value yet", v.ID)
	case !v.Empty && !v.Ours():
		return stop(fresh, "the value of version %s was not put there by Rota", v.ID)
	}
	return v, r.Step == rota.StepCreate && !v.Empty, nil
}

// driveStep carries out one step and notes how it went.
func (w *turn) driveStep(ctx context.Context, d Decision) error {
	w.result.Last = d
	if err := w.do(ctx, d); err != nil {
		return w.failed(d, err)
	}
	w.succeeded(d)
	return nil
}

func (w *turn) driveCreate(ctx context.Context, d Decision, adopt bool) error {
	if current, ok := findCredential(w.state.Contents.Versions, rota.LabelCurrent); ok && !current.Ours() {
		if err := w.takeOver(ctx, current, adopt); err != nil {
			return w.failed(d, err)
		}
	}
	if err := w.makeRoom(ctx); err != nil {
		return w.failed(d, err)
	}
	return w.driveStep(ctx, d)
}

// takeOver adopts the current credential, which somebody else made: whoever
// attaches a rotation to a secret means the credential in it.
func (w *turn) takeOver(ctx context.Context, current rota.Version, adopt bool) error {
	if !adopt {
		return &rota.Error{Op: "create", Class: rota.ClassStop, Hint: "rota adopt " + w.s.Name,
			Err: fmt.Errorf("the current credential %s was not made by Rota", current.CredentialID)}
	}
	d := Decision{Step: "adopt", Version: current.ID, Credential: current.CredentialID, Reason: "a rotation was begun for the secret that holds it"}
	if err := w.currentLogsIn(ctx); err != nil {
		return fmt.Errorf("adopt: log in with the current credential: %w", err)
	}
	if err := w.writeAhead(ctx, d); err != nil {
		return err
	}
	holder, _ := rota.Find(w.state.Contents.Versions, rota.LabelAdopted)
	err := w.move(ctx, rota.LabelAdopted, holder.ID, current.ID)
	w.noteOutcome(d, "", err)
	if err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	w.result.Done = append(w.result.Done, d)
	w.event(rota.EventAdopted, d.Version, d.Credential, d.Reason)
	return w.observe(ctx)
}

// proveCurrent is what a test means where there is nothing to test yet: Secrets
// Manager asks for it when rotation is configured and not begun. The current
// credential must log in, and the issuer find nothing amiss.
func (w *turn) proveCurrent(ctx context.Context, d Decision) error {
	d.Reason = "nothing is created yet: a rehearsal with the current credential"
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
	if err != nil {
		return w.failed(d, err)
	}
	w.result.Done = append(w.result.Done, d)
	return nil
}

// drivePromote tests again what this journal did not see tested, promotes, and
// hands the credential to everyone who uses it.
func (w *turn) drivePromote(ctx context.Context, d Decision) error {
	current, _ := rota.Find(w.state.Contents.Versions, rota.LabelCurrent)
	vp := w.progress.Versions[d.Version]
	if current.ID != d.Version {
		if vp.Base != "" && vp.Base != current.ID {
			return w.failed(d, &rota.Error{Op: "promote", Class: rota.ClassStop, Hint: "start a new rotation",
				Err: fmt.Errorf("AWSCURRENT was moved to version %s meanwhile: %w", current.ID, rota.ErrConflict)})
		}
		if vp.TestedAt.IsZero() {
			test := d
			test.Step = rota.StepTest
			if err := w.driveStep(ctx, test); err != nil {
				return err
			}
		}
	}
	if err := w.driveStep(ctx, d); err != nil {
		return err
	}
	return w.serve(ctx)
}

// serve delivers and reloads what is current, and does nothing else that may be
// due.
func (w *turn) serve(ctx context.Context) error {
	for range maxSteps {
		if err := w.observe(ctx); err != nil {
			return w.failed(Decision{Next: rota.StepDeliver}, err)
		}
		d, due := ruleServe(newView(w.state, w.s.Policy.WithDefaults(), w.Now()))
		if !due {
			return nil
		}
		if err := w.driveStep(ctx, d); err != nil {
			return err
		}
	}
	return &rota.Error{Op: "serve", Class: rota.ClassStop, Err: fmt.Errorf("still not done after %d steps", maxSteps)}
}
