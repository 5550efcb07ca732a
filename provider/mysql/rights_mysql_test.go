package mysql

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
)

func TestWhatMySQLAccountsDifferInIsFound(t *testing.T) {
	s := sharedMySQL.Get(t)
	i := must(connect(t, pairAdmin(t, s)).Alternating(AlternatingConfig{Users: [2]string{mysqlUser(t, s), mysqlUser(t, s)}}))
	users := i.(rota.Namer).Names()
	a, b := users[0], users[1]
	first := rotate(t, i)
	next := rotate(t, i, i.CredentialID(first))
	db, role := unique("shop"), unique("readers")
	s.Exec(t, "CREATE DATABASE "+db, "CREATE TABLE "+db+".orders (id int, total int)", "CREATE ROLE "+role, "CREATE PROCEDURE "+db+".sum_up() SELECT 1")
	for _, test := range []struct{ statement, lacks string }{
		{"GRANT RELOAD ON *.* TO ?", "RELOAD on *.*"},
		{"GRANT BACKUP_ADMIN ON *.* TO ?", "BACKUP_ADMIN on *.*"},
		{"GRANT SELECT, CREATE VIEW ON " + db + ".* TO ?", "CREATE VIEW on " + db + ".*"},
		{"GRANT INSERT ON " + db + ".orders TO ?", "INSERT on " + db + ".orders"},
		{"GRANT UPDATE (total) ON " + db + ".orders TO ?", "UPDATE on " + db + ".orders (total)"},
		{"GRANT EXECUTE ON PROCEDURE " + db + ".sum_up TO ?", "EXECUTE on procedure " + db + ".sum_up"},
		{"GRANT " + role + " TO ? WITH ADMIN OPTION", "role " + role + "@% with admin option"},
		{"SET DEFAULT ROLE " + role + " TO ?", "DEFAULT ROLE " + role},
		{"ALTER USER ? WITH MAX_USER_CONNECTIONS 5", "MAX_USER_CONNECTIONS 5"},
		{"ALTER USER ? PASSWORD EXPIRE INTERVAL 300 DAY", "PASSWORD EXPIRE 300"},
		{"ALTER USER ? FAILED_LOGIN_ATTEMPTS 9 PASSWORD_LOCK_TIME 1", "FAILED_LOGIN_ATTEMPTS"},
		{"ALTER USER ? PASSWORD HISTORY 4", "PASSWORD HISTORY 4"},
	} {
		t.Run(test.statement, func(t *testing.T) {
			s.Exec(t, strings.ReplaceAll(test.statement, "?", a))
			wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: next}), rota.ClassStop, nil, "lacks what the other account has", test.lacks, "try: GRANT the same")
			wantFinding(t, i, "have the same rights", false, "only "+a+": ")
			s.Exec(t, strings.ReplaceAll(test.statement, "?", b))
			if err := i.Test(t.Context(), rota.TestRequest{Credential: next}); err != nil {
				t.Errorf("%s has the same now: %v", b, err)
			}
			wantFinding(t, i, "have the same rights", true, "")
		})
	}
}
