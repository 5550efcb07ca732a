package vaulttest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/provider/vault"
)

// newRole makes a role of AppRole and returns its name.
func (b Backend) newRole(t testing.TB, mount string) string {
	t.Helper()
	role := fmt.Sprintf("role-%d", mounts.Add(1))
	b.Do(t, http.MethodPost, "auth/"+mount+"/role/"+role, map[string]any{"token_policies": []string{"default"}, "token_ttl": "10m"})
	return role
}

// login logs in with a secret id as a consumer does.
func (b Backend) login(t testing.TB, mount string, c rota.Credential) {
	t.Helper()
	b.Do(t, http.MethodPost, "auth/"+mount+"/login", map[string]any{"role_id": c.Field(vault.FieldRoleID), "secret_id": c.Field(vault.FieldSecretID)})
}

func suiteSecretIDs(t *testing.T, b Backend) {
	mount := b.Mount(t, "auth/approle", "")
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		connection, proxy := b.Connect(t, vault.Token(b.Token))
		return providertest.IssuerFixture{
			Issuer:    &vault.SecretIDs{Connection: connection, Mount: mount, Role: b.newRole(t, mount), NumUses: 100000, TTL: time.Hour},
			UnknownID: "00000000-0000-0000-0000-000000000000", PublicFields: []string{vault.FieldRoleID},
			Inject: proxy.Inject(map[string]string{"create": "POST /secret-id$", "test": "POST /login", "delete": "POST /destroy", "list": "LIST /secret-id$"}),
			Use:    func(t *testing.T, c rota.Credential) { b.login(t, mount, c) },
		}
	})
	t.Run("a lost answer is recognized, and others' secret ids are told apart", func(t *testing.T) {
		connection, proxy := b.Connect(t, vault.Token(b.Token))
		s := &vault.SecretIDs{Connection: connection, Mount: mount, Role: b.newRole(t, mount)}
		proxy.Next(http.MethodPost, "/secret-id$", providertest.LoseReply)
		if c, err := s.Create(t.Context(), rota.CreateRequest{Version: "rota-lost"}); err == nil || !c.IsZero() {
			t.Error("the answer wasn't lost")
		}
		b.Do(t, http.MethodPost, "auth/"+mount+"/role/"+s.Role+"/secret-id", map[string]any{})
		b.Do(t, http.MethodPost, "auth/"+mount+"/role/"+s.Role+"/secret-id", map[string]any{"ttl": "1s"})
		var marks []string
		for deadline := time.Now().Add(20 * time.Second); len(marks) != 2 && time.Now().Before(deadline); {
			list, err := s.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			marks = nil
			for _, x := range list {
				marks = append(marks, x.Mark)
			}
		}
		slices.Sort(marks)
		if want := []string{"", "rota-lost"}; !slices.Equal(marks, want) {
			t.Errorf("marks %q, want %q without the expired one", marks, want)
		}
	})
	t.Run("what there is of thousands is looked up once", func(t *testing.T) {
		connection, proxy := b.Connect(t, vault.Token(b.Token))
		s := &vault.SecretIDs{Connection: connection, Mount: mount, Role: b.newRole(t, mount)}
		for range 40 {
			b.Do(t, http.MethodPost, "auth/"+mount+"/role/"+s.Role+"/secret-id", map[string]any{})
		}
		for range 3 {
			if list, err := s.List(t.Context()); err != nil || len(list) != 40 {
				t.Fatalf("%d listed, %v", len(list), err)
			}
		}
		lookUps := slices.DeleteFunc(proxy.Requests(), func(r string) bool { return !strings.HasSuffix(r, "/lookup") })
		if len(lookUps) != 40 {
			t.Errorf("%d were looked up", len(lookUps))
		}
	})
	t.Run("use is known only of what Vault counts", func(t *testing.T) {
		connection, _ := b.Connect(t, vault.Token(b.Token))
		s := &vault.SecretIDs{Connection: connection, Mount: mount, Role: b.newRole(t, mount)}
		c, err := s.Create(t.Context(), rota.CreateRequest{Version: "rota-1"})
		if err != nil {
			t.Fatal(err)
		}
		b.login(t, mount, c)
		use, err := s.LastUsed(t.Context(), s.CredentialID(c))
		if err != nil || use.Evidence != rota.EvidenceUnknown || len(use.Remedies) == 0 {
			t.Errorf("%+v, %v", use, err)
		}
	})
	t.Run("what the role allows is compared with what rota.yaml asks for", func(t *testing.T) {
		connection, _ := b.Connect(t, vault.Token(b.Token))
		for name, c := range map[string]struct {
			role       map[string]any
			uses       int
			ttl        time.Duration
			want       string // in the last finding, with its remedies
			ok, warned bool
		}{
			"a role that ends a secret id after a few logins":      {role: map[string]any{"secret_id_num_uses": 10}, want: "after 10 logins, Rota's own among them set secret_id_num_uses"},
			"a role that allows enough logins":                     {role: map[string]any{"secret_id_num_uses": 100}, ok: true},
			"more logins than the role allows":                     {role: map[string]any{"secret_id_num_uses": 1000}, uses: 1001, want: "allows 1000 at most"},
			"as many logins as the role allows":                    {role: map[string]any{"secret_id_num_uses": 1000}, uses: 1000, ok: true},
			"a longer life than the role allows":                   {role: map[string]any{"secret_id_ttl": "24h"}, uses: 1000, ttl: 48 * time.Hour, want: "allows 1d at most"},
			"a longer life than the mount allows":                  {role: map[string]any{}, ttl: 60 * rota.Day, want: "max_lease_ttl allows 32d, and ttl is 60d: Vault would end it then without a word"},
			"a role and a rota.yaml that don't count":              {role: map[string]any{}, want: "notes no use", warned: true},
			"a role that doesn't count, and a rota.yaml that does": {role: map[string]any{}, uses: 1000, ok: true},
		} {
			s := &vault.SecretIDs{Connection: connection, Mount: mount, Role: b.newRole(t, mount), NumUses: c.uses, TTL: c.ttl}
			b.Do(t, http.MethodPost, "auth/"+mount+"/role/"+s.Role, c.role)
			findings := s.Preflight(t.Context())
			last := findings[len(findings)-1]
			if text := last.Detail + " " + rota.Hint(last.Remedies); last.OK != c.ok || last.Warning != c.warned || !strings.Contains(text, c.want) {
				t.Errorf("%s: preflight says %+v", name, last)
			}
		}
	})
	t.Run("no secret id is made that would end before its ttl", func(t *testing.T) {
		connection, proxy := b.Connect(t, vault.Token(b.Token))
		at := b.Mount(t, "auth/approle", "")
		s := &vault.SecretIDs{Connection: connection, Mount: at, Role: b.newRole(t, at), TTL: 60 * rota.Day}
		_, err := s.Create(t.Context(), rota.CreateRequest{Version: "rota-1"})
		Wrong(t, err, rota.ClassStop, "max_lease_ttl allows 32d", "vault auth tune -max-lease-ttl=1440h "+at)
		if proxy.Writes() != 0 {
			t.Error("one was made")
		}
		b.Do(t, http.MethodPost, "sys/auth/"+at+"/tune", map[string]any{"max_lease_ttl": "1440h"})
		if _, err := s.Create(t.Context(), rota.CreateRequest{Version: "rota-1"}); err != nil {
			t.Fatal(err)
		}
		list, err := s.List(t.Context())
		if err != nil || len(list) != 1 || list[0].ExpiresAt.Sub(list[0].CreatedAt) != s.TTL {
			t.Errorf("after the remedy: %+v, %v", list, err)
		}
	})
	t.Run("a secret id is good for as many logins as num_uses says", func(t *testing.T) {
		connection, _ := b.Connect(t, vault.Token(b.Token))
		s := &vault.SecretIDs{Connection: connection, Mount: mount, Role: b.newRole(t, mount), NumUses: 3}
		c, err := s.Create(t.Context(), rota.CreateRequest{Version: "rota-1"})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 4 {
			if err := s.Test(t.Context(), rota.TestRequest{Credential: c}); (err == nil) != (n < 3) {
				t.Errorf("login %d: %v", n+1, err)
			}
		}
		if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("it's listed: %v, %v", list, err)
		}
	})
	t.Run("a secret id of another role", func(t *testing.T) {
		connection, _ := b.Connect(t, vault.Token(b.Token))
		one, two := &vault.SecretIDs{Connection: connection, Mount: mount, Role: b.newRole(t, mount)}, &vault.SecretIDs{Connection: connection, Mount: mount, Role: b.newRole(t, mount)}
		c, err := one.Create(t.Context(), rota.CreateRequest{Version: "rota-1"})
		if err != nil {
			t.Fatal(err)
		}
		Wrong(t, two.Test(t.Context(), rota.TestRequest{Credential: c}), rota.ClassStop, one.Role)
	})
	t.Run("no such role", func(t *testing.T) {
		connection, _ := b.Connect(t, vault.Token(b.Token))
		s := &vault.SecretIDs{Connection: connection, Mount: mount, Role: "nobody"}
		_, err := s.Create(t.Context(), rota.CreateRequest{})
		Wrong(t, err, rota.ClassStop, "role nobody")
		if _, err := s.List(t.Context()); err == nil || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("list: %v", err)
		}
	})
	t.Run("no more than rota policy vault prints", func(t *testing.T) {
		role := b.newRole(t, mount)
		connection, _ := b.Connect(t, vault.Token(b.Policy(t, HCL((&vault.SecretIDs{Mount: mount, Role: role}).Permissions()))))
		s := &vault.SecretIDs{Connection: connection, Mount: mount, Role: role, NumUses: 1000}
		c, err := s.Create(t.Context(), rota.CreateRequest{Version: "rota-1"})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range s.Preflight(t.Context()) {
			if !f.OK {
				t.Errorf("preflight says %+v", f)
			}
		}
		if list, err := s.List(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
		}
		if err := s.Delete(t.Context(), rota.RetireRequest{CredentialID: s.CredentialID(c)}); err != nil {
			t.Error(err)
		}
		missing := &vault.SecretIDs{Connection: connection, Mount: mount, Role: b.newRole(t, mount)}
		_, err = missing.List(t.Context())
		Wrong(t, err, rota.ClassStop, "allow list on auth/"+mount+"/role/"+missing.Role+"/secret-id")
	})
}
