package mysql

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// clones is a pair of which only the first account exists, made by statements that
// have APP for its name.
func clones(t *testing.T, s *testenv.MySQLServer, name string, statements ...string) *alternating {
	t.Helper()
	cfg := mysqlAdmin(t, s, func(c *Connection) (rota.Issuer, error) { return c.Password(PasswordConfig{User: "x"}) })
	s.Exec(t, "GRANT ALL ON *.* TO "+cfg.Username+" WITH GRANT OPTION", "GRANT PROXY ON ''@'' TO "+cfg.Username+" WITH GRANT OPTION", "CREATE USER "+name+" ACCOUNT LOCK")
	for _, statement := range statements {
		s.Exec(t, strings.ReplaceAll(statement, "APP", name))
	}
	return must(connect(t, cfg).Alternating(AlternatingConfig{Users: [2]string{name, name + "_clone"}, Clone: true})).(*alternating)
}

// turns rotates to each of the two accounts, twice.
func turns(t *testing.T, a *alternating) {
	t.Helper()
	for i := range 4 {
		taken := a.Names()[(i+1)%2]
		c := must(a.Create(t.Context(), rota.CreateRequest{Taken: []string{taken}}))
		if err := a.Set(t.Context(), rota.SetRequest{Credential: c}); err != nil {
			t.Fatal(err)
		}
		if err := a.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
			t.Fatalf("as %s: %v", a.CredentialID(c), err)
		}
	}
}

func TestAMySQLCloneHasWhatTheFirstAccountHas(t *testing.T) {
	s := testenv.MySQL(t, testenv.MySQLOptions{Args: []string{"--mandatory-roles=everyone", "--partial-revokes=ON", "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES"}})
	s.Exec(t, "SET GLOBAL sql_quote_show_create = OFF", "CREATE ROLE everyone", "CREATE DATABASE shop", "CREATE TABLE shop.orders (n int)", "GRANT SELECT ON shop.* TO everyone")
	for name, statements := range map[string][]string{
		"plain":       {"GRANT SELECT ON shop.* TO APP"},
		"expire":      {"ALTER USER APP PASSWORD EXPIRE NEVER"},
		"interval":    {"ALTER USER APP PASSWORD EXPIRE INTERVAL 90 DAY PASSWORD HISTORY 5 PASSWORD REUSE INTERVAL 30 DAY PASSWORD REQUIRE CURRENT"},
		"locking":     {"ALTER USER APP FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 2"},
		"unbounded":   {"ALTER USER APP FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME UNBOUNDED"},
		"limits":      {"ALTER USER APP WITH MAX_USER_CONNECTIONS 20 MAX_QUERIES_PER_HOUR 10000 MAX_UPDATES_PER_HOUR 10000 MAX_CONNECTIONS_PER_HOUR 1000"},
		"tls":         {"ALTER USER APP REQUIRE SSL"},
		"revokes":     {"GRANT SELECT ON *.* TO APP", "REVOKE SELECT ON mysql.* FROM APP"},
		"attributes":  {`ALTER USER APP ATTRIBUTE '{"team": "x"}'`},
		"grants":      {"GRANT SELECT, UPDATE (n) ON shop.orders TO APP WITH GRANT OPTION", "GRANT BACKUP_ADMIN ON *.* TO APP", "GRANT PROXY ON root@localhost TO APP"},
		"role":        {"CREATE ROLE APP_role", "GRANT INSERT ON shop.* TO APP_role", "GRANT APP_role TO APP WITH ADMIN OPTION", "SET DEFAULT ROLE ALL TO APP"},
		"everyone":    {"GRANT everyone TO APP", "SET DEFAULT ROLE ALL TO APP"},
		"wildcard":    {`GRANT SELECT ON "sh_op%".* TO APP`},
		"wildcardrev": {"GRANT ALL ON *.* TO APP", "REVOKE ALL ON mysql.* FROM APP"},
	} {
		t.Run(name, func(t *testing.T) { turns(t, clones(t, s, unique("app"), statements...)) })
	}
}

// MySQL has names of at most 32 characters, and the clone's is longer than the first's.
func TestAMySQLCloneWhoseNameIsTooLongIsNoReasonToWait(t *testing.T) {
	a := clones(t, sharedMySQL.Get(t), unique("app_with_quite_some"))
	c := must(a.Create(t.Context(), rota.CreateRequest{Taken: []string{a.all[0].user}}))
	wantError(t, a.Set(t.Context(), rota.SetRequest{Credential: c}), rota.ClassStop, nil, "shorter name")
}

