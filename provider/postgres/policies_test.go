package postgres

import (
	"testing"

	"github.com/rota-dev/rota"
)

// A restrictive policy takes rows away, a permissive one gives them.
func TestPoliciesAreComparedByWhatTheyDo(t *testing.T) {
	s := shared.Get(t)
	roles := pair(t, s)
	one, two, group := roles.Roles[0], roles.Roles[1], roles.Group
	extra, other := role(t, s), unique("elsewhere")
	i := must(admin(t, s).Alternating(roles))
	table := unique("orders")
	s.Exec(t, "CREATE TABLE public."+table+" (tenant int)", "INSERT INTO "+table+" VALUES (1), (2)", "ALTER TABLE "+table+" ENABLE ROW LEVEL SECURITY",
		"GRANT ALL ON "+table+" TO "+group, "CREATE POLICY everyone ON "+table+" TO PUBLIC USING (true)", "CREATE DATABASE "+other)
	s.ExecIn(t, other, "CREATE TABLE there (id int)")
	first := rotate(t, i)
	second := rotate(t, i, one)
	rows := func(c rota.Credential) (n int) {
		if err := session(t, c, "app").QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	test := func(c rota.Credential) error { return i.Test(t.Context(), rota.TestRequest{Credential: c}) }
	// In each case, only the second role lacks something.
	for _, c := range []struct{ name, before, after, lacks string }{
		{"a restrictive policy of its own", "CREATE POLICY p ON " + table + " AS RESTRICTIVE FOR SELECT TO " + two + " USING (false)", "", "freedom from the restrictive policy p on public." + table},
		{"a restrictive policy through a group", "GRANT " + extra + " TO " + two, "CREATE POLICY p ON " + table + " AS RESTRICTIVE TO " + extra + " USING (false)", "freedom from the restrictive policy p on public." + table},
		{"another restrictive policy", "CREATE POLICY p ON " + table + " AS RESTRICTIVE TO " + two + " USING (tenant = 1)", "CREATE POLICY q ON " + table + " AS RESTRICTIVE TO " + one + " USING (tenant < 9)", "freedom from the restrictive policy p"},
		{"a permissive policy of the other's", "CREATE POLICY p ON " + table + " FOR SELECT TO " + one + " USING (tenant = 2)", "", "policy p on public." + table},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Exec(t, c.before)
			if c.after != "" {
				s.Exec(t, c.after)
			}
			if c.name == "a restrictive policy of its own" && (rows(first) != 2 || rows(second) != 0) {
				t.Fatalf("the roles see %d and %d rows", rows(first), rows(second))
			}
			wantError(t, test(second), rota.ClassStop, nil, "lacks what the other role has: ", c.lacks, "ALTER POLICY")
			wantFinding(t, i, "have the same rights", false, c.lacks)
			if c.name != "another restrictive policy" && c.name != "a restrictive policy through a group" {
				if err := test(first); err != nil {
					t.Errorf("the one that has more: %v", err)
				}
			}
			s.Exec(t, "ALTER POLICY p ON "+table+" TO "+group, "REVOKE "+extra+" FROM "+two)
			if c.name == "another restrictive policy" {
				s.Exec(t, "DROP POLICY q ON "+table)
			}
			if err := test(second); err != nil {
				t.Errorf("with the remedy: %v", err)
			}
			wantFinding(t, i, "have the same rights", true, "")
			s.Exec(t, "DROP POLICY p ON "+table)
		})
	}
	t.Run("two that say the same", func(t *testing.T) {
		for _, kind := range []string{"PERMISSIVE", "RESTRICTIVE"} {
			s.Exec(t, "CREATE POLICY p ON "+table+" AS "+kind+" TO "+one+" USING (tenant = 1)", "CREATE POLICY q ON "+table+" AS "+kind+" TO "+two+" USING (tenant = 1)")
			wantFinding(t, i, "have the same rights", true, "")
			s.Exec(t, "DROP POLICY q ON "+table, "CREATE POLICY q ON "+table+" AS "+kind+" TO "+two+" USING (tenant = 2)")
			wantFinding(t, i, "have the same rights", false, "policy p on")
			s.Exec(t, "DROP POLICY p ON "+table, "DROP POLICY q ON "+table)
		}
	})
	t.Run("roles that row security spares", func(t *testing.T) {
		s.Exec(t, "CREATE POLICY p ON "+table+" AS RESTRICTIVE TO "+two+" USING (false)", "ALTER ROLE "+one+" BYPASSRLS", "ALTER ROLE "+two+" BYPASSRLS")
		wantFinding(t, i, "have the same rights", true, "")
		s.Exec(t, "ALTER ROLE "+one+" NOBYPASSRLS", "ALTER ROLE "+two+" NOBYPASSRLS", "ALTER TABLE "+table+" OWNER TO "+group)
		wantFinding(t, i, "have the same rights", true, "")
		s.Exec(t, "ALTER TABLE "+table+" FORCE ROW LEVEL SECURITY")
		wantFinding(t, i, "have the same rights", false, "freedom from")
		s.Exec(t, "DROP TABLE "+table)
		wantFinding(t, i, "have the same rights", true, "")
	})
	t.Run("another database", func(t *testing.T) {
		for _, who := range []string{one, two} {
			s.ExecIn(t, other, "CREATE POLICY p ON there AS RESTRICTIVE TO "+who+" USING (false)")
			wantError(t, test(second), rota.ClassStop, nil, "the same row security policies in database "+other)
			s.ExecIn(t, other, "ALTER POLICY p ON there TO "+one+", "+two)
			if err := test(second); err != nil {
				t.Error(err)
			}
			s.ExecIn(t, other, "DROP POLICY p ON there")
		}
	})
}
