package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"

	"rota"
)

// query is a user's own check of a new credential.
type query struct {
	conn      *Connection
	name, sql string
}

// Query gives a check that logs in with the new credential and runs one
// statement that must succeed, in a transaction that can only read.
func (c *Connection) Query(name, sql string) rota.Check { return &query{conn: c, name: name, sql: sql} }

func (q *query) Name() string { return q.name }

// Check runs the statement. A statement that fails for want of privileges is
// of class [rota.Stop], a login that is refused [rota.ErrRefused].
func (q *query) Check(ctx context.Context, c rota.Credential) error {
	err := q.conn.login(ctx, c, func(ctx context.Context, conn *pgconn.PgConn) error {
		if _, err := conn.Exec(ctx, "BEGIN READ ONLY;"+limits(ctx)).ReadAll(); err != nil {
			return err
		}
		// With parameters, even none, the server takes one statement only.
		result := conn.ExecParams(ctx, q.sql, nil, nil, nil, nil)
		_, err := result.Close()
		return err
	})
	return q.conn.refused("check "+q.name+" as role "+c.Field(rota.FieldUsername), err, c)
}
