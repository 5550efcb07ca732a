package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Error codes, from MariaDB's documentation and MySQL's.
const (
	codeTooManyConnections = 1040
	codeDatabaseDenied     = 1044
	codeAccessDenied       = 1045
	codeUnknownDatabase    = 1049
	codeHostBlocked        = 1129
	codeHostNotAllowed     = 1130
	codeTableDenied        = 1142
	codeColumnDenied       = 1143
	codeNoSuchTable        = 1146
	codeUnknownVariable    = 1193
	codeUserConnections    = 1203
	codeLockWait           = 1205
	codeUserLimit          = 1226
	codeSpecificDenied     = 1227
	codeOptionPrevents     = 1290
	codeCannotUser         = 1396
	codePluginNotLoaded    = 1524
	codeNoPasswordAsked    = 1698
	codeReadOnlyWrite      = 1792
	codeInvalidPassword    = 1819
	codeMustChange         = 1820
	codeExpired            = 1862
	codeNameTooLong        = 1470
	codeStatementTime      = 1969
	codeMySQLLocked        = 3118
	codeInHistory          = 3638
	codeMustBeCurrent      = 3894
	codeFailedTooOften     = 3955
	codeUserBlocked        = 4150
	codeLocked             = 4151
)

// code is the server's error code, 0 if it didn't answer.
func code(err error) uint16 {
	if e, ok := errors.AsType[*driver.MySQLError](err); ok {
		return e.Number
	}
	return 0
}

// failed turns an error into a classified one whose text contains no secret.
func (c *Connection) failed(op string, err error, used ...rota.Credential) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*rota.Error](err); ok {
		return err
	}
	class, hint, sentinel := c.classify(err)
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: class, Remedies: rota.Outside(hint), Err: c.plain(err, sentinel, used...)}
}

// classify says what can be done about an error in a statement, or in logging in
// as Rota's own account.
func (c *Connection) classify(err error) (class rota.Class, hint string, sentinel error) {
	switch {
	case provider.Untrusted(err):
		return rota.ClassStop, "ssl_ca with the authority of the server's certificate, and the host name that it is made for", nil
	case errors.Is(err, driver.ErrNoTLS):
		return rota.ClassStop, fmt.Sprintf("turn on TLS at the server (ssl_cert and ssl_key); connection %s asks for it with ssl_mode: %s", c.name, c.cfg.SSLMode), nil
	case errors.Is(err, errAskedForPassword), errors.Is(err, driver.ErrCleartextPassword):
		return rota.ClassStop, "ssl_mode: verify_identity for connection " + c.name + ", or, at MariaDB, the plugin ed25519 or mysql_native_password for the account", nil
	case errors.Is(err, driver.ErrOldPassword), errors.Is(err, driver.ErrUnknownPlugin):
		return rota.ClassStop, "the plugin ed25519 or mysql_native_password for the account", nil
	case errors.Is(err, errOtherServer), code(err) == codeUnknownVariable:
		return rota.ClassStop, "a connection to MariaDB 10.4 or later, or MySQL 8.0.14 or later", nil
	}
	switch n := code(err); n {
	case 0:
		return rota.ClassWait, c.unreached(err), nil
	case codeAccessDenied, codeNoPasswordAsked:
		return rota.ClassStop, "check username and password of connection " + c.name + ", and the host that the account is for", nil
	case codeHostNotAllowed:
		return rota.ClassStop, "CREATE USER for " + c.cfg.Username + " at the host that Rota comes from", nil
	case codeFailedTooOften:
		return rota.ClassWait, "ALTER USER with ACCOUNT UNLOCK for the account, and see who logs in with a wrong password", nil
	case codeLocked, codeMySQLLocked, codeMustChange, codeExpired:
		return rota.ClassStop, "ALTER USER with ACCOUNT UNLOCK and PASSWORD EXPIRE NEVER for the account that Rota logs in as", nil
	case codeHostBlocked:
		return rota.ClassWait, "FLUSH HOSTS at the server", nil
	case codeUserBlocked:
		return rota.ClassWait, "FLUSH PRIVILEGES at the server", nil
	case codeTooManyConnections, codeUserConnections, codeUserLimit:
		return rota.ClassWait, "raise the limit of connections, or close some", nil
	case codeLockWait:
		return rota.ClassWait, "see in SHOW PROCESSLIST who holds the lock", nil
	case codeStatementTime:
		return rota.ClassWait, "see in SHOW PROCESSLIST what the server is busy with", nil
	case codeUnknownDatabase:
		return rota.ClassStop, "check the connection's database", nil
	case codeInvalidPassword, codeInHistory:
		return rota.ClassRegenerate, "", nil
	case codeCannotUser:
		return rota.ClassStop, "the account's new name in rota.yaml, if it was renamed; or else create the account", rota.ErrNotFound
	case codeReadOnlyWrite:
		return rota.ClassWait, "connect to the primary", nil
	case codePluginNotLoaded:
		return rota.ClassStop, "INSTALL the account's plugin at the server", nil
	case codeOptionPrevents:
		if strings.Contains(err.Error(), "strict-password-validation") {
			return rota.ClassStop, "strict_password_validation = OFF at the server, or send_passwords: true for connection " + c.name + ", if the server's logs may have passwords in them", nil
		}
		return rota.ClassWait, "connect to the primary", nil
	case codeNameTooLong:
		return rota.ClassStop, "an account with a shorter name: MySQL takes 32 characters, the suffix of a clone among them", nil
	case codeDatabaseDenied, codeTableDenied, codeColumnDenied, codeSpecificDenied:
		if strings.Contains(err.Error(), systemUser) {
			return rota.ClassStop, c.grantSystemUser(), nil
		}
		return rota.ClassStop, "run what rota policy mysql prints, as an administrator", nil
	default:
		if n >= 1040 && n < 1200 && !passing(n) {
			return rota.ClassStop, "", nil
		}
	}
	return rota.ClassWait, "", nil
}

