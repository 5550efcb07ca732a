package postgres

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider"
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

// holds checks what a consumer reads.
func holds(t testing.TB, s *testenv.PostgresServer, way struct{ name, write, read string }, table string, n int) {
	t.Helper()
	read := way.read
	if read == "" {
		read = readMail
	}
	if got, ok := storedKey(t, s, strings.ReplaceAll(read, "TABLE", table)); !ok || !got.Equal(key(n)) {
		t.Errorf("a consumer doesn't read credential %d", n)
	}
}

// unchanged checks that no row has a credential yet.
func unchanged(t testing.TB, s *testenv.PostgresServer, table string) {
	t.Helper()
	if got, ok := storedKey(t, s, "SELECT key_id, secret FROM public."+table+" WHERE key_id IS NOT NULL OR changes > 0 LIMIT 1"); ok {
		t.Errorf("a row was written: %v", got.Names())
	}
}

// settled makes a target that may do what it needs, and its table.
func settled(t testing.TB, s *testenv.PostgresServer, write, read string) (rota.Target, string) {
	t.Helper()
	table, login := keysTable(t, s)
	target := connect(t, loginConfig(s, login)).Row("settings", rowOf(t, table, write, read))
	permit(t, s, target)
	return target, table
}

func TestAStatementThatDoesntChangeOneRowChangesNone(t *testing.T) {
	s := shared.Get(t)
	for _, test := range []struct{ name, write, want, remedy, check string }{
		{"no row", strings.Replace(updateMail, "'mail'", "'fax'", 1), "it would have changed no row", "insert the row", "no row"},
		{"two rows", strings.Replace(updateMail, "name = 'mail'", "name IN ('mail', 'sms')", 1), "it would have changed 2 rows, so nothing was changed", "only one row", "more than one row"},
		{"a row that a trigger keeps", updateMail, "it would have changed no row: the row is there, and a trigger or a rule", "see the triggers and rules", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			target, table := settled(t, s, test.write, "")
			if test.name == "a row that a trigger keeps" {
				s.Exec(t, "CREATE FUNCTION public.keep_"+table+"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
					"CREATE TRIGGER keep BEFORE UPDATE ON public."+table+" FOR EACH ROW EXECUTE FUNCTION public.keep_"+table+"()")
				wantFinding(t, target, "the server accepts", true, "triggers: changes, keep")
			} else {
				wantFinding(t, target, "finds its row", false, test.check)
			}
			wantError(t, target.Deliver(t.Context(), delivery(1)), rota.ClassStop, nil, "postgres app-db: write a row of public."+table, test.want, test.remedy)
			unchanged(t, s, table)
		})
	}
}

// Row-level security hides rows without an error. What the check finds out and what
// the delivery says must be the same, and following the remedy must help.
func TestRowLevelSecurityIsRecognized(t *testing.T) {
	s := shared.Get(t)
	target, table := settled(t, s, updateMail, readMail)
	login := target.(*row).conn.cfg.Username
	s.Exec(t, "ALTER TABLE public."+table+" ENABLE ROW LEVEL SECURITY")
	refused := func(when string) {
		t.Helper()
		wantFinding(t, target, "finds its row", false, "row-level security of public."+table+" applies to role "+login)
		wantError(t, target.Deliver(t.Context(), delivery(1)), rota.ClassStop, nil, "it would have changed no row", "row-level security", "CREATE POLICY")
		if t.Failed() {
			t.Fatal(when)
		}
	}
	refused("without a policy")
	s.Exec(t, "CREATE POLICY see ON public."+table+" FOR SELECT TO "+login+" USING (name = 'mail')")
	refused("with a policy for SELECT alone")
	s.Exec(t, "CREATE POLICY change ON public."+table+" FOR UPDATE TO "+login+" USING (name = 'mail')")
	wantAllGood(t, target)
	unchanged(t, s, table)
	deliver(t, target, 1)
	byName, _ := settled(t, s, strings.Replace(updateMail, "'mail'", ":access_key_id", 1), "")
	s.Exec(t, "ALTER TABLE "+byName.(*row).row.Write.Table.String()+" ENABLE ROW LEVEL SECURITY")
	wantFinding(t, byName, "finds its row", false, "only shows when it is")
}

