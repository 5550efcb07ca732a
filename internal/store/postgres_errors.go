package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rota-dev/rota"
)

// errRolledBack is a transaction that the server undid when the connection to it
// was lost. It is tried again.
var errRolledBack = &rota.Error{Class: rota.ClassWait, Err: errors.New("the connection was lost, and nothing was written"), Hint: "try again"}

// pgCode is PostgreSQL's code of an error, "" where it is none of
// PostgreSQL's.
func pgCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// isRetryable tells whether the database threw a transaction out for the sake of
// another, so that it may well succeed now. SQLite never does.
func isRetryable(err error) bool {
	switch pgCode(err) {
	case "40001", "40P01": // serialization failure, deadlock
		return true
	}
	return errors.Is(err, errRolledBack)
}

// isTransient tells whether a server that could not be reached may be reached
// later without anybody's doing.
func isTransient(err error) bool {
	c := pgCode(err)
	switch {
	case c == "":
		return !errors.Is(err, context.Canceled)
	case strings.HasPrefix(c, "57P"), strings.HasPrefix(c, "08"), c == "53300":
		return true // shut down or starting, connection trouble, too many connections
	}
	return false
}

// explain adds what a person can do to the database's errors, and classes
// those that pass.
func explain(err error) error {
	if err == nil || sqliteCode(err) != 0 {
		return explainSQLite(err)
	}
	if e, ok := errors.AsType[*rota.Error](err); ok && e != nil {
		return err
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok && pgCode(err) == "" {
		return transient(err, "see that the server runs and can be reached from here")
	}
	c := pgCode(err)
	switch {
	case c == "":
		if pgconn.Timeout(err) || pgconn.SafeToRetry(err) {
			return transient(err, "see that the server runs and can be reached from here")
		}
		return err
	case strings.HasPrefix(c, "28"):
		return fmt.Errorf("%w (try: another user or password in the database's address)", err)
	case c == "3D000":
		return fmt.Errorf("%w (try: createdb)", err)
	case c == "42501":
		return fmt.Errorf("%w (try: let a role that may make tables run rota migrate, and grant this one SELECT, INSERT, UPDATE and DELETE)", err)
	case c == "25006":
		return transient(err, "the address of the primary, or target_session_attrs=read-write: this server is a standby")
	case c == "53100":
		return transient(err, "free some space on the database's disk")
	case c == "55P03":
		return transient(err, "another replica is writing to the same secret: try again later")
	case c == "53300":
		return transient(err, "a higher max_connections, or fewer replicas")
	case strings.HasPrefix(c, "57"), strings.HasPrefix(c, "08"), c == "40001", c == "40P01":
		return transient(err, "again in a moment")
	}
	return err
}

func transient(err error, hint string) error {
	return &rota.Error{Class: rota.ClassWait, Err: err, Hint: hint}
}
