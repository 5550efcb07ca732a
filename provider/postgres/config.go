package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Config says how Rota logs in to change roles.
type Config struct {
	// Host is a host name, an address, or the folder of a Unix socket. Only
	// one: the primary's, or a name that follows it.
	Host string
	// Port defaults to 5432.
	Port int
	// Database is the database to connect to; the roles must be able to
	// connect to it too. Defaults to postgres.
	Database string
	// Username is Rota's own role, and Password its password; "" if the
	// server asks for none.
	Username, Password string
	// SSLMode is disable, require, verify-ca or verify-full, with libpq's
	// meanings. Defaults to verify-full, and to disable for loopback
	// addresses and sockets.
	SSLMode string
	// SSLRootCert is a file with the certificate authorities to trust.
	// Defaults to the system's.
	SSLRootCert string
	// SSLCert and SSLKey are files with the client's certificate and key.
	SSLCert, SSLKey string
	// RequireAuth lists how the server may ask for a password, in libpq's words:
	// "scram-sha-256", "md5,scram-sha-256" or "!password". It applies to Rota's
	// own role and to the roles whose passwords are tested. Defaults to any way
	// over a Unix socket or if the server's certificate is verified, and else to
	// any but password, which sends it in cleartext.
	RequireAuth string
	// ConnectTimeout limits one login. Defaults to 10 s.
	ConnectTimeout time.Duration
	// Reach decides which addresses may be reached; nil for all.
	Reach provider.Reach
}

const (
	defaultPort           = 5432
	defaultDatabase       = "postgres"
	defaultConnectTimeout = 10 * time.Second
)

// maxConns is the maximum number of Rota's own sessions on a server. Each
// rotation in flight uses at most one, so how many there are is decided by
// limits.per_system; with fewer sessions than rotations, the latter would wait
// for each other.
const maxConns = 16

// withDefaults fills in unset fields.
func (c Config) withDefaults() Config {
	if c.Port == 0 {
		c.Port = defaultPort
	}
	if c.Database == "" {
		c.Database = defaultDatabase
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	if c.SSLMode == "" {
		c.SSLMode = "verify-full"
		if c.loopback() {
			c.SSLMode = "disable"
		}
	}
	return c
}

// loopback reports whether traffic stays on this machine.
func (c Config) loopback() bool {
	return filepath.IsAbs(c.Host) || hostKey(c.Host) == "localhost"
}

func (c Config) validate() error {
	var errs []error
	refuse := func(hint, format string, args ...any) {
		errs = append(errs, rota.WithRemedies(fmt.Errorf(format, args...), rota.Configure("", hint)))
	}
	if c.Host == "" {
		refuse("db.example.org", "host is empty")
	}
	switch {
	case strings.ContainsAny(c.Host, "@?") || strings.Contains(c.Host, "://"):
		// It isn't repeated: it may hold a password.
		refuse("db.example.org, with port, username and password in keys of their own", "host is a URL or has a login in it")
	case strings.Contains(c.Host, ","):
		refuse("one name that follows the primary", "host %q names several hosts", c.Host)
	}
	if c.Port < 1 || c.Port > 65535 {
		refuse("", "port %d is not between 1 and 65535", c.Port)
	}
	if c.Username == "" {
		refuse("a role with CREATEROLE for Rota itself", "username is empty")
	}
	if c.ConnectTimeout < 0 {
		refuse("", "connect timeout %s is negative", c.ConnectTimeout)
	}
	switch c.SSLMode {
	case "disable", "require", "verify-ca", "verify-full":
	default:
		refuse("verify-full; or require, verify-ca, disable", "sslmode is %q", c.SSLMode)
	}
	if (c.SSLCert == "") != (c.SSLKey == "") {
		refuse("", "sslcert and sslkey must be set together")
	}
	if _, err := testableMethods(c.RequireAuth); err != nil {
		errs = append(errs, fmt.Errorf("require_auth: %w", err))
	}
	for _, text := range []string{c.Host, c.Database, c.Username, c.Password} {
		if strings.ContainsRune(text, 0) {
			refuse("", "a setting contains a NUL character")
		}
	}
	return errors.Join(errs...)
}

// pool returns the settings of Rota's own sessions. The password is added
// after parsing, so that the parser's errors can't contain it, and the
// process's environment (PGOPTIONS and the like) is overridden.
func (c Config) pool() (*pgxpool.Config, error) {
	var b strings.Builder
	for _, setting := range [][2]string{
		{"host", c.Host}, {"port", strconv.Itoa(c.Port)}, {"dbname", c.Database}, {"user", c.Username},
		{"sslmode", c.SSLMode}, {"sslrootcert", c.SSLRootCert}, {"sslcert", c.SSLCert}, {"sslkey", c.SSLKey},
		{"sslnegotiation", "postgres"}, {"sslcertmode", "allow"}, {"passfile", os.DevNull}, {"password", ""},
		{"target_session_attrs", "any"}, {"require_auth", c.RequireAuth}, {"channel_binding", "prefer"},
		{"min_protocol_version", "3.0"}, {"max_protocol_version", "3.0"}, {"connect_timeout", "0"},
	} {
		fmt.Fprintf(&b, "%s='%s' ", setting[0], strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(setting[1]))
	}
	p, err := pgxpool.ParseConfig(b.String())
	if err != nil {
		// The parser's own text repeats the whole connection string.
		err = fmt.Errorf("connection settings: %w", parserReason(err))
		if os.Getenv("PGSERVICE") != "" { // the parser reads that service, whatever the settings are
			err = rota.WithRemedies(err, rota.Outside("unset PGSERVICE in Rota's environment"))
		}
		return nil, err
	}
	if c.RequireAuth == "" {
		p.ConnConfig.RequireAuth = defaultRequireAuth(&p.ConnConfig.Config)
	}
	p.ConnConfig.Password = c.Password
	p.ConnConfig.ConnectTimeout = c.ConnectTimeout
	p.ConnConfig.DialFunc = c.Reach.Dialer(c.ConnectTimeout).DialContext
	p.ConnConfig.RuntimeParams = map[string]string{"application_name": applicationName}
	// One round trip per query, and no prepared statements, so that a pooler
	// in between does no harm.
	p.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	p.MaxConns = maxConns
	p.MaxConnIdleTime = time.Minute
	return p, nil
}

// parserReason is pgx's innermost reason for rejecting settings.
func parserReason(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
