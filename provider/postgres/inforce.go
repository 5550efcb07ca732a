package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
)

// InForce implements [rota.Teller] if Rota may read pg_authid, as a superuser
// may, by comparing the role's verifier with the credential's password. It
// says nothing about pg_hba.conf, or whether the role may log in: that's what
// Test is for.
func (r *roles) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	role := r.CredentialID(c)
	op := "look which password role " + role + " has"
	if err := r.ours(op, role); err != nil {
		return false, false, err
	}
	rows, _, err := r.conn.authid(ctx, op, "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname ="+literal(role))
	if len(rows) == 0 { // after an error, too
		return false, false, err
	}
	inForce, known = r.conn.matches(role, string(rows[0][0]), c.Field(rota.FieldPassword))
	return inForce, known, nil
}

// matches calls the function of the same name, but doesn't derive keys again
// for a verifier and password that this process knows to match: those it
// last set or looked at.
func (c *Connection) matches(role, verifier, password string) (same, known bool) {
	pair := pairOf(verifier, password)
	if last, _ := c.pairs.Load(role); last == pair {
		return true, true
	}
	if same, known = matches(verifier, password); same {
		c.pairs.Store(role, pair)
	}
	return same, known
}

// pairOf identifies a verifier, which contains no NUL, with its password.
func pairOf(verifier, password string) [sha256.Size]byte {
	return sha256.Sum256([]byte(verifier + "\x00" + password))
}

// authid runs a query on pg_authid in one round trip, and returns its rows as
// text. If Rota may not read that table, allowed is false. That's asked only
// once per connection: restarting after a later grant is better than a failing
// query every time for everyone else.
func (c *Connection) authid(ctx context.Context, op, query string) (rows [][][]byte, allowed bool, err error) {
	if c.noAuthid.Load() {
		return nil, false, nil
	}
	rows, err = c.exec(ctx, query)
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok && answer.Code == codeInsufficientRights && !isLogin(err) {
		c.noAuthid.Store(true)
		return nil, false, nil
	}
	return rows, true, c.failed(op, err)
}

// rows runs a query without parameters, and returns its rows as text.
func (c *Connection) rows(ctx context.Context, op, query string) ([][][]byte, error) {
	rows, err := c.exec(ctx, query)
	return rows, c.failed(op, err)
}

// exec runs a query as one transaction, in one round trip.
func (c *Connection) exec(ctx context.Context, query string) (rows [][][]byte, err error) {
	ctx, cancel := deadline(ctx)
	defer cancel()
	err = c.fresh(ctx, func(conn *pgxpool.Conn) error {
		results, err := conn.Conn().PgConn().Exec(ctx, limits(ctx, conn.Conn().PgConn())+neutral+query).ReadAll()
		if err == nil {
			rows = results[len(results)-1].Rows
		}
		return err
	})
	return rows, err
}

// matches compares a SCRAM verifier with a password. For other kinds of
// verifier, such as MD5, the result is unknown.
func matches(verifier, password string) (same, known bool) {
	rest, scram := strings.CutPrefix(verifier, "SCRAM-SHA-256$")
	head, keys, _ := strings.Cut(rest, "$")
	iterations, salt, _ := strings.Cut(head, ":")
	stored, server, _ := strings.Cut(keys, ":")
	n, _ := strconv.Atoi(iterations) // 0 for what isn't a number
	if !scram || n < 1 || n > maxIterations {
		return false, false
	}
	raw := make([][]byte, 3)
	for i, text := range []string{salt, stored, server} {
		var err error
		if raw[i], err = base64.StdEncoding.DecodeString(text); err != nil || len(raw[i]) == 0 {
			return false, false
		}
	}
	got, err := scramKeys(password, raw[0], n)
	if err != nil {
		return false, false
	}
	return hmac.Equal(got.StoredKey, raw[1]) && hmac.Equal(got.ServerKey, raw[2]), true
}

// maxIterations limits the work a verifier can demand.
const maxIterations = 1_000_000
