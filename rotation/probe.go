package rotation

import (
	"context"
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
)

// probe makes sure, where setting the new credential kills the old one, that one
// of those in the store is in force. If none is, somebody changed it outside,
// and whoever uses that one would be locked out.
func (t *turn) probe(ctx context.Context, d Decision, pending rota.Credential) error {
	current, ok := t.seen.credential(rota.LabelCurrent)
	if t.s.Issuer.Traits().Overlap() || !ok || t.asked.step == rota.StepCreate || !t.ledger.version(d.Version).SetBegunAt.IsZero() {
		return nil
	}
	versions := []rota.Version{current, {ID: d.Version}}
	if previous, ok := t.seen.credential(rota.LabelPrevious); ok {
		versions = append(versions, previous)
	}
	for _, v := range versions {
		c := pending
		if v.ID != d.Version {
			var err error
			if c, err = t.outside.get(ctx, v.ID); err != nil {
				return err
			}
		}
		err := t.outside.retry(ctx, 3, "issuer.test", t.s.Issuer.CredentialID(c), func(ctx context.Context) error {
			err := t.outside.isInForce(ctx, c)
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
		Op: "see which credential is in force", Class: rota.ClassStop, Err: fmt.Errorf("none of the credentials in the store logs in: someone changed it outside Rota: %w", rota.ErrConflict),
		Remedies: []rota.Remedy{
			{Action: rota.RemedyAdoptGiven, Secret: t.s.Name, Text: "to keep the one in force"},
			{Action: rota.RemedyRotate, Secret: t.s.Name, Text: "to replace it"},
		},
	}
}
