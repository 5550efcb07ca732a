package crash

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/vault"
	"github.com/rota-dev/rota/provider/vault/vaulttest"
	"github.com/rota-dev/rota/rotation"
)

// leaseTTL leaves late consumers their grace: the policy rotates after 90 days.
const leaseTTL = 120 * rota.Day

func TestLeasesThroughEveryFault(t *testing.T) {
	t.Parallel()
	matrix(t, "Vault leases", 8, life{name: "a lease", kinds: leaseKinds, build: inOwnStore(leases), steps: []step{
		{name: "day 0", done: isIssued},
		{name: "day 25, renewed", after: 25 * rota.Day, done: isIssued},
		{name: "day 50, renewed", after: 25 * rota.Day, done: isIssued},
		{name: "day 75, renewed", after: 25 * rota.Day, done: isIssued},
		{name: "day 90", after: 15 * rota.Day, done: isRotated},
		{name: "day 101, deleted by a person", after: 11 * rota.Day, ask: deletePrevious, done: isDeleted},
		{name: "day 130, renewed", after: 29 * rota.Day, done: isIssued},
		{name: "day 160, renewed", after: 30 * rota.Day, done: isIssued},
		{name: "day 180", after: 20 * rota.Day, done: isRotated},
		{name: "day 205, both renewed", after: 25 * rota.Day, done: isIssued},
		{name: "day 230, the previous one has ended", after: 25 * rota.Day, done: isDeleted},
	}})
}

// leaseKinds are staticKinds, and all that may happen to a revocation or a renewal.
func leaseKinds(c call) []kind {
	if c.op == "revoke" || c.op == "renew" {
		return []kind{failsBefore, downBefore, replyLost, lostDown, dies, repeated}
	}
	return staticKinds(c)
}

// leases are those of a database engine at a stand-in for Vault, where another role has
// one, too. What a lost answer leaves behind ends by itself, and isn't looked at.
func leases(_ testing.TB, s *scene) fixture {
	server := vaulttest.New()
	server.SetNow(s.w.clock)
	server.AddDynamicRole("database", "orders", 60*rota.Day, 2*leaseTTL)
	server.AddDynamicRole("database", "reports", 100*leaseTTL, 100*leaseTTL)
	server.AddLease("database", "reports")
	front := s.w.before(server.Config.Handler, "vault", leaseOp)
	issuer := func(c *vault.Connection, role string) *vault.Leases {
		return &vault.Leases{Connection: c, Engine: vault.EngineDatabase, Mount: "database", Role: role, TTL: leaseTTL}
	}
	stored := map[string]bool{}
	return fixture{
		connect: func(_ *process, secret *rotation.Secret) error {
			c, err := vault.New("main", vault.Config{Address: front.URL, Login: vault.Token(vaulttest.RootToken), Now: s.w.clock})
			secret.Issuer = issuer(c, "orders")
			return err
		},
		traits: issuer(nil, "").Traits(), id: issuer(nil, "").CredentialID,
		works: func(c rota.Credential) (bool, error) {
			return slices.Contains(server.Leases(), c.Field(vault.FieldLeaseID)), nil
		},
		exists: func() (map[string]bool, error) {
			store, err := s.holds()
			for _, c := range store.versions {
				stored[c.Field(vault.FieldLeaseID)] = true
			}
			exist := map[string]bool{}
			for _, id := range server.Leases() {
				if stored[id] {
					exist[id] = true
				}
			}
			return exist, err
		},
		intact: func() error {
			if !slices.ContainsFunc(server.Leases(), func(id string) bool { return strings.HasPrefix(id, "database/creds/reports/") }) {
				return errors.New("somebody else's lease was revoked")
			}
			return nil
		},
		close: func() {
			front.Close()
			server.Close()
		},
	}
}

// leaseOp is what a request to Vault does.
func leaseOp(r *http.Request) string {
	switch {
	case strings.Contains(r.URL.Path, "/creds/"):
		return "create"
	case strings.HasSuffix(r.URL.Path, "/leases/lookup"):
		return "test"
	case strings.HasSuffix(r.URL.Path, "/leases/renew"):
		return "renew"
	case strings.HasSuffix(r.URL.Path, "/leases/revoke"):
		return "revoke" // a credential that can't be used, too
	}
	return "look"
}
