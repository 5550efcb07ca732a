package crash

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/vault"
	"github.com/rota-dev/rota/provider/vault/vaulttest"
	"github.com/rota-dev/rota/rotation"
)

func TestStaticRolesThroughEveryFault(t *testing.T) {
	t.Parallel()
	matrix(t, "Vault static roles", 8, life{name: "a static role", kinds: staticKinds, build: inOwnStore(staticRole), steps: []step{
		{name: "day 0", ask: rotateNow, done: isIssued},
		{name: "day 90", after: 90 * rota.Day, done: isRotated},
		{name: "day 120, by Vault itself", after: 30 * rota.Day, ask: byItself, done: isRotated},
		{name: "day 210", after: 90 * rota.Day, done: isRotated},
	}})
}

// byItself is a run that comes after Vault rotated the password by itself.
func byItself(ctx context.Context, r *rotation.Rotator, s *rotation.Secret) (rotation.Result, error) {
	s.Issuer.(*scheduled).rotate()
	return r.Advance(ctx, s, rotation.Options{})
}

// scheduled is a static role that Vault may rotate by itself.
type scheduled struct {
	*vault.StaticRole
	rotate func()
}

// staticKinds are fewKinds, and all that may happen to the call that has Vault
// choose a password.
func staticKinds(c call) []kind {
	if c.creates() {
		return []kind{failsBefore, downBefore, replyLost, lostDown, dies, repeated}
	}
	return fewKinds(c)
}

// staticRole is a static role of a database engine at a stand-in for Vault.
func staticRole(_ testing.TB, s *scene) fixture {
	server := vaulttest.New()
	server.SetNow(s.w.clock)
	server.AddStaticRole("database", "orders", "orders_app")
	front := s.w.before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if staticOp(r) == "create" {
			s.consumers.mayGap()
		}
		server.Config.Handler.ServeHTTP(w, r)
	}), "vault", staticOp)
	rotate := func() {
		s.consumers.mayGap()
		server.RotateStatic("database", "orders")
	}
	var none *vault.StaticRole
	return fixture{
		connect: func(_ *process, secret *rotation.Secret) error {
			c, err := vault.New("main", vault.Config{Address: front.URL, Login: vault.Token(vaulttest.RootToken), Now: s.w.clock})
			secret.Issuer = &scheduled{&vault.StaticRole{Connection: c, Mount: "database", Role: "orders"}, rotate}
			return err
		},
		traits: none.Traits(), id: none.CredentialID,
		works: func(c rota.Credential) (bool, error) {
			return c.Field(rota.FieldUsername) == "orders_app" && c.Field(rota.FieldPassword) == server.StaticPassword("database", "orders"), nil
		},
		exists: func() (map[string]bool, error) { return map[string]bool{"orders_app": true}, nil },
		close: func() {
			front.Close()
			server.Close()
		},
	}
}

// staticOp is what a request to Vault does.
func staticOp(r *http.Request) string {
	if strings.Contains(r.URL.Path, "/rotate-role/") {
		return "create"
	}
	return "look"
}
