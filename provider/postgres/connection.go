package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
)

// applicationName is how Rota's sessions appear in pg_stat_activity.
const applicationName = "rota"

// defaultTimeout is for callers whose context has no deadline: nothing waits
// forever.
const defaultTimeout = 30 * time.Second

// Fields of a credential besides username and password, so that targets can
// write complete connection URLs.
const (
	FieldHost     = "host"
	FieldPort     = "port"
	FieldDatabase = "dbname"
)

// Connection is one PostgreSQL server and the role Rota logs in as. Creating
// it doesn't touch the network. It keeps a few sessions while they're needed,
// and is safe for concurrent use.
type Connection struct {
	name string
	cfg  Config
	pool *pgxpool.Pool

	noAuthid  atomic.Bool // Rota may not read pg_authid
	noStartup atomic.Bool // the server or a pooler refuses startupSetting
	pairs     sync.Map    // by role, the last pairOf a verifier and its password
}

// New checks the settings and reads the certificates they name. name is the
// connection's, for errors. It doesn't connect.
func New(name string, cfg Config) (*Connection, error) {
	cfg = cfg.withDefaults()
	c := &Connection{name: name, cfg: cfg}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	settings, err := cfg.pool()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	settings.BeforeConnect = func(_ context.Context, one *pgx.ConnConfig) error {
		c.startup(&one.Config)
		return nil
	}
	if c.pool, err = pgxpool.NewWithConfig(context.Background(), settings); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	return c, nil
}

// Close ends Rota's sessions. Call nothing afterwards.
func (c *Connection) Close() { c.pool.Close() }

// Ping logs in as Rota's own role.
func (c *Connection) Ping(ctx context.Context) error {
	_, err := ask(ctx, c, "log in as "+c.cfg.Username, pgx.RowTo[int], "SELECT 1")
	return err
}

func (c *Connection) system() string { return "postgres " + c.name }

// deadline gives the context a deadline if it has none.
func deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, defaultTimeout)
}

// write runs statements that change something as one transaction.
func write(ctx context.Context, conn *pgconn.PgConn, statements string) error {
	_, err := writing(ctx, conn, "", statements)
	return err
}

// writing runs statements that begin a transaction, "" for one of their own, and
// then others that may change something. It returns the results of all.
func writing(ctx context.Context, conn *pgconn.PgConn, begin, statements string) ([]*pgconn.Result, error) {
	results, err := conn.Exec(ctx, begin+writable+limits(ctx, conn)+neutral+statements).ReadAll()
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && len(results) == strings.Count(begin, ";") && e.Code == codeNotSupported {
		e.Code = codeReadOnly
	}
	return results, err
}

// within runs several statements that change nothing as one transaction.
func (c *Connection) within(ctx context.Context, op string, do func(context.Context, pgx.Tx) error) error {
	return c.failed(op, c.transaction(ctx, "BEGIN;", "", do))
}

// change runs several statements as one transaction.
func (c *Connection) change(ctx context.Context, op string, do func(context.Context, pgx.Tx) error) error {
	return c.failed(op, c.transaction(ctx, "BEGIN;"+writable, "", do))
}

// transaction begins with all settings in one round trip: a session that waits
// inside a transaction for the next statement must have them. first begins it, more
// comes after the settings that all transactions have.
func (c *Connection) transaction(ctx context.Context, first, more string, do func(context.Context, pgx.Tx) error) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	return c.fresh(ctx, func(conn *pgxpool.Conn) error {
		begun := false
		begin := first + limits(ctx, conn.Conn().PgConn()) + neutral + more
		err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{BeginQuery: begin}, func(tx pgx.Tx) error {
			begun = true
			return do(ctx, tx)
		})
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && !begun && e.Code == codeNotSupported {
			e.Code = codeReadOnly
		}
		return err
	})
}

// ask runs one query that changes nothing.
func ask[T any](ctx context.Context, c *Connection, op string, to pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	var out []T
	err := c.within(ctx, op, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, to)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// fresh runs do with a session from the pool, and again if that session
// turns out to be dead, or another one was faster.
func (c *Connection) fresh(ctx context.Context, do func(*pgxpool.Conn) error) error {
	restarted := false
	for try := 1; ; try++ {
		conn, err := c.pool.Acquire(ctx)
		if c.refusesStartup(err) {
			continue
		}
		if err != nil {
			return &loginError{err}
		}
		err = do(conn)
		dead, outrun := conn.Conn().IsClosed(), wasOutrun(err)
		if outrun && conn.Conn().PgConn().TxStatus() != 'I' {
			_, _ = conn.Exec(ctx, "ROLLBACK") // or the pool would log in again
		}
		conn.Release()
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case outrun && try < maxOutrun:
		case dead && !restarted:
			restarted = true
			c.pool.Reset()
		default:
			return err
		}
	}
}

// login connects with a rotated credential, not with Rota's own role, and runs
// do. The server must have asked for the password: if pg_hba.conf trusts
// everyone, a login proves nothing.
func (c *Connection) login(ctx context.Context, cred rota.Credential, do func(context.Context, *pgconn.PgConn) error) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	settings := c.pool.Config().ConnConfig.Config.Copy()
	settings.User = cred.Field(rota.FieldUsername)
	settings.Password = cred.Field(rota.FieldPassword)
	methods, err := testableMethods(settings.RequireAuth)
	if err != nil {
		return err
	}
	settings.RequireAuth = strings.Join(methods, ",")
	conn, err := c.open(ctx, settings)
	answer, answered := errors.AsType[*pgconn.PgError](err)
	if prepared := prepare(settings.Password); answered && answer.Code == codeInvalidPassword && prepared != settings.Password {
		// pgx prepares a password slightly differently from PostgreSQL and libpq.
		settings.Password = prepared
		conn, err = c.open(ctx, settings)
	}
	if err != nil {
		return &loginError{err}
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return do(ctx, conn)
}

// serverVersion is the version of the server that a session is on, such as
// 180000 for any 18, or 0 if whatever is in between doesn't say.
func serverVersion(conn *pgconn.PgConn) int {
	text := conn.ParameterStatus("server_version") // 15.18 (Debian 15.18-0+deb12u1), 19devel
	end := strings.IndexFunc(text+".", func(r rune) bool { return r < '0' || r > '9' })
	major, _ := strconv.Atoi(text[:end])
	return major * 10000
}

// loginError marks an error in connecting, as opposed to one in a statement.
type loginError struct{ error }

func (e *loginError) Unwrap() error { return e.error }

func isLogin(err error) bool {
	_, ok := errors.AsType[*loginError](err)
	return ok
}
