package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

// lockWait is how long a write waits for another process that is writing.
const lockWait = 10 * time.Second

// openSQLite opens a pool of at most conns connections. WAL lets readers read
// while one writes; synchronous=FULL makes a commit survive a power cut.
func openSQLite(path string, conns int, pragmas ...string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	q := url.Values{"_pragma": append([]string{
		fmt.Sprintf("busy_timeout(%d)", lockWait.Milliseconds()),
		"synchronous(FULL)", "foreign_keys(1)", "secure_delete(1)", "trusted_schema(0)",
	}, pragmas...)}
	dsn := url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: q.Encode()}
	pool, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return pool, nil
}

// migrate brings the database's tables up to this program's. Two processes may
// start at once: the one that comes second fails on tables that the first has
// just made, looks again and finds nothing left to do.
func migrate(ctx context.Context, path string) error {
	pool, err := openSQLite(path, 1, "journal_mode(WAL)")
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	for attempt := 1; ; attempt++ {
		err := migrateOnce(ctx, pool)
		if err == nil || attempt == 10 || errors.Is(err, errNewer) || !retryable(err) {
			return explain(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(attempt) * 50 * time.Millisecond):
		}
	}
}

var errNewer = errors.New("the database was made by a newer version of Rota")

func migrateOnce(ctx context.Context, pool *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, pool, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	have, want, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return fmt.Errorf("%w: its tables are number %d, this program knows %d (try: install the newer version)", errNewer, have, want)
	}
	_, err = provider.Up(ctx)
	return err
}

// code is SQLite's primary result code, 0 where err is none of SQLite's.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// retryable tells what a race between two starting processes gives.
func retryable(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_SCHEMA:
		return true
	}
	return false
}

// explain adds what a person can do to SQLite's errors.
func explain(err error) error {
	var hint string
	switch code(err) {
	case sqlite3.SQLITE_FULL:
		hint = "the disk is full: free some space"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		hint = "let this user write to the data folder and the files in it"
	case sqlite3.SQLITE_IOERR:
		hint = "look for a full or failing disk"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		hint = "the database is damaged: restore a backup"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		hint = "another process is writing: try again later"
	default:
		return err
	}
	return fmt.Errorf("%w (try: %s)", err, hint)
}

// micros is a time as the database holds it, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the reverse of micros, in UTC.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
