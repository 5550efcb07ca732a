package mysql

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

func TestNoPasswordReachesTheServersLogs(t *testing.T) {
	s := shared.Get(t)
	i := must(admin(t, s).Alternating(pair(t, s)))
	first := rotate(t, i)
	second := rotate(t, i, i.CredentialID(first)) // the other plugin's
	retire := rota.RetireRequest{CredentialID: i.CredentialID(first)}
	if err := i.(rota.Deactivator).Deactivate(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	if err := i.Delete(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	logs := s.Logs(t)
	for _, c := range []rota.Credential{first, second} {
		if !bytes.Contains(logs, []byte(must(stored(map[bool]string{true: pluginNative, false: pluginEd25519}[c.Equal(first)], "", c.Field(rota.FieldPassword))))) {
			t.Error("the hash isn't in the logs: they show nothing")
		}
		if bytes.Contains(logs, []byte(c.Field(rota.FieldPassword))) {
			t.Error("a password is in the server's logs")
		}
	}
	if bytes.Contains(logs, []byte(adminPassword)) {
		t.Error("Rota's own password is in the server's logs")
	}
}

func TestNamesThatAreNoAccountsAreRefused(t *testing.T) {
	c := connect(t, Config{Host: "127.0.0.1", Username: "rota"})
	for name, says := range map[string]string{"": "is empty", "orders" + " ": "spaces at the end", "PUBLIC": "reserves", "rota": "lock itself out", "a\x00b": "NUL", strings.Repeat("a", 129): "at most 128"} {
		if _, err := c.Password(PasswordConfig{User: name}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := c.Alternating(AlternatingConfig{Users: [2]string{"a", "a"}}); err == nil {
		t.Error("one account alternates with itself")
	}
}

// Whatever a server, an account or a session begins with, Rota's statements mean
// the same.
func TestSettingsOfTheServerChangeNothing(t *testing.T) {
	s := testenv.MariaDB(t, testenv.MariaDBOptions{Args: []string{
		"--sql-mode=ANSI_QUOTES,PIPES_AS_CONCAT,NO_AUTO_CREATE_USER,STRICT_ALL_TABLES", "--transaction-read-only", "--autocommit=0",
		"--init-connect=SET SESSION sql_select_limit = 0, sql_mode = 'ANSI_QUOTES', lock_wait_timeout = 1", "--lower-case-table-names=1",
		"--character-set-server=utf16", "--collation-server=utf16_general_ci",
	}})
	c := admin(t, s)
	for _, name := range []string{`o'brien`, `back\slash`, `quo"te`, "tick`", "größe", "Shout", "a@b", `'; DROP USER root@localhost; --`} {
		s.Exec(t, "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'", "CREATE USER "+literal(name)+" ACCOUNT LOCK")
		i := must(c.Password(PasswordConfig{User: name}))
		made := rotate(t, i)
		if issued, err := i.(rota.Lister).List(t.Context()); err != nil || len(issued) != 1 || issued[0].ID != name || !issued[0].Active {
			t.Errorf("%s: %+v, %v", name, issued, err)
		}
		if in, known, err := i.(rota.Teller).InForce(t.Context(), made); !in || !known || err != nil {
			t.Errorf("%s: in force %t, known %t, %v", name, in, known, err)
		}
		session(t, made)
		if use, err := i.(rota.UseReporter).LastUsed(t.Context(), name); err != nil || use.At.IsZero() {
			t.Errorf("%s: its session isn't seen: %+v, %v", name, use, err)
		}
	}
}

func TestWhatElseAnAccountHasStaysAsItIs(t *testing.T) {
	s := shared.Get(t)
	name := user(t, s, pluginNative)
	s.Exec(t, "ALTER USER "+name+" WITH MAX_USER_CONNECTIONS 7 MAX_STATEMENT_TIME 9 PASSWORD EXPIRE INTERVAL 30 DAY", "GRANT SELECT ON mysql.db TO "+name)
	i := must(admin(t, s).Password(PasswordConfig{User: name}))
	before := must(i.(*password).states(t.Context(), ""))[0]
	rotate(t, i)
	after := must(i.(*password).states(t.Context(), ""))[0]
	for field, raw := range before.raw {
		if now := after.raw[field]; !bytes.Equal(now, raw) && field != "authentication_string" && field != "account_locked" && field != "password_last_changed" {
			t.Errorf("%s was %s and is %s", field, raw, now)
		}
	}
	issued := must(i.(rota.Lister).List(t.Context()))
	if left := time.Until(issued[0].ExpiresAt); left < 29*rota.Day || left > 31*rota.Day {
		t.Errorf("the password expires %s", issued[0].ExpiresAt)
	}
}

func TestAnExpiredPasswordIsRefusedAndReplaced(t *testing.T) {
	s := shared.Get(t)
	name := user(t, s, pluginNative)
	i := must(admin(t, s).Password(PasswordConfig{User: name}))
	made := rotate(t, i)
	s.Exec(t, "ALTER USER "+name+" PASSWORD EXPIRE")
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassWait, rota.ErrRefused, name)
	rotate(t, i)
}

func TestAccountsThatRotaCantSetAreRefusedUntouched(t *testing.T) {
	s := shared.Get(t)
	c := admin(t, s)
	for _, test := range []struct{ name, with, says string }{
		{"no password at all", "IDENTIFIED VIA unix_socket", "plugin unix_socket"},
		{"two ways to log in", "IDENTIFIED VIA ed25519 USING PASSWORD('x') OR unix_socket", "several ways"},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := unique("app")
			s.Exec(t, "CREATE USER "+name+" "+test.with)
			i := must(c.Password(PasswordConfig{User: name}))
			before := must(i.(*password).states(t.Context(), ""))[0]
			err := i.Set(t.Context(), rota.SetRequest{Credential: must(i.Create(t.Context(), rota.CreateRequest{}))})
			wantError(t, err, rota.ClassStop, nil, test.says, "try: ALTER USER '"+name+"'@'%' IDENTIFIED VIA")
			wantFinding(t, i, "has a password to set", false, test.says)
			if after := must(i.(*password).states(t.Context(), ""))[0]; string(after.raw["plugin"]) != string(before.raw["plugin"]) || after.Stored != before.Stored {
				t.Error("it was changed nevertheless")
			}
		})
	}
	t.Run("no such account", func(t *testing.T) {
		i := must(c.Password(PasswordConfig{User: "no_such_user"}))
		made := must(i.Create(t.Context(), rota.CreateRequest{}))
		wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: made}), rota.ClassStop, rota.ErrNotFound, "no_such_user", "try: ")
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassWait, rota.ErrRefused, "no_such_user")
		wantFinding(t, i, "find account 'no_such_user'@'%'", false, "does not exist")
	})
	t.Run("the same name at another host", func(t *testing.T) {
		name := user(t, s, pluginNative)
		i := must(c.Password(PasswordConfig{User: name, Host: "10.0.0.%"}))
		err := i.Set(t.Context(), rota.SetRequest{Credential: must(i.Create(t.Context(), rota.CreateRequest{}))})
		wantError(t, err, rota.ClassStop, rota.ErrNotFound, name)
	})
}

