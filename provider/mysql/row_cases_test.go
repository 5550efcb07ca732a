package mysql

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/providertest"
)

// key is the n-th of a series of access keys.
func key(n int) rota.Credential {
	return rota.NewCredential(map[string]string{
		rota.FieldAccessKeyID: fmt.Sprintf("AKIA-row-canary-%d", n), rota.FieldSecretAccessKey: fmt.Sprintf("secret-row-canary-%d", n),
	})
}

func delivery(n int) rota.DeliverRequest {
	return rota.DeliverRequest{Secret: "prod/mail", Version: fmt.Sprint("rota-", n), Credential: key(n)}
}

func deliver(t testing.TB, target rota.Target, n int) {
	t.Helper()
	if err := target.Deliver(t.Context(), delivery(n)); err != nil {
		t.Fatal(err)
	}
}

// settled makes a target that may do what it needs, and its table.
func settled(t testing.TB, s *testenv.MariaDBServer, write, read string) (rota.Target, string) {
	t.Helper()
	table, login := keysTable(t, s)
	target := must(connect(t, loginConfig(s, login)).Row("settings", rowOf(t, table, write, read)))
	permit(t, s, target)
	return target, table
}

// unchanged checks that no row has a credential yet.
func unchanged(t testing.TB, s *testenv.MariaDBServer, table string) {
	t.Helper()
	if found := look(t, root(t, s), "SELECT name FROM "+table+" WHERE key_id IS NOT NULL OR changes > 0"); len(found) > 0 {
		t.Errorf("%d rows were written", len(found))
	}
}

func wrong(t testing.TB, target rota.Target, check, detail string) rota.Finding {
	t.Helper()
	f := testenv.FindingOf(t, target, check)
	if f.OK || !strings.Contains(f.Detail, detail) || rota.Hint(f.Remedies) == "" {
		t.Errorf("want a problem that says %q: %+v", detail, f)
	}
	return f
}

func good(t testing.TB, target rota.Target) {
	t.Helper()
	for _, f := range target.(rota.Preflighter).Preflight(t.Context()) {
		if !f.OK && !f.Warning {
			t.Errorf("%+v", f)
		}
	}
}

// Whichever call fails, and whether before or after it took effect, the next
// delivery leaves the row with the credential, and a row that's added is added once.
func TestARowIsWrittenOnceWhicheverCallFails(t *testing.T) {
	s := shared.Get(t)
	for _, way := range ways {
		for _, kind := range []providertest.FaultKind{providertest.FailBefore, providertest.LoseReply} {
			t.Run(way.name+", a call "+string(kind), func(t *testing.T) {
				see := root(t, s)
				calls, failed := 0, 0
				for ; ; calls++ {
					table, login := keysTable(t, s)
					c, p := through(t, s, loginConfig(s, login))
					target := must(c.Row("settings", rowOf(t, table, way.write, way.read)))
					permit(t, s, target)
					deliver(t, target, 1)
					written := func() string { return *look(t, see, "SELECT SUM(changes) + COUNT(*) AS n FROM "+table)[0]["n"] }
					before := written()
					p.mu.Lock()
					p.kind, p.skip, p.left = kind, calls, 1
					p.mu.Unlock()
					if err := target.Deliver(t.Context(), delivery(2)); err != nil {
						failed++
					}
					p.mu.Lock()
					hit := p.left == 0
					p.skip, p.left = 0, 0
					p.mu.Unlock()
					deliver(t, target, 2)
					if got := look(t, see, "SELECT secret FROM "+table+" WHERE key_id = 'AKIA-row-canary-2'"); len(got) != 1 || *got[0]["secret"] != "secret-row-canary-2" {
						t.Errorf("call %d: %d rows hold the credential", calls, len(got))
					}
					if now := written(); way.read != "" && diff(before, now) != 1 {
						t.Errorf("call %d: %d writes", calls, diff(before, now))
					}
					p.close()
					c.Close()
					if !hit {
						break
					}
				}
				if calls < 4 || failed < 4 {
					t.Errorf("%d calls, of which %d made the delivery fail", calls, failed)
				}
			})
		}
	}
}

