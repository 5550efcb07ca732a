package postgres

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// A clone has everything that the first role has, now and at its next rotation, and
// what it creates belongs to the first.
func TestACloneHasAllThatTheFirstRoleHas(t *testing.T) {
	eachAdmin(t, func(t *testing.T, cfg Config, s *testenv.PostgresServer) {
		first, group, schema := role(t, s), role(t, s), unique("shop")
		clone := first + "_clone"
		s.Exec(t, "GRANT "+group+" TO "+first, "CREATE SCHEMA "+schema+" AUTHORIZATION "+first, "CREATE TABLE "+schema+".orders (id int)",
			"GRANT SELECT ON "+schema+".orders TO "+first, "ALTER DEFAULT PRIVILEGES FOR ROLE "+first+" GRANT SELECT ON TABLES TO "+group,
			"ALTER ROLE "+first+" CONNECTION LIMIT 7", "ALTER ROLE "+first+" CREATEDB",
			"ALTER ROLE "+first+` SET search_path TO `+schema+`, "we""ird, one", public`, "ALTER ROLE "+first+" IN DATABASE postgres SET statement_timeout TO '61s'",
			"ALTER ROLE "+first+` SET application_name TO 'it''s "here", there\'`)
		i := must(connect(t, cfg).Alternating(AlternatingConfig{Roles: [2]string{first, clone}, Clone: true}))
		current := rotate(t, i)
		made := rotate(t, i, first)
		shows := func(c rota.Credential, expression string) string {
			var text string
			if err := session(t, c, "app").QueryRow(t.Context(), "SELECT "+expression).Scan(&text); err != nil {
				t.Fatal(err)
			}
			return text
		}
		for _, name := range []string{"search_path", "statement_timeout", "role"} {
			expression := "current_setting('" + name + "')"
			if name == "role" {
				expression = "current_user::text"
			}
			if diff := cmp.Diff(shows(current, expression), shows(made, expression)); diff != "" {
				t.Errorf("%s (-first +clone): %s", name, diff)
			}
		}
		wantFinding(t, i, "have the same rights", true, "")
		if _, err := session(t, made, "app").Exec(t.Context(), "CREATE TABLE "+schema+".by_clone (id int)"); err != nil {
			t.Fatal(err)
		}
		wantFinding(t, i, "role "+clone+" owns nothing", true, "")
		d := i.(rota.Deactivator)
		retire := rota.RetireRequest{CredentialID: first}
		if err := errors.Join(d.Deactivate(t.Context(), retire), i.Delete(t.Context(), retire)); err != nil {
			t.Fatal(err)
		}
		again := rotate(t, i, clone) // what the clone created blocks nothing
		if owner := shows(again, "tableowner FROM pg_tables WHERE tablename = 'by_clone' AND schemaname = '"+schema+"'"); owner != first {
			t.Errorf("what the clone created belongs to %s", owner)
		}
		s.Exec(t, "ALTER ROLE "+first+" RESET search_path", "ALTER ROLE "+first+" SET lock_timeout TO '5s'", "ALTER ROLE "+first+" CONNECTION LIMIT -1")
		retire.CredentialID = clone
		if err := errors.Join(d.Deactivate(t.Context(), retire), i.Delete(t.Context(), retire)); err != nil {
			t.Fatal(err)
		}
		rotate(t, i, first) // its test compares the two
		wantFinding(t, i, "have the same rights", true, "")
	})
}

// Rota's own role is a member of nothing afterwards that it wasn't before.
func TestACloneLeavesRotasOwnMembershipsAlone(t *testing.T) {
	s := shared.Get(t)
	by, first := admin(t, s), role(t, s)
	memberships := func() string {
		return must(ask(t.Context(), superuser(t, s), "read", pgx.RowTo[string], `SELECT coalesce(string_agg((to_jsonb(m) - 'oid')::text, ' ' ORDER BY (to_jsonb(m) - 'oid')::text), '')
			FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid WHERE r.rolname = $1 AND g.rolname = $2`, by.cfg.Username, first))[0]
	}
	before := memberships()
	i := must(by.Alternating(AlternatingConfig{Roles: [2]string{first, first + "_clone"}, Clone: true}))
	rotate(t, i, first)
	if diff := cmp.Diff(before, memberships()); diff != "" {
		t.Error(diff)
	}
}

// A setting that only a superuser may give keeps the clone from being promoted, with
// its name; nothing else fails because of it.
func TestACloneThatCannotHaveASettingSaysWhich(t *testing.T) {
	s := shared.Get(t)
	first := role(t, s)
	s.Exec(t, "ALTER ROLE "+first+" SET log_min_duration_statement TO '5s'", "ALTER ROLE "+first+" SET lock_timeout TO '5s'")
	i := must(admin(t, s).Alternating(AlternatingConfig{Roles: [2]string{first, first + "_clone"}, Clone: true}))
	made := must(i.Create(t.Context(), rota.CreateRequest{Taken: []string{first}}))
	if err := i.Set(t.Context(), rota.SetRequest{Credential: made}); err != nil {
		t.Fatal(err)
	}
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassStop, nil, "has: the same setting log_min_duration_statement (try")
	s.Exec(t, "ALTER ROLE "+first+"_clone SET log_min_duration_statement TO '5s'")
	if err := i.Test(t.Context(), rota.TestRequest{Credential: made}); err != nil {
		t.Error(err)
	}
}

// A role that someone else made keeps its settings.
func TestARoleThatIsNoCloneOfRotasIsLeftAlone(t *testing.T) {
	s := shared.Get(t)
	first, theirs := role(t, s), role(t, s)
	s.Exec(t, "GRANT "+first+" TO "+theirs, "ALTER ROLE "+theirs+" SET lock_timeout TO '5s'")
	i := must(admin(t, s).Alternating(AlternatingConfig{Roles: [2]string{first, theirs}, Clone: true}))
	made := must(i.Create(t.Context(), rota.CreateRequest{Taken: []string{first}}))
	if err := i.Set(t.Context(), rota.SetRequest{Credential: made}); err != nil {
		t.Fatal(err)
	}
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassStop, nil, "the same setting lock_timeout")
}

// AWS's own function makes a clone that is a member of the first, and owns what it
// creates.
func TestACloneThatOwnsTablesSaysHowItActsAsTheFirst(t *testing.T) {
	s := shared.Get(t)
	first, theirs, table := role(t, s), role(t, s), unique("t")
	s.Exec(t, "GRANT "+first+" TO "+theirs, "ALTER ROLE "+first+" LOGIN PASSWORD '"+must(verifier(adminPassword))+"'",
		"CREATE TABLE "+table+" (id int)", "ALTER TABLE "+table+" OWNER TO "+theirs)
	t.Cleanup(func() { s.Exec(t, "DROP TABLE "+table) })
	i := must(admin(t, s).Alternating(AlternatingConfig{Roles: [2]string{first, theirs}, Clone: true}))
	given := rota.NewCredential(map[string]string{rota.FieldUsername: first, rota.FieldPassword: adminPassword})
	test := func() error { return i.Test(t.Context(), rota.TestRequest{Credential: given}) }
	wantError(t, test(), rota.ClassStop, nil, "lacks what the other role has", "REASSIGN OWNED BY "+quote(theirs)+" TO "+quote(first), "SET ROLE "+quote(first))
	s.Exec(t, "REASSIGN OWNED BY "+theirs+" TO "+first, "ALTER ROLE "+theirs+" SET ROLE "+first)
	if err := test(); err != nil {
		t.Errorf("after that: %v", err)
	}
}
