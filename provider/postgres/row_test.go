package postgres

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/provider/sqlrow"
)

// keysTable makes a table of API keys with the row mail and a role that may do what
// rota policy prints for it, and returns both names.
func keysTable(t testing.TB, s *testenv.PostgresServer) (table, login string) {
	t.Helper()
	table, login = unique("api_keys"), unique("settings")
	s.Exec(t, "CREATE TABLE public."+table+" (name text PRIMARY KEY, key_id text, secret text, changes int NOT NULL DEFAULT 0)",
		"CREATE FUNCTION public.count_"+table+"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.changes := OLD.changes + 1; RETURN NEW; END'",
		"CREATE TRIGGER changes BEFORE UPDATE ON public."+table+" FOR EACH ROW EXECUTE FUNCTION public.count_"+table+"()",
		"INSERT INTO public."+table+" (name) VALUES ('mail'), ('sms')",
		"CREATE ROLE "+login+" LOGIN PASSWORD '"+must(verifier(adminPassword))+"'", "ALTER ROLE "+login+" SET log_parameter_max_length = 0")
	return table, login
}

func loginConfig(s *testenv.PostgresServer, login string) Config {
	return Config{Host: s.Host, Port: s.Port, Username: login, Password: adminPassword}
}

const readMail = "SELECT key_id AS access_key_id, secret AS secret_access_key FROM public.TABLE WHERE name = 'mail'"

// rowOf parses statements in which TABLE is the table.
func rowOf(t testing.TB, table, write, read string) *sqlrow.Row {
	t.Helper()
	r := &sqlrow.Row{Write: must(sqlrow.ParseWrite(sqlrow.Postgres, strings.ReplaceAll(write, "TABLE", table)))}
	if read != "" {
		r.Read = must(sqlrow.ParseRead(sqlrow.Postgres, strings.ReplaceAll(read, "TABLE", table)))
	}
	return r
}

// permit grants what the target asks for.
func permit(t testing.TB, s *testenv.PostgresServer, target rota.Target) {
	t.Helper()
	for _, p := range target.(*row).Permissions() {
		s.Exec(t, p.Detail.(string))
	}
}

const updateMail = "UPDATE public.TABLE SET key_id = :access_key_id, secret = :secret_access_key WHERE name = 'mail'"

// The ways to write a row, and the query that shows what's there.
var ways = []struct{ name, write, read string }{
	{"an update with read", updateMail, readMail},
	{"an update without read", updateMail, ""},
	{"an upsert", "INSERT INTO public.TABLE (name, key_id, secret) VALUES ('mail', :access_key_id, :secret_access_key) ON CONFLICT (name) DO UPDATE SET key_id = excluded.key_id, secret = excluded.secret", readMail},
	{"a merge", "MERGE INTO public.TABLE AS t USING (VALUES ('mail')) AS v (name) ON t.name = v.name WHEN MATCHED THEN UPDATE SET key_id = :access_key_id, secret = :secret_access_key", readMail},
	{"an insert of a new row each time", "INSERT INTO public.TABLE (name, key_id, secret) VALUES ('mail ' || gen_random_uuid(), :access_key_id, :secret_access_key)",
		"SELECT key_id AS access_key_id, secret AS secret_access_key FROM public.TABLE WHERE name LIKE 'mail %' ORDER BY xmin::text::bigint DESC, changes LIMIT 1"},
}

// storedKey is what a consumer reads.
func storedKey(t testing.TB, s *testenv.PostgresServer, sql string) (rota.Credential, bool) {
	t.Helper()
	c := superuser(t, s)
	defer c.Close()
	rows, err := ask(context.Background(), c, "read", func(row pgx.CollectableRow) (out [2]*string, err error) {
		return out, row.Scan(&out[0], &out[1])
	}, sql)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 || rows[0][0] == nil {
		return rota.Credential{}, false
	}
	return rota.NewCredential(map[string]string{rota.FieldAccessKeyID: *rows[0][0], rota.FieldSecretAccessKey: *rows[0][1]}), true
}

func TestRowsKeepTheContract(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
				s := shared.Get(t)
				table, login := keysTable(t, s)
				c, p := through(t, s, loginConfig(s, login))
				target := c.Row("settings", rowOf(t, table, way.write, way.read))
				permit(t, s, target)
				read := way.read
				if read == "" {
					read = readMail
				}
				read = strings.ReplaceAll(read, "TABLE", table)
				f := providertest.TargetFixture{
					Target: target, Inject: p.inject,
					Read: func() (rota.Credential, bool, error) { c, ok := storedKey(t, s, read); return c, ok, nil },
				}
				if way.read != "" {
					f.Writes = func() int { return written(t, s, table) }
				}
				return f
			})
		})
	}
}

// written is how often rows of the table were written.
func written(t testing.TB, s *testenv.PostgresServer, table string) int {
	t.Helper()
	c := superuser(t, s)
	defer c.Close()
	return must(ask(context.Background(), c, "count", func(row pgx.CollectableRow) (n int, err error) { return n, row.Scan(&n) },
		"SELECT (sum(changes) + count(*))::int FROM public."+table))[0]
}
