package sqlrow

import (
	"slices"
	"strings"
	"testing"

	"github.com/rota-dev/rota/internal/hint"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestParametersAreFoundAndNothingElseIs(t *testing.T) {
	for _, test := range []struct {
		name string
		d    Dialect
		text string
		want string
	}{
		{"each place has its number", Postgres, "UPDATE s.t SET a = :key, b=:key WHERE n = :name", "UPDATE s.t SET a = $1, b=$2 WHERE n = $3"},
		{"or a question mark", MySQL, "UPDATE t SET a = :key, b=:key WHERE n = :name", "UPDATE t SET a = ?, b=? WHERE n = ?"},
		{"a cast", Postgres, "UPDATE s.t SET a = :key::jsonb, b = '1'::int WHERE n = c::text", "UPDATE s.t SET a = $1::jsonb, b = '1'::int WHERE n = c::text"},
		{"a slice", Postgres, "UPDATE s.t SET a[1:n] = :key WHERE b[:n] = c[x:y]", "UPDATE s.t SET a[1:n] = $1 WHERE b[:n] = c[x:y]"},
		{"an array", Postgres, "UPDATE s.t SET a = ARRAY[:key, x[:n], [:key]] WHERE (n)[:m] = 1", "UPDATE s.t SET a = ARRAY[$1, x[:n], [$2]] WHERE (n)[:m] = 1"},
		{"texts", Postgres, `UPDATE s.t SET a = :key WHERE n = 'it''s :x' AND m = E'\' :x' AND "a:b "":x" = B'1'`, `UPDATE s.t SET a = $1 WHERE n = 'it''s :x' AND m = E'\' :x' AND "a:b "":x" = B'1'`},
		{"dollar quotes", Postgres, "UPDATE s.t SET a = :key WHERE n = $$ :x ' $$ AND m = $q$ :x $$ $q$", "UPDATE s.t SET a = $1 WHERE n = $$ :x ' $$ AND m = $q$ :x $$ $q$"},
		{"comments", Postgres, "UPDATE s.t /* :x /* '*/ :x */ SET a = :key -- :x '\nWHERE n = 1", "UPDATE s.t /* :x /* '*/ :x */ SET a = $1 -- :x '\nWHERE n = 1"},
		{"comments that don't nest", MySQL, "UPDATE t /* :x /* */ SET a = :key # :x '\nWHERE n = 1-- :x", "UPDATE t /* :x /* */ SET a = ? # :x '\nWHERE n = 1-- :x"},
		{"operators of JSON", Postgres, "UPDATE s.t SET a = :key WHERE n ? 'x' AND m @> '{}'", "UPDATE s.t SET a = $1 WHERE n ? 'x' AND m @> '{}'"},
		{"backslashes are ordinary", MySQL, `UPDATE t SET a = :key WHERE n = '\' AND m = "it's :x"`, `UPDATE t SET a = ? WHERE n = '\' AND m = "it's :x"`},
		{"names in backquotes", MySQL, "UPDATE `a``:x` SET a = :key WHERE `n:x` = 1", "UPDATE `a``:x` SET a = ? WHERE `n:x` = 1"},
		{"a semicolon at the end", Postgres, "UPDATE s.t SET a = :key WHERE n = ';';\n-- done", "UPDATE s.t SET a = $1 WHERE n = ';'"},
		{"letters beyond ASCII", Postgres, "UPDATE s.größe SET a = :key WHERE n = 'ö'", "UPDATE s.größe SET a = $1 WHERE n = 'ö'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, err := ParseWrite(test.d, test.text)
			if err != nil {
				t.Fatal(err)
			}
			if sql, _ := w.SQL(); sql != test.want {
				t.Errorf("\n got %s\nwant %s", sql, test.want)
			}
		})
	}
}

