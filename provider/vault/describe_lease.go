package vault

import (
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// leaseIssuer is the kind of issuer for leases.
func leaseIssuer() provider.Issuer {
	return provider.Issuer{
		Kind: provider.Kind{
			Key: "vault_lease", Summary: "A database user or AWS key that Vault or OpenBao makes and ends with its lease (connection: vault).",
			Example: "{mount: database, role: orders, ttl: 24h}",
		},
		Connection: kindVault,
		New:        func() provider.IssuerConfig { return new(leaseConfig) },
	}
}

// leaseConfig is an issuer's part of rota.yaml.
type leaseConfig struct {
	At       provider.Pos      `json:"-"`
	Engine   provider.Plain    `json:"engine,omitzero" enum:"database,aws" default:"database" jsonschema:"The engine's type."`
	Mount    provider.Plain    `json:"mount,omitzero" default:"the engine's type" jsonschema:"Where the engine is mounted."`
	Role     provider.Text     `json:"role" jsonschema:"The role's name."`
	STS      provider.Bool     `json:"sts,omitzero" jsonschema:"true for a session from sts/ROLE of an AWS engine, which can't be revoked. Otherwise a user with a key, from creds/ROLE."`
	TTL      provider.Duration `json:"ttl" jsonschema:"How long a credential lasts: 15m or more, and at most what the role's max_ttl and the connection's own token allow. Rota renews its lease until then."`
	RenewFor provider.Duration `json:"renew_for,omitzero" default:"the role's default_ttl" jsonschema:"How long the lease lasts after each renewal. Rota renews it once a third of that has passed, and has to run more often than that: a daemon does."`
}

func (c *leaseConfig) engine() string { return or(c.Engine, EngineDatabase) }

// minLease leaves time for a rotation.
const minLease = 15 * time.Minute

// minRenewal leaves time for retries.
const minRenewal = 5 * time.Minute

// Validate implements [provider.Validator].
func (c *leaseConfig) Validate(v *provider.Validation) {
	checkPath(v, c.Mount.At, "mount", c.Mount.Text, c.engine())
	checkText(v, "role", c.Role, "orders")
	if c.TTL.IsSet() && (c.TTL.Length < minLease || c.TTL.Length%time.Second != 0) {
		v.Problem(c.TTL.At, "ttl", "24h", "must be whole seconds, and %s or more", rota.FormatDuration(minLease))
	}
	if c.RenewFor.IsSet() && (c.RenewFor.Length < minRenewal || c.RenewFor.Length > c.TTL.Length || c.RenewFor.Length%time.Second != 0) {
		v.Problem(c.RenewFor.At, "renew_for", "2h", "must be whole seconds, %s or more, and no longer than ttl", rota.FormatDuration(minRenewal))
	}
	if c.RenewFor.IsSet() && c.STS.Yes {
		v.Problem(c.RenewFor.At, "renew_for", "leave it out", "a session can't be renewed")
	}
	if c.STS.Yes && c.engine() != EngineAWS {
		v.Problem(c.At, "sts", "engine: aws", "only an AWS engine has sessions")
	}
}

// Traits implements [provider.IssuerConfig].
func (c *leaseConfig) Traits() rota.Traits { return leaseTraits(c.TTL.Length, c.STS.Yes) }

// leaseFields are a credential's fields.
func leaseFields(engine string, sts bool) []string {
	out := []string{rota.FieldUsername, rota.FieldPassword}
	if engine == EngineAWS {
		out = []string{rota.FieldAccessKeyID, rota.FieldSecretAccessKey}
		if sts {
			out = append(out, rota.FieldSessionToken)
		}
	}
	return append(out, FieldLeaseID, rota.FieldExpiration)
}

// Fields implements [provider.IssuerConfig].
func (c *leaseConfig) Fields() provider.Fields {
	all := leaseFields(c.engine(), c.STS.Yes)
	return provider.Fields{All: all, Login: all}
}

// Issuer implements [provider.IssuerConfig].
func (c *leaseConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	l := &Leases{
		Connection: provider.Open[*Connection](b, b.Connection), Engine: c.engine(), Mount: or(c.Mount, c.engine()),
		Role: b.Text(c.Role), STS: c.STS.Yes, TTL: c.TTL.Length, RenewFor: c.RenewFor.Length,
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	if !goodPath(l.Role) {
		return nil, l.Connection.refuse("issue leases", "correct role", errBadPath)
	}
	return l, nil
}
