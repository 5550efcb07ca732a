package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
)

// roles are the login roles of one secret: what both ways of rotating share.
type roles struct {
	conn  *Connection
	names []string
	group string // the role they must be members of; "" for none
	owner string // the role that owns what they share; "" if rota.yaml doesn't say
	rules rota.PasswordRules
}

// newRoles checks names before using them.
func (c *Connection) newRoles(rules rota.PasswordRules, group string, names ...string) (roles, error) {
	for _, name := range names {
		if err := checkRole(name); err != nil {
			return roles{}, fmt.Errorf("%s: %w", c.system(), err)
		}
		if name == c.cfg.Username {
			return roles{}, rota.WithRemedies(fmt.Errorf("%s: role %s is the one Rota logs in as, so Rota would lock itself out", c.system(), name), rota.Configure("", "a connection with a role of its own"))
		}
	}
	if err := rules.Validate(); err != nil {
		return roles{}, fmt.Errorf("%s: role %s: password: %w", c.system(), names[0], err)
	}
	return roles{conn: c, names: names, group: group, owner: group, rules: rules}, nil
}

// maxNameLength is PostgreSQL's NAMEDATALEN - 1: it would truncate a longer
// name, which may then be another role's.
const maxNameLength = 63

func checkRole(name string) error {
	switch {
	case name == "":
		return errors.New("the role's name is empty")
	case len(name) > maxNameLength:
		return fmt.Errorf("role %s: a name has at most %d bytes", name, maxNameLength)
	case strings.ContainsRune(name, 0):
		return errors.New("the role's name contains a NUL character")
	case name == "public" || name == "none" || strings.HasPrefix(name, "pg_"):
		return fmt.Errorf("role %s: PostgreSQL reserves that name", name)
	}
	return nil
}

// CredentialID is the role's name.
func (r *roles) CredentialID(c rota.Credential) string { return c.Field(rota.FieldUsername) }

// Names implements [rota.Namer].
func (r *roles) Names() []string { return slices.Clone(r.names) }

// generate generates a new password for a role, and touches nothing.
func (r *roles) generate(role string) (rota.Credential, error) {
	password, err := r.rules.Generate(nil)
	if err != nil {
		return rota.Credential{}, fmt.Errorf("%s: role %s: %w", r.conn.system(), role, err)
	}
	return r.Complete(rota.NewCredential(map[string]string{rota.FieldUsername: role, rota.FieldPassword: password})), nil
}

// Complete implements [rota.Completer]: it adds where the database is, and the
// role if there's only one.
func (r *roles) Complete(c rota.Credential) rota.Credential {
	all := map[string]string{FieldHost: r.conn.cfg.Host, FieldPort: fmt.Sprint(r.conn.cfg.Port), FieldDatabase: r.conn.cfg.Database}
	if len(r.names) == 1 {
		all[rota.FieldUsername] = r.names[0]
	}
	maps.Copy(all, c.Fields())
	return rota.NewCredential(all)
}

// ours rejects roles that the secret doesn't name.
func (r *roles) ours(op, role string) error {
	if slices.Contains(r.names, role) {
		return nil
	}
	return &rota.Error{System: r.conn.system(), Connection: r.conn.name, Op: op, Class: rota.ClassStop,
		Err:      fmt.Errorf("role %q isn't one of this secret's: %s", role, strings.Join(r.names, ", ")),
		Remedies: rota.Outside("a stored credential whose username is one of them")}
}

// Set sets the role's password and lets it log in. If the role is valid until a
// time to come, that's kept: an account that's meant to end must not live on
// because its password changes.
func (r *roles) Set(ctx context.Context, s rota.SetRequest) error {
	role := r.CredentialID(s.Credential)
	op := "set password of role " + role
	if err := r.ours(op, role); err != nil {
		return err
	}
	password := s.Credential.Field(rota.FieldPassword)
	hash, err := verifier(password)
	if err != nil {
		return &rota.Error{System: r.conn.system(), Connection: r.conn.name, Op: op, Class: rota.ClassRegenerate, Err: err}
	}
	r.conn.pairs.Store(role, pairOf(hash, password))
	return r.explained(ctx, r.setPassword(ctx, op, role, hash, s.Credential), role)
}

