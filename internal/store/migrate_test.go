package store

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"
)

// migrateTo creates a store's database as an older program left it.
func migrateTo(t *testing.T, dir string, version int64) *sql.DB {
	t.Helper()
	must(t, prepareFolder(dir, ""))
	dialect, folder := goose.DialectSQLite3, "migrations/sqlite"
	var pool *sql.DB
	if o := options(dir, nil); o.DSN != "" {
		dialect, folder = goose.DialectPostgres, "migrations/postgres"
		config, err := parseDSN(o.DSN)
		must(t, err)
		pool = openPostgres(config, 1, `SELECT 1`)
	} else {
		path := filepath.Join(dir, databaseFile)
		must(t, prepareFiles(dir, "", path))
		var err error
		pool, err = openSQLite(path, 1)
		must(t, err)
	}
	files, err := fs.Sub(migrations, folder)
	must(t, err)
	provider, err := goose.NewProvider(dialect, pool, files, goose.WithDisableGlobalRegistry(true))
	must(t, err)
	_, err = provider.UpTo(t.Context(), version)
	must(t, err)
	return pool
}

func TestUnsentEventsOfAnOlderDatabaseAreStillKnown(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		pool := migrateTo(t, dir, 9)
		for name, progress := range map[string]string{
			"none":   `{}`,
			"quoted": `{"status":{"reason":"no event: \"unsent\":[{"}}`,
			"two":    `{"unsent":[{"notifier":"ops","event":{}},{"notifier":"dev","event":{}}]}`,
		} {
			_, err := pool.ExecContext(t.Context(), `INSERT INTO progress (secret, fence, holder, expires_at, enrolled, progress) VALUES ($1, 1, '', 0, 1, $2)`, name, progress)
			must(t, err)
		}
		must(t, pool.Close())
		db := openAt(t, dir, nil)
		all, err := db.Overview().Enrolled(t.Context(), "", 10)
		must(t, err)
		got := map[string]bool{}
		for _, s := range all {
			got[s.Name] = s.Unsent
		}
		if diff := cmp.Diff(map[string]bool{"none": false, "quoted": false, "two": true}, got); diff != "" {
			t.Errorf("unsent (-want +got):\n%s", diff)
		}
	})
}
