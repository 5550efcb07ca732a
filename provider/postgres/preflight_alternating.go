package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight checks that both roles' passwords can be changed and tested, and
// that consumers have the same privileges with either. It changes nothing;
// each role sees one rejected login.
func (a *alternating) Preflight(ctx context.Context) []rota.Finding {
	findings, exist := a.preflight(ctx)
	for i, f := range findings {
		if a.clone && f.Check == findRole(a.names[1]) {
			findings[i] = rota.Finding{OK: true, Check: f.Check, Detail: "it doesn't exist yet; the first rotation creates it as a member of " + a.names[0] + " that acts as it"}
		}
	}
	for _, role := range exist {
		if a.group != "" {
			findings = append(findings, a.inGroup(ctx, role))
		}
	}
	if len(exist) == len(a.names) {
		findings = append(findings, a.ownsNothing(ctx, a.names[0], a.names[1]), a.ownsNothing(ctx, a.names[1], a.names[0]), a.sameRights(ctx), a.oneFree(ctx))
	}
	if len(exist) > 0 {
		findings = append(findings, a.noStandbys(ctx))
	}
	return findings
}

// inGroup checks for the group's privileges: through inheritance, or through
// a SET ROLE at the start of the session, which the membership has to permit.
func (a *alternating) inGroup(ctx context.Context, role string) rota.Finding {
	f := rota.Finding{Check: "role " + role + " has the privileges of group " + a.group}
	type membership struct {
		Version int
		Has     bool
	}
	found, err := ask(ctx, a.conn, f.Check, pgx.RowToStructByPos[membership], `
		SELECT current_setting('server_version_num')::int,
			pg_has_role(r.oid, g.oid, 'USAGE') OR pg_has_role(r.oid, g.oid, `+mayBecome+`) AND EXISTS (
				SELECT FROM pg_catalog.pg_db_role_setting s
				WHERE s.setrole = r.oid AND 'role=' || g.rolname = ANY (s.setconfig)
					AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())))
		FROM pg_catalog.pg_roles r, pg_catalog.pg_roles g WHERE r.rolname = $1 AND g.rolname = $2`, role, a.group)
	switch {
	case err != nil:
		return provider.Failed(f.Check, err)
	case len(found) == 0:
		f.Detail, f.Remedies = "the group does not exist", rota.Outside("CREATE ROLE "+quote(a.group)+" NOLOGIN")
	case !found[0].Has:
		f.Detail, f.Remedies = "it is not a member that inherits them", rota.Outside(inherit(found[0].Version, a.group, role))
	default:
		f.OK = true
	}
	return f
}

// most is how many things a finding names.
const most = 5

func list(things []string) string {
	if len(things) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(things[:most], ", "), len(things)-most)
	}
	return strings.Join(things, ", ")
}

// ownsNothing checks that the role owns no objects that the other may not alter or
// drop: as long as it does, the other isn't promoted.
func (a *alternating) ownsNothing(ctx context.Context, role, other string) rota.Finding {
	f := rota.Finding{Check: "role " + role + " owns nothing that role " + other + " can't alter"}
	owned, err := ask(ctx, a.conn, f.Check, pgx.RowTo[string], compare(other, role, ownershipParts))
	switch {
	case err != nil:
		return provider.Failed(f.Check, err)
	case len(owned) > 0:
		f.Detail, f.Remedies = "role "+other+" lacks "+list(owned), a.level(owned)
	default:
		f.OK = true
	}
	return f
}

// sameRights compares all that the two have, as the test before a promotion does.
func (a *alternating) sameRights(ctx context.Context) rota.Finding {
	f := rota.Finding{Check: "roles " + a.names[0] + " and " + a.names[1] + " have the same rights"}
	admin, err := a.conn.admin(ctx)
	if err != nil {
		return provider.Failed(f.Check, err)
	}
	var differences, all []string
	for i, role := range a.names {
		only, err := ask(ctx, a.conn, f.Check, pgx.RowTo[string], compare(a.names[1-i], role, rights(admin.Version)))
		if err != nil {
			return provider.Failed(f.Check, err)
		}
		if len(only) > 0 {
			differences = append(differences, "only "+role+": "+list(only))
			all = append(all, only...)
		}
	}
	f.OK, f.Detail, f.Remedies = len(differences) == 0, strings.Join(differences, "; "), a.level(all)
	return f
}

// oneFree reports when both roles can log in: then one of them has a
// password that something may be using, and no rotation starts.
func (a *alternating) oneFree(ctx context.Context) rota.Finding {
	f := rota.Finding{Check: "one of roles " + a.names[0] + " and " + a.names[1] + " is free for the next password"}
	issued, err := a.List(ctx)
	locked := slices.IndexFunc(issued, func(i rota.Issued) bool { return i.Unlock != "" })
	switch {
	case err != nil:
		return provider.Failed(f.Check, err)
	case len(issued) == len(a.names) && locked >= 0:
		name := issued[locked].ID
		f.Warning, f.Detail = true, "role "+name+" can't log in, but it has a password: somebody locked it, and Rota neither unlocks it nor gives it another password"
		f.Remedies = append(rota.Outside(issued[locked].Unlock+", if it's meant to log in again"), rota.Outside("ALTER ROLE "+quote(name)+" PASSWORD NULL, if Rota may use it for the next password")...)
	case len(issued) == len(a.names):
		f.Warning, f.Detail = true, "both can log in. That's fine while the previous credential awaits retirement. Otherwise someone else set one of the passwords, and Rota won't use either role for the next one"
		f.Remedies = rota.Outside("if no previous credential awaits retirement, and nobody uses the role that isn't current: ALTER ROLE … NOLOGIN PASSWORD NULL")
	default:
		f.OK = true
	}
	return f
}

// noStandbys warns about sessions that LastUsed can't see.
func (a *alternating) noStandbys(ctx context.Context) rota.Finding {
	f := rota.Finding{Check: "all sessions are seen"}
	standbys, err := ask(ctx, a.conn, f.Check, pgx.RowTo[int], "SELECT count(*)::int FROM pg_catalog.pg_stat_replication")
	switch {
	case err != nil:
		return provider.Failed(f.Check, err)
	case standbys[0] > 0:
		f.Warning, f.Detail = true, fmt.Sprintf("%d replication connections: sessions on standbys aren't visible", standbys[0])
		f.Remedies = rota.Outside("a grace that is longer than any consumer keeps its old password")
	default:
		f.OK = true
	}
	return f
}
