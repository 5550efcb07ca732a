package postgres

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// fields are those of a PostgreSQL credential.
func fields() provider.Fields {
	return provider.Fields{
		All:   []string{rota.FieldUsername, rota.FieldPassword, FieldHost, FieldPort, FieldDatabase},
		Login: []string{rota.FieldUsername, rota.FieldPassword},
	}
}

// passwordConfig is the password of one database role.
type passwordConfig struct {
	provider.PasswordRules
	Role provider.Text `json:"role" jsonschema:"The database role."`
}

// Traits implements [provider.IssuerConfig].
func (c *passwordConfig) Traits() rota.Traits { return (&password{}).Traits() }

// Fields implements [provider.IssuerConfig].
func (c *passwordConfig) Fields() provider.Fields { return fields() }

// Validate implements [provider.Validator].
func (c *passwordConfig) Validate(v *provider.Validation) {
	notOurs(v, c.Role)
	v.Password(c.PasswordRules)
}

// Claims implements [provider.Claimer].
func (c *passwordConfig) Claims(k *provider.Known) []provider.Claim { return roleClaims(k, c.Role) }

// Issuer implements [provider.IssuerConfig].
func (c *passwordConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := PasswordConfig{Role: b.Text(c.Role), Rules: c.Over(b.Passwords)}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Password(cfg)
}

// alternatingConfig is two database roles whose passwords change in turn.
type alternatingConfig struct {
	provider.PasswordRules
	Roles [2]provider.Text `json:"roles" jsonschema:"The two roles, with the same privileges."`
	Group provider.Text    `json:"group,omitzero" jsonschema:"The role that both are members of and that owns whatever they create."`
}

// Traits implements [provider.IssuerConfig].
func (c *alternatingConfig) Traits() rota.Traits { return (&alternating{}).Traits() }

// Fields implements [provider.IssuerConfig].
func (c *alternatingConfig) Fields() provider.Fields { return fields() }

// Validate implements [provider.Validator].
func (c *alternatingConfig) Validate(v *provider.Validation) {
	v.Pair("roles", "role", "rights", c.Roles)
	notOurs(v, c.Roles[:]...)
	v.Password(c.PasswordRules)
}

// Claims implements [provider.Claimer].
func (c *alternatingConfig) Claims(k *provider.Known) []provider.Claim {
	return roleClaims(k, c.Roles[:]...)
}

// Issuer implements [provider.IssuerConfig].
func (c *alternatingConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := AlternatingConfig{
		Roles: [2]string{b.Text(c.Roles[0]), b.Text(c.Roles[1])}, Group: b.Text(c.Group), Rules: c.Over(b.Passwords),
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Alternating(cfg)
}

// roleClaims are the claims on database roles.
func roleClaims(k *provider.Known, roles ...provider.Text) []provider.Claim {
	var claims []provider.Claim
	for _, role := range roles {
		if c, ok := k.Claim("database role", role); ok {
			claims = append(claims, c)
		}
	}
	return claims
}

// notOurs refuses to rotate the role that Rota itself logs in as.
func notOurs(v *provider.Validation, accounts ...provider.Text) {
	if c, ok := v.Connection.(*connectionConfig); ok {
		v.NotOwn("role", c.Username, accounts...)
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
