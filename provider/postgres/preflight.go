package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

const (
	// minVersion is the first PostgreSQL that knows SCRAM-SHA-256.
	minVersion = 100000
	// strictVersion is the first in which CREATEROLE alone doesn't let a role
	// alter others, and in which each membership has options of its own.
	strictVersion = 160000
)

// adminFacts is what the server says about Rota's own login.
type adminFacts struct {
	Name       string
	Version    int // 150018 for 15.18
	Shown      string
	Standby    bool
	Super      bool
	CreateRole bool
}

// roleFacts is what the server says about a role to be altered.
type roleFacts struct {
	Name        string
	Login       bool
	Super       bool
	Bootstrap   bool // made by initdb: it has to stay a superuser
	Replication bool
	Admin       bool // Rota's login has ADMIN OPTION on it
	Connect     bool // it may connect to the connection's database
	// The role's and the database's CONNECTION LIMIT, negative for none, and how
	// many sessions they have.
	Limit, Sessions                 int
	DatabaseLimit, DatabaseSessions int
}

// Preflight checks that Rota can log in, and that roles can be altered
// there. It changes nothing.
func (c *Connection) Preflight(ctx context.Context) []rota.Finding {
	findings, _, _ := c.preflight(ctx)
	return findings
}

func (c *Connection) preflight(ctx context.Context) ([]rota.Finding, adminFacts, bool) {
	login := rota.Finding{OK: true, Check: fmt.Sprintf("log in to %s as %s", c.system(), c.cfg.Username)}
	admin, err := c.admin(ctx)
	if err != nil {
		return []rota.Finding{provider.Failed(login.Check, err)}, adminFacts{}, false
	}
	login.Detail = "PostgreSQL " + admin.Shown
	server := rota.Finding{OK: true, Check: "accepts role changes", Detail: "a primary that knows SCRAM-SHA-256"}
	switch {
	case admin.Version < minVersion:
		server = rota.Finding{Check: server.Check, Detail: "PostgreSQL " + admin.Shown + " does not know SCRAM-SHA-256", Remedies: rota.Outside("PostgreSQL 10 or newer")}
	case admin.Standby:
		server = rota.Finding{Check: server.Check, Detail: "this server is a standby and can't be written to", Remedies: rota.Outside("the primary's host")}
	}
	return []rota.Finding{login, c.cfg.transport(), server}, admin, true
}

// admin asks the server about Rota's own login.
func (c *Connection) admin(ctx context.Context) (adminFacts, error) {
	found, err := ask(ctx, c, fmt.Sprintf("log in to %s as %s", c.system(), c.cfg.Username), pgx.RowToStructByPos[adminFacts], `
		SELECT rolname, current_setting('server_version_num')::int, current_setting('server_version'),
			pg_is_in_recovery(), rolsuper, rolcreaterole
		FROM pg_catalog.pg_roles WHERE rolname = current_user`)
	if err == nil && len(found) == 0 {
		err = errors.New("the server does not show Rota's own role")
	}
	if err != nil {
		return adminFacts{}, err
	}
	return found[0], nil
}

// transport reports whether anyone on the network path could eavesdrop or
// impersonate the server.
func (c Config) transport() rota.Finding {
	f := rota.Finding{Check: "talk to " + c.Host + " over TLS"}
	switch {
	case c.SSLMode == "verify-full" || c.SSLMode == "verify-ca":
		f.OK, f.Detail = true, "the server's certificate is checked"
	case c.loopback():
		f.OK, f.Detail = true, "not needed: it is on this machine"
	case c.SSLMode == "require":
		f.Warning, f.Detail = true, "encrypted, but the server's identity isn't verified"
		f.Remedies = rota.Outside("sslmode: verify-full, and sslrootcert where the server's authority is not a public one")
	default:
		f.Warning, f.Detail = true, "not encrypted: anyone on the network can read verifiers and the results of checks"
		f.Remedies = rota.Outside("sslmode: verify-full")
	}
	return f
}

