package postgres

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// follow runs the statements of a remedy of the form "in each database: …".
func follow(t *testing.T, s *testenv.PostgresServer, f rota.Finding, databases ...string) {
	t.Helper()
	_, statements, ok := strings.Cut(f.Remedies[0].Text, "in each database: ")
	if !ok {
		t.Fatalf("no statements in %q", f.Remedies[0].Text)
	}
	for _, database := range databases {
		for statement := range strings.SplitSeq(statements, "; ") {
			s.ExecIn(t, database, statement)
		}
	}
}

// Only its owner may alter or drop an object: the other role doesn't take over
// until it may act as the owner, and the remedy gets it there.
func TestNoRoleTakesOverFromOneThatOwnsMore(t *testing.T) {
	s := shared.Get(t)
	other := unique("elsewhere")
	s.Exec(t, "CREATE DATABASE "+other)
	for _, test := range []struct{ name, create, lacks, drop string }{
		{"a table", "CREATE TABLE public.%n (id int); ALTER TABLE %n OWNER TO %r; GRANT ALL ON %n TO %o", "ownership of table %n", "DROP TABLE %n"},
		{"a sequence", "CREATE SEQUENCE public.%n; ALTER SEQUENCE %n OWNER TO %r; GRANT ALL ON SEQUENCE %n TO %o", "ownership of sequence %n", "DROP SEQUENCE %n"},
		{"a function", "CREATE FUNCTION public.%n() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION %n OWNER TO %r", "ownership of function %n()", "DROP FUNCTION %n"},
		{"a schema", "CREATE SCHEMA %n AUTHORIZATION %r; GRANT ALL ON SCHEMA %n TO %o", "ownership of schema %n", "DROP SCHEMA %n"},
		{"a type", "CREATE TYPE public.%n AS ENUM ('red'); ALTER TYPE %n OWNER TO %r", "ownership of type %n", "DROP TYPE %n"},
		{"a collation", `CREATE COLLATION public.%n FROM "C"; ALTER COLLATION public.%n OWNER TO %r`, "ownership of collation %n", "DROP COLLATION public.%n"},
		{"a publication", "CREATE PUBLICATION %n; ALTER PUBLICATION %n OWNER TO %r", "ownership of publication %n", "DROP PUBLICATION %n"},
		{"a large object", "SELECT lo_create(4712); ALTER LARGE OBJECT 4712 OWNER TO %r; GRANT ALL ON LARGE OBJECT 4712 TO %o", "ownership of large object 4712", "SELECT lo_unlink(4712)"},
		{"a database", "CREATE DATABASE %n OWNER %r", "ownership of database %n", "DROP DATABASE %n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			roles := pair(t, s)
			i := must(admin(t, s).Alternating(roles))
			first := rotate(t, i)
			in := strings.NewReplacer("%n", unique("thing"), "%r", roles.Roles[1], "%o", roles.Roles[0]).Replace
			for statement := range strings.SplitSeq(in(test.create), "; ") {
				s.Exec(t, statement)
			}
			lacks := strings.ReplaceAll(in(test.lacks), "ownership of ", "")
			wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: first}), rota.ClassStop, nil, "lacks what the other role has: ", "ownership of ", lacks[strings.Index(lacks, " ")+1:], "REASSIGN OWNED")
			wantFinding(t, i, "have the same rights", true, "")
			f := wantFinding(t, i, "role "+roles.Roles[1]+" owns nothing", false, "ownership of ")
			if f.Warning {
				t.Errorf("only a warning, although the rotation is held: %+v", f)
			}
			follow(t, s, f, "postgres")
			wantAllGood(t, i)
			if err := i.Test(t.Context(), rota.TestRequest{Credential: first}); err != nil {
				t.Errorf("with the group as the owner: %v", err)
			}
			s.Exec(t, in(test.drop))
		})
	}
	t.Run("something in another database", func(t *testing.T) {
		roles := pair(t, s)
		i := must(admin(t, s).Alternating(roles))
		first := rotate(t, i)
		s.ExecIn(t, other, "CREATE SCHEMA mine AUTHORIZATION "+roles.Roles[1])
		s.ExecIn(t, other, "GRANT ALL ON SCHEMA mine TO "+roles.Roles[0]) // which isn't ownership
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: first}), rota.ClassStop, nil, "ownership of an object in database "+other)
		follow(t, s, wantFinding(t, i, "role "+roles.Roles[1]+" owns nothing", false, "in database "+other), "postgres", other)
		wantAllGood(t, i)
	})
}

func TestWhoMayActAsTheOwnerTakesOver(t *testing.T) {
	s := shared.Get(t)
	roles := [2]string{role(t, s), role(t, s)}
	i := must(admin(t, s).Alternating(AlternatingConfig{Roles: roles}))
	first := rotate(t, i)
	try := func() error { return i.Test(t.Context(), rota.TestRequest{Credential: first}) }
	table := unique("t")
	s.Exec(t, "CREATE TABLE public."+table+" (id int)", "ALTER TABLE "+table+" OWNER TO "+roles[1])
	wantError(t, try(), rota.ClassStop, nil, "ownership of table", "name it as group")
	s.Exec(t, "GRANT "+roles[1]+" TO "+roles[0])
	if err := try(); err != nil {
		t.Errorf("a member of the owner: %v", err)
	}
	inherits(t, s, roles[1], roles[0], false)
	wantError(t, try(), rota.ClassStop, nil, "ownership of table")
	s.Exec(t, "ALTER ROLE "+roles[0]+" SET ROLE "+roles[1])
	if err := try(); err != nil {
		t.Errorf("one that acts as the owner: %v", err)
	}
}