// The server takes the account with the most specific host.
func TestALoginThatAnotherAccountTakesProvesNothing(t *testing.T) {
	s := shared.Get(t)
	name := user(t, s, pluginNative)
	i := must(admin(t, s).Password(PasswordConfig{User: name}))
	made := must(i.Create(t.Context(), rota.CreateRequest{}))
	if err := i.Set(t.Context(), rota.SetRequest{Credential: made}); err != nil {
		t.Fatal(err)
	}
	s.Exec(t, "CREATE USER "+name+"@'127.0.0.1' IDENTIFIED VIA mysql_native_password USING '"+must(stored(pluginNative, "", made.Field(rota.FieldPassword)))+"'")
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassStop, nil, "took the login for account "+name+"@127.0.0.1", "try: ")
	if f := wantFinding(t, i, "no other account is named "+name, false, "'127.0.0.1'"); !f.Warning {
		t.Error("it's no warning")
	}
	specific := must(admin(t, s).Password(PasswordConfig{User: name, Host: "127.0.0.1"}))
	rotate(t, specific)
	if in, _, err := i.(rota.Teller).InForce(t.Context(), made); !in || err != nil {
		t.Errorf("the other account was changed too: %v", err)
	}
}

func TestAnAccountThatDemandsTLSIsNotTakenForRefused(t *testing.T) {
	s := shared.Get(t)
	for require, says := range map[string]string{"SSL": "over TLS", "X509": "over TLS"} {
		name := user(t, s, pluginNative)
		s.Exec(t, "ALTER USER "+name+" REQUIRE "+require)
		i := must(admin(t, s).Password(PasswordConfig{User: name}))
		made := must(i.Create(t.Context(), rota.CreateRequest{}))
		if err := i.Set(t.Context(), rota.SetRequest{Credential: made}); err != nil {
			t.Fatal(err)
		}
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassStop, nil, says, "ssl_mode: verify_identity")
		wantFinding(t, i, "can be tested from here", false, says)
	}
}

