package mysql

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Config says how Rota logs in to change accounts.
type Config struct {
	// Host is a host name, an address, or the path of a Unix socket.
	Host string
	// Port defaults to 3306.
	Port int
	// Database is the database that checks run in, and the one of tables that rows
	// name without a database; "" for none.
	Database string
	// Username is Rota's own account, and Password its password.
	Username, Password string
	// SSLMode is disabled, verify_ca or verify_identity, with MySQL's meanings.
	// Defaults to verify_identity, and to disabled for loopback addresses and
	// sockets.
	SSLMode string
	// SSLCA is a file with the certificate authorities to trust. Defaults to the
	// system's.
	SSLCA string
	// SSLCert and SSLKey are files with the client's certificate and key.
	SSLCert, SSLKey string
	// ConnectTimeout limits one login. Defaults to 10 s.
	ConnectTimeout time.Duration
	// SendPasswords sends new passwords rather than their hashes, so that the
	// server's plugins can check them.
	SendPasswords bool
	// Reach decides which addresses may be reached; nil for all.
	Reach provider.Reach
}

const (
	defaultPort           = 3306
	defaultConnectTimeout = 10 * time.Second
)

// The values of ssl_mode. Encryption without a look at the certificate isn't
// among them: it would protect from nobody who can answer in the server's place.
const (
	sslDisabled       = "disabled"
	sslVerifyCA       = "verify_ca"
	sslVerifyIdentity = "verify_identity"
)

// maxConns is the maximum number of Rota's own sessions on a server. A rotation
// uses at most one at a time; limits.per_system decides how many there are.
const maxConns = 16

func (c Config) withDefaults() Config {
	if c.Port == 0 {
		c.Port = defaultPort
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	if c.SSLMode == "" {
		c.SSLMode = sslVerifyIdentity
		if c.loopback() {
			c.SSLMode = sslDisabled
		}
	}
	return c
}

func (c Config) socket() bool { return filepath.IsAbs(c.Host) }

// loopback reports whether traffic stays on this machine.
func (c Config) loopback() bool { return c.socket() || hostKey(c.Host) == "localhost" }

func (c Config) validate() error {
	var errs []error
	refuse := func(hint, format string, args ...any) {
		errs = append(errs, rota.WithRemedies(fmt.Errorf(format, args...), rota.Configure("", hint)))
	}
	switch {
	case c.Host == "":
		refuse("db.example.org", "host is empty")
	case strings.ContainsAny(c.Host, "@?(") || strings.Contains(c.Host, "://"):
		// It isn't repeated: it may hold a password.
		refuse("db.example.org, with port, username and password in keys of their own", "host is a URL or has a login in it")
	case strings.Contains(c.Host, ","):
		refuse("one name that follows the primary", "host %q names several hosts", c.Host)
	}
	if c.Port < 1 || c.Port > 65535 {
		refuse("", "port %d is not between 1 and 65535", c.Port)
	}
	if c.Username == "" {
		refuse("an account with CREATE USER for Rota itself", "username is empty")
	}
	if c.ConnectTimeout < 0 {
		refuse("", "connect timeout %s is negative", c.ConnectTimeout)
	}
	switch c.SSLMode {
	case sslDisabled, sslVerifyCA, sslVerifyIdentity:
	default:
		refuse("verify_identity; or verify_ca, disabled", "ssl_mode is %q", c.SSLMode)
	}
	if (c.SSLCert == "") != (c.SSLKey == "") {
		refuse("", "ssl_cert and ssl_key must be set together")
	}
	for _, text := range []string{c.Host, c.Database, c.Username, c.Password} {
		if strings.ContainsRune(text, 0) {
			refuse("", "a setting contains a NUL character")
		}
	}
	return errors.Join(errs...)
}

// tls reads the certificates; nil if connections aren't encrypted.
func (c Config) tls() (*tls.Config, error) {
	if c.SSLMode == sslDisabled {
		return nil, nil
	}
	t, err := provider.Certificates{CA: c.SSLCA, Cert: c.SSLCert, Key: c.SSLKey, Prefix: "ssl_"}.TLS()
	if err != nil {
		return nil, err
	}
	t.ServerName = c.Host
	if c.SSLMode == sslVerifyCA {
		t.InsecureSkipVerify = true // the name isn't looked at; VerifyConnection looks at the rest
		t.VerifyConnection = func(state tls.ConnectionState) error {
			options := x509.VerifyOptions{Roots: t.RootCAs, Intermediates: x509.NewCertPool()}
			for _, cert := range state.PeerCertificates[1:] {
				options.Intermediates.AddCert(cert)
			}
			_, err := state.PeerCertificates[0].Verify(options)
			return err
		}
	}
	return t, nil
}

// login is the driver's settings for logging in as somebody.
func (c Config) login(username, password string, encrypt *tls.Config) *driver.Config {
	d := driver.NewConfig()
	d.User, d.Passwd = username, password
	d.Net, d.Addr = "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	if c.socket() {
		d.Net, d.Addr = "unix", c.Host
	}
	d.TLS = encrypt
	d.Timeout = c.ConnectTimeout
	d.Logger = &driver.NopLogger{}
	d.DialFunc = c.dial
	return d
}

// hostKey is equal for names that are evidently the same host's. All names of this
// machine are.
func hostKey(host string) string {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	switch ip := net.ParseIP(host); {
	case name == "localhost", ip != nil && ip.IsLoopback():
		return "localhost"
	case ip != nil:
		return ip.String()
	case filepath.IsAbs(host):
		return filepath.Clean(host)
	}
	return name
}
