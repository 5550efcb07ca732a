package redis

import (
	"slices"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// connectionConfig is the servers and the user to log in as.
type connectionConfig struct {
	At        provider.Pos    `json:"-"`
	Addresses []provider.Text `json:"addresses" host:"path" jsonschema:"The servers, the primary first: host:port, or the path of a Unix socket. ACL users aren't replicated, so each replica and each node of a cluster is listed."`
	Username  provider.Text   `json:"username" jsonschema:"The user that Rota logs in as."`
	Password  provider.Text   `json:"password,omitzero" secret:"true" jsonschema:"Its password: a reference such as ${file:/run/secrets/redis}."`
	TLS       provider.Bool   `json:"tls,omitzero" default:"true, and false on loopback addresses and sockets" jsonschema:"Encrypts connections and verifies the server's certificate."`
	provider.TLSFiles
	Persist provider.Plain    `json:"persist,omitzero" enum:"acl_file,config_file,none" default:"acl_file if the server has one, and otherwise config_file" jsonschema:"What keeps a new password across a restart of the server: ACL SAVE, CONFIG REWRITE, or whatever starts it."`
	Timeout provider.Duration `json:"timeout,omitzero" default:"10s" jsonschema:"The timeout for logging in, and for each command."`
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	if len(c.Addresses) == 0 {
		v.Problem(c.At, "addresses", "addresses: [redis.internal:6379]", "no address")
	}
	for _, a := range c.Addresses {
		if address, plain := a.Literal(); plain && address != "" {
			if _, _, err := endpoint(address); err != nil {
				v.Problem(a.At, "addresses", "redis.internal:6379, with username and password in keys of their own", "an address %v", err)
			}
		}
	}
	c.CheckTLS(v, c.At)
	if c.TLS.At.IsSet() && !c.TLS.Yes && (c.TLSCA.IsSet() || c.TLSCert.IsSet()) {
		v.Problem(c.TLS.At, "tls", "true", "false makes no use of certificates")
	}
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{
		Addresses:    b.Texts(c.Addresses),
		Username:     b.Text(c.Username),
		Password:     b.Text(c.Password),
		Certificates: c.Certificates(b),
		Persist:      Persist(c.Persist.Text),
		Timeout:      c.Timeout.Length,
		Reach:        b.Reach,
	}
	if c.TLS.At.IsSet() {
		cfg.TLS = &c.TLS.Yes
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper]: the same servers have the same users.
func (c *connectionConfig) Scope(k *provider.Known) string {
	var all []string
	for _, a := range c.Addresses {
		text, known := k.Text(a)
		network, addr, err := endpoint(text)
		if !known || err != nil {
			return ""
		}
		if network == "tcp" && loopback(network, addr) {
			addr = "localhost" + addr[strings.LastIndex(addr, ":"):]
		}
		all = append(all, strings.ToLower(addr))
	}
	slices.Sort(all)
	return strings.Join(all, "\x00")
}
