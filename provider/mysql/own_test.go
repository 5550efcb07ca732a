package mysql

import (
	"bytes"
	"context"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// rotateOwn rotates a user who has a first password twice, and returns the last one.
func rotateOwn(t *testing.T, cfg Config, name, first string) rota.Credential {
	t.Helper()
	known := []rota.Credential{rota.NewCredential(map[string]string{rota.FieldUsername: name, rota.FieldPassword: first})}
	i := must(Own("app-db", cfg, OwnConfig{User: name, Known: func(context.Context) ([]rota.Credential, error) { return known, nil }}))
	for range 2 {
		next := rotate(t, i)
		if err := i.Set(t.Context(), rota.SetRequest{Credential: next}); err != nil { // done already
			t.Error(err)
		}
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: known[0]}), rota.ClassWait, rota.ErrRefused)
		// What a store has: a value that was never set, the current and the previous one.
		known = []rota.Credential{testenv.With(next, rota.FieldPassword, "pending-canary-1"), next, known[0]}
		known[0], known[2] = known[2], known[0]
	}
	for _, f := range i.(rota.Preflighter).Preflight(t.Context()) {
		if !f.OK {
			t.Errorf("%+v", f)
		}
	}
	good := known[1]
	known = known[2:]
	wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: testenv.With(good, rota.FieldPassword, "never-set-2")}), rota.ClassStop, nil, "none of the stored passwords logs in", "masterarn")
	return good
}

var hostile = []string{`o'brien`, `back\slash`, "größe", "a@b"}

func TestAMariaDBUserChangesItsOwnPassword(t *testing.T) {
	s := testenv.MariaDB(t, testenv.MariaDBOptions{Args: []string{"--sql-mode=ANSI_QUOTES", "--transaction-read-only", "--autocommit=0"}})
	for _, plugin := range []string{pluginNative, pluginEd25519} {
		for _, name := range append(hostile, "app") {
			t.Run(plugin+" "+name, func(t *testing.T) {
				s.Exec(t, "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'", "DROP USER IF EXISTS "+literal(name)+"@'127.0.0.%'",
					"CREATE USER "+literal(name)+"@'127.0.0.%' IDENTIFIED VIA "+plugin+" USING '"+must(stored(plugin, name, "first-canary-7"))+"'")
				last := rotateOwn(t, Config{Host: s.Host, Port: s.Port}, name, "first-canary-7")
				if bytes.Contains(s.Logs(t), []byte(last.Field(rota.FieldPassword))) {
					t.Error("the password is in the server's logs")
				}
			})
		}
	}
}

func TestAMariaDBUserWithoutAPasswordOfItsOwnIsLeftAlone(t *testing.T) {
	s := shared.Get(t)
	name := unique("app")
	s.Exec(t, "CREATE USER "+name+" IDENTIFIED VIA mysql_native_password USING '"+must(stored(pluginNative, name, "first-canary-7"))+"' OR ed25519 USING '"+must(stored(pluginEd25519, name, "other"))+"'")
	known := rota.NewCredential(map[string]string{rota.FieldUsername: name, rota.FieldPassword: "first-canary-7"})
	i := must(Own("app-db", Config{Host: s.Host, Port: s.Port}, OwnConfig{User: name, Known: func(context.Context) ([]rota.Credential, error) { return []rota.Credential{known}, nil }}))
	wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: testenv.With(known, rota.FieldPassword, "next-canary")}), rota.ClassStop, nil, "isn't Rota's to set", "IDENTIFIED VIA")
}

func TestAMySQLUserChangesItsOwnPassword(t *testing.T) {
	s := testenv.MySQL(t, testenv.MySQLOptions{Args: []string{"--sql-mode=ANSI_QUOTES", "--transaction-read-only", "--autocommit=0"}})
	for _, name := range append(hostile, "app") {
		t.Run(name, func(t *testing.T) {
			s.Exec(t, "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'", "CREATE USER "+literal(name)+"@'127.0.0.%' IDENTIFIED BY 'first-canary-7' PASSWORD REQUIRE CURRENT")
			last := rotateOwn(t, Config{Host: s.Host, Port: s.Port, SSLMode: sslVerifyCA, SSLCA: s.CAFile}, name, "first-canary-7")
			if bytes.Contains(s.Logs(t), []byte(last.Field(rota.FieldPassword))) {
				t.Error("the password is in the server's logs")
			}
		})
	}
}