// systemUser is the privilege without which MySQL lets nobody alter an account that
// has it.
const systemUser = "SYSTEM_USER"

func (c *Connection) grantSystemUser() string {
	return "GRANT " + systemUser + " ON *.* TO " + name(c.cfg.Username) + ", or REVOKE it from the account, whose consumers hardly need it"
}

// passing reports whether a code says something of the server or the network that
// ends by itself: a shutdown, a node that isn't ready yet, packets that got lost.
func passing(n uint16) bool {
	return slices.Contains(waitsFor, n) || n >= codeNetwork && n <= codeNetworkLast
}

// unreached is what a person can do about a login that got no response.
func (c *Connection) unreached(err error) string {
	if !isLogin(err) || errors.Is(err, context.Canceled) {
		return ""
	}
	if provider.TimedOut(err) {
		return fmt.Sprintf("a longer connect_timeout for connection %s, which is %s, if the server answers logins late; or else see why it hangs", c.name, c.cfg.ConnectTimeout)
	}
	return fmt.Sprintf("check host and port of connection %s, that the server runs there, and that no firewall is on the way", c.name)
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
	class, hint, _ := c.classify(err)
	e := &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: class, Remedies: rota.Outside(hint), Err: c.plain(err, nil, cred)}
	switch n := code(err); {
	case rejected(err):
		e.Class, e.Remedies, e.Err = rota.ClassWait, nil, c.plain(err, rota.ErrRefused, cred)
	case n == codeNoPasswordAsked:
		e.Remedies = rota.Outside("the plugin ed25519 or mysql_native_password for the account, and no other account of that name that matches Rota's host first")
	case n == codeHostNotAllowed:
		e.Remedies = rota.Outside("an account for the host that Rota comes from, or Rota on a host that the account is for")
	case n == codeDatabaseDenied && isLogin(err):
		e.Remedies = rota.Outside("GRANT a privilege on the connection's database TO the account")
	case !isLogin(err) && (n == codeStatementTime || n == 0 && errors.Is(err, context.DeadlineExceeded)):
		e.Remedies = rota.Outside("use a statement that's quicker, or see in SHOW PROCESSLIST what it waits for")
	case n == codeReadOnlyWrite:
		e.Class, e.Remedies = rota.ClassStop, rota.Outside("a statement that only reads")
	case n != 0 && !isLogin(err) && e.Class != rota.ClassWait:
		// A statement that the account may not run, or that's wrong.
		e.Class, e.Remedies = rota.ClassStop, nil
	}
	return e
}

// rejected reports whether a login was refused, or is worth nothing, because of
// the password or the account's state.
func rejected(err error) bool {
	n := code(err)
	return isLogin(err) && (n == codeAccessDenied || n == codeLocked || n == codeMySQLLocked) || n == codeExpired || n == codeMustChange
}

// plain returns an error with only the text. Its chain contains only the
// context's error or the sentinel.
func (c *Connection) plain(err, sentinel error, used ...rota.Credential) error {
	text := err.Error()
	if e, ok := errors.AsType[*driver.MySQLError](err); ok {
		text = fmt.Sprintf("%s (error %d)", e.Message, e.Number)
	}
	own := rota.NewCredential(map[string]string{rota.FieldPassword: c.cfg.Password})
	text = rota.Sanitize(errors.New(text), append(slices.Clone(used), own)...).Error()
	return provider.Opaque(rota.Brief(strings.Join(strings.Fields(text), " ")), err, sentinel)
}