func TestAPasswordThatTheServerWantsToCheckIsSaid(t *testing.T) {
	s := testenv.MariaDB(t, testenv.MariaDBOptions{})
	c := admin(t, s)
	i := must(c.Password(PasswordConfig{User: user(t, s, pluginNative)}))
	made := rotate(t, i)
	s.Exec(t, "INSTALL SONAME 'simple_password_check'")
	next := must(i.Create(t.Context(), rota.CreateRequest{}))
	wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: next}), rota.ClassStop, nil, "strict_password_validation = OFF", "send_passwords: true for connection app-db")
	if err := i.Test(t.Context(), rota.TestRequest{Credential: made}); err != nil {
		t.Errorf("the old password: %v", err)
	}
	s.Exec(t, "SET GLOBAL strict_password_validation = OFF")
	if err := i.Set(t.Context(), rota.SetRequest{Credential: next}); err != nil {
		t.Errorf("after the remedy: %v", err)
	}
	s.Exec(t, "SET GLOBAL strict_password_validation = ON", "INSTALL SONAME 'password_reuse_check'")
	cfg := c.cfg
	cfg.SendPasswords = true
	i = must(connect(t, cfg).Password(PasswordConfig{User: i.CredentialID(made), Rules: rota.PasswordRules{Alphabet: "abcABC123!-_", Length: 32}}))
	again := rotate(t, i)
	err := i.Set(t.Context(), rota.SetRequest{Credential: again})
	wantError(t, err, rota.ClassRegenerate, nil, i.CredentialID(made))
}

func TestTheConnectionForTheTestIsCounted(t *testing.T) {
	s := shared.Get(t)
	name := user(t, s, pluginNative)
	i := must(admin(t, s).Password(PasswordConfig{User: name}))
	s.Exec(t, "ALTER USER "+name+" WITH MAX_USER_CONNECTIONS 1")
	made := rotate(t, i)
	if f := wantFinding(t, i, "has a connection left", false, "MAX_USER_CONNECTIONS is 1"); !f.Warning {
		t.Error("it's no warning yet")
	}
	session(t, made)
	if f := wantFinding(t, i, "has a connection left", false, "1 of the 1"); f.Warning {
		t.Error("it's only a warning")
	}
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassWait, nil, "max_user_connections")
}

// The driver misreads one in 256 of the challenges that ed25519 sends.
func TestEveryChallengeIsAnswered(t *testing.T) {
	s := shared.Get(t)
	i := must(admin(t, s).Password(PasswordConfig{User: user(t, s, pluginEd25519)}))
	made := rotate(t, i)
	for n := range 1500 { // the odds that all are read at the first try are 1 in 350
		if err := i.Test(t.Context(), rota.TestRequest{Credential: made}); err != nil {
			t.Fatalf("login %d: %v", n, err)
		}
	}
}
