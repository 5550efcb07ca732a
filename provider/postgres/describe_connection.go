package postgres

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// connectionConfig is a database and the role to log in as.
type connectionConfig struct {
	At             provider.Pos      `json:"-"`
	Host           provider.Text     `json:"host" host:"path" jsonschema:"A host name, an address, or the folder of a Unix socket."`
	Port           provider.Int      `json:"port,omitzero" min:"1" max:"65535" default:"5432" jsonschema:"The port."`
	Database       provider.Text     `json:"database,omitzero" default:"postgres" jsonschema:"The database."`
	Username       provider.Text     `json:"username" jsonschema:"The role that Rota logs in as."`
	Password       provider.Text     `json:"password,omitzero" secret:"true" jsonschema:"Its password: a reference such as ${file:/run/secrets/db}."`
	SSLMode        provider.Plain    `json:"sslmode,omitzero" enum:"disable,require,verify-ca,verify-full" default:"verify-full, and to disable on loopback addresses and sockets" jsonschema:"How TLS is used, as in libpq's sslmode."`
	SSLRootCert    provider.Text     `json:"sslrootcert,omitzero" host:"true" jsonschema:"The file with the certificates to trust."`
	SSLCert        provider.Text     `json:"sslcert,omitzero" host:"true" jsonschema:"The file with the client's certificate."`
	SSLKey         provider.Text     `json:"sslkey,omitzero" host:"true" jsonschema:"The file with the client's key."`
	RequireAuth    provider.Plain    `json:"require_auth,omitzero" default:"any over a Unix socket or with a verified certificate, and otherwise any but password" jsonschema:"How the server may ask for a password, as in libpq's require_auth: a list such as md5,scram-sha-256 or !password. password is in cleartext."`
	ConnectTimeout provider.Duration `json:"connect_timeout,omitzero" default:"10s" jsonschema:"The timeout for logging in."`
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	if c.SSLCert.IsSet() != c.SSLKey.IsSet() {
		v.Problem(c.At, "", "", "sslcert and sslkey must be set together")
	}
	if c.SSLMode.Text == "disable" && (c.SSLRootCert.IsSet() || c.SSLCert.IsSet()) {
		v.Problem(c.SSLMode.At, "sslmode", "sslmode: verify-full", "disable makes no use of certificates")
	}
	if _, err := testableMethods(c.RequireAuth.Text); err != nil {
		v.Error(c.RequireAuth.At, "require_auth", err)
	}
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{
		Host:           b.Text(c.Host),
		Port:           c.Port.Number,
		Database:       b.Text(c.Database),
		Username:       b.Text(c.Username),
		Password:       b.Text(c.Password),
		SSLMode:        c.SSLMode.Text,
		SSLRootCert:    b.Text(c.SSLRootCert),
		SSLCert:        b.Text(c.SSLCert),
		SSLKey:         b.Text(c.SSLKey),
		RequireAuth:    c.RequireAuth.Text,
		ConnectTimeout: c.ConnectTimeout.Length,
		Reach:          b.Reach,
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper]: roles belong to the server, whichever of
// its databases a connection goes to. All names of this machine are one server
// as long as the port is the same.
func (c *connectionConfig) Scope(k *provider.Known) string {
	host, known := k.Text(c.Host)
	if !known || host == "" {
		return ""
	}
	port := c.Port.Number
	if port == 0 {
		port = defaultPort
	}
	return "server\x00" + hostKey(host) + "\x00" + strconv.Itoa(port)
}

// SameHost reports whether two names are evidently the same host's: whatever the
// case, a dot at the end, or how an address is written.
func SameHost(a, b string) bool { return hostKey(a) == hostKey(b) }

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
