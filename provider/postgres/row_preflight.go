package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/sqlrow"
)

// errRollBack ends a transaction without a change.
var errRollBack = errors.New("nothing to commit")

// Preflight implements [rota.Preflighter]. It has the server plan the statement,
// which shows whether it's valid and allowed, and looks for the row, all in a
// transaction that can't write. The statement itself isn't run, because triggers may
// do things that no rollback undoes.
func (r *row) Preflight(ctx context.Context) []rota.Finding {
	ctx, cancel := deadline(ctx)
	defer cancel()
	login := rota.Finding{OK: true, Check: fmt.Sprintf("log in to %s as %s", r.conn.system(), r.conn.cfg.Username)}
	admin, err := r.conn.admin(ctx)
	if err != nil {
		return []rota.Finding{provider.Failed(login.Check, err)}
	}
	login.Detail = "PostgreSQL " + admin.Shown
	server := rota.Finding{OK: true, Check: "accepts writes", Detail: "a primary"}
	if admin.Standby {
		server = rota.Finding{Check: server.Check, Detail: "this server is a standby and can't be written to", Remedies: rota.Outside("the primary's host")}
	}
	findings := []rota.Finding{login, r.conn.cfg.transport(), server}
	guarded := -1 // the finding about a row that row-level security may keep from being changed
	looksForRow := func(ctx context.Context, s rowSession) (rota.Finding, error) {
		f, active, err := r.look(ctx, s)
		if f.OK && active {
			guarded = len(findings)
		}
		return f, err
	}
	err = r.conn.transaction(ctx, "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;", pinned, func(ctx context.Context, tx pgx.Tx) error {
		s := rowSession{tx.Conn().PgConn()}
		for _, look := range []func(context.Context, rowSession) (rota.Finding, error){r.plan, looksForRow, r.reads, r.logs} {
			f, err := look(ctx, s)
			if err != nil {
				findings = append(findings, provider.Failed(f.Check, r.failed(f.Check, err, nil)))
				return errRollBack // the transaction can't go on
			}
			if f.Check != "" {
				findings = append(findings, f)
			}
		}
		return errRollBack
	})
	if guarded >= 0 {
		findings[guarded] = r.lock(ctx, findings[guarded])
	}
	if err != nil && !errors.Is(err, errRollBack) {
		findings = append(findings, provider.Failed(r.op(), r.failed(r.op(), err, nil)))
	}
	return findings
}

// plan has the server plan the statement, without values.
func (r *row) plan(ctx context.Context, s rowSession) (rota.Finding, error) {
	f := rota.Finding{OK: true, Check: "the server accepts the statement, and " + r.conn.cfg.Username + " may run it"}
	sql, names := r.row.Write.SQL()
	prepared, err := s.conn.Prepare(ctx, "", sql, nil)
	if err != nil {
		return f, err
	}
	if _, err := s.conn.ExecParams(ctx, "EXPLAIN "+sql, make([][]byte, len(names)), prepared.ParamOIDs, nil, nil).Close(); err != nil {
		return f, err
	}
	result := s.conn.ExecParams(ctx, `SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass($1)
		AND NOT tgisinternal AND tgenabled NOT IN ('D', 'R') ORDER BY 1`, texts([]string{r.row.Write.Table.Quoted(sqlrow.Postgres)}), nil, nil, nil).Read()
	if result.Err != nil {
		return f, result.Err
	}
	var triggers []string
	for _, values := range result.Rows {
		triggers = append(triggers, string(values[0]))
	}
	if err := r.measure(ctx, s); err != nil {
		return f, err
	}
	if f.Detail = r.row.Write.Verb + " of " + r.row.Write.Table.String(); len(triggers) > 0 {
		f.Detail += ", which has triggers: " + strings.Join(triggers, ", ")
	}
	return f, nil
}

// measure finds out how much the table's columns take. The type name cuts what's
// longer short, without an error.
func (r *row) measure(ctx context.Context, s rowSession) error {
	result := s.conn.ExecParams(ctx, `SELECT attname, CASE WHEN atttypid = 'name'::regtype THEN 63 ELSE atttypmod - 4 END, atttypid = 'name'::regtype
		FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
		AND (atttypid = 'name'::regtype OR atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND atttypmod > 4)`,
		texts([]string{r.row.Write.Table.Quoted(sqlrow.Postgres)}), nil, nil, nil).Read()
	widths := map[string]sqlrow.Width{}
	for _, values := range result.Rows {
		if most, err := strconv.Atoi(string(values[1])); err == nil {
			widths[string(values[0])] = sqlrow.Width{Most: most, Bytes: string(values[2]) == "t"}
		}
	}
	r.row.SetWidths(widths)
	return result.Err
}

// look counts the rows that the statement would change, as far as that can be told
// without a credential, and says whether row-level security applies to a row found.
func (r *row) look(ctx context.Context, s rowSession) (f rota.Finding, guarded bool, err error) {
	w := r.row.Write
	f = rota.Finding{OK: true, Check: "the statement finds its row", Detail: "its condition depends on the credential"}
	exists, active, err := s.guarded(ctx, w.Table)
	if err != nil || !exists {
		return f, false, err
	}
	if w.Where != "" {
		n, err := s.count(ctx, r.rows())
		if err != nil {
			return f, false, err
		}
		return r.found(f, n, active), active, nil
	}
	switch {
	case active:
		f.OK, f.Warning = false, true
		f.Detail = fmt.Sprintf("the row-level security of %s applies to role %s; whether it lets the row be written only shows when it is", w.Table, r.conn.cfg.Username)
		f.Remedies = rota.Outside(policyFor(r.conn.cfg.Username, w.Table))
	case w.Verb != "UPDATE":
		f.Detail = "or adds it"
	}
	return f, false, nil
}

