package vaulttest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/provider/vault"
)

// dynamicRole makes a role of which a database engine makes users.
func (b Backend) dynamicRole(t testing.TB, mount string, first, most string) string {
	t.Helper()
	name := fmt.Sprintf("dynamic-%d", mounts.Add(1))
	b.Do(t, http.MethodPost, mount+"/roles/"+name, map[string]any{"db_name": "db", "default_ttl": first, "max_ttl": most,
		"creation_statements":   `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`,
		"revocation_statements": `DROP ROLE IF EXISTS "{{name}}"`, "renew_statements": `ALTER ROLE "{{name}}" VALID UNTIL '{{expiration}}'`})
	return name
}

// otherLease is a credential that Vault never made. It knows credentials by their
// leases alone, so it's the lease that's another.
func otherLease(c rota.Credential) rota.Credential {
	fields := c.Fields()
	fields[vault.FieldLeaseID] += "x"
	return rota.NewCredential(fields)
}

var leaseRequests = map[string]string{"create": "GET /creds/", "test": "POST /leases/lookup", "delete": "POST /leases/revoke"}

func suiteLeases(t *testing.T, b Backend) {
	mount := b.engine(t)
	issuer := func(t *testing.T, ttl time.Duration) (*vault.Leases, *Proxy) {
		connection, proxy := b.Connect(t, vault.Token(b.Token))
		return &vault.Leases{Connection: connection, Engine: vault.EngineDatabase, Mount: mount, Role: b.dynamicRole(t, mount, "1h", "24h"), TTL: ttl}, proxy
	}
	create := func(t *testing.T, l *vault.Leases) rota.Credential {
		t.Helper()
		c, err := l.Create(t.Context(), rota.CreateRequest{Version: "rota-1"})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ttlOf := func(t *testing.T, c rota.Credential) float64 {
		t.Helper()
		ttl, _ := b.Do(t, http.MethodPost, "sys/leases/lookup", map[string]any{"lease_id": c.Field(vault.FieldLeaseID)})["ttl"].(float64)
		return ttl
	}
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		l, proxy := issuer(t, 12*time.Hour)
		return providertest.IssuerFixture{Issuer: l, UnknownID: mount + "/creds/nobody/none", Wrong: otherLease, PublicFields: []string{rota.FieldUsername, rota.FieldExpiration}, Inject: proxy.Inject(leaseRequests)}
	})
	t.Run("a lease is renewed for as long as ttl says, once it's made", func(t *testing.T) {
		for _, ttl := range []time.Duration{30 * time.Minute, time.Hour, 24 * time.Hour} {
			l, _ := issuer(t, ttl)
			c := create(t, l)
			if got := ttlOf(t, c); got > ttl.Seconds()+1 || got < ttl.Seconds()-60 {
				t.Errorf("the lease lasts %v s, want %s", got, ttl)
			}
			if off := time.Until(c.ExpiresAt()) - ttl; off > 10*time.Second || off < -60*time.Second {
				t.Errorf("the credential says that it ends at %s, want %s from now", c.ExpiresAt(), ttl)
			}
			b.logsIn(t, c, true)
		}
	})
	t.Run("revoking ends one and leaves the other", func(t *testing.T) {
		l, _ := issuer(t, time.Hour)
		one, two := create(t, l), create(t, l)
		for range 2 {
			if err := l.Delete(t.Context(), rota.RetireRequest{CredentialID: l.CredentialID(one)}); err != nil {
				t.Fatal(err)
			}
		}
		b.logsIn(t, one, false)
		b.logsIn(t, two, true)
	})
	t.Run("a role that doesn't allow as long leaves nothing behind", func(t *testing.T) {
		l, _ := issuer(t, 48*time.Hour)
		_, err := l.Create(t.Context(), rota.CreateRequest{})
		Wrong(t, err, rota.ClassStop, "allows 1d at most", "ttl is 2d")
		if remedies := rota.RemediesOf(err); remedies[0].Key != "ttl" || remedies[0].Text != "ttl: 1d" {
			t.Errorf("remedies %v", remedies)
		}
		b.noLease(t, mount+"/creds/"+l.Role)
		findings := l.Preflight(t.Context())
		if last := findings[len(findings)-1]; last.OK || !strings.Contains(last.Detail, "allows 1d at most") {
			t.Errorf("preflight says %+v", last)
		}
	})
	t.Run("a lease that can't be renewed is revoked", func(t *testing.T) {
		l, proxy := issuer(t, 12*time.Hour)
		proxy.Next(http.MethodPost, "/leases/renew", providertest.FailBefore)
		if c, err := l.Create(t.Context(), rota.CreateRequest{}); err == nil || !c.IsZero() {
			t.Error("the renewal didn't fail")
		}
		b.noLease(t, mount+"/creds/"+l.Role)
	})
	t.Run("a lost answer leaves a lease that ends with the role's default_ttl", func(t *testing.T) {
		l, proxy := issuer(t, 12*time.Hour)
		proxy.Next(http.MethodGet, "/creds/", providertest.LoseReply)
		if c, err := l.Create(t.Context(), rota.CreateRequest{}); err == nil || !c.IsZero() {
			t.Error("the answer wasn't lost")
		}
		if keys := b.leases(t, mount+"/creds/"+l.Role); len(keys) != 1 {
			t.Errorf("%d leases", len(keys))
		}
	})
	t.Run("a lease isn't made with a token that ends before it", func(t *testing.T) {
		l, _ := issuer(t, 12*time.Hour)
		token := b.Policy(t, HCL(l.Permissions())) // which lasts an hour
		connection, _ := b.Connect(t, vault.Token(token))
		l.Connection = connection
		_, err := l.Create(t.Context(), rota.CreateRequest{})
		Wrong(t, err, rota.ClassStop, "it ends in", "revokes the leases", "a period")
		b.noLease(t, mount+"/creds/"+l.Role)
	})
	t.Run("no such role", func(t *testing.T) {
		l, _ := issuer(t, time.Hour)
		l.Role = "nobody"
		_, err := l.Create(t.Context(), rota.CreateRequest{})
		Wrong(t, err, rota.ClassStop, "role nobody", "create the role")
	})
	t.Run("no lease is made with a token whose uses are counted", func(t *testing.T) {
		l, _ := issuer(t, 30*time.Minute)
		out, _ := b.Ask(t, http.MethodPost, "auth/token/create", map[string]any{"policies": []string{"root"}, "ttl": "5h", "num_uses": 50})
		auth, _ := out["auth"].(map[string]any)
		value, _ := auth["client_token"].(string)
		l.Connection, _ = b.Connect(t, vault.Token(value))
		_, err := l.Create(t.Context(), rota.CreateRequest{})
		Wrong(t, err, rota.ClassStop, "more calls", "limit of uses")
		b.noLease(t, mount+"/creds/"+l.Role)
	})
	t.Run("no more than rota policy vault prints", func(t *testing.T) {
		l, _ := issuer(t, 30*time.Minute)
		connection, _ := b.Connect(t, vault.Token(b.Policy(t, HCL(l.Permissions()))))
		l.Connection = connection
		c := create(t, l)
		for _, f := range l.Preflight(t.Context()) {
			if !f.OK {
				t.Errorf("preflight says %+v", f)
			}
		}
		if err := l.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
			t.Error(err)
		}
		if err := l.Delete(t.Context(), rota.RetireRequest{CredentialID: l.CredentialID(c)}); err != nil {
			t.Error(err)
		}
		l.Role = b.dynamicRole(t, mount, "1h", "1h")
		_, err := l.Create(t.Context(), rota.CreateRequest{})
		Wrong(t, err, rota.ClassStop, "allow read on "+mount+"/creds/"+l.Role)
	})
}

// leases are the leases below a path.
func (b Backend) leases(t testing.TB, prefix string) []any {
	t.Helper()
	out, _ := b.Ask(t, "LIST", "sys/leases/lookup/"+prefix, nil)
	inner, _ := out["data"].(map[string]any)
	keys, _ := inner["keys"].([]any)
	return keys
}

func (b Backend) noLease(t testing.TB, prefix string) {
	t.Helper()
	if keys := b.leases(t, prefix); len(keys) > 0 {
		t.Errorf("leases are left: %v", keys)
	}
}