// setPassword sets a verifier, and the end of the role's validity. It first looks, under
// the role's lock, whether somebody has locked the role since it was listed: that must
// stay. It's idempotent, so it's repeated if the session turns out to be dead.
func (r *roles) setPassword(ctx context.Context, op, role, hash string, used rota.Credential) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	c := r.conn
	err := c.fresh(ctx, func(session *pgxpool.Conn) error {
		conn := session.Conn().PgConn() // after an error, the pool drops it together with its transaction
		row, err := r.lockForSet(ctx, conn, role)
		if err != nil {
			return err
		}
		if isTrue(row[1]) {
			_, _ = conn.Exec(ctx, "ROLLBACK").ReadAll() // or the pool would log in again
			return r.isLocked(op, role, isTrue(row[2]))
		}
		_, err = conn.Exec(ctx, "ALTER ROLE "+quote(role)+" LOGIN PASSWORD '"+hash+"' VALID UNTIL"+literal(string(row[0]))+"; COMMIT").ReadAll()
		return err
	})
	return c.failed(op, err, used)
}

// lockForSet begins a transaction that nobody else can change the role in, and returns
// when the role's next password should end, whether the role is locked, and whether it
// has LOGIN. What was read before the lock doesn't count, so the transaction must see
// what others have committed until then.
func (r *roles) lockForSet(ctx context.Context, conn *pgconn.PgConn, role string) (row [][]byte, err error) {
	const begin = "BEGIN ISOLATION LEVEL READ COMMITTED;"
	ask := lockRole(role) + "SET LOCAL DateStyle = ISO;" + r.until(role)
	visible := !r.conn.noAuthid.Load()
	results, err := writing(ctx, conn, begin, ask+r.lockedBy(role, visible))
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok && visible && answer.Code == codeInsufficientRights {
		if _, err := conn.Exec(ctx, "ROLLBACK").ReadAll(); err != nil {
			return nil, err
		}
		if results, err = writing(ctx, conn, begin, ask+r.lockedBy(role, false)); err == nil {
			r.conn.noAuthid.Store(true) // the role itself may be changed, so it's that
		}
	}
	if err != nil {
		return nil, err
	}
	return results[len(results)-1].Rows[0], nil
}

// lockedBy are two more columns: whether somebody locked the role, so that a password
// that it has can't log in, and whether it has LOGIN. Rota takes the password along with
// the login. Without a look at passwords, a role without LOGIN may be one that Rota may
// use. A role that's alone may have come to its end by itself, and goes on after that.
func (r *roles) lockedBy(role string, visible bool) string {
	expired := "false"
	if len(r.names) > 1 {
		expired = "coalesce(rolvaliduntil < clock_timestamp(), false)"
	}
	if visible {
		return ", rolpassword IS NOT NULL AND (NOT rolcanlogin OR " + expired + "), rolcanlogin FROM pg_catalog.pg_authid WHERE rolname =" + literal(role)
	}
	return ", rolcanlogin AND " + expired + ", rolcanlogin FROM pg_catalog.pg_roles WHERE rolname =" + literal(role)
}

// isLocked is the error for a role that somebody locked.
func (r *roles) isLocked(op, role string, login bool) error {
	unlock := state{Name: role}.unlock()
	if login {
		unlock = "ALTER ROLE " + quote(role) + " VALID UNTIL 'infinity'"
	}
	return &rota.Error{System: r.conn.system(), Connection: r.conn.name, Op: op, Class: rota.ClassStop,
		Err:      errors.New("the role was locked at the server, and Rota doesn't unlock it"),
		Remedies: rota.Outside(unlock + ", if it's meant to log in again")}
}