// Preflight checks that the role's password can be changed and tested. It
// changes nothing; each role sees one rejected login.
func (p *password) Preflight(ctx context.Context) []rota.Finding {
	findings, exist := p.preflight(ctx)
	if len(exist) > 0 {
		findings = append(findings, p.noGroup(ctx))
	}
	return findings
}

// preflight checks what both ways of rotating need, and returns the roles
// that exist.
func (r *roles) preflight(ctx context.Context) ([]rota.Finding, []string) {
	findings, admin, ok := r.conn.preflight(ctx)
	if !ok {
		return findings, nil
	}
	found, err := r.facts(ctx, r.names...)
	if err != nil {
		return append(findings, provider.Failed("read roles", err)), nil
	}
	var exist []string
	for _, name := range r.names {
		i := slices.IndexFunc(found, func(f roleFacts) bool { return f.Name == name })
		if i < 0 {
			findings = append(findings, rota.Finding{Check: findRole(name), Detail: "it does not exist", Remedies: rota.Outside("the role's new name in rota.yaml, if it was renamed; or else CREATE ROLE " + quote(name) + " NOLOGIN, with the privileges its consumers need")})
			continue
		}
		exist = append(exist, name)
		findings = append(findings, mayAlter(admin, found[i]), mayConnect(r.conn.cfg.Database, found[i]), hasRoom(r.conn.cfg.Database, found[i], len(r.names) == 1), r.asked(ctx, name))
	}
	return findings, exist
}

// findRole is the check that reports a missing role.
func findRole(name string) string { return "find role " + name }

// facts asks the server about those of the roles that exist.
func (r *roles) facts(ctx context.Context, names ...string) ([]roleFacts, error) {
	return ask(ctx, r.conn, "read roles", pgx.RowToStructByPos[roleFacts], `
		SELECT rolname, rolcanlogin, rolsuper, r.oid = 10, rolreplication,
			pg_has_role(current_user, r.oid, 'MEMBER WITH ADMIN OPTION'),
			has_database_privilege(r.oid, current_database(), 'CONNECT'), rolconnlimit,
			(SELECT count(*)::int FROM pg_catalog.pg_stat_activity s WHERE s.usesysid = r.oid), d.datconnlimit,
			(SELECT count(*)::int FROM pg_catalog.pg_stat_activity s WHERE s.datid = d.oid AND s.usesysid IS NOT NULL)
		FROM pg_catalog.pg_roles r, pg_catalog.pg_database d WHERE d.datname = current_database() AND rolname = ANY ($1::text[])`, names)
}

// explained adds to the error of a change that was denied what would permit it.
// The server's code is the same for every cause, so this looks at the roles that
// the change was about.
func (r *roles) explained(ctx context.Context, err error, among ...string) error {
	if !denied(err) {
		return err
	}
	if admin, askErr := r.conn.admin(ctx); askErr == nil {
		if found, askErr := r.facts(ctx, among...); askErr == nil {
			for _, f := range found {
				if f := mayAlter(admin, f); !f.OK {
					return rota.WithRemedies(err, f.Remedies)
				}
			}
		}
	}
	return rota.WithRemedies(err, rota.Outside(fmt.Sprintf("give %s CREATEROLE, and from PostgreSQL 16 on the role WITH ADMIN OPTION", r.conn.cfg.Username)))
}

// mayAlter applies PostgreSQL's rules on which role may alter which, which
// became stricter in version 16.
func mayAlter(admin adminFacts, role roleFacts) rota.Finding {
	f := rota.Finding{Check: "may set the password of role " + role.Name}
	switch {
	case admin.Super:
		f.OK, f.Detail = true, admin.Name+" is superuser"
	case role.Super:
		f.Detail, f.Remedies = role.Name+" is superuser, whom only a superuser may alter", rota.Outside("use a connection that logs in as another superuser")
		if !role.Bootstrap {
			f.Remedies = append(f.Remedies, rota.Outside("ALTER ROLE "+quote(role.Name)+" NOSUPERUSER, if it doesn't need to be one")...)
		}
	case !admin.CreateRole:
		f.Detail, f.Remedies = admin.Name+" doesn't have CREATEROLE", rota.Outside("ALTER ROLE "+quote(admin.Name)+" CREATEROLE")
	case admin.Version < strictVersion && role.Replication:
		f.Detail, f.Remedies = role.Name+" has REPLICATION, and only a superuser may alter it before PostgreSQL 16", rota.Outside("ALTER ROLE "+quote(role.Name)+" NOREPLICATION")
	case admin.Version >= strictVersion && !role.Admin:
		f.Detail, f.Remedies = admin.Name+" doesn't have ADMIN OPTION on "+role.Name, rota.Outside("GRANT "+quote(role.Name)+" TO "+quote(admin.Name)+" WITH ADMIN OPTION, INHERIT FALSE, SET FALSE")
	default:
		f.OK, f.Detail = true, admin.Name+" has CREATEROLE"
	}
	return f
}

