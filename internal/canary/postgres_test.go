//go:build linux

package canary

import (
	"fmt"
	"os"
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
)

const postgresConfig = `
connections:
  db: {postgres: {host: %[1]s, port: %[2]d, username: rota_admin, password: "${file:%[3]s/in/admin}"}}
  wrong: {postgres: {host: %[1]s, port: %[2]d, username: rota_admin, password: "${file:%[3]s/in/wrong}"}}
  weak: {postgres: {host: %[1]s, port: %[2]d, username: weak_admin, password: "${file:%[3]s/in/weak}"}}
  nobody: {postgres: {host: %[1]s, port: 1, username: rota_admin, password: "${file:%[3]s/in/admin}"}}
  via: {postgres: {host: %[1]s, port: %[2]d, username: relay, password: "${secret:relay#password}"}}
  page: {command: {run: [%[3]s/in/spy.sh, page]}}
defaults:
  policy: {deactivate_previous_after: 0s, delete_previous_after: 0s, unused_for: 1ms, late_after: 1ms}
  notify: [page]
  password: {length: 24, alphabet: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/<>&=%%~!'\"\\"}
secrets:
  - name: app
    issuer: {connection: db, password: {role: app}}
    test: {query: "%[4]s"}
    targets:
      - {name: json, file: {path: %[3]s/targets/app.json, format: json, fields: {pw: password, url: "postgres://{username}:{password|url}@db/app"}}}
      - {name: env, file: {path: %[3]s/targets/new/app.env, format: dotenv, fields: {PW: password}}}
      - name: row
        postgres_row:
          connection: db
          statement: "UPDATE public.settings SET login = :username, password = :password, url = :url, doc = :doc WHERE name = 'app'"
          read: "SELECT login AS username, password, url, doc FROM public.settings WHERE name = 'app'"
          fields: {username: username, password: password, url: "postgres://{username}:{password|url}@db/app"}
          document: doc
    reload: [{name: app, command: {run: [%[3]s/in/spy.sh, app, %[3]s/targets/app.json], env: {TOKEN: "${file:%[3]s/in/token}"}}}]
  - name: pair
    issuer: {connection: db, alternating: {roles: [pair_a, pair_b], group: pairs}}
    targets: [{name: aws, file: {path: %[3]s/targets/pair.json, format: json}}]
    reload: [{name: pair, command: {run: [%[3]s/in/spy.sh, pair, %[3]s/targets/pair.json]}}]
    policy: {rotate_every: 30d}
  - {name: relay, issuer: {connection: db, password: {role: relay}}}
  - {name: leaf, issuer: {connection: via, password: {role: leaf}}}
  - {name: legacy, issuer: {connection: db, password: {role: legacy}}}
  - {name: wrong, issuer: {connection: wrong, password: {role: wrong_role}}}
  - {name: weak, issuer: {connection: weak, password: {role: weak_role}}}
  - {name: nobody, issuer: {connection: nobody, password: {role: nobody_role}}}
  - name: badrow
    issuer: {connection: db, password: {role: badrow}}
    targets:
      - {name: taken, postgres_row: {connection: db, statement: "INSERT INTO public.settings (name, password) VALUES ('badrow', :password) ON CONFLICT (name) DO UPDATE SET short = excluded.password"}}
  - {name: badcheck, issuer: {connection: db, password: {role: badcheck}}, test: {query: "SELECT 1/0"}}
  - name: torn
    issuer: {connection: db, password: {role: torn}}
    targets:
      - {name: json, file: {path: %[3]s/targets/torn.json, format: json}}
      - {name: env, file: {path: %[3]s/targets/torn.env, format: dotenv, fields: {PW: password}}}
`

