package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// SQLSTATE codes, from appendix A of PostgreSQL's documentation.
const (
	codeInvalidAuthorization = "28000"
	codeInvalidPassword      = "28P01"
	codeInvalidParameter     = "22023"
	codeInsufficientRights   = "42501"
	codeUndefinedObject      = "42704"
	codeUndefinedDatabase    = "3D000"
	codeReadOnly             = "25006"
	codeNotSupported         = "0A000"
	codeSyntax               = "42601"
	codeTooManyConnections   = "53300"
	codeLockNotAvailable     = "55P03"
	codeUniqueViolation      = "23505"
	codeInternal             = "XX000"
	codeProtocolViolation    = "08P01"
	codeCanceled             = "57014"
)

// failed turns an error into a classified one whose text contains no
// secret. pgx's error isn't kept in the chain: it can contain all of the
// connection's settings.
func (c *Connection) failed(op string, err error, used ...rota.Credential) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*rota.Error](err); ok {
		return err
	}
	class, hint, sentinel := c.classify(err)
	remedies := rota.Outside(hint)
	if e, ok := disallowed(err); ok {
		remedies = e.remedies(c.name)
	}
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: class, Remedies: remedies, Err: c.plain(err, sentinel, used...)}
}

// classify says what can be done about an error in a statement, or in logging
// in as Rota's own role.
func (c *Connection) classify(err error) (class rota.Class, hint string, sentinel error) {
	if provider.Untrusted(err) {
		return rota.ClassStop, "sslrootcert with the authority of the server's certificate, and the host name that it is made for", nil
	}
	if withoutTLS(err) {
		return rota.ClassWait, fmt.Sprintf("turn on TLS at the server (ssl = on), with a certificate; connection %s asks for it with sslmode: %s", c.name, c.cfg.SSLMode), nil
	}
	if _, ok := disallowed(err); ok {
		return rota.ClassStop, "", nil // see [methodError]
	}
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if unasked(err) {
		return rota.ClassStop, fmt.Sprintf("scram-sha-256 in place of trust, peer or cert in the server's pg_hba.conf, or require_auth with none for connection %s", c.name), nil
	}
	if !ok {
		return rota.ClassWait, c.unreached(err), nil
	}
	switch code := answer.Code; {
	case strings.HasPrefix(code, "28") && isLogin(err), rejected(err):
		return rota.ClassStop, fmt.Sprintf("check username and password of connection %s, and the server's pg_hba.conf", c.name), nil
	case code == codeInvalidParameter || strings.HasPrefix(code, "28"):
		// What passwordcheck and similar modules return for a rejected password.
		return rota.ClassRegenerate, "", nil
	case code == codeInsufficientRights: // why, only the server's catalog says: see explained
		return rota.ClassStop, "", nil
	case code == codeUndefinedObject:
		return rota.ClassStop, "the role's new name in rota.yaml, if it was renamed; or else create the role", rota.ErrNotFound
	case code == codeUndefinedDatabase:
		return rota.ClassStop, "check the connection's database", nil
	case code == codeReadOnly:
		return rota.ClassWait, "connect to the primary", nil
	case code == codeTooManyConnections:
		return rota.ClassWait, "raise the limit of connections, or close some", nil
	case code == codeLockNotAvailable:
		return rota.ClassWait, "see in pg_locks who holds the lock", nil
	case code == codeCanceled:
		return rota.ClassWait, "see in pg_stat_activity what the server is busy with", nil
	case strings.HasPrefix(code, "42"), strings.HasPrefix(code, "0A"), strings.HasPrefix(code, "22"):
		return rota.ClassStop, "", nil
	}
	return rota.ClassWait, "", nil
}

// unreached is what a person can do about a login that got no response.
func (c *Connection) unreached(err error) string {
	if !isLogin(err) || errors.Is(err, context.Canceled) {
		return ""
	}
	if late(err) {
		return fmt.Sprintf("a longer connect_timeout for connection %s, which is %s, if the server answers logins late, as auth_delay makes it; or else see why it hangs", c.name, c.cfg.ConnectTimeout)
	}
	return fmt.Sprintf("check host and port of connection %s, that PostgreSQL runs there, and that no firewall is on the way", c.name)
}

// late reports whether the other end took the connection, and then didn't answer
// in time. pgx has no type for it.
func late(err error) bool {
	return provider.TimedOut(err) &&
		(strings.Contains(err.Error(), "failed to receive message") || strings.Contains(err.Error(), "failed SASL auth"))
}

