package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// dependents is what depends on a role that can't log in: one with members, or
// that owns something, may be a group that nobody is meant to log in as.
type dependents struct {
	Members int
	Owned   int
}

func (d dependents) any() bool { return d.Members > 0 || d.Owned > 0 }

func (d dependents) String() string {
	return fmt.Sprintf("it can't log in, has %s and owns %s", count(d.Members, "member"), count(d.Owned, "object"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// dependentsQuery leaves out a membership that only allows its member to
// administer the role, as a role's creator has from PostgreSQL 16 on, and
// Rota's own. It also leaves out what createrole_self_grant gives the creator in
// addition: the creator is who has ADMIN OPTION from the first superuser, and
// nothing else.
const dependentsQuery = `
	SELECT (SELECT count(*)::int FROM pg_catalog.pg_auth_members m WHERE m.roleid = r.oid
			AND (coalesce((to_jsonb(m) ->> 'inherit_option')::bool, true) OR coalesce((to_jsonb(m) ->> 'set_option')::bool, true))
			AND m.member <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user)
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members c WHERE c.roleid = m.roleid AND c.member = m.member AND c.grantor = 10 AND m.grantor = m.member
				AND c.admin_option AND NOT (to_jsonb(c) ->> 'inherit_option')::bool AND NOT (to_jsonb(c) ->> 'set_option')::bool)),
		(SELECT count(*)::int FROM pg_catalog.pg_shdepend d
			WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o')
	FROM pg_catalog.pg_roles r WHERE r.rolname = $1`

// dependents reads what depends on the role; nothing if it doesn't exist.
func (p *password) dependents(ctx context.Context, op string) (dependents, error) {
	found, err := ask(ctx, p.conn, op, pgx.RowToStructByPos[dependents], dependentsQuery, p.names[0])
	if err != nil || len(found) == 0 {
		return dependents{}, err
	}
	return found[0], nil
}

// List also shows a role that can't log in if something depends on it, as
// inactive. It has no password, but giving it one would let someone log in as
// what may be a group, so a person has to ask for that.
func (p *password) List(ctx context.Context) ([]rota.Issued, error) {
	issued, err := p.roles.List(ctx)
	if err != nil || len(issued) > 0 {
		return issued, err
	}
	d, err := p.dependents(ctx, "list role "+p.names[0])
	if err != nil || !d.any() {
		return nil, err
	}
	return []rota.Issued{{ID: p.names[0]}}, nil
}

// noGroup warns about a role that looks like a group.
func (p *password) noGroup(ctx context.Context) rota.Finding {
	f := rota.Finding{Check: "role " + p.names[0] + " is a login role"}
	found, err := p.states(ctx, f.Check)
	if err != nil {
		return provider.Failed(f.Check, err)
	}
	if len(found) == 0 || !found[0].gone() {
		f.OK = true
		return f
	}
	d, err := p.dependents(ctx, f.Check)
	switch {
	case err != nil:
		return provider.Failed(f.Check, err)
	case d.any():
		f.Warning, f.Detail = true, d.String()+". Rota doesn't turn what may be a group into a login role unless a person asks for it"
		f.Remedies = rota.Outside("name a login role that's a member of it; or rotate the secret by hand, if consumers log in as this role itself")
	default:
		f.OK = true
	}
	return f
}

// inherit is the statement that gives a role the privileges of a group, whatever
// is in the way. From PostgreSQL 16 on, an existing membership keeps its options
// unless they're named.
func inherit(version int, group, role string) string {
	if version >= strictVersion {
		return "GRANT " + quote(group) + " TO " + quote(role) + " WITH INHERIT TRUE"
	}
	return "GRANT " + quote(group) + " TO " + quote(role) + "; ALTER ROLE " + quote(role) + " INHERIT"
}
