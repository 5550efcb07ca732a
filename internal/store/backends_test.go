package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// onBoth runs a test on SQLite and on PostgreSQL. newDir returns the data
// folder of a new store.
func onBoth(t *testing.T, run func(t *testing.T, newDir func(testing.TB) string)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { run(t, newDir) })
	t.Run("PostgreSQL", func(t *testing.T) { run(t, newPostgresDir) })
}

func newDir(t testing.TB) string { return filepath.Join(t.TempDir(), "data") }

// dirAt is the data folder of a store in that database. The URL is stored next
// to the folder, where options and other processes find it.
func dirAt(t testing.TB, dsn string) string {
	t.Helper()
	dir := newDir(t)
	must(t, os.WriteFile(dir+".dsn", []byte(dsn), 0o600))
	return dir
}

// options open the store with that data folder.
func options(dir string, now func() time.Time) Options {
	dsn, _ := os.ReadFile(dir + ".dsn") // there is none for SQLite
	return Options{Dir: dir, DSN: string(dsn), Now: now}
}

func isPostgres(dir string) bool { return options(dir, nil).DSN != "" }

// inWordsOf translates a test's statement from SQLite's dialect to the store's.
func inWordsOf(db *DB, statement string) string {
	if _, ok := db.connection.(*postgresConnection); !ok {
		return statement
	}
	return postgresWords.Replace(statement)
}

var postgresWords = strings.NewReplacer(
	"DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_update ON audit", "EXISTS audit_no_update", "EXISTS audit_no_update ON audit",
	"DROP TRIGGER audit_no_delete", "DROP TRIGGER audit_no_delete ON audit", "EXISTS audit_no_delete", "EXISTS audit_no_delete ON audit",
	"DROP TRIGGER audit_in_order", "DROP TRIGGER audit_in_order ON audit", "EXISTS audit_in_order", "EXISTS audit_in_order ON audit",
	"zeroblob(0)", `decode('', 'hex')`, "zeroblob(32)", `decode(repeat('00', 32), 'hex')`,
	"zeroblob(length(mac))", `decode(repeat('00', length(mac)), 'hex')`,
	"x'0102'", `decode('0102', 'hex')`, "x'00'", `decode('00', 'hex')`, " AS BLOB", " AS BYTEA",
	"INSERT OR REPLACE INTO audit (seq, entry, hash) VALUES (2, '{}', x'00')",
	`INSERT INTO audit (seq, entry, hash) VALUES (2, '{}', '') ON CONFLICT (seq) DO UPDATE SET entry = excluded.entry`,
)
