package postgres

import (
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rota-dev/rota"
)

// Ways in which a server can have a client prove who it is, as libpq's
// require_auth names them. methodCleartext hands the password itself to whoever
// asks, methodNone is no proof at all.
const (
	methodCleartext = "password"
	methodNone      = "none"
)

// passwordMethods are those by which a password is tested, and authMethods all.
var (
	passwordMethods = []string{methodCleartext, "md5", "scram-sha-256"}
	authMethods     = append(slices.Clone(passwordMethods), "gss", "sspi", "oauth", methodNone)
)

// allowedMethods returns the methods that require_auth allows: those listed, or,
// if each has a "!", the others. "" allows all.
func allowedMethods(requireAuth string) ([]string, error) {
	if requireAuth == "" {
		return authMethods, nil
	}
	var listed []string
	negated := false
	for i, item := range strings.Split(requireAuth, ",") {
		name, not := strings.CutPrefix(strings.TrimSpace(item), "!")
		switch {
		case !slices.Contains(authMethods, name):
			return nil, rota.WithRemedies(fmt.Errorf("%q is not a method", name), rota.Configure("", strings.Join(authMethods, ", ")))
		case i > 0 && not != negated:
			return nil, rota.WithRemedies(errors.New("some methods have a ! and others don't"), rota.Configure("", "all or none with !"))
		case slices.Contains(listed, name):
			return nil, fmt.Errorf("%s is named twice", name)
		}
		listed, negated = append(listed, name), not
	}
	return slices.DeleteFunc(slices.Clone(authMethods), func(m string) bool { return slices.Contains(listed, m) == negated }), nil
}

// testableMethods are the allowed methods that ask for a password: only these
// prove one.
func testableMethods(requireAuth string) ([]string, error) {
	allowed, err := allowedMethods(requireAuth)
	if err != nil {
		return nil, err
	}
	allowed = slices.DeleteFunc(slices.Clone(allowed), func(m string) bool { return !slices.Contains(passwordMethods, m) })
	if len(allowed) == 0 {
		return nil, rota.WithRemedies(errors.New("no method allowed asks for a password, so none could be tested"), rota.Configure("", "scram-sha-256 as well"))
	}
	return allowed, nil
}

// defaultRequireAuth keeps the password from whoever answers in the server's
// place or listens on the way, unless it's known who does: over a Unix socket,
// or if the server's certificate is verified.
func defaultRequireAuth(c *pgconn.Config) string {
	if filepath.IsAbs(c.Host) || verifies(c.TLSConfig) {
		return ""
	}
	return "!" + methodCleartext
}

// verifies reports whether a certificate that nobody vouches for is refused.
func verifies(c *tls.Config) bool {
	return c != nil && (!c.InsecureSkipVerify || c.VerifyPeerCertificate != nil)
}

// pgx has no type for a server that asks in a way that isn't allowed; the words
// are libpq's.
var disallowedMethod = regexp.MustCompile(`authentication method requirement "[^"]*" failed: server requested (\S+) authentication`)

// methodError is a login that was broken off because of how the server asked for
// the password.
type methodError struct{ asked string }

// disallowed returns how the server asked, if that's why a login was broken off.
func disallowed(err error) (e methodError, ok bool) {
	if _, answered := errors.AsType[*pgconn.PgError](err); err == nil || answered {
		return e, false // a server's own text may say anything
	}
	m := disallowedMethod.FindStringSubmatch(err.Error())
	if m == nil {
		return e, false
	}
	return methodError{m[1]}, true
}

func (e methodError) Error() string {
	if e.asked == methodCleartext {
		return "the server asks for the password in cleartext, and it wasn't sent"
	}
	return "the server asks for the password by the method " + e.asked + ", and it wasn't given"
}

// remedies are what a person can do about it.
func (e methodError) remedies(connection string) []rota.Remedy {
	remedies := rota.Outside("scram-sha-256 in the server's pg_hba.conf")
	if e.asked != methodCleartext {
		return append(remedies, rota.Configure("require_auth", "require_auth with "+e.asked+" for connection "+connection)...)
	}
	remedies = append(remedies, rota.Configure("sslmode", "sslmode: verify-full for connection "+connection)...)
	return append(remedies, rota.Configure("require_auth", "require_auth: password for connection "+connection+
		", if the server can only take it in cleartext (PAM, LDAP, RADIUS, a pooler) and everyone up to it is trusted")...)
}