// What goes away with its session is nobody's loss, and what the catalog calls owned
// but nobody can hand over is compared by what it does.
func TestSomeThingsThatARoleOwnsDoNotCount(t *testing.T) {
	s := shared.Get(t)
	roles := pair(t, s)
	one, two := roles.Roles[0], roles.Roles[1]
	i := must(admin(t, s).Alternating(roles))
	first := rotate(t, i)
	s.Exec(t, "GRANT TEMPORARY ON DATABASE postgres TO "+roles.Group)
	open := session(t, rotate(t, i, one), "app")
	for _, statement := range []string{"CREATE TEMPORARY TABLE t (id serial)", "CREATE TEMPORARY VIEW v AS SELECT 1 AS one", "CREATE TYPE pg_temp.y AS ENUM ('a')", "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'"} {
		if _, err := open.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for _, role := range roles.Roles {
		s.Exec(t, "ALTER DEFAULT PRIVILEGES FOR ROLE "+role+" GRANT SELECT ON TABLES TO "+roles.Group)
	}
	wantFinding(t, i, "role "+two+" owns nothing", true, "")
	wantFinding(t, i, "have the same rights", true, "")
	if err := i.Test(t.Context(), rota.TestRequest{Credential: first}); err != nil {
		t.Error(err)
	}
	// The remedy of a difference in them is one that ends it.
	s.Exec(t, "ALTER DEFAULT PRIVILEGES FOR ROLE "+one+" REVOKE SELECT ON TABLES FROM "+roles.Group)
	f := wantFinding(t, i, "have the same rights", false, "only "+two+": SELECT on future tables that it creates, for "+roles.Group)
	if got := rota.Hint(f.Remedies); !strings.HasPrefix(got, "ALTER DEFAULT PRIVILEGES FOR ROLE … GRANT") || !strings.Contains(got, "REVOKE") {
		t.Errorf("remedy %q", got)
	}
	s.Exec(t, "ALTER DEFAULT PRIVILEGES FOR ROLE "+two+" REVOKE SELECT ON TABLES FROM "+roles.Group)
	wantFinding(t, i, "have the same rights", true, "")
	// A default that takes away what the server grants by itself.
	s.Exec(t, "ALTER DEFAULT PRIVILEGES FOR ROLE "+one+" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: first}), rota.ClassStop, nil, "EXECUTE on future functions that it creates, for PUBLIC", "ALTER DEFAULT PRIVILEGES")
	s.Exec(t, "ALTER DEFAULT PRIVILEGES FOR ROLE "+two+" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
	wantFinding(t, i, "have the same rights", true, "")
}

// The next role mustn't end sooner: its consumers' logins would.
func TestTheNextRoleDoesNotEndSooner(t *testing.T) {
	s := shared.Get(t)
	roles := pair(t, s)
	one, two := roles.Roles[0], roles.Roles[1]
	i := must(admin(t, s).Alternating(roles))
	rotate(t, i)
	for _, test := range []struct{ current, lacks string }{
		{"2999-12-20 12:00 UTC", "VALID UNTIL 2999-12-20 (its own is 2999-12-10)"}, {"infinity", "no VALID UNTIL (its own is 2999-12-10)"},
	} {
		s.Exec(t, "ALTER ROLE "+one+" VALID UNTIL '"+test.current+"'", "ALTER ROLE "+two+" VALID UNTIL '2999-12-10 12:00 UTC'")
		wantFinding(t, i, "have the same rights", false, "only "+one+": "+test.lacks)
		next := must(i.Create(t.Context(), rota.CreateRequest{Taken: []string{one}}))
		if err := i.Set(t.Context(), rota.SetRequest{Credential: next}); err != nil {
			t.Fatal(err)
		}
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: next}), rota.ClassStop, nil, "lacks what the other role has: "+test.lacks, "the same VALID UNTIL for both roles")
		s.Exec(t, "ALTER ROLE "+two+" VALID UNTIL '"+test.current+"'")
		if err := i.Test(t.Context(), rota.TestRequest{Credential: next}); err != nil {
			t.Errorf("with the same end: %v", err)
		}
		wantFinding(t, i, "have the same rights", true, "")
	}
	// One that's deactivated, or can't log in, says nothing.
	s.Exec(t, "ALTER ROLE "+one+" VALID UNTIL '1970-01-01'", "ALTER ROLE "+two+" VALID UNTIL '2999-12-10 UTC'")
	wantFinding(t, i, "have the same rights", true, "")
	s.Exec(t, "ALTER ROLE "+one+" NOLOGIN VALID UNTIL 'infinity'")
	wantFinding(t, i, "have the same rights", true, "")
}
