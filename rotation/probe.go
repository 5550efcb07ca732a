package rotation

import (
	"context"
	"errors"
	"fmt"
	"github.com/rota-dev/rota"
)

// probe finds out, where setting the new credential kills the old one, that
// one of those in the store is the one in force. If none is, somebody changed
// it outside, and those who use that one would be locked out.
func (w *turn) probe(ctx context.Context, d Decision, pending rota.Credential) error {
	current, ok := findCredential(w.state.Contents.Versions, rota.LabelCurrent)
	if w.s.Issuer.Traits().Overlap() || !ok || w.requested == rota.StepCreate || !w.progress.Versions[d.Version].SetBegunAt.IsZero() {
		return nil
	}
	versions := []rota.Version{current, {ID: d.Version}}
	if previous, ok := findCredential(w.state.Contents.Versions, rota.LabelPrevious); ok {
		versions = append(versions, previous)
	}
	for _, v := range versions {
		c := pending
		if v.ID != d.Version {
			var err error
			if c, err = w.get(ctx, v.ID); err != nil {
				return err
			}
		}
		err := w.retry(ctx, 3, "issuer.test", w.s.Issuer.CredentialID(c), func(ctx context.Context) error {
			err := w.ask(ctx, c)
			if errors.Is(err, rota.ErrRefused) {
				return &rota.Error{Class: rota.ClassStop, Err: err} // refused is an answer, not a failure
			}
			return err
		})
		if err == nil {
			return nil
		}
		if !errors.Is(err, rota.ErrRefused) {
			return fmt.Errorf("see which credential is in force: %w", err)
		}
	}
	return &rota.Error{
		Op: "see which credential is in force", Class: rota.ClassStop, Err: fmt.Errorf("none of those in the store logs in: somebody changed it outside: %w", rota.ErrConflict),
		Hint: "rota adopt " + w.s.Name + " --from - to keep the one in force, or rota rotate " + w.s.Name + " to replace it",
	}
}

// ask finds out whether a credential is in force: without a login where the
// issuer can tell, else by one. [rota.ErrRefused] is a no.
func (w *turn) ask(ctx context.Context, c rota.Credential) error {
	if teller, ok := w.s.Issuer.(rota.Teller); ok {
		inForce, known, err := teller.InForce(ctx, c)
		switch {
		case err != nil:
			return err
		case known && !inForce:
			return rota.ErrRefused
		case known:
			return nil
		}
	}
	return w.s.Issuer.Test(ctx, rota.TestRequest{Credential: c})
}

// inForce tells whether the rejected credential is the one that the issuer
// takes. Only then was it Rota that killed what somebody else has made current
// since, and may Rota set that one again: giving up the only credential that
// works would lock everybody out. Refused so many times in a row means that somebody
// set another one.
func (w *turn) inForce(ctx context.Context, rejected string, refusals int) (bool, error) {
	c, err := w.get(ctx, rejected)
	if err != nil {
		return false, err
	}
	err = w.retry(ctx, refusals, "issuer.test", w.s.Issuer.CredentialID(c), func(ctx context.Context) error { return w.s.Issuer.Test(ctx, rota.TestRequest{Credential: c}) })
	if errors.Is(err, rota.ErrRefused) {
		return false, nil
	}
	return err == nil, err
}
