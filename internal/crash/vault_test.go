package crash

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/vault"
	"github.com/rota-dev/rota/provider/vault/vaulttest"
	"github.com/rota-dev/rota/rotation"
)

func TestSecretIDsThroughEveryFault(t *testing.T) {
	t.Parallel()
	matrix(t, "AppRole secret ids", 8,
		life{name: "a secret id", kinds: fewKinds, steps: lifeOfToken, build: inOwnStore(secretIDs)},
	)
}

// secretIDs are those of an AppRole at a stand-in for Vault, where another role has
// one, too.
func secretIDs(_ testing.TB, s *scene) fixture {
	server := vaulttest.New()
	server.SetNow(s.w.clock)
	server.AddRole("approle", "orders")
	server.AddRole("approle", "reports")
	other := server.AddSecretID("approle", "reports")
	front := s.w.before(server.Config.Handler, "vault", vaultOp)
	issuer := func(c *vault.Connection) *vault.SecretIDs {
		return &vault.SecretIDs{Connection: c, Mount: "approle", Role: "orders", NumUses: 1 << 20}
	}
	return fixture{
		connect: func(_ *process, secret *rotation.Secret) error {
			c, err := vault.New("main", vault.Config{Address: front.URL, Login: vault.Token(vaulttest.RootToken), Now: s.w.clock})
			secret.Issuer = issuer(c)
			return err
		},
		traits: issuer(nil).Traits(), id: issuer(nil).CredentialID, marks: true,
		works: func(c rota.Credential) (bool, error) {
			return server.Accepts("approle", "orders", c.Field(vault.FieldSecretID)), nil
		},
		exists: func() (map[string]bool, error) {
			exist := map[string]bool{}
			for _, accessor := range server.Accessors("approle", "orders") {
				exist[accessor] = true
			}
			return exist, nil
		},
		intact: func() error {
			if !server.Accepts("approle", "reports", other) {
				return errors.New("somebody else's secret id was destroyed")
			}
			return nil
		},
		close: func() {
			front.Close()
			server.Close()
		},
	}
}

// vaultOp is what a request to Vault does.
func vaultOp(r *http.Request) string {
	switch {
	case strings.HasSuffix(r.URL.Path, "/login"):
		return "test"
	case strings.HasSuffix(r.URL.Path, "/destroy"):
		return "delete"
	case strings.HasSuffix(r.URL.Path, "/secret-id") && r.Method == http.MethodGet:
		return "list"
	case strings.HasSuffix(r.URL.Path, "/secret-id"):
		return "create"
	}
	return "look"
}