func TestReadHasToFitTheStatement(t *testing.T) {
	s := shared.Get(t)
	for _, test := range []struct{ name, read, check, deliver string }{
		{"another row", strings.Replace(readMail, "'mail'", "'sms'", 1), "", "read doesn't show what the statement wrote"},
		{"several rows", strings.Replace(readMail, " WHERE name = 'mail'", "", 1), "it returns 2 rows", "it returns 2 rows"},
		{"a column of another name", "SELECT key_id, secret AS secret_access_key FROM public.TABLE WHERE name = 'mail'", `its column "key_id" is none of the statement's parameters, which are access_key_id, secret_access_key`, `column "key_id"`},
		{"a value that isn't shown", "SELECT key_id AS access_key_id FROM public.TABLE WHERE name = 'mail'", `it has no column "secret_access_key"`, `no column "secret_access_key"`},
		{"no such table", "SELECT key_id AS access_key_id, secret AS secret_access_key FROM public.elsewhere", "does not exist", "does not exist"},
	} {
		t.Run(test.name, func(t *testing.T) {
			target, table := settled(t, s, updateMail, test.read)
			if test.check != "" {
				wantFinding(t, target, "read shows the row", false, test.check)
			}
			wantError(t, target.Deliver(t.Context(), delivery(1)), rota.ClassStop, nil, test.deliver)
			unchanged(t, s, table)
		})
	}
}

// What's there is recognized by any query that shows it, such as one that compares
// a hash.
func TestReadMayTakeTheValues(t *testing.T) {
	s := shared.Get(t)
	target, table := settled(t, s, "UPDATE public.TABLE SET key_id = :access_key_id, secret = encode(sha256(:secret_access_key::bytea), 'hex') WHERE name = 'mail'",
		"SELECT key_id AS access_key_id FROM public.TABLE WHERE name = 'mail' AND secret = encode(sha256(:secret_access_key::bytea), 'hex')")
	wantAllGood(t, target)
	for range 3 {
		deliver(t, target, 1)
	}
	if n := written(t, s, table); n != 3 { // two rows, and one change
		t.Errorf("%d writes", n)
	}
}