func diff(before, after string) int {
	var a, b int
	_, _ = fmt.Sscan(before, &a)
	_, _ = fmt.Sscan(after, &b)
	return b - a
}

func TestAStatementThatDoesntChangeOneRowChangesNone(t *testing.T) {
	s := shared.Get(t)
	for _, test := range []struct{ name, write, want, remedy, check string }{
		{"no row", strings.Replace(updateMail, "'mail'", "'fax'", 1), "it would have changed no row", "insert the row", "no row"},
		{"two rows", strings.Replace(updateMail, "name = 'mail'", "name IN ('mail', 'sms')", 1), "it would have changed 2 rows, so nothing was changed", "only one row", "more than one row"},
		{"two rows to insert", "INSERT INTO TABLE (name, key_id, secret) SELECT CONCAT('new ', name), :access_key_id, :secret_access_key FROM TABLE", "it would have changed 2 rows", "only one row", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			target, table := settled(t, s, test.write, "")
			if test.check != "" {
				wrong(t, target, "finds its row", test.check)
			}
			wantError(t, target.Deliver(t.Context(), delivery(1)), rota.ClassStop, nil, "mysql app-db: write a row of "+table, test.want, test.remedy)
			unchanged(t, s, table)
		})
	}
}

// Where a rollback undoes nothing, no statement is run.
func TestTablesWithoutTransactionsAreRefused(t *testing.T) {
	s := shared.Get(t)
	target, table := settled(t, s, strings.Replace(updateMail, "name = 'mail'", "name IN ('mail', 'sms')", 1), "")
	s.Exec(t, "ALTER TABLE "+table+" ENGINE = Aria")
	wrong(t, target, "the server accepts", "engine Aria, which can't undo")
	wantError(t, target.Deliver(t.Context(), delivery(1)), rota.ClassStop, nil, "engine Aria", "ENGINE = InnoDB")
	unchanged(t, s, table)
}

