package providertest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/provider/providertest"
)

// undeactivated is an issuer whose credentials are active until they're
// deleted, and of which there can be two.
type undeactivated struct {
	rota.Issuer
	rota.Lister
	rota.UseReporter

	keys *memory.AccessKeys
}

func (u undeactivated) Delete(ctx context.Context, r rota.RetireRequest) error {
	err := u.keys.Delete(ctx, r)
	if !errors.Is(err, rota.ErrConflict) {
		return err
	}
	return errors.Join(u.keys.Deactivate(ctx, r), u.keys.Delete(ctx, r))
}

func TestAnIssuerThatCanNotDeactivatePasses(t *testing.T) {
	providertest.Issuer(t, func(*testing.T) providertest.IssuerFixture {
		options, advance, inject := parts("issuer")
		keys := memory.NewAccessKeys(memory.AccessKeysOptions{Options: options, Limit: 2})
		return providertest.IssuerFixture{
			Issuer: undeactivated{keys, keys, keys, keys}, Polling: patient(advance), Inject: inject, UnknownID: "AKIAUNKNOWN",
		}
	})
}