func TestValuesReachColumnsOfOtherTypes(t *testing.T) {
	s := shared.Get(t)
	table, login := unique("other"), unique("settings")
	s.Exec(t, "CREATE TABLE public."+table+" (id uuid PRIMARY KEY, doc jsonb, tags text[], port int)",
		"INSERT INTO public."+table+" VALUES ('6f0b7a8e-0000-4000-8000-000000000001', NULL, '{a,b}')",
		"CREATE ROLE "+login+" LOGIN PASSWORD '"+must(verifier(adminPassword))+"'", "ALTER ROLE "+login+" SET log_parameter_max_length = 0")
	r := rowOf(t, table, "UPDATE public.TABLE SET doc = :doc, tags[1:1] = ARRAY[:dsn], port = :port WHERE id = '6f0b7a8e-0000-4000-8000-000000000001'",
		"SELECT doc, tags[1] AS dsn, port FROM public.TABLE WHERE id = '6f0b7a8e-0000-4000-8000-000000000001'")
	r.Fields = must(rota.ParseFieldMap(map[string]string{"dsn": "postgres://{username}:{password|url}@db/app", "port": "port"}, nil))
	r.Document, r.Format = "doc", provider.DocumentJSON
	target := connect(t, loginConfig(s, login)).Row("settings", r)
	permit(t, s, target)
	wantAllGood(t, target)
	c := rota.NewCredential(map[string]string{rota.FieldUsername: "app", rota.FieldPassword: `p"w'$1 :x\`, "port": "5432"})
	for range 2 {
		if err := target.Deliver(t.Context(), rota.DeliverRequest{Credential: c}); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := storedKey(t, s, "SELECT doc->>'password', tags[1] FROM public."+table+" WHERE port = 5432 AND tags[2] = 'b'")
	if got.Field(rota.FieldAccessKeyID) != `p"w'$1 :x\` || got.Field(rota.FieldSecretAccessKey) != "postgres://app:p%22w%27%241%20%3Ax%5C@db/app" {
		t.Error("the row holds something else")
	}
}

// The server's own words may repeat a value. They're shown without it, and say that
// a person has to do something.
func TestWhatTheServerRefusesIsShownWithoutValues(t *testing.T) {
	s := shared.Get(t)
	for _, test := range []struct {
		name, alter, write string
		words              []string
	}{
		{"a row whose key is taken", "ALTER TABLE public.TABLE ADD CHECK (true), ADD UNIQUE (secret)\nINSERT INTO public.TABLE (name, secret) VALUES ('fax', 'secret-row-canary-1')", updateMail, []string{"duplicate key value"}},
		{"a value that's too long", "ALTER TABLE public.TABLE ALTER secret TYPE varchar(5)", updateMail, []string{"too long", "correct the statement"}},
		{"a text for a number", "", "UPDATE public.TABLE SET changes = :secret_access_key, key_id = :access_key_id WHERE name = 'mail'", []string{`invalid input syntax for type integer: "[redacted]"`}},
		{"a trigger that repeats it", "CREATE FUNCTION public.shout_TABLE() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''bad %, %'', NEW.secret, left(NEW.secret, 12); END'\nCREATE TRIGGER shout BEFORE UPDATE ON public.TABLE FOR EACH ROW EXECUTE FUNCTION public.shout_TABLE()", updateMail, []string{"bad [redacted], [redacted]"}},
		{"a constraint that's checked at the end", "ALTER TABLE public.TABLE ADD UNIQUE (secret) DEFERRABLE INITIALLY DEFERRED\nINSERT INTO public.TABLE (name, secret) VALUES ('fax', 'secret-row-canary-1')", updateMail, []string{"duplicate key value"}},
		{"a table that's gone", "ALTER TABLE public.TABLE RENAME TO TABLE_old", updateMail, []string{"does not exist", "with its schema"}},
		{"a right that's gone", "REVOKE UPDATE (key_id) ON public.TABLE FROM LOGIN", updateMail, []string{"permission denied", "rota policy postgres"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			target, table := settled(t, s, test.write, "")
			for one := range strings.SplitSeq(test.alter, "\n") {
				if one != "" {
					s.Exec(t, strings.NewReplacer("TABLE ", "TABLE ", "public.TABLE", "public."+table, "shout_TABLE", "shout_"+table, "TABLE_old", table+"_old", "LOGIN", target.(*row).conn.cfg.Username).Replace(one))
				}
			}
			err := target.Deliver(t.Context(), delivery(1))
			wantError(t, err, rota.ClassStop, nil, test.words...)
			if strings.Contains(err.Error(), "secret-row") {
				t.Errorf("it shows a value: %v", err)
			}
			if strings.HasSuffix(test.name, "gone") {
				wantFinding(t, target, "the server accepts", false, test.words[0])
			}
		})
	}
}

func TestValuesThatNoTextCanHoldAreRefusedBefore(t *testing.T) {
	s := shared.Get(t)
	target, table := settled(t, s, updateMail, "")
	for _, value := range []string{"zero\x00byte", "not \xff UTF-8"} {
		c := testenv.With(key(1), rota.FieldSecretAccessKey, value)
		wantError(t, target.(rota.Accepter).Accept(c), rota.ClassStop, nil, ":secret_access_key: the value ")
		wantError(t, target.Deliver(t.Context(), rota.DeliverRequest{Credential: c}), rota.ClassStop, nil)
	}
	if err := target.Deliver(t.Context(), rota.DeliverRequest{Credential: key(1).Only(rota.FieldAccessKeyID)}); err == nil || !strings.Contains(err.Error(), "no field of that name") {
		t.Errorf("half a credential: %v", err)
	}
	unchanged(t, s, table)
}

// A database's and a role's settings change nothing about which row is written, or
// what a text in the statement means.
func TestSessionDefaultsDontChangeAStatement(t *testing.T) {
	for name, settings := range map[string][]string{
		"reads only":   {"ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'", "ALTER DATABASE postgres SET default_transaction_read_only = on"},
		"quoting":      {"ALTER DATABASE postgres SET standard_conforming_strings = off"},
		"names":        {"CREATE SCHEMA evil", "CREATE FUNCTION evil.upper(text) RETURNS text LANGUAGE sql AS 'SELECT ''evil'''", "ALTER DATABASE postgres SET search_path = evil, pg_catalog"},
		"dates":        {"ALTER DATABASE postgres SET DateStyle = 'SQL, DMY'", "ALTER DATABASE postgres SET TimeZone = 'Pacific/Kiritimati'"},
		"another role": {"CREATE ROLE weak", "GRANT weak TO LOGIN", "ALTER ROLE LOGIN SET role = weak"},
		"encoding":     {"ALTER ROLE LOGIN SET client_encoding = 'LATIN1'"},
		"time":         {"ALTER DATABASE postgres SET statement_timeout = '1ms'", "ALTER DATABASE postgres SET lock_timeout = '1ms'"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testenv.Postgres(t, testenv.PostgresOptions{})
			target, table := settled(t, s, `UPDATE public.TABLE SET key_id = :access_key_id, secret = :secret_access_key
				WHERE upper(name) = 'MAIL' AND '01/02/2026'::date = to_date('2026-01-02', 'YYYY-MM-DD') AND '\' <> 'x'
				AND '2026-01-01 00:00'::timestamptz = to_timestamp(1767225600)`, readMail)
			for _, one := range settings {
				s.Exec(t, strings.ReplaceAll(one, "LOGIN", target.(*row).conn.cfg.Username))
			}
			wantAllGood(t, target)
			c := rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "é ü", rota.FieldSecretAccessKey: `\'`})
			for range 2 {
				if err := target.Deliver(t.Context(), rota.DeliverRequest{Credential: c}); err != nil {
					t.Fatal(err)
				}
			}
			if got, _ := storedKey(t, s, strings.ReplaceAll(readMail, "TABLE", table)); !got.Equal(c) {
				t.Error("the row holds something else")
			}
		})
	}
}

