package store

import (
	"database/sql"
	"fmt"
	"testing"
)

func TestTimeoutsOfTheDatabaseEndNothing(t *testing.T) {
	dir := newPostgresDir(t)
	for _, name := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout"} {
		if name == "transaction_timeout" && server.Get(t).Version(t) < 170000 {
			continue
		}
		// Long enough for a session to set its own.
		server.Get(t).Exec(t, fmt.Sprintf("ALTER DATABASE %q SET %s = '2s'", databaseOf(t, dir), name))
	}
	db := openAt(t, dir, nil)
	config, err := parseDSN(options(dir, nil).DSN)
	must(t, err)
	writers := openPostgres(config, 1, sqlWriterSettings) // the store's own are all taken
	defer func() { must(t, writers.Close()) }()
	for name, pool := range map[string]*sql.DB{"readers": db.reader, "writers": writers} {
		var left string
		must(t, pool.QueryRowContext(t.Context(), `SELECT coalesce(string_agg(name, ' '), '') FROM pg_settings WHERE name LIKE '%_timeout' AND setting = '2000'`).Scan(&left))
		if left != "" {
			t.Errorf("%s keep the database's %s", name, left)
		}
	}
}
