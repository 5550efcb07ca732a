package cloudflare

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

// Provider describes what rota.yaml can name of Cloudflare.
func Provider() provider.Provider {
	return provider.Provider{
		Name: "cloudflare", System: "Cloudflare", Example: example,
		Connections: []provider.Connection{httpapi.ConnectionKind(system, provider.Kind{
			Summary: "Cloudflare's API, and a token that manages others.",
			Example: `{token: "${file:/run/secrets/cloudflare}"}`,
		})},
		Issuers: []provider.Issuer{{
			Kind: provider.Kind{
				Key: "cloudflare_token", Summary: "An API token of a Cloudflare account (connection: cloudflare).",
				Example: `{account: 023e105f4ecef8ad9ca31a8372d0c353, name: dns, policies: '[{"effect": "allow", "permission_groups": [{"id": "4755a26e…"}], "resources": {"com.cloudflare.api.account.zone.0da42c8d…": "*"}}]'}`,
			},
			Connection: "cloudflare", Evidence: rota.EvidenceRecorded, Reversible: true, New: func() provider.IssuerConfig { return new(tokenConfig) },
		}},
	}
}

// tokenConfig is the issuer's part of rota.yaml.
type tokenConfig struct {
	Account provider.Text `json:"account" jsonschema:"The account's id."`
	httpapi.TokenConfig
	Policies  provider.Plain `json:"policies" jsonschema:"What a token may do, in JSON as Cloudflare's API takes it: a list of policies."`
	Condition provider.Plain `json:"condition,omitzero" default:"none" jsonschema:"Where a token may be used from, in JSON as Cloudflare's API takes it."`
}

// Validate implements [provider.Validator].
func (c *tokenConfig) Validate(v *provider.Validation) {
	c.TokenConfig.Validate(v)
	httpapi.CheckJSON[[]map[string]any](v, "policies", c.Policies, `'[{"effect": "allow", "permission_groups": [{"id": "…"}], "resources": {"…": "*"}}]'`)
	httpapi.CheckJSON[map[string]any](v, "condition", c.Condition, `'{"request_ip": {"in": ["192.0.2.0/24"]}}'`)
}

// Traits implements [provider.IssuerConfig].
func (c *tokenConfig) Traits() rota.Traits { return traits }

// Claims implements [provider.Claimer].
func (c *tokenConfig) Claims(k *provider.Known) []provider.Claim {
	return c.Claim(k, "Cloudflare token", c.Account)
}

// Issuer implements [provider.IssuerConfig].
func (c *tokenConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	tokens, account := c.Tokens(b), b.Text(c.Account)
	return Tokens(Grant{Account: account, Policies: c.Policies.Text, Condition: c.Condition.Text}, tokens), b.Err()
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  cloudflare: {cloudflare: {token: "${file:/run/secrets/cloudflare}"}}
secrets:
  - name: prod/orders-dns
    issuer:
      connection: cloudflare
      cloudflare_token:
        account: 023e105f4ecef8ad9ca31a8372d0c353
        name: orders-dns
        policies: '[{"effect": "allow", "permission_groups": [{"id": "4755a26eedb94da69e1066d98aa820be"}], "resources": {"com.cloudflare.api.account.zone.0da42c8d2132a9ddaf714f9e7c920711": "*"}}]'
        expires_after: 180d
    targets:
      - name: env
        file: {path: /etc/orders/cloudflare.env, format: dotenv, fields: {CLOUDFLARE_API_TOKEN: token}}
    policy: {rotate_every: 90d, deactivate_previous_after: 14d, delete_previous_after: 14d}
`