// playPostgres plays the lives of passwords on a PostgreSQL that logs every
// statement.
func playPostgres(t *testing.T, l *ledger) {
	server := testenv.Postgres(t, testenv.PostgresOptions{LogStatements: true, Settings: map[string]string{
		"log_min_messages": "debug1", "log_min_error_statement": "debug1", "log_error_verbosity": "verbose", "log_parameter_max_length": "-1",
		"log_parameter_max_length_on_error": "-1", "log_min_duration_statement": "0",
	}})
	w := newWorld(t, l, "app", "pair", "relay", "leaf", "legacy", "badrow", "badcheck", "torn")
	known := func(what, value string) string {
		w.secret(what, value)
		return value
	}
	admin := known("the administrator's password", "admin+canary/1A9c<x>7Q2")
	wrong := known("a wrong administrator's password", "wrong+canary/8Zk&y=3%W")
	weak := known("a weak administrator's password", "weak+canary/5Tq~r!9Lp")
	known("the password to adopt", "legacy+canary/4Mw\\\"n'2Vb")
	refused := known("a password that is refused", "refused+canary/6Hx$j0Dd")
	token := known("the reloader's own token", "token+canary/7Rf{v}3Nc")
	torn := known("what a torn file holds", "torn-canary-2Yg8Js5Kt")
	w.file("in/admin", admin+"\n", 0o600)
	w.file("in/wrong", wrong+"\n", 0o600)
	w.file("in/weak", weak, 0o600)
	w.file("in/token", token, 0o600)
	w.file("targets/torn.json", `{"password": "`+torn+`", oops`, 0o600)
	w.file("targets/torn.env", "PW='"+torn+"\nA B C "+torn+"\n", 0o600)
	// The superuser's own statements contain plaintext passwords: they aren't
	// Rota's, and are kept out of the log.
	server.Exec(t, "ALTER ROLE postgres SET log_statement = 'none'", "ALTER ROLE postgres SET log_min_duration_statement = -1",
		"ALTER ROLE postgres SET log_min_error_statement = 'panic'", "ALTER ROLE postgres SET log_min_messages = 'panic'")
	server.Exec(t,
		"CREATE ROLE rota_admin LOGIN CREATEROLE PASSWORD '"+admin+"'", "GRANT SELECT ON pg_authid TO rota_admin", "GRANT pg_read_all_stats TO rota_admin",
		"CREATE ROLE weak_admin LOGIN PASSWORD '"+weak+"'",
		"CREATE ROLE legacy LOGIN PASSWORD E'legacy+canary/4Mw\\\\\"n\\'2Vb'",
		"CREATE ROLE relay LOGIN CREATEROLE", "CREATE ROLE app NOLOGIN", "CREATE ROLE leaf NOLOGIN",
		"CREATE ROLE wrong_role NOLOGIN", "CREATE ROLE weak_role NOLOGIN", "CREATE ROLE nobody_role NOLOGIN", "CREATE ROLE badcheck NOLOGIN", "CREATE ROLE torn NOLOGIN", "CREATE ROLE badrow NOLOGIN",
		"CREATE TABLE public.settings (name text PRIMARY KEY, login text, password text, url text, doc jsonb, short varchar(5))", "INSERT INTO public.settings VALUES ('app'), ('badrow')",
		"GRANT SELECT, INSERT, UPDATE ON public.settings TO rota_admin", "GRANT SET ON PARAMETER log_parameter_max_length, log_error_verbosity TO rota_admin",
		"CREATE ROLE pairs NOLOGIN", "CREATE ROLE pair_a NOLOGIN IN ROLE pairs", "CREATE ROLE pair_b NOLOGIN IN ROLE pairs",
		"GRANT legacy, relay, app, badrow, badcheck, torn, nobody_role, pair_a, pair_b TO rota_admin WITH ADMIN OPTION", "GRANT leaf TO relay WITH ADMIN OPTION")
	configure := func(query string) {
		w.file("rota.yaml", fmt.Sprintf(postgresConfig, server.Host, server.Port, w.dir, query), 0o600)
	}
	configure("SELECT 1")

	// Every kind of failure, and then the same with the cause gone.
	w.fails("page", true)
	w.step("1", "check")
	w.step("013", "rotate", "app") // a target's folder is missing
	w.keepOpen()
	w.fails("app", true)
	w.must(os.Mkdir(w.path("targets/new"), 0o700))
	w.step("013", "rotate", "app") // the reloader fails, and prints what it knows
	w.step("013", "run")
	w.everyCommand()
	w.fails("app", false)
	w.fails("page", false)
	w.step("013", "rotate", "app")
	configure("SELECT no_such_column FROM no_such_table")
	w.step("013", "rotate", "app")
	configure("SELECT 1")
	w.step("013", "rotate", "app")
	w.step("013", "rollback", "app")
	w.step("013", "deliver", "app")

	// A pair, its retirement and a rollback in between.
	w.step("013", "rotate", "pair")
	w.fails("pair", true)
	w.step("013", "deliver", "pair")
	w.fails("pair", false)
	w.step("013", "rollback", "pair")
	w.step("013", "deactivate", "pair")
	w.step("013", "delete", "pair")
	for range 2 {
		w.step("013", "run", "--all")
	}
	w.step("013", "rotate", "pair")

	// Adoptions, successful and not.
	w.stepWith(`{"username": "legacy", "password": "`+refused+`"}`, "1", "adopt", "legacy", "--from", "-")
	w.stepWith(`{"username": "legacy", "password": "`+refused+`"`, "2", "adopt", "legacy", "--from", "-")
	w.stepWith(`{"username": "legacy", "password": ["`+refused+`"]}`, "2", "adopt", "legacy", "--from", "-")
	w.stepWith(refused, "2", "adopt", "legacy", "--from", "-")
	w.file("in/legacy.json", `{"username": "legacy", "password": "legacy+canary/4Mw\\\"n'2Vb"}`, 0o600)
	w.step("01", "adopt", "legacy", "--from", w.path("in/legacy.json"))
	w.step("013", "rotate", "legacy")
	w.step("013", "rollback", "legacy")

	// Rota's own password comes from another secret, which is rotated.
	w.step("013", "rotate", "relay")
	w.step("013", "rotate", "leaf")
	w.step("013", "rotate", "relay")
	w.step("013", "rotate", "leaf")

	// What can't work.
	for _, name := range []string{"wrong", "weak", "nobody", "badrow", "badcheck", "torn"} {
		w.step("013", "rotate", name)
		w.step("013", "rollback", name)
		w.step("01", "check", name)
	}
	server.Exec(t, "ALTER ROLE rota_admin NOCREATEROLE")
	w.step("013", "rotate", "app") // denied: the server logs the statement
	server.Exec(t, "ALTER ROLE rota_admin CREATEROLE")
	w.step("013", "rotate", "app")
	w.step("01", "alert")
	w.everyCommand()
	w.brokenConfigurations(admin)

	w.step("01", "backup", w.path("data/backup.db"))
	w.gather(token)
	log, err := os.ReadFile(server.LogFile())
	w.must(err)
	w.wrote("PostgreSQL's log", log)
	w.looksAsIfItWorked(log)
}
