package vault

import (
	"net/netip"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// issuers are what Vault issues.
func issuers() []provider.Issuer {
	return []provider.Issuer{{
		Kind: provider.Kind{
			Key: "vault_secret_id", Summary: "A secret id of an AppRole in Vault or OpenBao (connection: vault).",
			Example: "{role: orders, ttl: 30d, num_uses: 1000000}",
		},
		Connection: kindVault, Evidence: rota.EvidenceRecorded, Varies: "Vault notes the use of a secret id only if num_uses is set",
		New: func() provider.IssuerConfig { return new(secretIDConfig) },
	}, staticRoleIssuer(), leaseIssuer()}
}

// secretIDConfig is an issuer's part of rota.yaml.
type secretIDConfig struct {
	At         provider.Pos      `json:"-"`
	Mount      provider.Plain    `json:"mount,omitzero" default:"approle" jsonschema:"Where the AppRole auth method is mounted, without auth/."`
	Role       provider.Text     `json:"role" jsonschema:"The role's name."`
	TTL        provider.Duration `json:"ttl,omitzero" default:"the role's secret_id_ttl" jsonschema:"How long a secret id is valid: at most the max_lease_ttl of the auth method's mount, 32d by default."`
	NumUses    provider.Int      `json:"num_uses,omitzero" min:"100" max:"2000000000" default:"the role's secret_id_num_uses" jsonschema:"How many logins a secret id is good for. Vault notes when a secret id was last used only if it counts its uses."`
	CIDRs      []provider.Plain  `json:"cidrs,omitzero" default:"the role's secret_id_bound_cidrs" jsonschema:"The networks that may log in with a secret id. Rota's own machine must be in one."`
	TokenCIDRs []provider.Plain  `json:"token_cidrs,omitzero" default:"the role's token_bound_cidrs" jsonschema:"The networks that may use the tokens."`
}

// Validate implements [provider.Validator].
func (c *secretIDConfig) Validate(v *provider.Validation) {
	checkPath(v, c.Mount.At, "mount", c.Mount.Text, "approle")
	checkText(v, "role", c.Role, "orders")
	if c.TTL.IsSet() && c.TTL.Length < time.Hour {
		v.Problem(c.TTL.At, "ttl", "30d", "%s leaves no time for a rotation", rota.FormatDuration(c.TTL.Length))
	}
	for key, list := range map[string][]provider.Plain{"cidrs": c.CIDRs, "token_cidrs": c.TokenCIDRs} {
		for _, one := range list {
			if _, err := netip.ParsePrefix(one.Text); err != nil {
				v.Problem(one.At, key, "10.0.0.0/8", "not a network")
			}
		}
	}
}

// Traits implements [provider.IssuerConfig].
func (c *secretIDConfig) Traits() rota.Traits { return secretIDTraits(c.TTL.Length) }

// Fields implements [provider.IssuerConfig].
func (c *secretIDConfig) Fields() provider.Fields {
	all := []string{FieldRoleID, FieldSecretID, FieldAccessor}
	return provider.Fields{All: all, Login: all}
}

// Claims implements [provider.Claimer]. Vault doesn't distinguish case in names of
// roles.
func (c *secretIDConfig) Claims(k *provider.Known) []provider.Claim {
	claims := claim(k, "Vault AppRole", k.Connection, "auth/"+or(c.Mount, "approle"), c.Role)
	for i := range claims {
		claims[i].Name = strings.ToLower(claims[i].Name)
	}
	return claims
}

// Issuer implements [provider.IssuerConfig].
func (c *secretIDConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	s := &SecretIDs{
		Connection: provider.Open[*Connection](b, b.Connection), Mount: or(c.Mount, "approle"), Role: b.Text(c.Role),
		TTL: c.TTL.Length, NumUses: c.NumUses.Number, CIDRs: plains(c.CIDRs), TokenCIDRs: plains(c.TokenCIDRs),
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	if !goodPath(s.Role) {
		return nil, s.Connection.refuse("issue secret ids", "correct role", errBadPath)
	}
	return s, nil
}

func plains(list []provider.Plain) []string {
	var out []string
	for _, p := range list {
		out = append(out, p.Text)
	}
	return out
}
