package postgres

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
)

func findings(t *testing.T, of any) []rota.Finding {
	t.Helper()
	p, ok := of.(rota.Preflighter)
	if !ok {
		t.Fatal("it has no preflight")
	}
	return p.Preflight(t.Context())
}

// wantFinding looks for one check by a part of its name.
func wantFinding(t *testing.T, of any, check string, good bool, detail string) rota.Finding {
	t.Helper()
	all := findings(t, of)
	for _, f := range all {
		if strings.Contains(f.Check, check) {
			if f.OK != good || !strings.Contains(f.Detail, detail) || (!good && rota.Hint(f.Remedies) == "") {
				t.Errorf("want OK %t and %q: %+v", good, detail, f)
			}
			return f
		}
	}
	t.Errorf("no check %q among %+v", check, all)
	return rota.Finding{}
}

func wantAllGood(t *testing.T, of any) {
	t.Helper()
	for _, f := range findings(t, of) {
		if !f.OK {
			t.Errorf("%+v", f)
		}
	}
}

func TestPreflightFindsAllInOrderAndChangesNothing(t *testing.T) {
	s := shared.Get(t)
	c := admin(t, s)
	cfg := pair(t, s)
	i := must(c.Alternating(cfg))
	rotate(t, i)
	catalogue := func() []string {
		return must(ask(t.Context(), superuser(t, s), "read", pgx.RowTo[string],
			"SELECT (a.*)::text FROM pg_authid a WHERE rolname = ANY ($1) ORDER BY 1", cfg.Roles[:]))
	}
	before := catalogue()
	wantAllGood(t, c)
	wantAllGood(t, i)
	wantAllGood(t, must(c.Password(PasswordConfig{Role: cfg.Roles[1]})))
	if diff := cmp.Diff(before, catalogue()); diff != "" {
		t.Errorf("it changed the catalogue:\n%s", diff)
	}
}

func TestPreflightNamesWhatIsWrong(t *testing.T) {
	s := shared.Get(t)
	c := admin(t, s)
	t.Run("a wrong password of Rota's own", func(t *testing.T) {
		bad := connect(t, Config{Host: s.Host, Port: s.Port, Username: c.cfg.Username, Password: "wrong"})
		wantFinding(t, bad, "log in", false, "password authentication failed")
		wantFinding(t, must(bad.Password(PasswordConfig{Role: "x"})), "log in", false, "password authentication failed")
	})
	t.Run("a role that does not exist", func(t *testing.T) {
		f := wantFinding(t, must(c.Password(PasswordConfig{Role: "nobody_here"})), "find role nobody_here", false, "does not exist")
		if got := rota.Hint(f.Remedies); !strings.HasPrefix(got, "the role's new name in rota.yaml, if it was renamed; or else CREATE ROLE") {
			t.Errorf("a renamed role: %q", got)
		}
	})
	t.Run("a role that Rota will create", func(t *testing.T) {
		first := role(t, s)
		for name, roles := range map[string][2]string{"clone": {first, "clone_of_" + first}, "first": {"no_" + first, first}} {
			i := must(c.Alternating(AlternatingConfig{Roles: roles, Clone: true}))
			wantFinding(t, i, "find role "+map[string]string{"clone": roles[1], "first": roles[0]}[name], name == "clone", "exist")
		}
	})
	t.Run("a superuser", func(t *testing.T) {
		name := role(t, s)
		s.Exec(t, "ALTER ROLE "+name+" SUPERUSER")
		wantFinding(t, must(c.Password(PasswordConfig{Role: name})), "may set the password", false, "superuser")
	})
	t.Run("Rota without CREATEROLE", func(t *testing.T) {
		weak := role(t, s)
		s.Exec(t, "ALTER ROLE "+weak+" LOGIN PASSWORD '"+must(verifier(adminPassword))+"'")
		low := connect(t, Config{Host: s.Host, Port: s.Port, Username: weak, Password: adminPassword})
		i := must(low.Password(PasswordConfig{Role: role(t, s)}))
		wantFinding(t, i, "may set the password", false, "CREATEROLE")
		made := must(i.Create(t.Context(), rota.CreateRequest{}))
		wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: made}), rota.ClassStop, nil, "CREATEROLE")
	})
	t.Run("a pair", func(t *testing.T) {
		cfg := pair(t, s)
		i := must(c.Alternating(cfg))
		one, two := cfg.Roles[0], cfg.Roles[1]
		table := unique("t")
		s.Exec(t, "CREATE TABLE "+table+" (id int)", "ALTER TABLE "+table+" OWNER TO "+one)
		wantFinding(t, i, "role "+one+" owns nothing", false, "role "+two+" lacks ownership of table public."+table)
		s.Exec(t, "ALTER TABLE "+table+" OWNER TO "+quote(s.Superuser()), "GRANT SELECT ON "+table+" TO "+one, "GRANT INSERT ON "+table+" TO "+two)
		wantFinding(t, i, "owns nothing", true, "")
		wantFinding(t, i, "have the same rights", false, "only "+one+": SELECT on public."+table+"; only "+two+": INSERT on public."+table)
		s.Exec(t, "REVOKE ALL ON "+table+" FROM "+one+", "+two, "ALTER ROLE "+two+" CREATEDB")
		wantFinding(t, i, "have the same rights", false, "only "+two+": CREATEDB")
		s.Exec(t, "ALTER ROLE "+two+" NOCREATEDB")
		wantFinding(t, i, "have the same rights", true, "")
		s.Exec(t, "REVOKE "+cfg.Group+" FROM "+two)
		wantFinding(t, i, "role "+two+" has the privileges", false, "not a member")
		s.Exec(t, "GRANT "+cfg.Group+" TO "+two, "ALTER ROLE "+two+" NOINHERIT", "ALTER ROLE "+two+" SET ROLE "+cfg.Group)
		wantFinding(t, i, "role "+two+" has the privileges", true, "")
		s.Exec(t, "DROP TABLE "+table, "DROP ROLE "+cfg.Group)
		wantFinding(t, i, "has the privileges", false, "group does not exist")
	})
}

