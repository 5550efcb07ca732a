package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/sqlrow"
)

// Preflight implements [rota.Preflighter]. It has the server prepare the statement,
// which shows whether it's valid and allowed, and looks for the row in transactions
// that can't write. The statement itself isn't run, because triggers may do things
// that no rollback undoes.
func (r *tableRow) Preflight(ctx context.Context) []rota.Finding {
	login := rota.Finding{OK: true, Check: fmt.Sprintf("log in to %s as %s", r.conn.system(), r.conn.cfg.Username)}
	server := rota.Finding{OK: true, Check: "accepts writes", Detail: "a primary"}
	var findings []rota.Finding
	err := inSession(ctx, r.conn.rows, func(ctx context.Context, conn *sql.Conn) error {
		if err := errors.Join(limit(ctx, conn), hush(ctx, conn)); err != nil {
			return err
		}
		found, err := rows(ctx, conn, "SELECT @@global.general_log AND NOT @@session.sql_log_off AS logs,"+
			" @@global.slow_query_log /*M! AND @@session.slow_query_log */ AND @@global.log_queries_not_using_indexes AND @@session.min_examined_row_limit = 0 AS slow")
		if err != nil {
			return err
		}
		grants, err := rows(ctx, conn, "SHOW GRANTS")
		if err != nil {
			return err
		}
		shown, writes, err := takesWrites(ctx, conn, grants)
		if err != nil {
			return err
		}
		login.Detail = shown
		if !writes {
			server = rota.Finding{Check: server.Check, Detail: "this server is read-only", Remedies: rota.Outside("the primary's host")}
		}
		for _, look := range []func(context.Context, *sql.Conn) (rota.Finding, error){r.prepare, r.look, r.reads} {
			f, err := look(ctx, conn)
			if err != nil {
				findings = append(findings, provider.Failed(f.Check, r.failed(f.Check, err, nil)))
				break // what follows would fail for the same reason
			}
			if f.Check != "" {
				findings = append(findings, f)
			}
		}
		findings = append(findings, logs("general", found[0]["logs"] != "0"), logs("slow", found[0]["slow"] != "0"))
		return nil
	})
	if err != nil {
		return []rota.Finding{provider.Failed(login.Check, r.failed(login.Check, err, nil))}
	}
	return append([]rota.Finding{login, r.conn.cfg.transport(), server}, findings...)
}

// prepare has the server prepare the statement, without values. It can't be in a
// transaction that can't write: the server refuses even that there.
func (r *tableRow) prepare(ctx context.Context, conn *sql.Conn) (rota.Finding, error) {
	w := r.row.Write
	f := rota.Finding{OK: true, Check: "the server accepts the statement, and " + r.conn.cfg.Username + " may run it", Detail: w.Verb + " of " + w.Table.String()}
	statement, _ := w.SQL()
	prepared, err := conn.PrepareContext(ctx, statement)
	if err != nil {
		return f, err
	}
	defer func() { _ = prepared.Close() }()
	if err := r.undoable(ctx, rowSession{conn}); err != nil {
		return f, err
	}
	return f, r.measure(ctx, rowSession{conn})
}

// measure finds out how much the table's columns take.
func (r *tableRow) measure(ctx context.Context, s rowSession) error {
	found, err := s.Query(ctx, `SELECT COLUMN_NAME AS name, CHARACTER_MAXIMUM_LENGTH AS most, DATA_TYPE LIKE '%bin%' OR DATA_TYPE LIKE '%blob' AS bytes FROM information_schema.COLUMNS
		WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND DATA_TYPE IN ('char', 'varchar', 'binary', 'varbinary', 'tinytext', 'tinyblob')`, []string{r.database(), r.row.Write.Table.Name})
	widths := map[string]sqlrow.Width{}
	for _, column := range found {
		if most, err := strconv.Atoi(*column["most"]); err == nil {
			widths[*column["name"]] = sqlrow.Width{Most: most, Bytes: *column["bytes"] == "1"}
		}
	}
	r.row.SetWidths(widths)
	return err
}

// look counts the rows that the statement would change, as far as that can be told
// without a credential.
func (r *tableRow) look(ctx context.Context, conn *sql.Conn) (rota.Finding, error) {
	w := r.row.Write
	f := rota.Finding{OK: true, Check: "the statement finds its row", Detail: "its condition depends on the credential"}
	switch {
	case w.Verb != "UPDATE":
		f.Detail = "or adds it"
		return f, nil
	case w.Where == "":
		return f, nil
	}
	alias := ""
	if w.Alias != "" {
		alias = " AS " + sqlrow.Quote(sqlrow.MySQL, w.Alias)
	}
	_, found, err := onlyRead(ctx, conn, "SELECT 1 FROM "+w.Table.Quoted(sqlrow.MySQL)+alias+" WHERE "+w.Where+" LIMIT 2", 0)
	switch n := len(found); {
	case err != nil:
		return f, err
	case n == 1:
		f.Detail = "one row of " + w.Table.String()
	default:
		wrong := &sqlrow.CountError{Rows: int64(n)}
		f.OK, f.Detail, f.Remedies = false, wrong.Error(), wrong.Remedies()
		if n > 1 {
			f.Detail = "more than one row meets its condition"
		}
	}
	return f, nil
}

// reads runs read, without values.
func (r *tableRow) reads(ctx context.Context, conn *sql.Conn) (rota.Finding, error) {
	if r.row.Read == nil {
		return rota.Finding{}, nil
	}
	f := rota.Finding{OK: true, Check: "read shows the row"}
	query, names := r.row.Read.SQL()
	columns, found, err := onlyRead(ctx, conn, query, len(names))
	if err == nil {
		err = r.row.Shows(columns)
	}
	switch n := len(found); {
	case err != nil:
	case len(names) > 0:
		f.Detail = "which row depends on the credential"
	case n > 1:
		err = fmt.Errorf("%w: it returns %d rows", sqlrow.ErrRead, n)
	case n == 0:
		f.Detail = "it returns no row so far"
	default:
		f.Detail = "it returns one row"
	}
	return f, err
}

// onlyRead runs a query without values in a transaction that can't write.
func onlyRead(ctx context.Context, conn *sql.Conn, query string, parameters int) ([]string, []map[string]*string, error) {
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = tx.Rollback() }()
	return (rowSession{tx}).query(ctx, query, make([]any, parameters))
}

// logs says whether one of the server's logs would have the values in it.
func logs(log string, yes bool) rota.Finding {
	f := rota.Finding{OK: true, Check: "the server's " + log + " log gets no values"}
	if !yes {
		return f
	}
	f.OK, f.Warning = false, true
	f.Detail, f.Remedies = "it logs statements with the values of their parameters", rota.Outside("SET GLOBAL general_log = 0 at the server")
	if log == "slow" {
		f.Detail, f.Remedies = "it logs statements without an index, with the values of their parameters", rota.Outside("SET GLOBAL log_queries_not_using_indexes = 0 at the server")
	}
	return f
}
