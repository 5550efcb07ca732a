package mysql

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
)

// Every kind of thing that one account of a pair can have: the other doesn't
// replace it until it has the same, and rota check says so.
func TestNothingThatTheOtherAccountHasMayBeMissing(t *testing.T) {
	s := shared.Get(t)
	cfg := pair(t, s)
	a, b := cfg.Users[0], cfg.Users[1]
	i := must(admin(t, s).Alternating(cfg))
	first := rotate(t, i)
	next := must(i.Create(t.Context(), rota.CreateRequest{Taken: []string{a}}))
	if err := i.Set(t.Context(), rota.SetRequest{Credential: next}); err != nil {
		t.Fatal(err)
	}
	db, role := unique("shop"), unique("role")
	s.Exec(t, "CREATE DATABASE "+db, "CREATE TABLE "+db+".orders (id int, total int)", "CREATE ROLE "+role,
		"CREATE PROCEDURE "+db+".sum_up() SELECT 1", "CREATE FUNCTION "+db+".one() RETURNS int DETERMINISTIC RETURN 1")
	for _, test := range []struct{ statement, lacks string }{
		{"GRANT RELOAD ON *.* TO ?", "RELOAD on *.*"},
		{"GRANT SELECT, CREATE VIEW ON " + db + ".* TO ?", "CREATE VIEW on " + db + ".*"},
		{"GRANT INSERT ON " + db + ".orders TO ?", "INSERT on " + db + ".orders"},
		{"GRANT DELETE ON " + db + ".orders TO ? WITH GRANT OPTION", "GRANT on " + db + ".orders"},
		{"GRANT UPDATE (total) ON " + db + ".orders TO ?", "UPDATE on " + db + ".orders (total)"},
		{"GRANT EXECUTE ON PROCEDURE " + db + ".sum_up TO ?", "EXECUTE on procedure " + db + ".sum_up"},
		{"GRANT EXECUTE ON FUNCTION " + db + ".one TO ?", "EXECUTE on function " + db + ".one"},
		{"GRANT " + role + " TO ?", "role " + role},
		{"SET DEFAULT ROLE " + role + " FOR ?", "DEFAULT ROLE " + role},
		{"GRANT PROXY ON 'boss'@'%' TO ?", "PROXY on boss@%"},
		{"ALTER USER ? WITH MAX_USER_CONNECTIONS 5", "MAX_USER_CONNECTIONS 5"},
		{"ALTER USER ? WITH MAX_QUERIES_PER_HOUR 500", "MAX_QUERIES_PER_HOUR 500"},
		{"ALTER USER ? WITH MAX_STATEMENT_TIME 5", "MAX_STATEMENT_TIME 5"},
		{"ALTER USER ? PASSWORD EXPIRE INTERVAL 300 DAY", "PASSWORD EXPIRE 300"},
	} {
		t.Run(test.statement, func(t *testing.T) {
			s.Exec(t, strings.ReplaceAll(test.statement, "?", a))
			wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: next}), rota.ClassStop, nil, "lacks what the other account has", test.lacks, "try: GRANT the same")
			if err := i.Test(t.Context(), rota.TestRequest{Credential: first}); err != nil && !strings.Contains(err.Error(), ": no ") {
				t.Errorf("%s has more, not less: %v", a, err)
			}
			wantFinding(t, i, "have the same rights", false, "only "+a+": ")
			s.Exec(t, strings.ReplaceAll(test.statement, "?", b))
			if err := i.Test(t.Context(), rota.TestRequest{Credential: next}); err != nil {
				t.Errorf("%s has the same now: %v", b, err)
			}
			wantFinding(t, i, "have the same rights", true, "")
		})
	}
}

func TestAnAccountMayNotBeHeldToMoreThanTheOther(t *testing.T) {
	s := shared.Get(t)
	cfg := pair(t, s)
	i := must(admin(t, s).Alternating(cfg))
	rotate(t, i)
	s.Exec(t, "ALTER USER "+cfg.Users[1]+" WITH MAX_USER_CONNECTIONS 5")
	wantFinding(t, i, "have the same rights", false, "only "+cfg.Users[1]+": MAX_USER_CONNECTIONS 5")
	next := must(i.Create(t.Context(), rota.CreateRequest{Taken: []string{cfg.Users[0]}}))
	if err := i.Set(t.Context(), rota.SetRequest{Credential: next}); err != nil {
		t.Fatal(err)
	}
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: next}), rota.ClassStop, nil, "lacks what the other account has: no MAX_USER_CONNECTIONS")
}

func TestPreflightTellsThatNoAccountIsFree(t *testing.T) {
	s := shared.Get(t)
	i := must(admin(t, s).Alternating(pair(t, s)))
	first := rotate(t, i)
	wantFinding(t, i, "is free for the next password", true, "")
	rotate(t, i, i.CredentialID(first))
	if f := wantFinding(t, i, "is free for the next password", false, "both"); !f.Warning {
		t.Errorf("it's no warning: %+v", f)
	}
	// The remedy leads out.
	s.Exec(t, "ALTER USER "+i.CredentialID(first)+" IDENTIFIED VIA mysql_native_password USING 'invalid' ACCOUNT LOCK")
	wantFinding(t, i, "is free for the next password", true, "")
}
