package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

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
	return r.explained(ctx, r.conn.setPassword(ctx, op, role, hash, r.until(role), s.Credential), role)
}

// setPassword sets a verifier, and the end of the role's validity that a query
// returns. It's idempotent, so it's repeated if the session turns out to be dead.
func (c *Connection) setPassword(ctx context.Context, op, role, hash, until string, used rota.Credential) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	err := c.fresh(ctx, func(session *pgxpool.Conn) error {
		conn := session.Conn().PgConn() // after an error, the pool drops it together with its transaction
		results, err := writing(ctx, conn, "BEGIN;", lockRole(role)+"SET LOCAL DateStyle = ISO;"+until)
		if err != nil {
			return err
		}
		end := string(results[len(results)-1].Rows[0][0])
		_, err = conn.Exec(ctx, "ALTER ROLE "+quote(role)+" LOGIN PASSWORD '"+hash+"' VALID UNTIL"+literal(end)+"; COMMIT").ReadAll()
		return err
	})
	return c.failed(op, err, used)
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

// state is one role as the catalog shows it.
type state struct {
	Name    string
	Login   bool
	Expired bool
	// NoPassword and HasPassword are only known if Rota may read pg_authid.
	NoPassword  bool
	HasPassword bool
	// Until is when the role's validity ends, in microseconds since 1970; 0 if it
	// doesn't before the year 9999, or already has.
	Until int64
}

// stateColumns are the columns of a state, without the password's.
const stateColumns = `rolname, rolcanlogin, coalesce(rolvaliduntil < clock_timestamp(), false), %s,
	CASE WHEN rolvaliduntil > clock_timestamp() AND rolvaliduntil < '9999-12-31' THEN (extract(epoch FROM rolvaliduntil) * 1000000)::bigint ELSE 0 END`

// ends is when the role's validity ends, zero for never.
func (s state) ends() time.Time {
	if s.Until == 0 {
		return time.Time{}
	}
	return time.UnixMicro(s.Until).UTC()
}

// The columns for whether a role has a password, if Rota may read that or not.
const (
	passwordColumns = "rolpassword IS NULL, rolpassword IS NOT NULL"
	unknownColumns  = "false, false"
)

// locked reports whether somebody took the role's login away and left its
// password. Rota takes away both, or neither.
func (s state) locked() bool { return !s.Login && s.HasPassword }

// gone reports whether the role has no credential that could ever log in again.
func (s state) gone() bool { return s.NoPassword || !s.Login && !s.HasPassword }

// unlock is the statement that lets a role log in again.
func (s state) unlock() string { return "ALTER ROLE " + quote(s.Name) + " LOGIN" }

// states reads the roles; those that don't exist are left out.
func (r *roles) states(ctx context.Context, op string) ([]state, error) {
	names := make([]string, len(r.names))
	for i, name := range r.names {
		names[i] = literal(name)
	}
	where := " WHERE rolname IN (" + strings.Join(names, ", ") + ") ORDER BY rolname"
	rows, allowed, err := r.conn.authid(ctx, op, fmt.Sprintf("SELECT "+stateColumns+" FROM pg_catalog.pg_authid", passwordColumns)+where)
	if err == nil && !allowed {
		rows, err = r.conn.rows(ctx, op, fmt.Sprintf("SELECT "+stateColumns+" FROM pg_catalog.pg_roles", unknownColumns)+where)
	}
	var found []state
	for _, row := range rows {
		until, _ := strconv.ParseInt(string(row[5]), 10, 64)
		found = append(found, state{Name: string(row[0]), Login: isTrue(row[1]), Expired: isTrue(row[2]), NoPassword: isTrue(row[3]), HasPassword: isTrue(row[4]), Until: until})
	}
	return found, err
}

func isTrue(text []byte) bool { return string(text) == "t" }

// readStates checks for passwords only if Rota may: a query that names a
// column of pg_authid it can't read fails as a whole.
func readStates(ctx context.Context, tx pgx.Tx, names []string) ([]state, error) {
	var visible bool
	if err := tx.QueryRow(ctx, "SELECT has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT')").Scan(&visible); err != nil {
		return nil, err
	}
	columns, from := unknownColumns, "pg_catalog.pg_roles"
	if visible {
		columns, from = passwordColumns, "pg_catalog.pg_authid"
	}
	rows, err := tx.Query(ctx, fmt.Sprintf("SELECT "+stateColumns+" FROM ", columns)+from+" WHERE rolname = ANY ($1::text[]) ORDER BY rolname", names)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[state])
}

// List returns the roles that can log in, or could if reactivated, and as locked
// those that can't log in although they have a password. If Rota may not read
// pg_authid, a role with LOGIN counts even if it never got a password: create the
// spare one of a pair with NOLOGIN. Locked roles are then left out.
func (r *roles) List(ctx context.Context) ([]rota.Issued, error) {
	found, err := r.states(ctx, "list roles "+strings.Join(r.names, ", "))
	if err != nil {
		return nil, err
	}
	var issued []rota.Issued
	for _, s := range found {
		switch {
		case s.locked():
			issued = append(issued, rota.Issued{ID: s.Name, Unlock: s.unlock()})
		case !s.gone():
			issued = append(issued, rota.Issued{ID: s.Name, Active: !s.Expired, ExpiresAt: s.ends()})
		}
	}
	return issued, nil
}

// Locked implements [rota.Locker]: a role that can't log in may have a password that
// Rota can't see.
func (r *roles) Locked(ctx context.Context, credentialID string) (string, error) {
	found, err := r.states(ctx, "see whether role "+credentialID+" can log in")
	for _, s := range found {
		if s.Name == credentialID && !s.Login && !s.NoPassword {
			return s.unlock(), nil
		}
	}
	return "", err
}

// sessions is a group of similar open sessions of a role. Only members of
// pg_read_all_stats see their address; everyone sees that they exist.
type sessions struct {
	Count       int
	Address     *string
	Application *string
}

// LastUsed checks whether the role has open sessions on this server right
// now: the evidence is a sample, and sessions on standbys aren't visible.
func (r *roles) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	op := "look for sessions of role " + credentialID
	if err := r.ours(op, credentialID); err != nil {
		return rota.Use{}, err
	}
	found, err := ask(ctx, r.conn, op, pgx.RowToStructByPos[sessions], `
		SELECT count(*)::int, host(client_addr), nullif(application_name, '')
		FROM pg_catalog.pg_stat_activity WHERE usename = $1 GROUP BY 2, 3 ORDER BY 1 DESC, 2, 3`, credentialID)
	if err != nil {
		return rota.Use{}, err
	}
	use := rota.Use{Evidence: rota.EvidenceSampled}
	if len(found) > 0 {
		use.At = time.Now().UTC()
		use.Detail = describe(found)
	}
	return use, nil
}

// describe names the first few places sessions come from.
func describe(found []sessions) string {
	const most = 3
	var places []string
	for i, s := range found {
		if i == most {
			places = append(places, fmt.Sprintf("and %d more places", len(found)-most))
			break
		}
		place := fmt.Sprintf("%d sessions", s.Count)
		if s.Count == 1 {
			place = "1 session"
		}
		if s.Address != nil {
			place += " from " + *s.Address
		}
		if s.Application != nil {
			place += ", application " + *s.Application
		}
		places = append(places, place)
	}
	return strings.Join(places, "; ")
}
