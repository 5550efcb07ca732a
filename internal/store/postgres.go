package store

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/rota-dev/rota"
)

const (
	// postgresReaders bounds one process's read connections.
	postgresReaders = 8
	// postgresCommitters is how many connections of one process write: the
	// server works for one of them while the other waits for this process or
	// the disk.
	postgresCommitters = 2
	// connectTimeout is how long a write waits for an unreachable server, such
	// as one that is restarting.
	connectTimeout = 10 * time.Second
	// statementTimeout limits one statement of the writer. The server ends it
	// earlier, unless the server itself hangs.
	statementTimeout = 40 * time.Second
)

// Settings of all connections, so that nothing waits forever, and of those that
// write. Commits are durable whatever the server's default is.
const (
	sqlReaderSettings = `SET default_transaction_read_only = on; SET lock_timeout = '10s'`
	sqlWriterSettings = `SET lock_timeout = '10s'; SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s';
		SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`
)

// connectPostgres opens the DSN's database and migrates its schema.
func connectPostgres(ctx context.Context, o Options) (_ *database, err error) {
	config, err := parseDSN(o.DSN)
	if err != nil {
		return nil, err
	}
	writers := openPostgres(config, postgresCommitters, sqlWriterSettings)
	c := &timeSource{override: o.Now}
	connection := &postgresConnection{pool: writers, clock: c}
	conn, err := connection.connect(ctx)
	if err != nil {
		return nil, errors.Join(err, writers.Close())
	}
	if err := errors.Join(conn.Close(), migratePostgres(ctx, config, o.ManualMigrations)); err != nil {
		return nil, errors.Join(err, writers.Close())
	}
	d := &database{
		name: serverName(config), connection: connection, clock: c, committers: postgresCommitters, statementTimeout: statementTimeout,
		dialect: dialect{
			array: "json_array_elements(CAST($1 AS json))", forUpdate: " FOR UPDATE",
			snapshot: &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
			isOpen:   "SELECT has_database_privilege('public', current_database(), 'CONNECT')",
		},
		reader: openPostgres(config, postgresReaders, sqlReaderSettings),
	}
	if d.liveness, err = newSession(ctx, config, d.reader); err != nil {
		return nil, errors.Join(err, writers.Close(), d.reader.Close())
	}
	return d, nil
}

// parseDSN parses a DSN. The parser's own errors may quote the password.
func parseDSN(dsn string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errDSN
	}
	withholdPassword(&config.Config)
	if config.ConnectTimeout == 0 || config.ConnectTimeout > connectTimeout {
		config.ConnectTimeout = connectTimeout / 2
	}
	// A server that disappears without closing the connection is noticed within
	// half a minute.
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4}}
	config.DialFunc = dialer.DialContext
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "rota"
	}
	return config, nil
}

var errDSN = rota.WithRemedies(errors.New("the database's URL can't be parsed"), rota.Outside("postgres://user@host:5432/database?sslmode=verify-full"))

// PoolConfig parses a DSN for a pool of other connections to the same database,
// with what all of Rota's connections to it have in common.
func PoolConfig(dsn string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, errDSN
	}
	withholdPassword(&config.ConnConfig.Config)
	return config, nil
}

// withholdPassword has the password never sent in cleartext to a server that may
// be another one, unless the DSN or the environment says how the server may ask
// for it. Over a Unix socket, and with a verified certificate, it's known which
// one it is.
func withholdPassword(c *pgconn.Config) {
	if c.RequireAuth != "" {
		return
	}
	known := knownServer(c.Host, c.TLSConfig)
	for _, other := range c.Fallbacks {
		known = known && knownServer(other.Host, other.TLSConfig)
	}
	if !known {
		c.RequireAuth = "!password"
	}
}

func knownServer(host string, c *tls.Config) bool {
	verified := c != nil && (!c.InsecureSkipVerify || c.VerifyPeerCertificate != nil)
	return verified || filepath.IsAbs(host)
}

// serverName says where the database is, without a password.
func serverName(c *pgx.ConnConfig) string {
	return fmt.Sprintf("postgres %s:%d/%s", c.Host, c.Port, c.Database)
}

// sqlNoTimeouts lifts the limits that the server, the database or the role set by
// default. Each connection then sets those that it needs.
const sqlNoTimeouts = `SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings
	WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout', 'statement_timeout', 'lock_timeout');`

// openPostgres opens a pool of at most conns connections with these settings.
func openPostgres(config *pgx.ConnConfig, conns int, settings string) *sql.DB {
	pool := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.PgConn().Exec(ctx, sqlNoTimeouts+settings).ReadAll()
		return err
	}))
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return pool
}

// connClosed reports whether a PostgreSQL connection is lost. SQLite's never
// is.
func connClosed(conn *sql.Conn) bool {
	lost := false
	err := conn.Raw(func(driver any) error {
		if c, ok := driver.(*stdlib.Conn); ok {
			lost = c.Conn().IsClosed()
		}
		return nil
	})
	return err != nil || lost
}

// migratePostgres migrates under a lock, so that replicas starting at the same
// time do it one after another. It's a session-level lock, because a migration
// has transactions of its own.
func migratePostgres(ctx context.Context, config *pgx.ConnConfig, manual bool) (err error) {
	pool := openPostgres(config, 2, `SET lock_timeout = '5min'`)
	defer func() { err = errors.Join(err, pool.Close()) }()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	number := lockNumber("lock", "migrate")
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, number); err != nil {
		return explain(err)
	}
	if err := migrate(ctx, goose.DialectPostgres, pool, "migrations/postgres", manual); err != nil {
		return explain(err)
	}
	_, err = conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, number)
	return explain(err)
}
