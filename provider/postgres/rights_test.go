package postgres

import (
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

func TestARoleThatLacksWhatTheOtherHasFailsItsTest(t *testing.T) {
	eachAdmin(t, func(t *testing.T, cfg Config, s *testenv.PostgresServer) {
		roles := pair(t, s)
		a, b := roles.Roles[0], roles.Roles[1]
		i := must(connect(t, cfg).Alternating(roles))
		first := rotate(t, i)
		second := rotate(t, i, a)
		schema := unique("shop")
		s.Exec(t, "CREATE SCHEMA "+schema, "CREATE TABLE "+schema+".orders (id serial)", "CREATE VIEW "+schema+".latest AS SELECT 1 AS one")
		for _, test := range []struct{ name, right, lacks string }{
			{"a table", "SELECT ON " + schema + ".orders", schema + ".orders"},
			{"a table to write to", "INSERT, UPDATE, DELETE ON " + schema + ".orders", schema + ".orders"},
			{"a view", "SELECT ON " + schema + ".latest", schema + ".latest"},
			{"a sequence", "USAGE ON SEQUENCE " + schema + ".orders_id_seq", schema + ".orders_id_seq"},
			{"a schema", "USAGE ON SCHEMA " + schema, schema},
		} {
			t.Run(test.name, func(t *testing.T) {
				s.Exec(t, "GRANT "+test.right+" TO "+b)
				wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: first}), rota.ClassStop, nil, a, test.lacks, "try: ")
				if err := i.Test(t.Context(), rota.TestRequest{Credential: second}); err != nil {
					t.Errorf("the one that has more: %v", err)
				}
				wantFinding(t, i, "have the same rights", false, "only "+b)
				s.Exec(t, "REVOKE "+test.right+" FROM "+b, "GRANT "+test.right+" TO "+roles.Group)
				for _, c := range []rota.Credential{first, second} {
					if err := i.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
						t.Errorf("both have it by the group: %v", err)
					}
				}
				wantFinding(t, i, "have the same rights", true, "")
			})
		}
	})
}

// Functions and operators that anybody may put into a schema of the session's
// path fit Rota's calls better than PostgreSQL's own do. They must not run:
// with Rota's rights they could do anything.
func TestNobodysFunctionsRunInPlaceOfPostgreSQLs(t *testing.T) {
	s := testenv.Postgres(t, testenv.PostgresOptions{})
	roles := pair(t, s)
	s.Exec(t, "CREATE TABLE public.caught (by text)", "GRANT INSERT ON public.caught TO PUBLIC", "GRANT CREATE ON SCHEMA public TO PUBLIC")
	trap := func(name, signature, result, value string) {
		s.Exec(t, "CREATE FUNCTION public."+name+signature+" RETURNS "+result+" LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.caught VALUES ('"+name+"'); RETURN "+value+"; END $$")
	}
	trap("hashtextextended", "(text, int)", "bigint", "1")
	trap("pg_advisory_xact_lock", "(int)", "void", "")
	trap("pg_has_role", "(name, oid, text)", "bool", "true")
	trap("has_table_privilege", "(oid, oid, text)", "bool", "true")
	trap("string_agg_catch", "(text, name)", "text", "'x'")
	trap("equal_catch", "(name, text)", "bool", "true")
	trap("host", "(inet)", "text", "'x'")
	trap("current_setting", "(text)", "text", "'160000'")
	s.Exec(t, "CREATE OPERATOR public.|| (LEFTARG = text, RIGHTARG = name, FUNCTION = public.string_agg_catch)",
		"CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.equal_catch)",
		// The worst path: what others made comes before PostgreSQL's own.
		"ALTER DATABASE postgres SET search_path = public, pg_catalog")
	i := must(superuser(t, s).Alternating(roles))
	first := rotate(t, i)
	rotate(t, i, roles.Roles[0])
	for _, op := range []string{"set", "test", "list", "last used", "deactivate", "reactivate", "deactivate", "delete"} {
		if err := calls(i, first)[op](t.Context()); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	i.(rota.Preflighter).Preflight(t.Context())
	s.Exec(t, "SET search_path = pg_catalog; DO $$ BEGIN IF EXISTS (SELECT FROM public.caught) THEN RAISE 'caught: %', (SELECT pg_catalog.string_agg(DISTINCT by, ', ') FROM public.caught); END IF; END $$")
}
