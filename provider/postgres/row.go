package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/sqlrow"
)

// row is a target: a row of a table.
type row struct {
	conn *Connection
	name string
	row  *sqlrow.Row
}

var (
	_ rota.Target      = (*row)(nil)
	_ rota.Accepter    = (*row)(nil)
	_ rota.Preflighter = (*row)(nil)
)

// Row returns the target for a row of a table.
func (c *Connection) Row(name string, r *sqlrow.Row) rota.Target {
	return &row{conn: c, name: name, row: r}
}

// Name implements [rota.Target].
func (r *row) Name() string { return r.name }

func (r *row) op() string { return "write a row of " + r.row.Write.Table.String() }

// Accept implements [rota.Accepter].
func (r *row) Accept(c rota.Credential) error {
	err := r.holdable(c)
	if err == nil {
		if err = r.row.Fit(c); err != nil {
			err = r.conn.stop(r.op(), rota.Sanitize(err, c))
		}
	}
	return err
}

// holdable returns why no row could hold a credential, or nil.
func (r *row) holdable(c rota.Credential) error {
	if err := r.row.Accept(c); err != nil {
		return r.conn.stop(r.op(), rota.Sanitize(err, c))
	}
	return nil
}

// pinned are settings that a statement of the user's, unlike Rota's own, could mean
// something else with. They apply to one transaction.
const pinned = asItself + `
	SET LOCAL standard_conforming_strings = on; SET LOCAL client_encoding = 'UTF8'; SET LOCAL row_security = on;
	SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'postgres';
	SET LOCAL bytea_output = 'hex'; SET LOCAL xmloption = 'content'; SET LOCAL transform_null_equals = off;`

// durable makes the commit wait until the server's own disk has it, where it
// wouldn't wait at all. A delivery that a crash of the server undoes would count as
// made.
const durable = "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';"

// Deliver implements [rota.Target].
func (r *row) Deliver(ctx context.Context, d rota.DeliverRequest) error {
	if err := r.holdable(d.Credential); err != nil {
		return err
	}
	values, err := r.row.Values(d.Credential)
	if err != nil {
		return r.conn.stop(r.op(), rota.Sanitize(err, d.Credential))
	}
	err = r.conn.transaction(ctx, "BEGIN ISOLATION LEVEL READ COMMITTED;"+writable, pinned+durable, func(ctx context.Context, tx pgx.Tx) error {
		s := rowSession{tx.Conn().PgConn()}
		if err := s.hush(ctx); err != nil {
			return err
		}
		err := r.row.Deliver(ctx, s, values)
		if e, ok := errors.AsType[*sqlrow.CountError](err); ok && e.Rows == 0 {
			if _, active, _ := s.guarded(ctx, r.row.Write.Table); active {
				return &hiddenError{CountError: e, role: r.conn.cfg.Username, table: r.row.Write.Table}
			}
			if r.row.Write.Where != "" {
				if n, err := s.count(ctx, r.rows()); err == nil && n == 1 {
					return &keptError{e, r.row.Write.Table}
				}
			}
		}
		return err
	})
	return r.failed(r.op(), err, values, d.Credential)
}

// hiddenError is a statement that found no row where row-level security applies.
type hiddenError struct {
	*sqlrow.CountError
	role  string
	table sqlrow.Table
}

func (e *hiddenError) Error() string {
	return e.CountError.Error() + fmt.Sprintf("; the row-level security of %s applies to role %s and may hide it", e.table, e.role)
}

func (e *hiddenError) Unwrap() error { return e.CountError }

// Remedies are what a person can do about it.
func (e *hiddenError) Remedies() []rota.Remedy {
	return append(rota.Outside(policyFor(e.role, e.table)), e.CountError.Remedies()...)
}

// keptError is a statement that found its row and didn't change it.
type keptError struct {
	*sqlrow.CountError
	table sqlrow.Table
}

func (e *keptError) Error() string {
	return e.CountError.Error() + fmt.Sprintf(": the row is there, and a trigger or a rule of %s keeps it as it is", e.table)
}

func (e *keptError) Unwrap() error { return e.CountError }

// Remedies are what a person can do about it.
func (e *keptError) Remedies() []rota.Remedy {
	return rota.Outside("see the triggers and rules of " + e.table.Quoted(sqlrow.Postgres) + ", which have to let the statement change the row")
}

// policyFor is what lets a role see and change rows of a table.
func policyFor(role string, t sqlrow.Table) string {
	return fmt.Sprintf("CREATE POLICY for SELECT and UPDATE on %s TO %s, with the row's condition", t.Quoted(sqlrow.Postgres), quote(role))
}

// rowSession runs a row's statements in a transaction. Values are text parameters
// whose types the server finds out, in one round trip each, so that a pooler in
// between does no harm.
type rowSession struct{ conn *pgconn.PgConn }

// Query implements [sqlrow.Session].
func (s rowSession) Query(ctx context.Context, sql string, args []string) ([]map[string]*string, error) {
	result := s.conn.ExecParams(ctx, sql, texts(args), nil, nil, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	rows := make([]map[string]*string, 0, len(result.Rows))
	for _, values := range result.Rows {
		one := map[string]*string{}
		for i, value := range values {
			var text *string
			if value != nil {
				t := string(value)
				text = &t
			}
			one[result.FieldDescriptions[i].Name] = text
		}
		rows = append(rows, one)
	}
	return rows, nil
}

// Exec implements [sqlrow.Session].
func (s rowSession) Exec(ctx context.Context, sql string, args []string) (int64, error) {
	tag, err := s.conn.ExecParams(ctx, sql, texts(args), nil, nil, nil).Close()
	return tag.RowsAffected(), err
}

func texts(args []string) [][]byte {
	all := make([][]byte, len(args))
	for i, arg := range args {
		all[i] = []byte(arg)
	}
	return all
}

// hush keeps the parameters' values out of the server's log, as far as Rota's role
// may.
func (s rowSession) hush(ctx context.Context) error {
	version := serverVersion(s.conn)
	if version < parameterLogVersion {
		return nil
	}
	const set = "SELECT set_config('%s', '%s', true) WHERE %s;"
	_, err := s.conn.Exec(ctx, "SET LOCAL log_parameter_max_length_on_error = 0;"+
		fmt.Sprintf(set, parameterLog, "0", s.maySet(parameterLog))+
		fmt.Sprintf(set, verbosityLog, "terse", s.maySet(verbosityLog))).ReadAll()
	return err
}

// Settings of the server's log. With details, an error's line has the values of a
// row whose key is taken.
const (
	parameterLog = "log_parameter_max_length"
	verbosityLog = "log_error_verbosity"
)

// maySet is the condition on which Rota's role may change a setting of the log.
func (s rowSession) maySet(setting string) string {
	if serverVersion(s.conn) < parameterRightVersion {
		return "current_setting('is_superuser') = 'on'"
	}
	return "has_parameter_privilege('" + setting + "', 'SET')"
}

const (
	parameterLogVersion   = 130000 // the first with log_parameter_max_length
	parameterRightVersion = 150000 // the first in which other roles can be allowed to set it
)
