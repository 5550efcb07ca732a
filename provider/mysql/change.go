package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota"
)

// change reads an account (nil if there is none) and alters it as decided, by one
// statement for each clause; without any, it's left alone. It never alters an
// account that isn't the secret's.
func (a *accounts) change(ctx context.Context, op, user string, decide func(*state) ([]string, error), used ...rota.Credential) error {
	one, err := a.named(op, user)
	if err != nil {
		return err
	}
	err = a.conn.within(ctx, op, func(ctx context.Context, conn *sql.Conn) error {
		if err := limit(ctx, conn); err != nil { // ahead, so that nothing comes between the look and the change
			return err
		}
		found, err := readStates(ctx, conn, []account{one})
		if err != nil {
			return err
		}
		var now *state
		if i := slices.IndexFunc(found, func(s state) bool { return s.account == one }); i >= 0 {
			now = &found[i]
		}
		clauses, err := decide(now)
		if err != nil {
			return err
		}
		for _, clause := range clauses {
			_, err := conn.ExecContext(ctx, "ALTER USER "+one.String()+" "+clause)
			if code(err) == codeCannotUser {
				err = reason(ctx, conn, err)
			}
			if err != nil {
				return a.conn.failed(op, err, used...)
			}
		}
		return unlimit(ctx, conn)
	})
	return err
}

// limited runs a statement that the server itself gives up before the caller stops
// waiting for the answer, so that nothing changes afterwards. The limit is the
// session's, because one in the statement would go on to the replicas with it.
// Waiting for a lock counts: lock_wait_timeout doesn't apply to all of them.
func limited(ctx context.Context, conn *sql.Conn, statement string) error {
	if err := limit(ctx, conn); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, statement); err != nil {
		return err
	}
	return unlimit(ctx, conn)
}

// unlimit takes the limit off again, for the session's next user.
func unlimit(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SET SESSION lock_wait_timeout = 10 /*M!, max_statement_time = 0 */")
	return err
}

// limit has the server give up each of a session's statements before the caller
// stops waiting. MySQL limits only what waits for a lock, to whole seconds.
func limit(ctx context.Context, conn *sql.Conn) error {
	left := defaultTimeout
	if end, ok := ctx.Deadline(); ok {
		left = time.Until(end)
	}
	seconds := max(left.Seconds()*0.9, 0.001)
	_, err := conn.ExecContext(ctx, fmt.Sprintf("SET SESSION lock_wait_timeout = %d /*M!, max_statement_time = %.3f */", max(int(seconds), 1), seconds))
	return err
}

// reason finds out why an account can't be altered: the error's code is the same
// for an account that isn't there and a password that's rejected.
func reason(ctx context.Context, conn *sql.Conn, err error) error {
	found, askErr := rows(ctx, conn, "SHOW WARNINGS")
	if askErr != nil {
		return err
	}
	for _, r := range found {
		n, _ := strconv.ParseUint(r["Code"], 10, 16)
		if n == codeInvalidPassword || n == codeOptionPrevents {
			return &driver.MySQLError{Number: uint16(n), Message: r["Message"]}
		}
	}
	return err
}