// until is a query for when the role's next password should end: when the role
// ends, if that's still to come, or else when another of the secret's roles ends,
// or never.
func (r *roles) until(role string) string {
	others := []string{"NULL"}
	for _, name := range r.names {
		if name != role {
			others = append(others, literal(name))
		}
	}
	const ends = "(SELECT min(rolvaliduntil) FROM pg_catalog.pg_roles WHERE rolvaliduntil > clock_timestamp() AND rolname IN ("
	return "SELECT coalesce(" + ends + literal(role) + ")), " + ends + strings.Join(others, ", ") + ")), 'infinity')::text"
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal quotes a text as an escape string, which means the same whatever
// standard_conforming_strings and backslash_quote are.
func literal(text string) string {
	return " E'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}

// Test logs in with the credential, on its own connection, and checks that the
// role has what it needs: the database, the group's privileges, and all that the
// other role of a pair has.
func (r *roles) Test(ctx context.Context, t rota.TestRequest) error {
	role := r.CredentialID(t.Credential)
	op := "log in as role " + role
	if err := r.ours(op, role); err != nil {
		return err
	}
	err := r.conn.login(ctx, t.Credential, func(ctx context.Context, conn *pgconn.PgConn) error {
		if alone := len(r.names) == 1 && r.group == ""; alone && conn.ParameterStatus("session_authorization") == role {
			return nil // the server said whom it let in, and there's no other role to compare privileges with
		}
		results, err := conn.Exec(ctx, limits(ctx, conn)+neutral+"SELECT session_user, "+r.membership()).ReadAll()
		if err != nil {
			return err
		}
		row := results[len(results)-1].Rows[0]
		if user := string(row[0]); user != role {
			return &rota.Error{System: r.conn.system(), Connection: r.conn.name, Op: op, Class: rota.ClassStop,
				Err: fmt.Errorf("the server mapped the login to role %s", user), Remedies: rota.Outside("look into pg_ident.conf and the pooler")}
		}
		if string(row[1]) != "t" {
			return &rota.Error{System: r.conn.system(), Connection: r.conn.name, Op: op, Class: rota.ClassStop,
				Err:      fmt.Errorf("it logs in but has not the privileges of group %s", r.group),
				Remedies: rota.Outside(inherit(serverVersion(conn), r.group, role))}
		}
		missing, err := r.lacks(ctx, conn, role)
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			return &rota.Error{System: r.conn.system(), Connection: r.conn.name, Op: op, Class: rota.ClassStop,
				Err:      fmt.Errorf("it logs in but lacks what the other role has: %s", list(missing)),
				Remedies: r.level(missing)}
		}
		return nil
	})
	return r.conn.refused(op, err, t.Credential)
}

// membership is an expression that's true if the session has the group's
// privileges, through inheritance or because it began with SET ROLE.
func (r *roles) membership() string {
	if r.group == "" {
		return "true"
	}
	return "current_user =" + literal(r.group) + " OR EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname =" + literal(r.group) +
		" AND pg_has_role(session_user, oid, 'USAGE'))"
}

// lacks names what another of the roles has and this one, which the session has
// logged in as, doesn't: a consumer would miss it. The other roles' privileges are
// found through an index, however many tables there are. The limits are sent ahead
// of that query: until they apply, a database's own transaction_timeout does, and
// the server may need more than a millisecond to read so long a query.
func (r *roles) lacks(ctx context.Context, conn *pgconn.PgConn, role string) ([]string, error) {
	var all []string
	for _, other := range r.names {
		if other == role {
			continue
		}
		if _, err := conn.Exec(ctx, "BEGIN;"+limits(ctx, conn)+neutral).ReadAll(); err != nil {
			return nil, err
		}
		results, err := conn.Exec(ctx, lacking(serverVersion(conn), role, other)+"; COMMIT").ReadAll()
		if err != nil {
			return nil, err
		}
		for _, row := range results[0].Rows {
			all = append(all, string(row[0]))
		}
	}
	return all, nil
}