func TestStatementsAreRefusedWithTheirPlaceAndAHint(t *testing.T) {
	for _, test := range []struct {
		d          Dialect
		text, want string
		hint       string
	}{
		{Postgres, " -- nothing\n", "is empty", "UPDATE … SET secret = :secret_access_key"},
		{Postgres, ";", "is empty", ""},
		{Postgres, "UPDATE s.t SET a = :k WHERE n = 1; DROP TABLE s.t", "column 36 of the statement: another statement", "one statement"},
		{Postgres, "UPDATE s.t\nSET a = :k", "line 2, column 1 of the statement: UPDATE without WHERE changes every row", "WHERE name = 'mail'"},
		{Postgres, "UPDATE s.t SET a = (SELECT :k WHERE true)", "UPDATE without WHERE", ""},
		{Postgres, "UPDATE s.t SET a = :k WHERE", "WHERE without a condition", ""},
		{Postgres, "UPDATE t SET a = :k WHERE n = 1", "column 8 of the statement: the table t has no schema", "public.t"},
		{Postgres, "UPDATE a.b.c SET a = :k WHERE n = 1", "too many parts", ""},
		{Postgres, "UPDATE s.t SET a = 1 WHERE n = 1", "it has no parameter", ":name"},
		{Postgres, "UPDATE s.t SET a = $1 WHERE n = 1", "column 20 of the statement: a parameter without a name", ":name"},
		{MySQL, "UPDATE t SET a = ? WHERE n = 1", "column 18 of the statement: a parameter without a name", ":name"},
		{Postgres, "UPDATE s.t SET a = 'x", "column 20 of the statement: a ' without its end", ""},
		{MySQL, `UPDATE t SET a = :k WHERE n = 'it\'s'`, "a ' without its end", ""},
		{Postgres, "UPDATE s.t SET a = $q$x$$", "a $q$ without its end", ""},
		{Postgres, "UPDATE s.t SET a = (:k WHERE n = 1", "a ( without its )", ""},
		{Postgres, "UPDATE s.t SET a = :k) WHERE n = 1", "a ) without its (", ""},
		{Postgres, "UPDATE s.t /* x", "a /* without its */", ""},
		{Postgres, "UPDATE s.t SET a = U&'x' || :k WHERE n = 1", "U& texts", ""},
		{MySQL, "UPDATE t /*! SET a = :k */ WHERE n = 1", "a comment that some servers run", ""},
		{MySQL, "UPDATE t, u SET t.a = :k WHERE n = 1", "expected SET", "UPDATE one table"},
		{MySQL, "UPDATE t JOIN u ON t.n = u.n SET t.a = :k WHERE n = 1", "expected SET", ""},
		{MySQL, "UPDATE IGNORE t SET a = :k WHERE n = 1", "column 8 of the statement: IGNORE would cut values short", ""},
		{MySQL, "UPDATE t SET a = :k WHERE n > 1 ORDER BY n LIMIT 1", "with ORDER, which row changes is up to the server", ""},
		{MySQL, "INSERT IGNORE INTO t (a) VALUES (:k)", "IGNORE hides what goes wrong", ""},
		{MySQL, "REPLACE INTO t (a) VALUES (:k)", "REPLACE deletes rows", "ON DUPLICATE KEY UPDATE"},
		{MySQL, "INSERT INTO t (a) VALUES (:k), (1) ON DUPLICATE KEY UPDATE a = 1", "don't say how many rows", "one row in VALUES"},
		{MySQL, "INSERT INTO t (a) SELECT :k FROM u ON DUPLICATE KEY UPDATE a = 1", "don't say how many rows", ""},
		{MySQL, "MERGE INTO t USING u ON true WHEN MATCHED THEN UPDATE SET a = :k", "MERGE isn't a statement that writes to a row", ""},
		{Postgres, "MERGE INTO s.t USING u ON true WHEN NOT MATCHED THEN INSERT VALUES (:k)", "MERGE without an UPDATE", ""},
		{Postgres, "INSERT INTO s.t (n, a) VALUES (1, :k) ON CONFLICT DO NOTHING", "DO NOTHING leaves an old credential", "DO UPDATE SET"},
		{Postgres, "DELETE FROM s.t", "DELETE without WHERE removes every row", ""},
		{Postgres, "DELETE FROM s.t WHERE a = :k", "DELETE leaves nothing that consumers could read", ""},
		{Postgres, "SELECT s.set_key(:k)", "SELECT changes no row", ""},
		{Postgres, "WITH x AS (SELECT 1) SELECT :k", "SELECT changes no row", ""},
		{Postgres, "WITH x AS (DELETE FROM s.u RETURNING 1) UPDATE s.t SET a = :k WHERE n = 1", "column 12 of the statement: DELETE inside WITH changes rows that nobody counts", ""},
		{Postgres, "ALTER TABLE s.t ADD COLUMN a text", "ALTER isn't a statement that writes to a row", "UPDATE … SET"},
		{Postgres, "TRUNCATE s.t", "TRUNCATE isn't a statement that writes to a row", ""},
		{Postgres, "COMMIT", "COMMIT isn't", ""},
		{Postgres, "CALL s.set_key(:k)", "CALL isn't", ""},
		{Postgres, "DO $$BEGIN END$$", "DO isn't", ""},
	} {
		t.Run(test.text, func(t *testing.T) {
			_, err := ParseWrite(test.d, test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("says %v, want %q", err, test.want)
			}
			if !strings.Contains(hint.Text(err), test.hint) {
				t.Errorf("no hint %q in %s", test.hint, hint.Text(err))
			}
		})
	}
}

func TestQueriesThatChangeSomethingAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"UPDATE s.t SET a = 1":                                        "UPDATE isn't a query",
		"SELECT a INTO u FROM s.t":                                    "column 10 of the statement: a query that writes what it finds elsewhere",
		"WITH x AS (DELETE FROM s.t RETURNING a) SELECT a FROM x":     "column 12 of the statement: a query that changes rows",
		"WITH x AS (SELECT 1) DELETE FROM s.t":                        "a query that changes rows",
		"SELECT a FROM s.t; DROP TABLE s.t":                           "another statement",
		"SELECT a FROM s.t WHERE n = (WITH d AS (INSERT INTO s.t) 1)": "a query that changes rows",
	} {
		if _, err := ParseRead(Postgres, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{"SELECT a FROM s.t WHERE n = 'x' FOR UPDATE", "SELECT :password AS password FROM s.t WHERE hash = crypt(:password, hash)", "WITH x AS (SELECT 1 AS a) SELECT a FROM x"} {
		if _, err := ParseRead(Postgres, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Two statements write the same row if their keys are equal, and a key that isn't
// evident is none.
func TestWhichRowIsWritten(t *testing.T) {
	for _, test := range []struct {
		name      string
		d         Dialect
		one, two  string
		same, any bool
	}{
		{"however it's written", Postgres, "UPDATE s.t SET a = :k WHERE n = 'x' AND m = 1", `update S."t" as q set b = :k where q.M = 1 and q."n" = $$x$$ -- y`, true, true},
		{"another row", Postgres, "UPDATE s.t SET a = :k WHERE n = 'x'", "UPDATE s.t SET a = :k WHERE n = 'X'", false, true},
		{"another column", Postgres, `UPDATE s.t SET a = :k WHERE n = 'x'`, `UPDATE s.t SET a = :k WHERE "N" = 'x'`, false, true},
		{"by an upsert", Postgres, "UPDATE s.t SET a = :k WHERE n = 'x'", "INSERT INTO s.t (a, n) VALUES (:k, 'x') ON CONFLICT (n) DO UPDATE SET a = excluded.a", true, true},
		{"by a longer condition", Postgres, "UPDATE s.t SET a = :k WHERE n = 'x' OR m", "UPDATE s.t SET b = :k WHERE  n='x' or m", true, true},
		{"the credential says which", Postgres, "UPDATE s.t SET a = :k WHERE n = :u", "UPDATE s.t SET a = :k WHERE n = :u", true, false},
		{"the credential says which to insert", Postgres, "INSERT INTO s.t (a, n) VALUES (:k, :u) ON CONFLICT (n) DO UPDATE SET a = excluded.a", "INSERT INTO s.t (a, n) VALUES (:k, :u) ON CONFLICT (n) DO UPDATE SET a = excluded.a", true, false},
		{"columns' case in MariaDB", MySQL, "UPDATE t SET a = :k WHERE N = 'x'", "UPDATE t SET a = :k WHERE `n` = \"x\"", true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			one, two := must(ParseWrite(test.d, test.one)), must(ParseWrite(test.d, test.two))
			if (one.Key == two.Key) != test.same || (one.Key != "") != test.any {
				t.Errorf("keys %q and %q", one.Key, two.Key)
			}
			if one.Table != two.Table {
				t.Errorf("tables %v and %v", one.Table, two.Table)
			}
		})
	}
}

func TestWhatAStatementNeeds(t *testing.T) {
	for _, test := range []struct {
		name          string
		write, read   string
		reads, writes []string
		whole         bool
	}{
		{"columns", "UPDATE s.t SET a = :k, b = now(), c = DEFAULT WHERE n = 'x' AND q = :u", "", []string{"n", "q"}, []string{"a", "b", "c"}, false},
		{"with read", "UPDATE s.t SET a = :k WHERE n = 'x'", "SELECT a AS k, b FROM s.t WHERE m = 1", []string{"a", "b", "m", "n"}, []string{"a"}, false},
		{"a value that reads", "UPDATE s.t SET a = :k, v = v + 1 WHERE n = 'x'", "", nil, []string{"a", "v"}, true},
		{"another condition", "UPDATE s.t SET a = :k WHERE n LIKE 'x%'", "", nil, []string{"a"}, true},
		{"read from elsewhere", "UPDATE s.t SET a = :k WHERE n = 'x'", "SELECT a AS k FROM s.view WHERE n = 'x'", nil, []string{"a"}, true},
		{"read of an expression", "UPDATE s.t SET a = :k WHERE n = 'x'", "SELECT lower(a) AS k FROM s.t WHERE n = 'x'", nil, []string{"a"}, true},
		{"columns in parentheses", "UPDATE s.t SET (a, b) = (:k, 1) WHERE n = 'x'", "", nil, nil, true},
		{"what's returned", "UPDATE s.t SET a = :k WHERE n = 'x' RETURNING m", "", nil, []string{"a"}, true},
		{"an upsert", "INSERT INTO s.t (n, a) VALUES ('x', :k) ON CONFLICT (n) DO UPDATE SET a = :k", "", nil, []string{"a"}, true},
		{"another table", "UPDATE s.t SET a = :k FROM s.u WHERE n = 'x'", "", nil, []string{"a"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := must(ParseWrite(Postgres, test.write))
			var r *Read
			if test.read != "" {
				r = must(ParseRead(Postgres, test.read))
			}
			p := w.Privileges(r)
			if !slices.Equal(p.Reads, test.reads) || !slices.Equal(p.Writes, test.writes) || p.Whole != test.whole {
				t.Errorf("got %+v", p)
			}
		})
	}
}

func TestBeginningsOfValuesAreHidden(t *testing.T) {
	values := map[string]string{"password": "hunter2-hunter2", "short": "abc"}
	for message, want := range map[string]string{
		"Duplicate entry 'hunter2-hunt' for key": "Duplicate entry '[redacted]' for key",
		"invalid \"hunter2-hunter2\"":            "invalid \"[redacted]\"",
		"column abc, hunt":                       "column abc, hunt",
	} {
		if got := Hide(message, values); got != want {
			t.Errorf("%s: %s", message, got)
		}
	}
}

func FuzzStatements(f *testing.F) {
	for _, text := range []string{"UPDATE s.t SET a = :k WHERE n = 'x'", "INSERT INTO t (a) VALUES (:k) ON CONFLICT (n) DO UPDATE SET a = :k", "WITH x AS (SELECT $$:k$$) UPDATE s.t SET a[1:2] = :k::text WHERE n = 1", "SELECT a AS k FROM t WHERE n = 1;", "MERGE INTO s.t USING", "UPDATE `t` SET a = \"x\" /* */ # y"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range []Dialect{Postgres, MySQL} {
			if r, err := ParseRead(d, text); err == nil {
				check(t, r.Statement)
			}
			w, err := ParseWrite(d, text)
			if err != nil {
				continue
			}
			check(t, w.Statement)
			w.Privileges(nil)
			if d == Postgres && w.Table.Schema == "" {
				t.Errorf("%q: a table without a schema", text)
			}
		}
	})
}

// check makes sure that only parameters were replaced.
func check(t *testing.T, s *Statement) {
	t.Helper()
	sql, names := s.SQL()
	for _, name := range names {
		if !slices.Contains(s.Parameters, name) || !parameterName.MatchString(name) && isASCII(name) {
			t.Errorf("%q: parameter %q", s.text, name)
		}
	}
	again, err := lex(s.dialect, s.text)
	if err != nil {
		t.Fatalf("%q can't be read again: %v", s.text, err)
	}
	n := 0
	for _, token := range again {
		if token.kind == parameter {
			n++
		}
	}
	if n != len(names) || len(sql) == 0 {
		t.Errorf("%q: %d parameters of %d", s.text, len(names), n)
	}
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 }) }
