package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/sqlrow"
)

// tableRow is a target: a row of a table.
type tableRow struct {
	conn *Connection
	name string
	row  *sqlrow.Row
}

var (
	_ rota.Target      = (*tableRow)(nil)
	_ rota.Accepter    = (*tableRow)(nil)
	_ rota.Preflighter = (*tableRow)(nil)
)

// Row returns the target for a row of a table.
func (c *Connection) Row(name string, r *sqlrow.Row) (rota.Target, error) {
	t := &tableRow{conn: c, name: name, row: r}
	if t.database() == "" {
		return nil, c.stop(t.op(), rota.WithRemedies(fmt.Errorf("the table %s has no database", r.Write.Table.Name), rota.Configure("database", "the database before the table, with a dot, or database for connection "+c.name)))
	}
	return t, nil
}

// Name implements [rota.Target].
func (r *tableRow) Name() string { return r.name }

func (r *tableRow) op() string { return "write a row of " + r.row.Write.Table.String() }

// database is the one that the table is in.
func (r *tableRow) database() string {
	if schema := r.row.Write.Table.Schema; schema != "" {
		return schema
	}
	return r.conn.cfg.Database
}

// Accept implements [rota.Accepter].
func (r *tableRow) Accept(c rota.Credential) error {
	err := r.holdable(c)
	if err == nil {
		if err = r.row.Fit(c); err != nil {
			err = r.conn.stop(r.op(), rota.Sanitize(err, c))
		}
	}
	return err
}

// holdable returns why no row could hold a credential, or nil.
func (r *tableRow) holdable(c rota.Credential) error {
	if err := r.row.Accept(c); err != nil {
		return r.conn.stop(r.op(), rota.Sanitize(err, c))
	}
	return nil
}

// Deliver implements [rota.Target].
func (r *tableRow) Deliver(ctx context.Context, d rota.DeliverRequest) error {
	if err := r.holdable(d.Credential); err != nil {
		return err
	}
	values, err := r.row.Values(d.Credential)
	if err != nil {
		return r.conn.stop(r.op(), rota.Sanitize(err, d.Credential))
	}
	err = inSession(ctx, r.conn.rows, func(ctx context.Context, conn *sql.Conn) error {
		if err := hush(ctx, conn); err != nil {
			return err
		}
		if err := limit(ctx, conn); err != nil {
			return err
		}
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if err := r.undoable(ctx, rowSession{tx}); err != nil {
			return err
		}
		if err := r.row.Deliver(ctx, rowSession{tx}, values); err != nil {
			return err
		}
		return tx.Commit()
	})
	return r.failed(r.op(), err, values, d.Credential)
}

// hush keeps the values out of the server's general log, and out of what its slow log
// has of statements without an index, if Rota's account may.
func hush(ctx context.Context, conn *sql.Conn) error {
	for _, setting := range []string{"sql_log_off = 1", "min_examined_row_limit = 4294967295"} {
		if _, err := conn.ExecContext(ctx, "SET SESSION "+setting); err != nil && code(err) != codeSpecificDenied {
			return err
		}
	}
	return nil
}

// undoable makes sure that a statement that changes too much is undone by a
// rollback, which not every storage engine does.
func (r *tableRow) undoable(ctx context.Context, s rowSession) error {
	found, err := s.Query(ctx, `SELECT t.ENGINE AS engine FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
		WHERE t.TABLE_SCHEMA = ? AND t.TABLE_NAME = ? AND (t.TABLE_TYPE = 'VIEW' OR e.TRANSACTIONS <> 'YES')`, []string{r.database(), r.row.Write.Table.Name})
	if err != nil || len(found) == 0 {
		return err
	}
	if engine := found[0]["engine"]; engine != nil {
		return &engineError{table: r.row.Write.Table, engine: *engine}
	}
	return &viewError{r.row.Write.Table}
}

// viewError is a view, which doesn't show whether changes can be rolled back.
type viewError struct{ view sqlrow.Table }

func (e *viewError) Error() string {
	return fmt.Sprintf("%s is a view, and MariaDB doesn't show whether the table behind it can undo a statement that changes more than one row", e.view)
}

// Remedies are what a person can do about it.
func (e *viewError) Remedies() []rota.Remedy {
	return rota.Outside("the table itself in the statement")
}

// engineError is a table whose changes can't be rolled back.
type engineError struct {
	table  sqlrow.Table
	engine string
}

func (e *engineError) Error() string {
	return fmt.Sprintf("the table %s has the engine %s, which can't undo a statement that changes more than one row", e.table, e.engine)
}

// Remedies are what a person can do about it.
func (e *engineError) Remedies() []rota.Remedy {
	return rota.Outside("ALTER TABLE " + e.table.Quoted(sqlrow.MySQL) + " ENGINE = InnoDB")
}

// rowSession runs a row's statements in a transaction.
type rowSession struct {
	tx interface {
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}
}

// Query implements [sqlrow.Session].
func (s rowSession) Query(ctx context.Context, query string, args []string) ([]map[string]*string, error) {
	_, found, err := s.query(ctx, query, texts(args))
	return found, err
}

// query also returns the columns' names.
func (s rowSession) query(ctx context.Context, query string, args []any) ([]string, []map[string]*string, error) {
	result, err := s.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = result.Close() }()
	names, err := result.Columns()
	if err != nil {
		return nil, nil, err
	}
	var all []map[string]*string
	for result.Next() {
		values := make([]*string, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := result.Scan(into...); err != nil {
			return nil, nil, err
		}
		one := map[string]*string{}
		for i, name := range names {
			one[name] = values[i]
		}
		all = append(all, one)
	}
	return names, all, result.Err()
}

// Exec implements [sqlrow.Session].
func (s rowSession) Exec(ctx context.Context, statement string, args []string) (int64, error) {
	result, err := s.tx.ExecContext(ctx, statement, texts(args)...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func texts(args []string) []any {
	all := make([]any, len(args))
	for i, arg := range args {
		all[i] = arg
	}
	return all
}

// stop is an error that a person has to do something about.
func (c *Connection) stop(op string, err error) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassStop, Err: err, Remedies: rota.RemediesOf(err)}
}

// remedied is an error that knows what a person can do about it.
type remedied interface {
	error
	Remedies() []rota.Remedy
}

// failed classifies an error of a user's statement. No value that was sent, nor the
// beginning of one, is in its text.
func (r *tableRow) failed(op string, err error, values map[string]string, used ...rota.Credential) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[remedied](err); ok {
		return r.conn.stop(op, rota.WithRemedies(errors.New(known.Error()), known.Remedies()))
	}
	if errors.Is(err, sqlrow.ErrRead) {
		return r.conn.stop(op, rota.WithRemedies(err, rota.Configure("read", "a query whose columns are named like the statement's parameters and show what it wrote")))
	}
	n, login := code(err), isLogin(err)
	if n != 0 && !login {
		err = hidden(err, values)
	}
	err = r.conn.failed(op, err, append(used, rota.NewCredential(values))...)
	if e, ok := errors.AsType[*rota.Error](err); ok && n != 0 && !login {
		classifyRow(e, n)
	}
	return err
}