func TestPreflightOfAQueryHasTheServerReadIt(t *testing.T) {
	s := shared.Get(t)
	c := admin(t, s)
	table := unique("orders")
	s.Exec(t, "CREATE TABLE "+table+" (id int)")
	const check = "the server understands"
	for _, test := range []struct {
		name, sql, detail string
		good, warning     bool
	}{
		{"one that only another role may run", "SELECT count(*) FROM " + table, "", true, false},
		{"one that would be slow", "SELECT pg_sleep(60)", "", true, false},
		{"no statement at all", "SELEC 1", "syntax error", false, false},
		{"two statements", "SELECT 1; SELECT 2", "multiple commands", false, false},
		{"a table that Rota's own role does not find", "SELECT * FROM " + table + "_x", "does not exist", false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if f := wantFinding(t, c.Query("q", test.sql), check, test.good, test.detail); f.Warning != test.warning {
				t.Errorf("%+v, want a warning %t", f, test.warning)
			}
		})
	}
	bad := connect(t, Config{Host: s.Host, Port: s.Port, Username: c.cfg.Username, Password: "wrong"})
	if f := wantFinding(t, bad.Query("q", "SELECT 1"), check, false, "password authentication failed"); f.Warning {
		t.Errorf("%+v", f)
	}
}

func TestPreflightOfAServerThatDoesNotAnswerSaysWhatToDo(t *testing.T) {
	nowhere := connect(t, Config{Host: "127.0.0.1", Port: 1, Username: "rota", Password: adminPassword})
	for name, part := range map[string]any{
		"issuer": must(nowhere.Password(PasswordConfig{Role: "x"})), "pair": must(nowhere.Alternating(AlternatingConfig{Roles: [2]string{"x", "y"}})),
		"query": nowhere.Query("q", "SELECT 1"),
	} {
		f := findings(t, part)[0]
		if f.OK || !strings.Contains(f.Detail, "refused") || !strings.Contains(rota.Hint(f.Remedies), "check host and port of connection app-db") {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestWhoMayAlterWhomDependsOnTheVersion(t *testing.T) {
	app := roleFacts{Name: "app"}
	for _, test := range []struct {
		name  string
		admin adminFacts
		role  roleFacts
		want  bool
	}{
		{"a superuser may always", adminFacts{Version: 180000, Super: true}, roleFacts{Super: true, Replication: true}, true},
		{"nobody else may alter a superuser", adminFacts{Version: 150000, CreateRole: true}, roleFacts{Super: true, Admin: true}, false},
		{"CREATEROLE is enough up to 15", adminFacts{Version: 150018, CreateRole: true}, app, true},
		{"but not for a replication role", adminFacts{Version: 150018, CreateRole: true}, roleFacts{Replication: true}, false},
		{"from 16 on ADMIN OPTION is needed too", adminFacts{Version: 160000, CreateRole: true}, app, false},
		{"and with it a replication role may be altered", adminFacts{Version: 160000, CreateRole: true}, roleFacts{Admin: true, Replication: true}, true},
		{"ADMIN OPTION alone is not enough", adminFacts{Version: 170000}, roleFacts{Admin: true}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if f := mayAlter(test.admin, test.role); f.OK != test.want || (f.OK == (rota.Hint(f.Remedies) != "")) {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestAConnectionLimitThatLeavesNoneForTheTestIsSaid(t *testing.T) {
	s := shared.Get(t)
	c := admin(t, s)
	const check = "has a connection left"
	name := role(t, s)
	i := must(c.Password(PasswordConfig{Role: name}))
	made := rotate(t, i)
	wantFinding(t, i, check, true, "")
	// Each remedy is followed.
	for _, test := range []struct {
		limit, open int
		warning     bool
		detail      string
	}{
		{0, 0, false, "it can't log in"}, {1, 0, true, "while a consumer is connected"}, {2, 2, false, "2 of the 2"},
	} {
		s.Exec(t, "ALTER ROLE "+name+" CONNECTION LIMIT "+itoa(test.limit))
		for range test.open {
			session(t, made, "app")
		}
		f := wantFinding(t, i, check, false, test.detail)
		if f.Warning != test.warning {
			t.Errorf("%+v, want a warning %t", f, test.warning)
		}
		s.Exec(t, f.Remedies[0].Text)
		wantFinding(t, i, check, true, "")
	}
	database := unique("db")
	s.Exec(t, "CREATE DATABASE "+database+" CONNECTION LIMIT 1")
	cfg := c.cfg
	cfg.Database = database
	full := must(connect(t, cfg).Password(PasswordConfig{Role: name})) // Rota's own session is the one
	f := wantFinding(t, full, check, false, "database "+database)
	s.Exec(t, f.Remedies[0].Text)
	wantFinding(t, full, check, true, "")
	pair := must(c.Alternating(AlternatingConfig{Roles: [2]string{role(t, s), name}}))
	s.Exec(t, "ALTER ROLE "+name+" CONNECTION LIMIT 1")
	if f := wantFinding(t, pair, "role "+name+" "+check, true, ""); f.Warning {
		t.Errorf("the next role of a pair has no consumer yet: %+v", f)
	}
}
