package mysql

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	mysql "github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota"
)

// defaultTimeout is for callers whose context has no deadline: nothing waits
// forever.
const defaultTimeout = 30 * time.Second

// Fields of a credential besides username and password, so that targets can
// write complete connection URLs.
const (
	FieldHost = "host"
	FieldPort = "port"
)

// Connection is one MariaDB or MySQL server and the account Rota logs in as. Creating it
// doesn't touch the network. It keeps a few sessions while they're needed, and is
// safe for concurrent use.
type Connection struct {
	name string
	cfg  Config
	tls  *tls.Config
	db   *sql.DB
	rows *sql.DB // for users' statements, in the connection's database
}

// New checks the settings and reads the certificates they name. name is the
// connection's, for errors. It doesn't connect.
func New(name string, cfg Config) (*Connection, error) {
	c := &Connection{name: name, cfg: cfg.withDefaults()}
	if err := c.cfg.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	var err error
	if c.tls, err = c.cfg.tls(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	settings := c.cfg.login(c.cfg.Username, c.cfg.Password, c.tls)
	if c.db, err = c.open(settings, neutral); err != nil {
		return nil, err
	}
	forRows := settings.Clone()
	forRows.DBName, forRows.ClientFoundRows = c.cfg.Database, true
	c.rows, err = c.open(forRows, pinned)
	return c, err
}

// open makes a pool of sessions that begin with setup.
func (c *Connection) open(settings *mysql.Config, setup []string) (*sql.DB, error) {
	connect, err := mysql.NewConnector(settings)
	if err != nil {
		return nil, fmt.Errorf("%s: connection settings: %w", c.system(), err)
	}
	db := sql.OpenDB(&connector{Connector: connect, setup: setup, timeout: c.cfg.ConnectTimeout})
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	db.SetConnMaxIdleTime(time.Minute)
	return db, nil
}

// Close ends Rota's sessions. Call nothing afterwards.
func (c *Connection) Close() {
	_ = c.db.Close()
	_ = c.rows.Close()
}

func (c *Connection) system() string { return "mysql " + c.name }

// deadline gives the context a deadline if it has none.
func deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, defaultTimeout)
}

// within runs statements in one of Rota's own sessions.
func (c *Connection) within(ctx context.Context, op string, do func(context.Context, *sql.Conn) error) error {
	return c.failed(op, inSession(ctx, c.db, do))
}

// inSession runs statements in one session of a pool.
func inSession(ctx context.Context, pool *sql.DB, do func(context.Context, *sql.Conn) error) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	err = do(ctx, conn)
	if err != nil {
		// The pool drops it, with whatever limits it has by now.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return err
}

// row is one row of a result, by the names of its columns. NULL is "".
type row map[string]string

// rows runs a query.
func rows(ctx context.Context, conn *sql.Conn, query string) ([]row, error) {
	result, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = result.Close() }()
	names, err := result.Columns()
	if err != nil {
		return nil, err
	}
	var all []row
	for result.Next() {
		values := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := result.Scan(into...); err != nil {
			return nil, err
		}
		one := row{}
		for i, name := range names {
			one[name] = values[i].String
		}
		all = append(all, one)
	}
	return all, result.Err()
}

// ask runs one query in one of Rota's own sessions.
func (c *Connection) ask(ctx context.Context, op, query string) (found []row, err error) {
	err = c.within(ctx, op, func(ctx context.Context, conn *sql.Conn) error {
		var err error
		found, err = rows(ctx, conn, query)
		return err
	})
	return found, err
}

// login connects with a rotated credential, not as Rota's own account, and runs
// do. Each session begins with setup; without any, it's as a consumer's.
func (c *Connection) login(ctx context.Context, cred rota.Credential, database string, setup []string, do func(context.Context, *sql.Conn) error) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	settings := c.cfg.login(cred.Field(rota.FieldUsername), cred.Field(rota.FieldPassword), c.tls)
	settings.DBName = database
	connect, err := mysql.NewConnector(settings)
	if err != nil {
		return err
	}
	db := sql.OpenDB(&connector{Connector: connect, setup: setup, timeout: c.cfg.ConnectTimeout})
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return do(ctx, conn)
}
