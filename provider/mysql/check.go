package mysql

import (
	"context"
	"database/sql"

	"github.com/rota-dev/rota"
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

// Check runs the statement. Missing privileges are of class [rota.ClassStop], a
// rejected login is [rota.ErrRefused].
func (q *query) Check(ctx context.Context, c rota.Credential) error {
	err := q.conn.login(ctx, c, q.conn.cfg.Database, nil, func(ctx context.Context, conn *sql.Conn) error {
		tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		result, err := tx.QueryContext(ctx, q.sql)
		if err != nil {
			return err
		}
		defer func() { _ = result.Close() }()
		for result.Next() { // until the server has said whether all of it can be had
			continue
		}
		return result.Err()
	})
	return q.conn.refused("check "+q.name+" as user "+c.Field(rota.FieldUsername), err, c)
}
