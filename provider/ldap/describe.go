package ldap

import (
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// kindLDAP is the key of this package's connections.
const kindLDAP = "ldap"

// Provider describes what rota.yaml can name of LDAP directories.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "ldap",
		System:  "LDAP directories",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindLDAP, Remote: true, Summary: "An LDAP directory such as OpenLDAP, and an entry that can change other entries' passwords.",
				Example: `{url: ldaps://ldap.internal, bind_dn: "cn=rota,dc=example,dc=com", password: "${file:/run/secrets/ldap}"}`,
			},
			New: func() provider.ConnectionConfig { return new(connectionConfig) },
		}},
		Issuers: []provider.Issuer{{
			Kind: provider.Kind{
				Key: "ldap_password", Summary: "The password of an entry (connection: ldap). The old one stops working as soon as the new one is set, unless passwords is 2.",
				Example: `{dn: "uid=orders,ou=apps,dc=example,dc=com"}`,
			},
			Connection: kindLDAP, Evidence: rota.EvidenceRecorded,
			Varies: "with passwords: 2 the previous one stays valid until it's deleted",
			New:    func() provider.IssuerConfig { return new(entryConfig) },
		}},
	}
}

// connectionConfig is a connection's part of rota.yaml.
type connectionConfig struct {
	At       provider.Pos  `json:"-"`
	URL      provider.Text `json:"url" jsonschema:"The server that accepts changes: ldaps://ldap.internal, or ldap://ldap.internal for StartTLS."`
	BindDN   provider.Text `json:"bind_dn" jsonschema:"The DN that Rota logs in as."`
	Password provider.Text `json:"password" secret:"true" jsonschema:"Its password: a reference such as ${file:/run/secrets/ldap}."`
	StartTLS provider.Bool `json:"start_tls,omitzero" default:"true for ldap://, and false on loopback addresses" jsonschema:"Encrypts what begins without TLS, and verifies the server's certificate. Only loopback addresses do without."`
	provider.TLSFiles
	Timeout provider.Duration `json:"timeout,omitzero" default:"10s" jsonschema:"The timeout for a login and what's done with it."`
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	if text, plain := c.URL.Literal(); plain && text != "" {
		u, err := place(text)
		if err != nil {
			v.Error(c.URL.At, "url", err)
		} else if c.StartTLS.At.IsSet() && c.StartTLS.Yes == (u.Scheme == "ldaps") {
			v.Problem(c.StartTLS.At, "start_tls", "leave it out", "ldaps begins with TLS, and ldap needs StartTLS off loopback addresses")
		}
	}
	if text, plain := c.BindDN.Literal(); plain && text != "" {
		if _, err := normalize(text); err != nil {
			v.Error(c.BindDN.At, "bind_dn", err)
		}
	}
	c.CheckTLS(v, c.At)
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{URL: b.Text(c.URL), BindDN: b.Text(c.BindDN), Password: b.Text(c.Password), Certificates: c.Certificates(b), Timeout: c.Timeout.Length, Reach: b.Reach}
	if err := b.Err(); err != nil {
		return nil, err
	}
	if u, err := place(cfg.URL); err == nil && u.Scheme == "ldap" {
		cfg.Plain = provider.Loopback(u.Hostname())
		if c.StartTLS.At.IsSet() {
			cfg.Plain = !c.StartTLS.Yes
		}
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper]: all names of this machine are one server as
// long as the port is the same.
func (c *connectionConfig) Scope(k *provider.Known) string {
	text, known := k.Text(c.URL)
	u, err := place(text)
	if !known || err != nil {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	if provider.Loopback(host) {
		host = "localhost"
	}
	if port := u.Port(); port != "389" && port != "636" { // these two are one server
		host += ":" + port
	}
	return host
}

// entryConfig is the password of one entry.
type entryConfig struct {
	provider.PasswordRules
	DN        provider.Text  `json:"dn" jsonschema:"The entry's DN."`
	Passwords provider.Int   `json:"passwords,omitzero" min:"1" max:"2" default:"1" jsonschema:"How many passwords of Rota's are valid at a time. With 2 the previous one stays valid until it's deleted, for which Rota hashes."`
	Hash      provider.Plain `json:"hash,omitzero" enum:"ssha,ssha256,ssha512" default:"the server hashes (RFC 3062), or ssha if it can't, or with passwords: 2" jsonschema:"How Rota hashes the password. ssha256 and ssha512 take the module pw-sha2 in OpenLDAP."`
}

// Traits implements [provider.IssuerConfig].
func (c *entryConfig) Traits() rota.Traits { return traits(c.Passwords.Number == 2) }

// Fields implements [provider.IssuerConfig].
func (c *entryConfig) Fields() provider.Fields {
	login := []string{rota.FieldUsername, rota.FieldPassword}
	return provider.Fields{All: login, Login: login}
}

// Validate implements [provider.Validator].
func (c *entryConfig) Validate(v *provider.Validation) {
	v.Password(c.PasswordRules)
	text, plain := c.DN.Literal()
	if !plain || text == "" {
		return
	}
	dn, err := normalize(text)
	if err != nil {
		v.Error(c.DN.At, "dn", err)
		return
	}
	connection, ok := v.Connection.(*connectionConfig)
	if !ok {
		return
	}
	// After a crash between the new password and the connection's, nobody could log in.
	if own, plain := connection.BindDN.Literal(); plain {
		if same, err := normalize(own); err == nil && same == dn {
			v.Problem(c.DN.At, "dn", "an entry for the connection alone", "%q is the entry that Rota itself logs in as", text)
		}
	}
}

// Claims implements [provider.Claimer]: the entry, however its DN is spelled.
func (c *entryConfig) Claims(k *provider.Known) []provider.Claim {
	entry, ok := k.Claim("LDAP entry", c.DN)
	if !ok {
		return nil
	}
	if dn, err := normalize(entry.Name); err == nil {
		entry.Name = dn
	}
	return []provider.Claim{entry}
}

// Issuer implements [provider.IssuerConfig].
func (c *entryConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := EntryConfig{DN: b.Text(c.DN), Two: c.Passwords.Number == 2, Hash: Scheme(c.Hash.Text), Rules: c.Over(b.Passwords)}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Entry(cfg)
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  directory:
    ldap: {url: ldaps://ldap.internal, bind_dn: "cn=rota,dc=example,dc=com", password: "${file:/run/secrets/ldap}"}
secrets:
  - name: prod/orders-ldap
    issuer: {connection: directory, ldap_password: {dn: "uid=orders,ou=apps,dc=example,dc=com", passwords: 2}}
    targets:
      - {name: orders, file: {path: /etc/orders/ldap.env, format: dotenv, fields: {LDAP_BIND_DN: username, LDAP_PASSWORD: password}}}
    reload:
      - {name: orders, command: {run: [systemctl, restart, orders]}}
    policy: {rotate_every: 30d, delete_previous_after: 14d}
  - name: prod/mail-ldap
    issuer: {connection: directory, ldap_password: {dn: "uid=mail,ou=apps,dc=example,dc=com"}}
    policy: {rotate_every: 90d}
`