// refused classifies an error of a session that logged in, or tried to, with a
// rotated credential.
func (c *Connection) refused(op string, err error, cred rota.Credential) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*rota.Error](err); ok {
		return err
	}
	e := &rota.Error{System: c.system(), Connection: c.name, Op: op, Err: c.plain(err, nil, cred)}
	class, hint, _ := c.classify(err)
	e.Class, e.Remedies = class, rota.Outside(hint)
	if m, ok := disallowed(err); ok {
		e.Remedies = m.remedies(c.name)
	}
	answer, answered := errors.AsType[*pgconn.PgError](err)
	switch {
	case answered && isLogin(err) && answer.Code == codeInvalidAuthorization && slices.Contains([]string{"ClientAuthentication", "auth_failed"}, answer.Routine):
		// No line in pg_hba.conf matches, or the one that does asks somebody else,
		// as with ldap or ident: that says nothing about the password.
		e.Class, e.Remedies = rota.ClassStop, rota.Outside("a line for the role with scram-sha-256 in the server's pg_hba.conf")
	case rejected(err), answered && isLogin(err) && answer.Code == codeInvalidAuthorization:
		e.Class, e.Remedies = rota.ClassWait, nil
		e.Err = c.plain(err, rota.ErrRefused, cred)
	case answered && isLogin(err) && answer.Code == codeInsufficientRights:
		e.Class, e.Remedies = rota.ClassStop, rota.Outside("GRANT CONNECT ON DATABASE "+quote(c.cfg.Database)+" TO the role or its group")
	case unasked(err):
		e.Class, e.Remedies = rota.ClassStop, rota.Outside("scram-sha-256 in place of trust, peer or cert in the server's pg_hba.conf")
		e.Err = errors.New("the server let the role in without asking for its password, so a login proves nothing")
	case !isLogin(err) && (answered && answer.Code == codeCanceled || !answered && errors.Is(err, context.DeadlineExceeded)):
		e.Remedies = rota.Outside("use a statement that's quicker, or see in pg_locks what it waits for")
	case answered && answer.Code == codeReadOnly:
		e.Remedies = rota.Outside("a statement that only reads")
	case answered && !isLogin(err) && e.Class != rota.ClassWait:
		// A statement that the role may not run, or that's wrong.
		e.Class, e.Remedies = rota.ClassStop, nil
	}
	return e
}

// rejected reports whether a login was refused because of its password. PgBouncer
// has one code for all it refuses, so its words decide: those of a server that it
// can't reach, or of a database that it doesn't know, say nothing about a password.
func rejected(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || !isLogin(err) {
		return false
	}
	return answer.Code == codeInvalidPassword || answer.Code == codeProtocolViolation &&
		slices.Contains([]string{"SASL authentication failed", "password authentication failed", "auth failed", "Auth failed"}, answer.Message)
}

// unasked reports whether pgx gave up because the server asked for no
// password. pgx has no type for it; the words are libpq's.
func unasked(err error) bool {
	_, answered := errors.AsType[*pgconn.PgError](err)
	return err != nil && !answered && strings.Contains(err.Error(), "server did not complete authentication")
}

// withoutTLS reports whether the server speaks PostgreSQL but no TLS. pgx has no
// type for it.
func withoutTLS(err error) bool {
	return err != nil && strings.Contains(err.Error(), "server refused TLS connection")
}

// answered is an error that the server returned, with its SQLSTATE code.
type answered struct{ text, code string }

func (e *answered) Error() string { return e.text }

// denied reports whether Rota's login lacks a right.
func denied(err error) bool {
	a, ok := errors.AsType[*answered](err)
	return ok && a.code == codeInsufficientRights
}

// plain returns an error with only the text. Its chain contains only the
// context's error, the sentinel or the server's code.
func (c *Connection) plain(err, sentinel error, used ...rota.Credential) error {
	text := err.Error()
	if e, ok := disallowed(err); ok {
		text = e.Error()
	}
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if ok {
		text = fmt.Sprintf("%s (SQLSTATE %s)", answer.Message, answer.Code)
	}
	// Before any blank is folded, or a value with two in a row would stay.
	own := rota.NewCredential(map[string]string{rota.FieldPassword: c.cfg.Password})
	text = rota.Sanitize(errors.New(text), append(slices.Clone(used), own)...).Error()
	text = strings.Join(strings.Fields(text), " ")
	if ok && sentinel == nil {
		return &answered{text, answer.Code}
	}
	return provider.Opaque(text, err, sentinel)
}
