package postgres

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
)

// Every kind of thing that one role of a pair can have: the other doesn't replace
// it until it has the same, and rota check says so.
func TestNothingThatTheOtherRoleHasMayBeMissing(t *testing.T) {
	s := shared.Get(t)
	roles := pair(t, s)
	a, b := roles.Roles[0], roles.Roles[1]
	i := must(admin(t, s).Alternating(roles))
	first := rotate(t, i)
	schema, other, owner := unique("shop"), unique("elsewhere"), role(t, s)
	s.Exec(t, "CREATE SCHEMA "+schema, "CREATE TABLE "+schema+".orders (id serial, total int)",
		"CREATE FUNCTION "+schema+".pay(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "REVOKE ALL ON FUNCTION "+schema+".pay FROM PUBLIC",
		"CREATE TYPE "+schema+".color AS ENUM ('red')", "REVOKE ALL ON TYPE "+schema+".color FROM PUBLIC",
		"CREATE FOREIGN DATA WRAPPER "+schema, "CREATE SERVER "+schema+" FOREIGN DATA WRAPPER "+schema,
		"CREATE DATABASE "+other, "SELECT lo_create(4711)", "REVOKE ALL ON LANGUAGE plpgsql FROM PUBLIC", "CREATE POLICY mine ON "+schema+".orders TO "+owner)
	t.Cleanup(func() { s.Exec(t, "GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC", "SELECT lo_unlink(4711)") })
	s.ExecIn(t, other, "CREATE TABLE there (id int)")
	for _, test := range []struct{ name, grant, revoke, lacks string }{
		{"a column", "GRANT SELECT (total) ON %s.orders TO %r", "REVOKE ALL (total) ON %s.orders FROM %r", "SELECT on column %s.orders.total"},
		{"TRUNCATE", "GRANT TRUNCATE ON %s.orders TO %r", "REVOKE ALL ON %s.orders FROM %r", "TRUNCATE on %s.orders"},
		{"the right to grant", "GRANT SELECT ON %s.orders TO %r WITH GRANT OPTION", "REVOKE ALL ON %s.orders FROM %r", "SELECT on %s.orders WITH GRANT OPTION"},
		{"a sequence", "GRANT UPDATE ON SEQUENCE %s.orders_id_seq TO %r", "REVOKE ALL ON SEQUENCE %s.orders_id_seq FROM %r", "UPDATE on %s.orders_id_seq"},
		{"a function", "GRANT EXECUTE ON FUNCTION %s.pay TO %r", "REVOKE ALL ON FUNCTION %s.pay FROM %r", "EXECUTE on %s.pay(integer)"},
		{"a schema to create in", "GRANT CREATE ON SCHEMA %s TO %r", "REVOKE ALL ON SCHEMA %s FROM %r", "CREATE on schema %s"},
		{"a type", "GRANT USAGE ON TYPE %s.color TO %r", "REVOKE ALL ON TYPE %s.color FROM %r", "USAGE on type %s.color"},
		{"a language", "GRANT USAGE ON LANGUAGE plpgsql TO %r", "REVOKE ALL ON LANGUAGE plpgsql FROM %r", "USAGE on language plpgsql"},
		{"a wrapper", "GRANT USAGE ON FOREIGN DATA WRAPPER %s TO %r", "REVOKE ALL ON FOREIGN DATA WRAPPER %s FROM %r", "USAGE on foreign data wrapper %s"},
		{"a foreign server", "GRANT USAGE ON FOREIGN SERVER %s TO %r", "REVOKE ALL ON FOREIGN SERVER %s FROM %r", "USAGE on foreign server %s"},
		{"a user mapping", "CREATE USER MAPPING FOR %r SERVER %s", "DROP USER MAPPING FOR %r SERVER %s", "a user mapping for server %s"},
		{"a database", "GRANT CREATE ON DATABASE postgres TO %r", "REVOKE CREATE ON DATABASE postgres FROM %r", "CREATE on database postgres"},
		{"a tablespace", "GRANT CREATE ON TABLESPACE pg_default TO %r", "REVOKE ALL ON TABLESPACE pg_default FROM %r", "CREATE on tablespace pg_default"},
		{"a large object", "GRANT SELECT ON LARGE OBJECT 4711 TO %r", "REVOKE ALL ON LARGE OBJECT 4711 FROM %r", "SELECT on large object 4711"},
		{"a parameter", "GRANT SET ON PARAMETER log_statement TO %r", "REVOKE ALL ON PARAMETER log_statement FROM %r", "SET on parameter log_statement"},
		{"future tables of someone else", "ALTER DEFAULT PRIVILEGES FOR ROLE %o IN SCHEMA %s GRANT SELECT ON TABLES TO %r", "ALTER DEFAULT PRIVILEGES FOR ROLE %o IN SCHEMA %s REVOKE SELECT ON TABLES FROM %r", "SELECT on future tables in schema %s of role %o"},
		{"what others get on what it creates", "ALTER DEFAULT PRIVILEGES FOR ROLE %r GRANT EXECUTE ON FUNCTIONS TO %o", "ALTER DEFAULT PRIVILEGES FOR ROLE %r REVOKE EXECUTE ON FUNCTIONS FROM %o", "EXECUTE on future functions that it creates, for %o"},
		{"a policy", "ALTER POLICY mine ON %s.orders TO %r", "ALTER POLICY mine ON %s.orders TO PUBLIC", "policy mine on %s.orders"},
		{"a membership", "GRANT %o TO %r", "REVOKE %o FROM %r", "the privileges of role %o"},
		{"a role to administer", "GRANT %o TO %r WITH ADMIN OPTION", "REVOKE %o FROM %r", "ADMIN OPTION on role %o"},
		{"an attribute", "ALTER ROLE %r CREATEDB", "ALTER ROLE %r NOCREATEDB", "CREATEDB"},
		{"replication", "ALTER ROLE %r REPLICATION", "ALTER ROLE %r NOREPLICATION", "REPLICATION"},
		{"a setting", "ALTER ROLE %r SET statement_timeout TO '1min'", "ALTER ROLE %r RESET statement_timeout", "the same setting statement_timeout"},
		{"a setting in this database", "ALTER ROLE %r IN DATABASE postgres SET search_path TO a, b", "ALTER ROLE %r IN DATABASE postgres RESET ALL", "the same setting search_path in database postgres"},
		{"a setting elsewhere", "ALTER ROLE %r IN DATABASE %d SET app.key TO 'secret'", "ALTER ROLE %r IN DATABASE %d RESET ALL", "the same setting app.key in database %d"},
		{"a default role", "GRANT %o TO %a, %b; ALTER ROLE %r SET role TO %o", "REVOKE %o FROM %a, %b; ALTER ROLE %r RESET role", "role %o as its default"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := func(text, role string) string {
				return strings.NewReplacer("%s", schema, "%r", role, "%o", owner, "%d", other, "%a", a, "%b", b).Replace(text)
			}
			try := func() error { return i.Test(t.Context(), rota.TestRequest{Credential: first}) }
			if err := try(); err != nil {
				t.Fatalf("before: %v", err)
			}
			s.Exec(t, in(test.grant, b))
			err := try()
			wantError(t, err, rota.ClassStop, nil, "lacks what the other role has", in(test.lacks, ""))
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("it shows a setting's value: %v", err)
			}
			wantFinding(t, i, "have the same rights", false, in(test.lacks, ""))
			if test.name != "a policy" {
				s.Exec(t, in(test.grant, a))
				if err := try(); err != nil {
					t.Errorf("with the same: %v", err)
				}
				wantFinding(t, i, "have the same rights", true, "")
				s.Exec(t, in(test.revoke, a))
			}
			s.Exec(t, in(test.revoke, b))
		})
	}
	t.Run("a connection limit", func(t *testing.T) {
		s.Exec(t, "ALTER ROLE "+a+" CONNECTION LIMIT 5", "ALTER ROLE "+b+" CONNECTION LIMIT 9")
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: first}), rota.ClassStop, nil, "CONNECTION LIMIT 9 (its own is 5)")
		s.Exec(t, "ALTER ROLE "+a+" CONNECTION LIMIT 10")
		if err := i.Test(t.Context(), rota.TestRequest{Credential: first}); err != nil {
			t.Errorf("with more: %v", err)
		}
		s.Exec(t, "ALTER ROLE "+b+" CONNECTION LIMIT -1")
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: first}), rota.ClassStop, nil, "has: no CONNECTION LIMIT (its own is 10)")
		s.Exec(t, "ALTER ROLE "+a+" CONNECTION LIMIT -1")
	})
	t.Run("a table in another database", func(t *testing.T) {
		s.ExecIn(t, other, "GRANT SELECT ON there TO "+b)
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: first}), rota.ClassStop, nil, "privileges on an object in database "+other)
		s.ExecIn(t, other, "GRANT SELECT ON there TO "+roles.Group)
		if err := i.Test(t.Context(), rota.TestRequest{Credential: first}); err != nil {
			t.Errorf("by the group: %v", err)
		}
	})
	if needsAdminOption(t, s) {
		t.Run("the options of a membership", func(t *testing.T) {
			s.Exec(t, "GRANT "+owner+" TO "+a+", "+b+" WITH INHERIT TRUE, SET FALSE", "GRANT "+owner+" TO "+b+" WITH SET TRUE")
			wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: first}), rota.ClassStop, nil, "SET ROLE to "+owner)
			s.Exec(t, "GRANT "+owner+" TO "+a+" WITH INHERIT FALSE, SET TRUE")
			wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: first}), rota.ClassStop, nil, "the privileges of role "+owner)
			s.Exec(t, "REVOKE "+owner+" FROM "+a+", "+b)
		})
	}
}