func TestMariaDBsCloneExpiresLikeTheFirstAccount(t *testing.T) {
	s := testenv.MariaDB(t, testenv.MariaDBOptions{})
	s.Exec(t, "SET GLOBAL sql_quote_show_create = OFF", "CREATE DATABASE shop")
	for expire, with := range map[string]string{"NEVER": "REQUIRE SSL", "INTERVAL 90 DAY": "WITH MAX_USER_CONNECTIONS 5", "DEFAULT": "REQUIRE NONE"} {
		cfg := Config{Host: s.Host, Port: s.Port, Username: adminUser(t, s), Password: adminPassword}
		s.Exec(t, "GRANT ALL ON *.* TO "+cfg.Username+" WITH GRANT OPTION")
		name := user(t, s, pluginNative)
		s.Exec(t, "ALTER USER "+name+" "+with+" PASSWORD EXPIRE "+expire, "GRANT SELECT ON shop.* TO "+name)
		a := must(connect(t, cfg).Alternating(AlternatingConfig{Users: [2]string{name, name + "_clone"}, Clone: true})).(*alternating)
		if err := a.ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if missing, err := a.lacks(t.Context(), "compare", a.all[1]); err != nil || len(missing) > 0 {
			t.Errorf("%s: it lacks %v (%v)", expire, missing, err)
		}
	}
}

func TestWhatProvesWhoseAPairIs(t *testing.T) {
	for name, test := range map[string]struct {
		statements []string // APP and CLONE are the accounts
		user       string   // whose password is presented: 0 or 1
		password   string
		says       string // "" for a proof
	}{
		"the first one's login":                          {user: "APP", password: "first"},
		"the first one's wrong password":                 {user: "APP", password: "guessed", says: "refused"},
		"the first one's password while it's locked":     {statements: []string{"ALTER USER APP ACCOUNT LOCK"}, user: "APP", password: "first"},
		"a wrong password while it's locked":             {statements: []string{"ALTER USER APP ACCOUNT LOCK"}, user: "APP", password: "guessed", says: "refused"},
		"a clone's login":                                {user: "CLONE", password: "second", says: "doesn't prove whose APP is"},
		"a clone's login while the first one is locked":  {statements: []string{"ALTER USER APP ACCOUNT LOCK"}, user: "CLONE", password: "second", says: "doesn't prove whose APP is"},
		"a clone's login once the first one was retired": {statements: []string{"ALTER USER APP PASSWORD EXPIRE ACCOUNT LOCK"}, user: "CLONE", password: "second"},
		"a clone's login that has less than the retired": {statements: []string{"ALTER USER APP PASSWORD EXPIRE ACCOUNT LOCK", "GRANT INSERT ON shop.* TO APP"}, user: "CLONE", password: "second", says: "lacks what APP has"},
		"a clone's wrong password once that was retired": {statements: []string{"ALTER USER APP PASSWORD EXPIRE ACCOUNT LOCK"}, user: "CLONE", password: "guessed", says: "refused"},
		"a clone's login where there's no first one":     {statements: []string{"DROP USER APP"}, user: "CLONE", password: "second", says: "doesn't prove whose APP is"},
		"the login of a user that isn't one of the two":  {user: "root", password: "first", says: "isn't"},
	} {
		t.Run(name, func(t *testing.T) {
			s := sharedMySQL.Get(t)
			s.Exec(t, "CREATE DATABASE IF NOT EXISTS shop")
			a := clones(t, s, unique("app"))
			in := strings.NewReplacer("APP", a.all[0].user, "CLONE", a.all[1].user)
			for _, statement := range append([]string{"ALTER USER APP IDENTIFIED BY 'first' ACCOUNT UNLOCK", "CREATE USER CLONE IDENTIFIED BY 'second'", "GRANT SELECT ON shop.* TO APP", "GRANT SELECT ON shop.* TO CLONE"}, test.statements...) {
				s.Exec(t, in.Replace(statement))
			}
			err := a.Proves(t.Context(), rota.NewCredential(map[string]string{rota.FieldUsername: in.Replace(test.user), rota.FieldPassword: test.password}))
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), in.Replace(test.says)) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
}
