package store

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rota-dev/rota"
)

// errRolledBack is a transaction that the server rolled back when its
// connection was lost. It is retried.
var errRolledBack = &rota.Error{Class: rota.ClassWait, Err: errors.New("the connection was lost, and nothing was written"), Remedies: rota.Outside("try again")}

// pgCode is an error's PostgreSQL code, "" if it isn't PostgreSQL's.
func pgCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// isRetryable reports whether the database aborted a transaction in favor of
// another, so that a retry may well succeed. SQLite never does that.
func isRetryable(err error) bool {
	switch pgCode(err) {
	case "40001", "40P01": // serialization failure, deadlock
		return true
	}
	return errors.Is(err, errRolledBack)
}

// isTransient reports whether an unreachable server may become reachable
// without anyone doing anything.
func isTransient(err error) bool {
	c := pgCode(err)
	switch {
	case c == "":
		return !errors.Is(err, context.Canceled) && !askedForCleartext(err)
	case strings.HasPrefix(c, "57P"), strings.HasPrefix(c, "08"), c == "53300":
		return true // shutting down or starting, connection trouble, too many connections
	}
	return false
}

// askedForCleartext reports whether a login was broken off because the server
// asked for the password itself. pgx has no type for it; the words are libpq's.
func askedForCleartext(err error) bool {
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok && pgCode(err) == "" && strings.Contains(err.Error(), "server requested password authentication")
}

// endedWithServer reports whether a connection was closed by a server that was
// shutting down or restarting.
func endedWithServer(err error) bool { return strings.HasPrefix(pgCode(err), "57P") }

// explain adds what a person can do to the database's errors, and classifies
// transient ones.
func explain(err error) error {
	if err == nil || sqliteCode(err) != 0 {
		return explainSQLite(err)
	}
	if e, ok := errors.AsType[*rota.Error](err); ok && e != nil {
		return err
	}
	if askedForCleartext(err) {
		return rota.WithRemedies(errors.New("the database's server asks for the password in cleartext, and it wasn't sent"),
			rota.Outside("scram-sha-256 in the server's pg_hba.conf, or sslmode=verify-full in the database's URL, or, if the network up to the server is trusted, require_auth=password in it"))
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok && pgCode(err) == "" {
		return transient(err, "check that the server is running and reachable from here")
	}
	c := pgCode(err)
	switch {
	case c == "":
		if pgconn.Timeout(err) || pgconn.SafeToRetry(err) {
			return transient(err, "check that the server is running and reachable from here")
		}
		return err
	case strings.HasPrefix(c, "28"):
		return rota.WithRemedies(err, rota.Outside("another user or password in the database's URL"))
	case c == "3D000":
		return rota.WithRemedies(err, rota.Outside("createdb"))
	case c == "42501":
		return rota.WithRemedies(err, rota.Outside("migrate as a role that can create tables, and grant this one SELECT, INSERT, UPDATE and DELETE"))
	case c == "25006":
		return transient(err, "use the primary's address, or target_session_attrs=read-write: this server is a standby")
	case c == "53100":
		return transient(err, "free some space on the database's disk")
	case c == "55P03":
		return transient(err, "another replica is writing to the same secret: try again later")
	case c == "53300":
		return transient(err, "raise max_connections, or run fewer replicas")
	case strings.HasPrefix(c, "57"), strings.HasPrefix(c, "08"), c == "40001", c == "40P01":
		return transient(err, "try again in a moment")
	}
	return err
}

func transient(err error, hint string) error {
	return &rota.Error{Class: rota.ClassWait, Err: err, Remedies: rota.Outside(hint)}
}
