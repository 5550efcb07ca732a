package vaulttest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/provider/vault"
)

// engine mounts a database engine with a connection named db, and returns where.
func (b Backend) engine(t testing.TB) string {
	t.Helper()
	mount := b.Mount(t, "database", "")
	d := b.Database
	if d == nil {
		d = &Database{URL: "postgresql://{{username}}:{{password}}@db.invalid/postgres", Username: "vault", Password: "vault-canary"}
	}
	b.Do(t, http.MethodPost, mount+"/config/db", map[string]any{"plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "connection_url": d.URL, "username": d.Username, "password": d.Password})
	return mount
}

// staticRole makes a static role and its database user, which have one name.
func (b Backend) staticRole(t testing.TB, mount string, settings map[string]any) string {
	t.Helper()
	name := fmt.Sprintf("app_%d", mounts.Add(1))
	if b.Database != nil {
		b.Database.Exec(t, `CREATE ROLE "`+name+`" LOGIN PASSWORD 'from before'`)
	}
	body := map[string]any{"db_name": "db", "username": name, "rotation_period": "87600h"}
	for key, value := range settings {
		delete(body, "rotation_period")
		body[key] = value
	}
	b.Do(t, http.MethodPost, mount+"/static-roles/"+name, body)
	return name
}

// logsIn checks whether the database takes a credential, if there's a database.
func (b Backend) logsIn(t testing.TB, c rota.Credential, want bool) {
	t.Helper()
	if b.Database == nil {
		return
	}
	if err := b.Database.Login(t, c.Field(rota.FieldUsername), c.Field(rota.FieldPassword)); (err == nil) != want {
		t.Errorf("the login of %s ended with %v, and should work: %t", c.Field(rota.FieldUsername), err, want)
	}
}

// injectStatic plants faults. The read right after a rotation is a part of create.
func injectStatic(p *Proxy) providertest.Inject {
	return func(op string, kind providertest.FaultKind) bool {
		switch op {
		case "create":
			p.Next(http.MethodPost, "/rotate-role/", kind)
		case "test":
			match := providertest.Matching(http.MethodGet, "/static-creds/")
			p.When(func(r *http.Request) bool { return match(r) && !follows(r, "/rotate-role/") }, kind)
		default:
			return false
		}
		return true
	}
}

func suiteStaticRoles(t *testing.T, b Backend) {
	mount := b.engine(t)
	issuer := func(t *testing.T) (*vault.StaticRole, *Proxy) {
		connection, proxy := b.Connect(t, vault.Token(b.Token))
		return &vault.StaticRole{Connection: connection, Mount: mount, Role: b.staticRole(t, mount, nil)}, proxy
	}
	create := func(t *testing.T, s *vault.StaticRole, current rota.Credential) rota.Credential {
		t.Helper()
		c, err := s.Create(t.Context(), rota.CreateRequest{Version: "rota-1", Current: current})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		s, proxy := issuer(t)
		return providertest.IssuerFixture{Issuer: s, UnknownID: "nobody", Inject: injectStatic(proxy)}
	})
	t.Run("each rotation ends the password before at the database", func(t *testing.T) {
		s, proxy := issuer(t)
		first := create(t, s, rota.Credential{})
		b.logsIn(t, first, true)
		second := create(t, s, first)
		b.logsIn(t, first, false)
		b.logsIn(t, second, true)
		if proxy.Writes() != 2 || first.Equal(second) {
			t.Errorf("%d writes, and the same password: %t", proxy.Writes(), first.Equal(second))
		}
	})
	t.Run("a lost answer is settled by reading", func(t *testing.T) {
		s, proxy := issuer(t)
		first := create(t, s, rota.Credential{})
		proxy.Next(http.MethodPost, "/rotate-role/", providertest.LoseReply)
		second := create(t, s, first)
		b.logsIn(t, second, true)
		before := proxy.Writes()
		proxy.Next(http.MethodPost, "/rotate-role/", providertest.LoseReply)
		proxy.Nth(1, http.MethodGet, "/static-creds/", providertest.FailBefore)
		if _, err := s.Create(t.Context(), rota.CreateRequest{Current: second}); err == nil {
			t.Fatal("the answer wasn't lost")
		}
		third := create(t, s, second)
		if proxy.Writes() != before+1 {
			t.Error("Vault was asked to rotate it again")
		}
		b.logsIn(t, third, true)
	})
	t.Run("a call that fails before it acts changes nothing, and can be made again", func(t *testing.T) {
		s, proxy := issuer(t)
		first := create(t, s, rota.Credential{})
		for _, request := range []string{"/rotate-role/", "/static-creds/"} {
			proxy.Next("", request, providertest.FailBefore)
			if _, err := s.Create(t.Context(), rota.CreateRequest{Current: first}); err == nil || rota.ClassOf(err) != rota.ClassWait {
				t.Errorf("%s: %v, of class %s", request, err, rota.ClassOf(err))
			}
			b.logsIn(t, first, true)
		}
		// Vault rotated it, and can't be asked for the password right then.
		proxy.Nth(1, http.MethodGet, "/static-creds/", providertest.FailBefore)
		if _, err := s.Create(t.Context(), rota.CreateRequest{Current: first}); err == nil {
			t.Error("the read after the rotation didn't fail")
		}
		before := proxy.Writes()
		b.logsIn(t, create(t, s, first), true)
		if proxy.Writes() != before {
			t.Error("it was rotated twice")
		}
	})
	t.Run("a rotation that arrives twice ends with the password in force", func(t *testing.T) {
		s, proxy := issuer(t)
		first := create(t, s, rota.Credential{})
		proxy.Next(http.MethodPost, "/rotate-role/", providertest.Repeat)
		second := create(t, s, first)
		b.logsIn(t, second, true)
		if err := s.Test(t.Context(), rota.TestRequest{Credential: second}); err != nil {
			t.Error(err)
		}
	})
	t.Run("what Vault rotated by itself is taken over", func(t *testing.T) {
		s, proxy := issuer(t)
		first := create(t, s, rota.Credential{})
		b.Do(t, http.MethodPost, mount+"/rotate-role/"+s.Role, map[string]any{})
		if inForce, known, err := s.InForce(t.Context(), first); inForce || !known || err != nil {
			t.Errorf("the old one is in force: %t, known %t, %v", inForce, known, err)
		}
		if err := s.Test(t.Context(), rota.TestRequest{Credential: first}); !errors.Is(err, rota.ErrRefused) || rota.ClassOf(err) != rota.ClassRegenerate {
			t.Errorf("test: %v, of class %s", err, rota.ClassOf(err))
		}
		before := proxy.Writes()
		second := create(t, s, first)
		if proxy.Writes() != before || first.Equal(second) {
			t.Error("it was rotated again")
		}
		b.logsIn(t, second, true)
		// A person may have asked because that one leaked.
		third, err := s.Create(t.Context(), rota.CreateRequest{Current: first, Anew: true})
		if err != nil || proxy.Writes() != before+1 || third.Equal(second) {
			t.Errorf("asked for a new one, it rotated %d times (%v)", proxy.Writes()-before, err)
		}
		b.logsIn(t, third, true)
	})
	t.Run("what Vault went back to is replaced", func(t *testing.T) {
		s, _ := issuer(t)
		old := create(t, s, rota.Credential{}) // Vault shows it, and has lost the one after that
		current := rota.NewCredential(map[string]string{rota.FieldUsername: old.Field(rota.FieldUsername), rota.FieldPassword: "from-after-the-snapshot-canary"})
		next, err := s.Create(t.Context(), rota.CreateRequest{Version: "rota-2", Current: current, CurrentSince: time.Now().Add(time.Minute)})
		if err != nil || next.Equal(old) {
			t.Fatalf("the password from before was taken over: %t, %v", next.Equal(old), err)
		}
		b.logsIn(t, next, true)
		b.logsIn(t, old, false)
	})
	t.Run("Vault's own schedule is named", func(t *testing.T) {
		connection, _ := b.Connect(t, vault.Token(b.Token))
		for name, c := range map[string]struct {
			settings map[string]any
			want     string
		}{
			"a day":      {map[string]any{"rotation_period": "24h"}, "by itself every 1d, and next in "},
			"a schedule": {map[string]any{"rotation_schedule": "0 3 * * SAT"}, "by itself at 0 3 * * SAT"},
			"ten years":  {nil, "every 3650d"},
		} {
			s := &vault.StaticRole{Connection: connection, Mount: mount, Role: b.staticRole(t, mount, c.settings)}
			findings := s.Preflight(t.Context())
			last := findings[len(findings)-1]
			if !strings.Contains(last.Detail, c.want) || last.Warning != (c.settings != nil) || last.OK == last.Warning {
				t.Errorf("%s: preflight says %+v", name, last)
			}
			// What the remedy says is enough, and doesn't touch the password.
			c := create(t, s, rota.Credential{})
			b.Do(t, http.MethodPost, mount+"/static-roles/"+s.Role, map[string]any{"username": s.Role, "rotation_period": "87600h"})
			findings = s.Preflight(t.Context())
			if last := findings[len(findings)-1]; !last.OK {
				t.Errorf("%s, after the remedy: preflight says %+v", name, last)
			}
			if inForce, _, err := s.InForce(t.Context(), c); !inForce {
				t.Errorf("%s: the password changed (%v)", name, err)
			}
		}
	})
	t.Run("no such role", func(t *testing.T) {
		connection, _ := b.Connect(t, vault.Token(b.Token))
		s := &vault.StaticRole{Connection: connection, Mount: mount, Role: "nobody"}
		_, err := s.Create(t.Context(), rota.CreateRequest{})
		Wrong(t, err, rota.ClassStop, "static role nobody", "create the role")
		Wrong(t, s.Test(t.Context(), rota.TestRequest{}), rota.ClassStop, "static role nobody", "create the role")
	})
	t.Run("no more than rota policy vault prints", func(t *testing.T) {
		s, _ := issuer(t)
		connection, _ := b.Connect(t, vault.Token(b.Policy(t, HCL(s.Permissions()))))
		allowed := &vault.StaticRole{Connection: connection, Mount: mount, Role: s.Role}
		create(t, allowed, create(t, allowed, rota.Credential{}))
		for _, f := range allowed.Preflight(t.Context()) {
			if !f.OK {
				t.Errorf("preflight says %+v", f)
			}
		}
		other := &vault.StaticRole{Connection: connection, Mount: mount, Role: b.staticRole(t, mount, nil)}
		_, err := other.Create(t.Context(), rota.CreateRequest{})
		Wrong(t, err, rota.ClassStop, "allow update on "+mount+"/rotate-role/"+other.Role)
	})
}
