package vault

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// staticRoleIssuer is the kind of issuer for static roles.
func staticRoleIssuer() provider.Issuer {
	return provider.Issuer{
		Kind: provider.Kind{
			Key: "vault_static_role", Summary: "The password of a static role of a database engine in Vault or OpenBao (connection: vault).",
			Example: "{mount: database, role: orders}",
		},
		Connection: kindVault,
		New:        func() provider.IssuerConfig { return new(staticRoleConfig) },
	}
}

// staticRoleConfig is an issuer's part of rota.yaml.
type staticRoleConfig struct {
	At    provider.Pos   `json:"-"`
	Mount provider.Plain `json:"mount,omitzero" default:"database" jsonschema:"Where the database engine is mounted."`
	Role  provider.Text  `json:"role" jsonschema:"The static role's name."`
}

// Validate implements [provider.Validator].
func (c *staticRoleConfig) Validate(v *provider.Validation) {
	checkPath(v, c.Mount.At, "mount", c.Mount.Text, "database")
	checkText(v, "role", c.Role, "orders")
}

// Traits implements [provider.IssuerConfig].
func (c *staticRoleConfig) Traits() rota.Traits { return staticRoleTraits() }

// Fields implements [provider.IssuerConfig].
func (c *staticRoleConfig) Fields() provider.Fields {
	all := []string{rota.FieldUsername, rota.FieldPassword}
	return provider.Fields{All: all, Login: all}
}

// Claims implements [provider.Claimer].
func (c *staticRoleConfig) Claims(k *provider.Known) []provider.Claim {
	return claim(k, "Vault static role", k.Connection, or(c.Mount, "database"), c.Role)
}

// Issuer implements [provider.IssuerConfig].
func (c *staticRoleConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	s := &StaticRole{Connection: provider.Open[*Connection](b, b.Connection), Mount: or(c.Mount, "database"), Role: b.Text(c.Role)}
	if err := b.Err(); err != nil {
		return nil, err
	}
	if !goodPath(s.Role) {
		return nil, s.Connection.refuse("rotate a static role", "correct role", errBadPath)
	}
	return s, nil
}
