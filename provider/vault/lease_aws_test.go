package vault_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/provider/vault"
	"github.com/rota-dev/rota/provider/vault/vaulttest"
)

// Vault's AWS engine needs AWS, so that only the stand-in has one.
func TestLeasesOfAnAWSEngine(t *testing.T) {
	for name, sts := range map[string]bool{"a user's key": false, "a session": true} {
		t.Run(name, func(t *testing.T) {
			providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
				s, b := start(t)
				var mu sync.Mutex
				now := time.Now()
				clock := func() time.Time {
					mu.Lock()
					defer mu.Unlock()
					return now
				}
				s.SetNow(clock)
				mount := b.Mount(t, "aws", "")
				b.Do(t, http.MethodPost, mount+"/roles/deploy", map[string]any{"default_ttl": "1h", "max_ttl": "12h"})
				proxy := vaulttest.NewProxy(t, b.URL, b.Client)
				requests := map[string]string{"create": "POST /creds/", "test": "POST /leases/lookup", "renew": "POST /leases/renew", "delete": "POST /leases/revoke"}
				if sts {
					requests = map[string]string{"create": "POST /sts/", "test": "POST /leases/lookup"}
				}
				pass := func(d time.Duration) {
					mu.Lock()
					defer mu.Unlock()
					now = now.Add(d)
				}
				return providertest.IssuerFixture{
					Issuer: &vault.Leases{Connection: connect(t, vault.Config{Address: proxy.URL, Login: vault.Token(b.Token), Now: clock}), Engine: vault.EngineAWS, Mount: mount, Role: "deploy", STS: sts, TTL: 6 * time.Hour},
					Wrong: func(c rota.Credential) rota.Credential {
						fields := c.Fields()
						fields[vault.FieldLeaseID] += "x"
						return rota.NewCredential(fields)
					},
					PublicFields: []string{rota.FieldExpiration, rota.FieldAccessKeyID},
					Inject:       proxy.Inject(requests),
					Expire:       func(*testing.T) { pass(6*time.Hour + time.Second) },
					Pass:         func(_ *testing.T, d time.Duration) { pass(d) }, RenewFor: time.Hour,
					UnknownID: mount + "/creds/deploy/none",
				}
			})
		})
	}
}

// Vault revokes leases with the token that they were made with. A login gets a new
// token for each lease, and one that's too short is refused.
func TestALeaseIsMadeWithATokenThatOutlivesIt(t *testing.T) {
	s, b := start(t)
	s.AddDynamicRole("database", "orders", time.Hour, 24*time.Hour)
	approle := b.Mount(t, "auth/approle", "")
	for ttl, ok := range map[string]bool{"30m": false, "12h": true} {
		b.Do(t, http.MethodPost, "auth/"+approle+"/role/rota", map[string]any{"token_policies": []string{"rota"}, "token_ttl": ttl})
		b.Do(t, http.MethodPost, "sys/policies/acl/rota", map[string]any{"policy": vaulttest.HCL((&vault.Leases{Engine: vault.EngineDatabase, Mount: "database", Role: "orders"}).Permissions())})
		roleID, _ := b.Do(t, http.MethodGet, "auth/"+approle+"/role/rota/role-id", nil)["role_id"].(string)
		secretID, _ := b.Do(t, http.MethodPost, "auth/"+approle+"/role/rota/secret-id", map[string]any{})["secret_id"].(string)
		l := &vault.Leases{Connection: connect(t, vault.Config{Address: s.URL, Login: vault.AppRoleLogin{Mount: approle, RoleID: roleID, SecretID: secretID}}),
			Engine: vault.EngineDatabase, Mount: "database", Role: "orders", TTL: 12 * time.Hour}
		_, err := l.Create(t.Context(), rota.CreateRequest{})
		if ok && err != nil {
			t.Error(err)
		}
		if !ok {
			vaulttest.Wrong(t, err, rota.ClassStop, "it ends in 30m", "token_ttl and token_max_ttl")
		}
	}
}
