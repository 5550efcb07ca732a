package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// query is a user's own check of a new credential.
type query struct {
	conn      *Connection
	name, sql string
}

// Query returns a check that logs in with the new credential and runs one
// statement that must succeed, in a read-only transaction.
func (c *Connection) Query(name, sql string) rota.Check { return &query{conn: c, name: name, sql: sql} }

func (q *query) Name() string { return q.name }

// Check runs the statement. Missing privileges are of class
// [rota.ClassStop], a rejected login is [rota.ErrRefused].
func (q *query) Check(ctx context.Context, c rota.Credential) error {
	err := q.conn.login(ctx, c, func(ctx context.Context, conn *pgconn.PgConn) error {
		if _, err := conn.Exec(ctx, "BEGIN READ ONLY;"+limits(ctx, conn)).ReadAll(); err != nil {
			return err
		}
		// With the parameter protocol, even without parameters, the server only accepts one statement.
		result := conn.ExecParams(ctx, q.sql, nil, nil, nil, nil)
		_, err := result.Close()
		return err
	})
	return q.conn.refused("check "+q.name+" as role "+c.Field(rota.FieldUsername), err, c)
}

// Preflight has the server parse the statement as Rota's own role, without
// running it, for when there's no credential yet to try it with. That can't
// show whether the role has the privileges, and names may mean something else
// to it; but it does catch an invalid statement.
func (q *query) Preflight(ctx context.Context) []rota.Finding {
	ctx, cancel := deadline(ctx)
	defer cancel()
	f := rota.Finding{Check: "the server understands the statement"}
	err := q.conn.fresh(ctx, func(conn *pgxpool.Conn) error {
		begin := "BEGIN READ ONLY;" + limits(ctx, conn.Conn().PgConn())
		return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{BeginQuery: begin}, func(tx pgx.Tx) error {
			_, err := tx.Conn().PgConn().Prepare(ctx, "", q.sql, nil)
			return err
		})
	})
	answer, answered := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		f.OK = true
	case answered && !isLogin(err):
		f.Detail, f.Remedies = q.conn.plain(err, nil).Error(), rota.Outside("correct the query")
		if answer.Code != codeSyntax {
			f.Warning = true
			f.Remedies = rota.Outside("correct the query, unless the new credential's role finds there what " + q.conn.cfg.Username + " does not")
		}
	default:
		return []rota.Finding{provider.Failed(f.Check, q.conn.failed(f.Check, err))}
	}
	return []rota.Finding{f}
}
