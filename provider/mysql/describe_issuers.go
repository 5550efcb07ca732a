package mysql

import (
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// fields are those of a MariaDB credential.
func fields() provider.Fields {
	return provider.Fields{
		All:   []string{rota.FieldUsername, rota.FieldPassword, FieldHost, FieldPort},
		Login: []string{rota.FieldUsername, rota.FieldPassword},
	}
}

// passwordConfig is the password of one account.
type passwordConfig struct {
	provider.PasswordRules
	User provider.Text `json:"user" jsonschema:"The account's user name."`
	Host provider.Text `json:"host,omitzero" default:"%" jsonschema:"The account's host part: where its clients may be."`
}

// Traits implements [provider.IssuerConfig].
func (c *passwordConfig) Traits() rota.Traits { return (&password{}).Traits() }

// Fields implements [provider.IssuerConfig].
func (c *passwordConfig) Fields() provider.Fields { return fields() }

// Validate implements [provider.Validator].
func (c *passwordConfig) Validate(v *provider.Validation) {
	notOurs(v, c.User)
	v.Password(c.PasswordRules)
}

// Claims implements [provider.Claimer].
func (c *passwordConfig) Claims(k *provider.Known) []provider.Claim {
	return accountClaims(k, c.Host, c.User)
}

// Issuer implements [provider.IssuerConfig].
func (c *passwordConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := PasswordConfig{User: b.Text(c.User), Host: b.Text(c.Host), Rules: c.Over(b.Passwords)}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Password(cfg)
}

// dualConfig is the two passwords of one MySQL account. MariaDB has no second
// password, which only the server can say: rota check does, and nothing is set there.
type dualConfig struct{ passwordConfig }

// Traits implements [provider.IssuerConfig].
func (c *dualConfig) Traits() rota.Traits { return dualTraits() }

// Issuer implements [provider.IssuerConfig].
func (c *dualConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := PasswordConfig{User: b.Text(c.User), Host: b.Text(c.Host), Rules: c.Over(b.Passwords)}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Dual(cfg)
}

// alternatingConfig is two accounts whose passwords change in turn.
type alternatingConfig struct {
	provider.PasswordRules
	Users [2]provider.Text `json:"users" jsonschema:"The two accounts' user names, with the same privileges."`
	Host  provider.Text    `json:"host,omitzero" default:"%" jsonschema:"Both accounts' host part: where their clients may be."`
}

// Traits implements [provider.IssuerConfig].
func (c *alternatingConfig) Traits() rota.Traits { return (&alternating{}).Traits() }

// Fields implements [provider.IssuerConfig].
func (c *alternatingConfig) Fields() provider.Fields { return fields() }

// Validate implements [provider.Validator].
func (c *alternatingConfig) Validate(v *provider.Validation) {
	v.Pair("users", "user", "rights", c.Users)
	notOurs(v, c.Users[:]...)
	v.Password(c.PasswordRules)
}

// Claims implements [provider.Claimer].
func (c *alternatingConfig) Claims(k *provider.Known) []provider.Claim {
	return accountClaims(k, c.Host, c.Users[:]...)
}

// Issuer implements [provider.IssuerConfig].
func (c *alternatingConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := AlternatingConfig{
		Users: [2]string{b.Text(c.Users[0]), b.Text(c.Users[1])}, Host: b.Text(c.Host), Rules: c.Over(b.Passwords),
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Alternating(cfg)
}

// accountClaims are the claims on accounts. One name at two hosts is two accounts.
func accountClaims(k *provider.Known, host provider.Text, users ...provider.Text) []provider.Claim {
	at, known := k.Text(host)
	if !known {
		return nil
	}
	if at == "" {
		at = "%"
	}
	var claims []provider.Claim
	for _, user := range users {
		if c, ok := k.Claim("MariaDB account", user); ok {
			c.Name += "\x00" + strings.ToLower(at)
			claims = append(claims, c)
		}
	}
	return claims
}

// notOurs refuses to rotate the user that Rota itself logs in as.
func notOurs(v *provider.Validation, accounts ...provider.Text) {
	if c, ok := v.Connection.(*connectionConfig); ok {
		v.NotOwn("user", c.Username, accounts...)
	}
}

// queryConfig is a statement that must run with a new password.
type queryConfig struct{ provider.Text }

// Check implements [provider.CheckConfig].
func (c *queryConfig) Check(b *provider.Build) (rota.Check, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	statement := b.Text(c.Text)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Query(b.Name, statement), nil
}
