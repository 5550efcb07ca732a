package vault_test

import (
	"testing"

	"github.com/rota-dev/rota/provider/vault/vaulttest"
)

// The stand-in passes what Vault's own core passes in module realtest.
func TestTheStandInPassesTheSuite(t *testing.T) {
	s := vaulttest.New()
	t.Cleanup(s.Close)
	vaulttest.Suite(t, vaulttest.Of(s))
}
