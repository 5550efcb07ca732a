package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rota-dev/rota"
)

// ensure creates a role that can't log in yet, as a clone of the first: a member
// of it that acts as it by default, so that it has the same privileges and
// attributes, and what it creates belongs to the first. What sessions get from the
// login role itself, its settings above all, is copied, now and before each later
// rotation. A role that someone else created, which acts as itself, is left alone.
func (a *alternating) ensure(ctx context.Context, role string) error {
	op := "make role " + role + " with the rights of " + a.names[0]
	err := a.conn.change(ctx, op, func(ctx context.Context, tx pgx.Tx) error {
		var there, clone bool
		err := tx.QueryRow(ctx, `SELECT count(*) > 0, coalesce(bool_or(`+actsAs+` = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $2)), false)
			FROM pg_catalog.pg_roles r WHERE rolname = $1`, role, a.names[0]).Scan(&there, &clone)
		if err != nil || there && !clone {
			return err
		}
		if there {
			_, err = tx.Exec(ctx, lockRole(role))
		} else {
			err = a.create(ctx, tx, role)
		}
		if err != nil {
			return err
		}
		return a.copySettings(ctx, tx, role)
	})
	return a.explained(ctx, err, a.names...)
}

// create creates the clone.
func (a *alternating) create(ctx context.Context, tx pgx.Tx, role string) error {
	first, clone := quote(a.names[0]), quote(role)
	var strict bool
	if err := tx.QueryRow(ctx, "SELECT current_setting('server_version_num')::int >= $1", strictVersion).Scan(&strict); err != nil {
		return err
	}
	statements := []string{"CREATE ROLE " + clone + " NOLOGIN", "GRANT " + first + " TO " + clone}
	if strict {
		statements = []string{
			"SET LOCAL createrole_self_grant = ''", // a setting of Rota's own role could make it a member of what it creates
			statements[0], statements[1] + " WITH INHERIT TRUE, SET TRUE",
		}
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return a.actAs(ctx, tx, role, strict)
}

// actAs makes the clone act as the first role. The server only lets someone say so
// who could act as the first role too: Rota can until the end of the transaction,
// if it can't anyway.
func (a *alternating) actAs(ctx context.Context, tx pgx.Tx, role string, strict bool) error {
	var may, member bool
	err := tx.QueryRow(ctx, `SELECT pg_has_role(session_user, r.oid, `+mayBecome+`), EXISTS (
			SELECT FROM pg_catalog.pg_auth_members m, pg_catalog.pg_roles s WHERE s.rolname = session_user
				AND m.roleid = r.oid AND m.member = s.oid AND m.grantor = s.oid)
		FROM pg_catalog.pg_roles r WHERE r.rolname = $1`, a.names[0]).Scan(&may, &member)
	if err != nil {
		return err
	}
	first := quote(a.names[0])
	statements := []string{"ALTER ROLE " + quote(role) + " SET role TO " + literal(a.names[0])}
	if !may {
		options, option := "", ""
		if strict {
			options = " WITH SET TRUE"
			if !member {
				options = " WITH INHERIT FALSE, SET TRUE"
			}
		}
		if member {
			option = "SET OPTION FOR "
		}
		statements = []string{"GRANT " + first + " TO SESSION_USER" + options, statements[0], "REVOKE " + option + first + " FROM SESSION_USER"}
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// loginFacts is what a session gets from the role that logs in, whichever role it
// acts as.
type loginFacts struct {
	Name        string
	Limit       int
	Replication bool
	Settings    []setting
}

// setting is a role's setting, in one database or, if that's "", in all.
type setting struct{ Database, Name, Value string }

// copySettings gives the clone what the first role's logins have. What Rota may
// not set is left out: the test before the promotion names it.
func (a *alternating) copySettings(ctx context.Context, tx pgx.Tx, role string) error {
	var of [2]loginFacts
	for i, name := range []string{a.names[0], role} {
		f := &of[i]
		f.Name = name
		if err := tx.QueryRow(ctx, "SELECT rolconnlimit, rolreplication FROM pg_catalog.pg_roles WHERE rolname = $1", name).Scan(&f.Limit, &f.Replication); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT coalesce(d.datname, ''), split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)
			FROM pg_catalog.pg_roles r JOIN pg_catalog.pg_db_role_setting s ON s.setrole = r.oid LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,
				unnest(s.setconfig) AS setting
			WHERE r.rolname = $1 AND split_part(setting, '=', 1) <> 'role' ORDER BY 1, 2`, name)
		if err != nil {
			return err
		}
		if f.Settings, err = pgx.CollectRows(rows, pgx.RowToStructByPos[setting]); err != nil {
			return err
		}
	}
	for _, statement := range asTheFirst(of[0], of[1]) {
		if err := ifAllowed(ctx, tx, statement); err != nil {
			return err
		}
	}
	return nil
}

// asTheFirst are the statements that make a clone's login like the first role's.
func asTheFirst(first, clone loginFacts) []string {
	var statements []string
	alter := func(database, clause string) {
		statement := "ALTER ROLE " + quote(clone.Name)
		if database != "" {
			statement += " IN DATABASE " + quote(database)
		}
		statements = append(statements, statement+" "+clause)
	}
	for _, s := range first.Settings {
		if !slices.Contains(clone.Settings, s) {
			alter(s.Database, "SET "+parameter(s.Name)+" TO "+value(s))
		}
	}
	for _, s := range clone.Settings {
		if !slices.ContainsFunc(first.Settings, func(f setting) bool { return f.Database == s.Database && f.Name == s.Name }) {
			alter(s.Database, "RESET "+parameter(s.Name))
		}
	}
	if first.Limit != clone.Limit {
		alter("", "CONNECTION LIMIT "+strconv.Itoa(first.Limit))
	}
	if first.Replication && !clone.Replication {
		alter("", "REPLICATION")
	}
	return statements
}

// parameter quotes a setting's name, which may have a dot in it.
func parameter(name string) string { return pgx.Identifier(strings.Split(name, ".")).Sanitize() }

// lists are the settings whose value is a list of quoted names. As one literal, the
// list would be a single name.
var lists = []string{"local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"}

// value is a setting's value, as the catalog shows it, in a statement.
func value(s setting) string {
	if !slices.Contains(lists, strings.ToLower(s.Name)) {
		return literal(s.Value)
	}
	var elements []string
	for rest := s.Value; ; {
		element, after, more := cutElement(rest)
		elements = append(elements, literal(element))
		if !more {
			return strings.Join(elements, ",")
		}
		rest = after
	}
}

// cutElement cuts the first name off a list, and unquotes it.
func cutElement(list string) (element, after string, more bool) {
	list = strings.TrimSpace(list)
	quoted, ok := strings.CutPrefix(list, `"`)
	if !ok {
		element, after, more = strings.Cut(list, ",")
		return strings.TrimSpace(element), after, more
	}
	var b strings.Builder
	for {
		part, rest, closed := strings.Cut(quoted, `"`)
		b.WriteString(part)
		if again, double := strings.CutPrefix(rest, `"`); closed && double {
			b.WriteByte('"')
			quoted = again
			continue
		}
		_, after, more = strings.Cut(rest, ",")
		return b.String(), after, more
	}
}

// ifAllowed runs a statement, and undoes nothing else if the server refuses it.
func ifAllowed(ctx context.Context, tx pgx.Tx, statement string) error {
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, statement)
		return err
	})
	answer, answered := errors.AsType[*pgconn.PgError](err)
	if answered && (strings.HasPrefix(answer.Code, "42") || strings.HasPrefix(answer.Code, "22")) {
		return nil // no permission, or a value that's no longer valid
	}
	return err
}