// Where the role may, values stay out of the server's log. Elsewhere, the check
// warns, and its remedies help.
func TestValuesStayOutOfTheServersLog(t *testing.T) {
	s := testenv.Postgres(t, testenv.PostgresOptions{LogStatements: true, Settings: map[string]string{"log_parameter_max_length_on_error": "-1"}})
	target, table := settled(t, s, updateMail, readMail)
	login := target.(*row).conn.cfg.Username
	s.Exec(t, "ALTER ROLE "+login+" RESET log_parameter_max_length")
	f := wantFinding(t, target, "the server's log gets no values", false, "it logs statements with the values")
	if !f.Warning || !strings.Contains(rota.Hint(f.Remedies), "ALTER ROLE") {
		t.Errorf("%+v", f)
	}
	logged := func(n int) bool {
		t.Helper()
		deliver(t, target, n)
		text, err := os.ReadFile(s.LogFile())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), fmt.Sprintf("secret-row-canary-%d", n))
	}
	if !logged(1) {
		t.Error("the log has no values although the check said so")
	}
	s.Exec(t, "ALTER ROLE "+login+" SET log_parameter_max_length = 0")
	target = connect(t, loginConfig(s, login)).Row("settings", target.(*row).row)
	wantAllGood(t, target)
	if logged(2) {
		t.Error("the log has values although the role's setting keeps them out")
	}
	s.Exec(t, "ALTER ROLE "+login+" RESET log_parameter_max_length", "GRANT SET ON PARAMETER log_parameter_max_length, log_error_verbosity TO "+login)
	target = connect(t, loginConfig(s, login)).Row("settings", target.(*row).row)
	wantAllGood(t, target)
	if logged(3) {
		t.Error("the log has values although the role may keep them out")
	}
	s.Exec(t, "ALTER TABLE public."+table+" ADD UNIQUE (secret)", "ALTER TABLE public."+table+" ALTER key_id TYPE varchar(10) USING 'x'")
	if err := target.Deliver(t.Context(), delivery(4)); err == nil {
		t.Fatal("it took a value that's too long")
	}
	if text, _ := os.ReadFile(s.LogFile()); strings.Contains(string(text), "secret-row-canary-4") {
		t.Error("the log has the values of a statement that failed")
	}
}

func TestRowsThroughPgBouncer(t *testing.T) {
	s := shared.Get(t)
	for _, mode := range poolModes {
		t.Run(mode, func(t *testing.T) {
			b := testenv.StartPgBouncer(t, testenv.PgBouncerOptions{Server: s, Mode: mode})
			direct, table := settled(t, s, updateMail, readMail)
			target := viaPooler(t, b, direct.(*row).conn).Row("settings", direct.(*row).row)
			wantAllGood(t, target)
			for n := range 3 {
				deliver(t, target, n)
				deliver(t, target, n)
				holds(t, s, ways[0], table, n)
			}
			if n := written(t, s, table); n != 5 {
				t.Errorf("%d writes, want 3 on top of 2 rows", n)
			}
		})
	}
}

// The check shows what's wrong with the way to the server.
func TestTheCheckOfARowFailsWithItsLogin(t *testing.T) {
	s := shared.Get(t)
	target, _ := settled(t, s, updateMail, "")
	cfg := loginConfig(s, target.(*row).conn.cfg.Username)
	cfg.Password = "wr0ng-value"
	wantFinding(t, connect(t, cfg).Row("settings", target.(*row).row), "log in to postgres app-db", false, "password authentication failed")
	cfg.Port = testenv.FreePort(t)
	wrong := connect(t, cfg).Row("settings", target.(*row).row)
	wantFinding(t, wrong, "log in to postgres app-db", false, "connect")
	wantError(t, wrong.Deliver(t.Context(), delivery(1)), rota.ClassWait, nil, "check host and port")
}
