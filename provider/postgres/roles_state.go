package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
)

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
			ends := s.ends()
			issued = append(issued, rota.Issued{ID: s.Name, Active: !s.Expired, ExpiresAt: ends, EndsWithAccount: !ends.IsZero()})
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