// rows is a query for the rows that the statement would change, or two of them.
func (r *row) rows() string {
	w, alias := r.row.Write, ""
	if w.Alias != "" {
		alias = " AS " + quote(w.Alias)
	}
	return "SELECT 1 FROM " + w.Table.Quoted(sqlrow.Postgres) + alias + " WHERE " + w.Where + " LIMIT 2"
}

// found is the finding about so many rows.
func (r *row) found(f rota.Finding, n int, guarded bool) rota.Finding {
	if n == 1 {
		f.OK, f.Detail = true, "one row of "+r.row.Write.Table.String()
		return f
	}
	var wrong remedied = &sqlrow.CountError{Rows: int64(n)}
	if n == 0 && guarded {
		wrong = &hiddenError{CountError: &sqlrow.CountError{}, role: r.conn.cfg.Username, table: r.row.Write.Table}
	}
	f.OK, f.Detail, f.Remedies = false, wrong.Error(), wrong.Remedies()
	if n > 1 {
		f.Detail = "more than one row meets its condition"
	}
	return f
}

// lock locks the row and lets go of it at once: which rows a role may change is a
// policy of its own, and only a lock asks for it without a change.
func (r *row) lock(ctx context.Context, f rota.Finding) rota.Finding {
	n := 0
	err := r.conn.transaction(ctx, "BEGIN ISOLATION LEVEL READ COMMITTED;"+writable, pinned, func(ctx context.Context, tx pgx.Tx) (err error) {
		if n, err = (rowSession{tx.Conn().PgConn()}).count(ctx, r.rows()+" FOR UPDATE"); err != nil {
			return err
		}
		return errRollBack
	})
	if !errors.Is(err, errRollBack) {
		return provider.Failed(f.Check, r.failed(f.Check, err, nil))
	}
	return r.found(f, n, true)
}

func (s rowSession) count(ctx context.Context, query string) (int, error) {
	result := s.conn.ExecParams(ctx, query, nil, nil, nil, nil).Read()
	return len(result.Rows), result.Err
}

// guarded reports whether there's a table of that name, and whether row-level
// security applies to Rota's role on it.
func (s rowSession) guarded(ctx context.Context, t sqlrow.Table) (exists, active bool, err error) {
	result := s.conn.ExecParams(ctx, "SELECT row_security_active(oid) FROM pg_class WHERE oid = to_regclass($1)",
		texts([]string{t.Quoted(sqlrow.Postgres)}), nil, nil, nil).Read()
	if result.Err != nil || len(result.Rows) == 0 {
		return false, false, result.Err
	}
	return true, string(result.Rows[0][0]) == "t", nil
}

// reads has the server prepare read, and runs it if it needs no values.
func (r *row) reads(ctx context.Context, s rowSession) (rota.Finding, error) {
	if r.row.Read == nil {
		return rota.Finding{}, nil
	}
	f := rota.Finding{OK: true, Check: "read shows the row"}
	sql, names := r.row.Read.SQL()
	prepared, err := s.conn.Prepare(ctx, "", sql, nil)
	if err != nil {
		return f, err
	}
	var columns []string
	for _, field := range prepared.Fields {
		columns = append(columns, field.Name)
	}
	if err := r.row.Shows(columns); err != nil {
		return f, err
	}
	if len(names) > 0 {
		_, err := s.conn.ExecParams(ctx, "EXPLAIN "+sql, make([][]byte, len(names)), prepared.ParamOIDs, nil, nil).Close()
		f.Detail = "which row depends on the credential"
		return f, err
	}
	n, err := s.count(ctx, sql)
	if err == nil && n > 1 {
		err = fmt.Errorf("%w: it returns %d rows", sqlrow.ErrRead, n)
	}
	f.Detail = "it returns one row"
	if n == 0 {
		f.Detail = "it returns no row so far"
	}
	return f, err
}

// logs reports whether the server's log would have the values in it.
func (r *row) logs(ctx context.Context, s rowSession) (rota.Finding, error) {
	f := rota.Finding{OK: true, Check: "the server's log gets no values"}
	if serverVersion(s.conn) < parameterLogVersion {
		f.Detail = "unless log_statement or log_min_duration_statement logs the statement"
		return f, nil
	}
	const logged = `current_setting('log_parameter_max_length') <> '0' AND (current_setting('log_statement') IN ('mod', 'all')
		OR '-1' NOT IN (current_setting('log_min_duration_statement')) OR current_setting('log_min_duration_sample') <> '-1'
		OR current_setting('log_transaction_sample_rate') <> '0')`
	n, err := s.count(ctx, "SELECT 1 WHERE "+logged+" AND NOT ("+s.maySet(parameterLog)+")")
	if err != nil || n == 0 {
		return f, err
	}
	role := quote(r.conn.cfg.Username)
	f.OK, f.Warning = false, true
	f.Detail = "it logs statements with the values of their parameters"
	f.Remedies = append(rota.Outside("ALTER ROLE "+role+" SET log_parameter_max_length = 0, as a superuser"),
		rota.Outside("GRANT SET ON PARAMETER log_parameter_max_length TO "+role+", from PostgreSQL 15 on")...)
	return f, nil
}
