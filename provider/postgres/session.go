package postgres

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// limits are statements that make the server itself give up by the context's
// deadline, and on locks a little earlier, so that nothing changes after the
// caller has stopped waiting. No other limit, such as one that the database's
// owner has set, ends the transaction sooner. They apply to one transaction.
func limits(ctx context.Context, conn *pgconn.PgConn) string {
	left := defaultTimeout
	if d, ok := ctx.Deadline(); ok {
		left = max(time.Until(d), time.Millisecond)
	}
	statement := strconv.FormatInt(max(left.Milliseconds(), 1), 10)
	lock := strconv.FormatInt(max(left.Milliseconds()*9/10, 1), 10)
	all := "SET LOCAL statement_timeout = " + statement + "; SET LOCAL lock_timeout = " + lock +
		"; SET LOCAL idle_in_transaction_session_timeout = " + statement + ";"
	if serverVersion(conn) >= transactionTimeoutVersion {
		all += "SET LOCAL transaction_timeout = 0;"
	}
	return all
}

// transactionTimeoutVersion is the first version with transaction_timeout.
const transactionTimeoutVersion = 170000

// Rota's own statements mean the same whatever a database's or a role's settings
// are. These settings apply to one transaction, so that they don't stay behind
// in a pooler's session.
const (
	// neutral: names refer to the server's own functions and operators,
	// whatever is in schema public or in search_path.
	neutral = "SET LOCAL search_path = pg_catalog, pg_temp;"
	// writable lifts default_transaction_read_only. It must come first. A
	// standby refuses it with codeNotSupported.
	writable = "SET LOCAL transaction_read_only = off;"
	// asItself undoes a role's own default for SET ROLE, with which a login
	// couldn't change its own password.
	asItself = "SET LOCAL ROLE NONE;"
)

// startupSetting is the one setting that a session needs before its first
// statement could set it: with a database's default of a millisecond, the server
// ends the session before it has read that statement. Versions before 14 don't
// know it and some poolers take no settings at all, so it's left out once it was
// refused.
const startupSetting = "idle_session_timeout"

func (c *Connection) startup(settings *pgconn.Config) {
	if !c.noStartup.Load() {
		settings.RuntimeParams[startupSetting] = "0"
	}
}

// refusesStartup reports whether a login failed because of the setting, which
// the next one will leave out.
func (c *Connection) refusesStartup(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && strings.Contains(answer.Message, startupSetting) && c.noStartup.CompareAndSwap(false, true)
}

// open logs in with settings of its own.
func (c *Connection) open(ctx context.Context, settings *pgconn.Config) (*pgconn.PgConn, error) {
	c.startup(settings)
	conn, err := pgconn.ConnectConfig(ctx, settings)
	if c.refusesStartup(err) {
		delete(settings.RuntimeParams, startupSetting)
		conn, err = pgconn.ConnectConfig(ctx, settings)
	}
	return conn, err
}

// lockRole has the transaction change nothing about a role, and so keep everyone
// else from changing it until the end: whoever tries waits, and is then outrun.
// That takes the privileges for a real change. An advisory lock would be anyone's
// who may connect.
func lockRole(role string) string { return "ALTER ROLE " + quote(role) + ";" }

// maxOutrun is how often a transaction is repeated because another one was
// faster. Each time, one has been.
const maxOutrun = 100

// wasOutrun reports whether the server gave up a transaction because another one
// changed or created the same role meanwhile. It isn't translated.
func wasOutrun(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (answer.Code == codeInternal && answer.Message == "tuple concurrently updated" ||
		answer.Code == codeUniqueViolation && answer.SchemaName == "pg_catalog")
}