func mayConnect(database string, role roleFacts) rota.Finding {
	f := rota.Finding{OK: role.Connect, Check: "role " + role.Name + " may connect to database " + database}
	if !f.OK {
		f.Detail, f.Remedies = "it doesn't have CONNECT", rota.Outside("GRANT CONNECT ON DATABASE "+quote(database)+" TO "+quote(role.Name))
	}
	return f
}

// hasRoom checks that the login which tests a new password isn't one too many. A
// single role's consumers stay connected meanwhile; the next role of a pair has
// none yet. Superusers aren't limited.
func hasRoom(database string, role roleFacts, single bool) rota.Finding {
	f := rota.Finding{Check: "role " + role.Name + " has a connection left for the test"}
	limit := func(of string, n int) []rota.Remedy {
		return rota.Outside(fmt.Sprintf("ALTER %s CONNECTION LIMIT %d", of, n))
	}
	switch {
	case role.Super || role.Limit < 0 && role.DatabaseLimit < 0:
		f.OK = true
	case role.Limit == 0:
		f.Detail, f.Remedies = "its CONNECTION LIMIT is 0, so it can't log in", limit("ROLE "+quote(role.Name), 2)
	case single && role.Limit > 0 && role.Sessions >= role.Limit:
		f.Detail = fmt.Sprintf("it has %d of the %d that its CONNECTION LIMIT allows: until one is closed, no rotation begins", role.Sessions, role.Limit)
		f.Remedies = limit("ROLE "+quote(role.Name), role.Sessions+1)
	case role.DatabaseLimit >= 0 && role.DatabaseSessions >= role.DatabaseLimit:
		f.Detail = fmt.Sprintf("database %s has %d of the %d that its CONNECTION LIMIT allows", database, role.DatabaseSessions, role.DatabaseLimit)
		f.Remedies = limit("DATABASE "+quote(database), role.DatabaseSessions+1)
	case single && role.Limit == 1:
		f.Warning, f.Detail = true, "its CONNECTION LIMIT is 1: while a consumer is connected, a new password can't be tested, and no rotation begins"
		f.Remedies = limit("ROLE "+quote(role.Name), 2)
	default:
		f.OK = true
	}
	return f
}

// asked tries to log in with a random password: the server must reject it
// because of the password, or testing the right one would prove nothing.
func (r *roles) asked(ctx context.Context, role string) rota.Finding {
	f := rota.Finding{Check: "the server asks role " + role + " for its password"}
	err := r.conn.login(ctx, rota.NewCredential(map[string]string{
		rota.FieldUsername: role, rota.FieldPassword: rand.Text(),
	}), func(context.Context, *pgconn.PgConn) error { return nil })
	answer, answered := errors.AsType[*pgconn.PgError](err)
	switch {
	case rejected(err):
		f.OK, f.Detail = true, "it rejects a wrong one"
	case err == nil || unasked(err):
		f.Detail = "it accepts any password, so a login proves nothing"
		f.Remedies = rota.Outside("scram-sha-256 in place of trust, peer or cert in the server's pg_hba.conf")
	case answered && answer.Code == codeInvalidAuthorization:
		f.Detail = r.conn.plain(err, nil).Error()
		f.Remedies = rota.Outside("a line for the role with scram-sha-256 in the server's pg_hba.conf")
	default:
		return provider.Failed(f.Check, r.conn.failed(f.Check, err))
	}
	return f
}