func TestReadHasToFitTheStatement(t *testing.T) {
	s := shared.Get(t)
	for _, test := range []struct{ name, read, check, deliver string }{
		{"another row", strings.Replace(readMail, "'mail'", "'sms'", 1), "", "read doesn't show what the statement wrote"},
		{"several rows", strings.Replace(readMail, " WHERE name = 'mail'", "", 1), "it returns 2 rows", "it returns 2 rows"},
		{"a column of another name", "SELECT key_id, secret AS secret_access_key FROM TABLE WHERE name = 'mail'", `its column "key_id" is none of the statement's parameters`, `column "key_id"`},
		{"a value that isn't shown", "SELECT key_id AS access_key_id FROM TABLE WHERE name = 'mail'", `it has no column "secret_access_key"`, `no column "secret_access_key"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			target, table := settled(t, s, updateMail, test.read)
			if test.check != "" {
				wrong(t, target, "read shows the row", test.check)
			}
			wantError(t, target.Deliver(t.Context(), delivery(1)), rota.ClassStop, nil, test.deliver)
			unchanged(t, s, table)
		})
	}
}

func TestWhatTheServerRefusesIsShownWithoutValues(t *testing.T) {
	s := shared.Get(t)
	for _, test := range []struct {
		name, alter, write string
		words              []string
	}{
		{"a row whose key is taken", "ALTER TABLE TABLE ADD UNIQUE (secret)\nINSERT INTO TABLE (name, secret) VALUES ('fax', 'secret-row-canary-1')", updateMail, []string{"Duplicate entry '[redacted]'"}},
		{"a value that's too long", "ALTER TABLE TABLE MODIFY secret varchar(5)", updateMail, []string{"Data too long", "correct the statement"}},
		{"a text for a number", "", "UPDATE TABLE SET changes = :secret_access_key, key_id = :access_key_id WHERE name = 'mail'", []string{"Incorrect integer value: '[redacted]'"}},
		{"a signal that repeats it", "DROP TRIGGER DATABASE.changes\nCREATE TRIGGER DATABASE.shout BEFORE UPDATE ON TABLE FOR EACH ROW BEGIN DECLARE m TEXT; SET m = CONCAT('bad ', LEFT(NEW.secret, 12)); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = m; END", updateMail, []string{"bad [redacted]"}},
		{"a table that's gone", "RENAME TABLE TABLE TO DATABASE.gone", updateMail, []string{"doesn't exist", "with its database"}},
		{"a right that's gone", "REVOKE UPDATE (key_id) ON TABLE FROM LOGIN", updateMail, []string{"denied", "rota policy mysql"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			target, table := settled(t, s, test.write, "")
			database, _, _ := strings.Cut(table, ".")
			for one := range strings.SplitSeq(test.alter, "\n") {
				if one != "" {
					s.Exec(t, strings.NewReplacer("ALTER TABLE TABLE", "ALTER TABLE "+table, "RENAME TABLE TABLE", "RENAME TABLE "+table, "TABLE", table, "DATABASE", database, "LOGIN", target.(*tableRow).conn.cfg.Username).Replace(one))
				}
			}
			err := target.Deliver(t.Context(), delivery(1))
			wantError(t, err, rota.ClassStop, nil, test.words...)
			if strings.Contains(err.Error(), "secret-row") {
				t.Errorf("it shows a value: %v", err)
			}
			if strings.HasSuffix(test.name, "gone") {
				wrong(t, target, "the server accepts", test.words[0])
			}
		})
	}
}

// A server's and an account's defaults change nothing about which row is written,
// what a text in the statement means, or whether a value fits.
func TestSessionDefaultsDontChangeAStatement(t *testing.T) {
	for name, settings := range map[string][]string{
		"quoting":    {"SET GLOBAL sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'"},
		"reads only": {"SET GLOBAL tx_read_only = 1", "SET GLOBAL autocommit = 0"},
		"time":       {"SET GLOBAL time_zone = '+12:00'", "SET GLOBAL max_statement_time = 0.0001"},
		"characters": {"SET GLOBAL character_set_client = latin1", "SET GLOBAL character_set_connection = latin1"},
		"limits":     {"SET GLOBAL sql_select_limit = 0", "SET GLOBAL innodb_lock_wait_timeout = 1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testenv.MariaDB(t, testenv.MariaDBOptions{})
			target, table := settled(t, s, `UPDATE TABLE SET key_id = :access_key_id, secret = :secret_access_key WHERE name = "mail" AND '\' <> 'x'
				AND FROM_UNIXTIME(0) = '1970-01-01 00:00:00' AND (0 || 1) = 1`, readMail)
			s.Exec(t, settings...)
			good(t, target)
			c := rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "é ü", rota.FieldSecretAccessKey: `\'`})
			for range 2 {
				if err := target.Deliver(t.Context(), rota.DeliverRequest{Credential: c}); err != nil {
					t.Fatal(err)
				}
			}
			got := look(t, root(t, s), strings.ReplaceAll(readMail, "TABLE", table))
			if *got[0]["access_key_id"] != "é ü" || *got[0]["secret_access_key"] != `\'` {
				t.Error("the row holds something else")
			}
			long := rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "x", rota.FieldSecretAccessKey: strings.Repeat("x", 61)})
			wantError(t, target.Deliver(t.Context(), rota.DeliverRequest{Credential: long}), rota.ClassStop, nil, "Data too long")
		})
	}
}