// Proves logs in with a credential that's to prove whose the pair is. A clone's login
// counts only if it may act as the first role: anyone can have a role by such a name.
func (a *alternating) Proves(ctx context.Context, c rota.Credential) error {
	role := a.CredentialID(c)
	op := "log in as role " + role
	if err := a.ours(op, role); err != nil {
		return err
	}
	err := a.conn.login(ctx, c, func(ctx context.Context, conn *pgconn.PgConn) error {
		results, err := conn.Exec(ctx, limits(ctx, conn)+neutral+`SELECT session_user, EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname =`+literal(a.names[0])+`
			AND (pg_has_role(session_user, r.oid, 'USAGE') OR pg_has_role(session_user, r.oid, `+mayBecome+`)))`).ReadAll()
		if err != nil {
			return err
		}
		row := results[len(results)-1].Rows[0]
		stop := func(remedies []rota.Remedy, format string, args ...any) error {
			return &rota.Error{System: a.conn.system(), Connection: a.conn.name, Op: op, Class: rota.ClassStop, Err: fmt.Errorf(format, args...), Remedies: remedies}
		}
		switch user := string(row[0]); {
		case user != role:
			return stop(rota.Outside("look into pg_ident.conf and the pooler"), "the server mapped the login to role %s", user)
		case a.clone && string(row[1]) != "t":
			return stop(rota.Outside("GRANT "+quote(a.names[0])+" TO "+quote(role)+", if it's the clone of that"), "it logs in but isn't a member of %s, which may be somebody else's", a.names[0])
		}
		return nil
	})
	return a.conn.refused(op, err, c)
}
