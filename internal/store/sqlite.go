package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/rota-dev/rota"
)

// busyTimeout is how long a write waits for another process that's writing.
const busyTimeout = 10 * time.Second

// readers bounds the read connections. Each has a cache of its own.
const readers = 4

// SQL that only SQLite understands.
const (
	sqlBeginImmediate = `BEGIN IMMEDIATE`
	sqlVacuumInto     = `VACUUM INTO $1`
	sqlIntegrityCheck = `PRAGMA integrity_check`
)

// connectSQLite opens the database in a data folder, creating both on first
// use, and migrates its schema.
func connectSQLite(ctx context.Context, o Options) (_ *database, err error) {
	path := filepath.Join(o.Dir, databaseFile)
	if err := prepareFiles(o.Dir, o.Volume, path); err != nil {
		return nil, err
	}
	if err := migrateSQLite(ctx, path, o.ManualMigrations); err != nil {
		return nil, err
	}
	d := &database{name: o.Dir, path: path, dialect: dialect{array: "json_each($1)"}, clock: &timeSource{override: o.Now}}
	d.reserve.path = filepath.Join(o.Dir, reserveFile)
	if d.liveness, err = newInstance(o.Dir); err != nil {
		return nil, err
	}
	if d.reader, err = openSQLite(path, readers, "query_only(1)"); err != nil {
		return nil, errors.Join(err, d.liveness.close())
	}
	connection, err := newSQLiteConnection(path, d.clock)
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	d.connection = connection
	return d, nil
}

// openSQLite opens a pool of at most conns connections. WAL lets readers read
// during a write; synchronous=FULL makes commits survive a power failure.
func openSQLite(path string, conns int, pragmas ...string) (*sql.DB, error) {
	thriftySQLite()
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	q := url.Values{"_pragma": append([]string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
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

// sqliteConnection writes to a file. Its only lock is the database's own, which
// a transaction holds from the start.
type sqliteConnection struct {
	pool  *sql.DB
	path  string
	file  fs.FileInfo // what was opened there
	clock *timeSource
	stmts map[string]*sql.Stmt // prepared on the single connection
}

func newSQLiteConnection(path string, c *timeSource) (*sqliteConnection, error) {
	pool, err := openSQLite(path, 1)
	if err != nil {
		return nil, err
	}
	return &sqliteConnection{pool: pool, path: path, clock: c, stmts: map[string]*sql.Stmt{}}, nil
}

func (c *sqliteConnection) connect(ctx context.Context) (*sql.Conn, error) {
	c.closeStatements()
	conn, err := c.pool.Conn(ctx)
	if err != nil {
		return nil, explain(err)
	}
	if c.file == nil {
		c.file, err = os.Stat(c.path)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// checkFile refuses to write to a file that isn't in the folder any more, because
// someone put another one in its place. Nobody else would ever see what was written,
// and whoever has opened the other file doesn't see this process's leases.
func (c *sqliteConnection) checkFile() error {
	there, err := os.Stat(c.path)
	if err == nil && os.SameFile(there, c.file) {
		return nil
	}
	return &dbError{rota.WithRemedies(fmt.Errorf("%s was replaced or removed while this process had it open", c.path),
		rota.Outside("restart the daemon; next time, stop it before you restore a backup"))}
}

// closeStatements closes the statements prepared on the connection.
func (c *sqliteConnection) closeStatements() {
	for _, stmt := range c.stmts {
		_ = stmt.Close()
	}
	clear(c.stmts)
}

func (c *sqliteConnection) begin(t *tx, _ string) error {
	if err := c.checkFile(); err != nil {
		return err
	}
	if _, err := t.exec(sqlBeginImmediate); err != nil {
		return err
	}
	t.now = c.clock.now() // after waiting for the lock
	return nil
}

func (c *sqliteConnection) tryLocks(_ *tx, locks []string) ([]bool, error) {
	return slices.Repeat([]bool{true}, len(locks)), nil
}

func (c *sqliteConnection) run(ctx context.Context, conn *sql.Conn, all []*statement) error {
	for _, s := range all {
		if err := c.one(ctx, conn, s); err != nil {
			return err
		}
	}
	return nil
}

func (c *sqliteConnection) one(ctx context.Context, conn *sql.Conn, s *statement) (err error) {
	if s.scan != nil {
		return c.query(ctx, conn, s)
	}
	s.changed, err = c.exec(ctx, conn, s)
	return err
}

func (c *sqliteConnection) prepare(ctx context.Context, conn *sql.Conn, query string) (*sql.Stmt, error) {
	if stmt, ok := c.stmts[query]; ok {
		return stmt, nil
	}
	stmt, err := conn.PrepareContext(ctx, positional(query))
	if err == nil {
		c.stmts[query] = stmt
	}
	return stmt, err
}

var parameter = regexp.MustCompile(`\$[0-9]+`)

// positional replaces $1, $2 and so on with question marks, if each is there once
// and in that order. The driver compares a parameter that has a name with the
// number of every value, which took a quarter of the time to insert 64 rows.
func positional(query string) string {
	n, inOrder := 0, true
	replaced := parameter.ReplaceAllStringFunc(query, func(name string) string {
		n++
		inOrder = inOrder && name == "$"+strconv.Itoa(n)
		return "?"
	})
	if !inOrder {
		return query
	}
	return replaced
}

func (c *sqliteConnection) exec(ctx context.Context, conn *sql.Conn, s *statement) (int64, error) {
	stmt, err := c.prepare(ctx, conn, s.query) //nolint:sqlclosecheck // it is kept for the next call
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(ctx, s.args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c *sqliteConnection) query(ctx context.Context, conn *sql.Conn, s *statement) error {
	stmt, err := c.prepare(ctx, conn, s.query) //nolint:sqlclosecheck // it is kept for the next call
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, s.args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := s.scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (c *sqliteConnection) lockShared(*tx, string) error { return nil }

// resolveCommit is never called: a COMMIT in this process always returns.
func (c *sqliteConnection) resolveCommit(context.Context, *tx) error { return ErrUnknown }

func (c *sqliteConnection) close() error {
	c.closeStatements()
	return c.pool.Close()
}

// migrateSQLite migrates the schema. Two processes may start at once: the
// slower one fails on tables that the faster one has just created, retries, and
// finds nothing left to do.
func migrateSQLite(ctx context.Context, path string, manual bool) error {
	pool, err := openSQLite(path, 1, "journal_mode(WAL)")
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	for attempt := 1; ; attempt++ {
		err := migrate(ctx, goose.DialectSQLite3, pool, "migrations/sqlite", manual)
		if err == nil || attempt == 10 || errors.Is(err, errNewer) || !isMigrationRace(err) {
			return explain(err)
		}
		if err := rota.Sleep(ctx, time.Duration(attempt)*50*time.Millisecond); err != nil {
			return err
		}
	}
}

// sqliteCode is SQLite's primary result code, 0 if err isn't one of SQLite's.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// isMigrationRace reports whether two processes starting at once can cause this
// error.
func isMigrationRace(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_SCHEMA:
		return true
	}
	return false
}

// explainSQLite adds what a person can do to SQLite's errors.
func explainSQLite(err error) error {
	var hint string
	switch sqliteCode(err) {
	case sqlite3.SQLITE_FULL:
		hint = "the disk is full: free some space"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		hint = "make the data folder and its files writable for this user"
	case sqlite3.SQLITE_IOERR:
		hint = "check for a full or failing disk"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		hint = "the database is damaged: restore a backup"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		hint = "another process is writing: try again later"
	default:
		return err
	}
	return rota.WithRemedies(err, rota.Outside(hint))
}