// Where the account may, values stay out of the general log. Elsewhere, the check
// warns.
func TestValuesStayOutOfTheGeneralLog(t *testing.T) {
	s := testenv.MariaDB(t, testenv.MariaDBOptions{})
	target, _ := settled(t, s, updateMail, readMail)
	login := target.(*tableRow).conn.cfg.Username
	if f := wrong(t, target, "the server's general log gets no values", "it logs statements with the values"); !f.Warning {
		t.Errorf("%+v", f)
	}
	deliver(t, target, 1)
	if !bytes.Contains(s.Logs(t), []byte("secret-row-canary-1")) {
		t.Error("the log has no values although the check said so")
	}
	for i, privilege := range []string{"CONNECTION ADMIN", "SUPER"} {
		s.Exec(t, "REVOKE ALL PRIVILEGES ON *.* FROM "+login, "GRANT "+privilege+" ON *.* TO "+login)
		target = must(connect(t, loginConfig(s, login)).Row("settings", target.(*tableRow).row))
		deliver(t, target, 2+i)
		ok := testenv.FindingOf(t, target, "the server's general log").OK
		general, err := os.ReadFile(s.LogFile())
		if err != nil {
			t.Fatal(err)
		}
		if privilege == "SUPER" && !ok {
			t.Error("not even SUPER keeps values out of the log")
		}
		if out := !bytes.Contains(general, fmt.Appendf(nil, "secret-row-canary-%d", 2+i)); out != ok {
			t.Errorf("%s: the check says %t, and the values stayed out: %t", privilege, ok, out)
		}
	}
}

func TestADocumentAndTheConnectionsDatabase(t *testing.T) {
	s := shared.Get(t)
	db, login := unique("shop"), unique("settings")
	s.Exec(t, "CREATE DATABASE "+db, "CREATE TABLE "+db+".other (id int PRIMARY KEY, doc json, port int)", "INSERT INTO "+db+".other (id) VALUES (1)",
		"CREATE USER "+login+" IDENTIFIED VIA mysql_native_password USING '"+must(stored(pluginNative, "", adminPassword))+"'")
	r := rowOf(t, "other", "UPDATE TABLE SET doc = :doc, port = :port WHERE id = 1", "SELECT doc, port FROM TABLE WHERE id = 1")
	r.Document, r.Format = "doc", provider.DocumentJSON
	_, err := connect(t, loginConfig(s, login)).Row("settings", r)
	wantError(t, err, rota.ClassStop, nil, "the table other has no database", "database for connection app-db")
	cfg := loginConfig(s, login)
	cfg.Database = db
	target := must(connect(t, cfg).Row("settings", r))
	permit(t, s, target)
	good(t, target)
	c := rota.NewCredential(map[string]string{rota.FieldUsername: "app", rota.FieldPassword: `p"w'$1 :x\`, "port": "5432"})
	for range 2 {
		if err := target.Deliver(t.Context(), rota.DeliverRequest{Credential: c}); err != nil {
			t.Fatal(err)
		}
	}
	if got := look(t, root(t, s), "SELECT JSON_VALUE(doc, '$.password') AS p FROM "+db+".other WHERE port = 5432"); len(got) != 1 || *got[0]["p"] != `p"w'$1 :x\` {
		t.Error("the row holds something else")
	}
}

func TestTheCheckOfARowFailsWithItsLogin(t *testing.T) {
	s := shared.Get(t)
	target, _ := settled(t, s, updateMail, "")
	cfg := loginConfig(s, target.(*tableRow).conn.cfg.Username)
	cfg.Password = "wr0ng-value"
	wrong(t, must(connect(t, cfg).Row("settings", target.(*tableRow).row)), "log in to mysql app-db", "Access denied")
	cfg.Port = testenv.FreePort(t)
	unreached := must(connect(t, cfg).Row("settings", target.(*tableRow).row))
	wrong(t, unreached, "log in to mysql app-db", "connect")
	wantError(t, unreached.Deliver(t.Context(), delivery(1)), rota.ClassWait, nil, "check host and port")
}
