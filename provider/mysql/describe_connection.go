package mysql

import (
	"strconv"

	"github.com/rota-dev/rota/provider"
)

// connectionConfig is a server and the account to log in as.
type connectionConfig struct {
	At             provider.Pos      `json:"-"`
	Host           provider.Text     `json:"host" host:"path" jsonschema:"A host name, an address, or the path of a Unix socket."`
	Port           provider.Int      `json:"port,omitzero" min:"1" max:"65535" default:"3306" jsonschema:"The port."`
	Database       provider.Text     `json:"database,omitzero" jsonschema:"The database that checks run in, and in which rows are whose tables are named without one."`
	Username       provider.Text     `json:"username" jsonschema:"The user that Rota logs in as."`
	Password       provider.Text     `json:"password,omitzero" secret:"true" jsonschema:"Its password: a reference such as ${file:/run/secrets/db}."`
	SSLMode        provider.Plain    `json:"ssl_mode,omitzero" enum:"disabled,verify_ca,verify_identity" default:"verify_identity, and disabled on loopback addresses and sockets" jsonschema:"How TLS is used, as in MySQL's ssl-mode."`
	SSLCA          provider.Text     `json:"ssl_ca,omitzero" host:"true" jsonschema:"The file with the certificates to trust."`
	SSLCert        provider.Text     `json:"ssl_cert,omitzero" host:"true" jsonschema:"The file with the client's certificate."`
	SSLKey         provider.Text     `json:"ssl_key,omitzero" host:"true" jsonschema:"The file with the client's key."`
	SendPasswords  provider.Bool     `json:"send_passwords,omitzero" default:"false" jsonschema:"Whether to send new passwords instead of their hashes, so that the server's password validation plugins can check them. The server writes them into its logs."`
	ConnectTimeout provider.Duration `json:"connect_timeout,omitzero" default:"10s" jsonschema:"The timeout for logging in."`
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	if c.SSLCert.IsSet() != c.SSLKey.IsSet() {
		v.Problem(c.At, "", "", "ssl_cert and ssl_key must be set together")
	}
	if c.SSLMode.Text == sslDisabled && (c.SSLCA.IsSet() || c.SSLCert.IsSet()) {
		v.Problem(c.SSLMode.At, "ssl_mode", "ssl_mode: verify_identity", "disabled makes no use of certificates")
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
		SSLCA:          b.Text(c.SSLCA),
		SSLCert:        b.Text(c.SSLCert),
		SSLKey:         b.Text(c.SSLKey),
		SendPasswords:  c.SendPasswords.Yes,
		ConnectTimeout: c.ConnectTimeout.Length,
		Reach:          b.Reach,
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper]: all names of this machine are one server as
// long as the port is the same.
func (c *connectionConfig) Scope(k *provider.Known) string {
	host, known := k.Text(c.Host)
	if !known || host == "" {
		return ""
	}
	port := c.Port.Number
	if port == 0 {
		port = defaultPort
	}
	return "mysql server\x00" + hostKey(host) + "\x00" + strconv.Itoa(port)
}
