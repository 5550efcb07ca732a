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

var leaseRequests = map[string]string{"create": "GET /creds/", "test": "POST /leases/lookup", "renew": "POST /leases/renew", "delete": "POST /leases/revoke"}

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
	seconds := func(n float64) time.Duration { return time.Duration(n) * time.Second }
	ttlOf := func(t *testing.T, c rota.Credential) float64 {
		t.Helper()
		ttl, _ := b.Do(t, http.MethodPost, "sys/leases/lookup", map[string]any{"lease_id": c.Field(vault.FieldLeaseID)})["ttl"].(float64)
		return ttl
	}
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		l, proxy := issuer(t, 12*time.Hour)
		return providertest.IssuerFixture{Issuer: l, UnknownID: mount + "/creds/nobody/none", Wrong: otherLease, PublicFields: []string{rota.FieldUsername, rota.FieldExpiration}, Inject: proxy.Inject(leaseRequests)}
	})
	t.Run("a lease lasts for the role's default_ttl, and is renewed for that or for as long as it's meant to", func(t *testing.T) {
		for _, test := range []struct{ ttl, renewFor, want time.Duration }{
			{24 * time.Hour, 0, time.Hour}, {24 * time.Hour, 3 * time.Hour, 3 * time.Hour}, {30 * time.Minute, 0, 30 * time.Minute}, {time.Hour, 3 * time.Hour, time.Hour},
		} {
			l, _ := issuer(t, test.ttl)
			l.RenewFor = test.renewFor
			c := create(t, l)
			near := func(what string, got, want time.Duration) {
				t.Helper()
				if off := got - want; off > 10*time.Second || off < -60*time.Second {
					t.Errorf("ttl %s, renew_for %s: %s %s, want %s", test.ttl, test.renewFor, what, got, want)
				}
			}
			near("a new lease lasts", seconds(ttlOf(t, c)), time.Hour)
			near("the credential is meant to last", time.Until(c.ExpiresAt()), test.ttl)
			until, err := l.Renew(t.Context(), rota.RenewRequest{CredentialID: l.CredentialID(c), Until: c.ExpiresAt()})
			if err != nil {
				t.Fatal(err)
			}
			near("renewed, it lasts", seconds(ttlOf(t, c)), test.want)
			near("the renewal says", time.Until(until), test.want)
			b.logsIn(t, c, true)
		}
	})
	t.Run("a role's max_ttl ends the renewals", func(t *testing.T) {
		l, _ := issuer(t, 48*time.Hour)
		l.RenewFor = 30 * time.Hour
		c := create(t, l)
		until, err := l.Renew(t.Context(), rota.RenewRequest{CredentialID: l.CredentialID(c), Until: c.ExpiresAt()})
		if left := time.Until(until); err != nil || left > 24*time.Hour || left < 24*time.Hour-time.Minute {
			t.Errorf("it ends in %s (%v)", left, err)
		}
		findings := l.Preflight(t.Context())
		if last := findings[len(findings)-1]; last.OK || !strings.Contains(last.Detail, "allows 1d at most, and ttl is 2d") || last.Remedies[0].Text != "ttl: 1d" {
			t.Errorf("preflight says %+v", last)
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
	t.Run("a lease that can't be renewed says when it ends", func(t *testing.T) {
		l, proxy := issuer(t, 12*time.Hour)
		c := create(t, l)
		proxy.Next(http.MethodPost, "/leases/renew", providertest.FailBefore)
		until, err := l.Renew(t.Context(), rota.RenewRequest{CredentialID: l.CredentialID(c), Until: c.ExpiresAt()})
		if left := time.Until(until); err == nil || left > time.Hour || left < 59*time.Minute {
			t.Errorf("it ends in %s (%v)", left, err)
		}
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
		if _, err := l.Renew(t.Context(), rota.RenewRequest{CredentialID: l.CredentialID(c), Until: c.ExpiresAt()}); err != nil {
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
