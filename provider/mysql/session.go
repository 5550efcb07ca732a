package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

// neutral makes Rota's own statements mean the same whatever the server's or the
// account's defaults are, and limits how long they wait for locks. With
// NO_BACKSLASH_ESCAPES, a quote is all that a literal has to double. What /*M! has is
// MariaDB's alone; to MySQL it's a comment. MySQL has no slow_query_log for a session,
// but there no statement is slow that takes less than a year.
var neutral = []string{
	"SET NAMES utf8mb4",
	"SET SESSION TRANSACTION READ WRITE",
	"SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES', autocommit = 1, lock_wait_timeout = 10, sql_select_limit = 18446744073709551615," +
		" sql_quote_show_create = 1, long_query_time = 31536000 /*M!, max_statement_time = 0, slow_query_log = 0 */",
}

// pinned is how sessions for users' statements begin: no default of the server's or
// the account's changes what one means, or has a value cut short without an error.
var pinned = []string{
	"SET NAMES utf8mb4",
	"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE", // statement-based binary logs take no weaker one
	"SET SESSION sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'," +
		" autocommit = 1, lock_wait_timeout = 10, innodb_lock_wait_timeout = 10, sql_select_limit = 18446744073709551615," +
		" foreign_key_checks = 1, unique_checks = 1, sql_safe_updates = 0, sql_big_selects = 1, sql_auto_is_null = 0," +
		" time_zone = '+00:00', long_query_time = 31536000 /*M!, max_statement_time = 0, check_constraint_checks = 1, slow_query_log = 0 */",
}

// connector logs in, and breaks off a login in which the server asks for more
// than a proof of the password.
type connector struct {
	driver.Connector
	setup   []string      // what each session begins with
	timeout time.Duration // for one login, to the end of setup
}

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := c.login(ctx)
	for try := 1; errors.Is(err, mysql.ErrMalformPkt) && try < maxTries && ctx.Err() == nil; try++ {
		conn, err = c.login(ctx)
	}
	if err != nil {
		return nil, &loginError{err}
	}
	for _, statement := range c.setup {
		if _, err := conn.(driver.ExecerContext).ExecContext(ctx, statement, nil); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("begin the session: %w", err)
		}
	}
	return conn, nil
}

// maxTries is how often a login is tried if the driver can't read what the server
// asks. One in 256 of ed25519's random challenges ends with a zero byte, which the
// driver takes for the end of a text.
const maxTries = 5

// login logs in once.
func (c *connector) login(ctx context.Context) (driver.Conn, error) {
	var asked atomic.Bool
	conn, err := c.Connector.Connect(context.WithValue(ctx, askedKey{}, &asked))
	if asked.Load() {
		return nil, errAskedForPassword
	}
	return conn, err
}

// loginError marks an error in connecting, as opposed to one in a statement.
type loginError struct{ error }

func (e *loginError) Unwrap() error { return e.error }

func isLogin(err error) bool {
	_, ok := errors.AsType[*loginError](err)
	return ok
}

// errAskedForPassword is a login that was broken off: the server offered a key of
// its own, which nobody vouches for, to encrypt the password itself with.
var errAskedForPassword = errors.New("the server asks for the password itself, and it wasn't sent")

type askedKey struct{}

// dial connects, and watches what is sent where it isn't encrypted.
func (c Config) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.Reach.Dialer(0).DialContext(ctx, network, address)
	asked, watched := ctx.Value(askedKey{}).(*atomic.Bool)
	tcp, ok := conn.(*net.TCPConn)
	if err != nil || !watched || !ok {
		return conn, err
	}
	return &guard{TCPConn: tcp, asked: asked}, nil
}

// guard is a connection that doesn't carry an encrypted password. Where nothing
// else encrypts, the driver would take any key that whoever answers sends.
type guard struct {
	*net.TCPConn
	asked *atomic.Bool
}

// longestProof is the length of the longest answer that proves a password without
// giving it away, ed25519's, with its packet's header. A password encrypted with
// the shortest key that Go takes, of 1024 bits, is twice as long.
const longestProof = 4 + 64

func (g *guard) Write(b []byte) (int, error) {
	// A packet begins with its length in three bytes and its number. Number 0
	// begins a command, 1 answers the server's greeting; records of TLS begin with
	// 22 or 23 and a version, whose fourth byte is never beyond 4.
	encrypted := len(b) > 2 && b[0] >= 20 && b[0] <= 23 && b[1] == 3
	if !encrypted && len(b) > longestProof && b[3] > 1 {
		g.asked.Store(true)
		return 0, errAskedForPassword
	}
	return g.TCPConn.Write(b)
}
