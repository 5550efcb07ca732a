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
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: "cloudflare", Summary: "Cloudflare's API, and a token that manages others.",
				Example: `{token: "${file:/run/secrets/cloudflare}"}`,
			},
			New: func() provider.ConnectionConfig { return new(connectionConfig) },
		}},
		Issuers: []provider.Issuer{{
			Kind: provider.Kind{
				Key: "cloudflare_token", Summary: "An API token of a Cloudflare account (connection: cloudflare).",
				Example: `{account: 023e105f4ecef8ad9ca31a8372d0c353, name: dns, policies: [{permission_groups: [4755a26eedb94da69e1066d98aa820be], resources: {com.cloudflare.api.account.zone.0da42c8d2132a9ddaf714f9e7c920711: "*"}}]}`,
			},
			Connection: "cloudflare", Evidence: rota.EvidenceRecorded, Reversible: true, New: func() provider.IssuerConfig { return new(tokenConfig) },
		}},
	}
}

// connectionConfig is a connection's part of rota.yaml.
type connectionConfig struct {
	URL provider.Text `json:"url,omitzero" default:"https://api.cloudflare.com/client/v4" jsonschema:"The API's address."`
	httpapi.Settings
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) { c.Check(v, system, c.URL) }

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	return c.Settings.Open(b, system, c.URL)
}

// Scope implements [provider.Scoper].
func (c *connectionConfig) Scope(k *provider.Known) string { return system.Scope(k, c.URL) }

// tokenConfig is the issuer's part of rota.yaml.
type tokenConfig struct {
	Account provider.Text `json:"account" jsonschema:"The account's id."`
	httpapi.TokenConfig
	Policies   []policyConfig   `json:"policies" jsonschema:"What a token may do."`
	AllowedIPs []provider.Plain `json:"allowed_ips,omitzero" default:"all" jsonschema:"The networks that a token may be used from, such as 192.0.2.0/24."`
}

// policyConfig is what a token may do with some resources.
type policyConfig struct {
	At               provider.Pos              `json:"-"`
	PermissionGroups []provider.Plain          `json:"permission_groups" jsonschema:"The ids of permission groups."`
	Resources        map[string]provider.Plain `json:"resources" jsonschema:"The resources, as Cloudflare names them, and * for each."`
}

// Validate implements [provider.Validator].
func (c *tokenConfig) Validate(v *provider.Validation) {
	c.TokenConfig.Validate(v)
	if len(c.Policies) == 0 {
		v.Problem(c.At, "policies", "policies: [{permission_groups: […], resources: {…}}]", "a token without policies may do nothing")
	}
	for _, p := range c.Policies {
		if len(p.PermissionGroups) == 0 || len(p.Resources) == 0 {
			v.Problem(p.At, "policies", `{permission_groups: […], resources: {…: "*"}}`, "needs permission_groups and resources")
		}
	}
}

// Traits implements [provider.IssuerConfig].
func (c *tokenConfig) Traits() rota.Traits { return traits }

// Claims implements [provider.Claimer].
func (c *tokenConfig) Claims(k *provider.Known) []provider.Claim {
	return c.Claim(k, "Cloudflare token", c.Account)
}

// Issuer implements [provider.IssuerConfig].
func (c *tokenConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	grant := Grant{Account: b.Text(c.Account)}
	for _, p := range c.Policies {
		grant.Policies = append(grant.Policies, Policy{Effect: "allow", Groups: groups(p.PermissionGroups), Resources: provider.PlainTexts(p.Resources)})
	}
	for _, network := range c.AllowedIPs {
		grant.AllowedIPs = append(grant.AllowedIPs, network.Text)
	}
	return New(grant, c.Tokens(b)), b.Err()
}

func groups(ids []provider.Plain) []Group {
	var all []Group
	for _, id := range ids {
		all = append(all, Group{ID: id.Text})
	}
	return all
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
        policies:
          - permission_groups: [4755a26eedb94da69e1066d98aa820be] # DNS Write
            resources: {com.cloudflare.api.account.zone.0da42c8d2132a9ddaf714f9e7c920711: "*"}
        expires_after: 180d
    targets:
      - name: env
        file: {path: /etc/orders/cloudflare.env, format: dotenv, fields: {CLOUDFLARE_API_TOKEN: token}}
    policy: {rotate_every: 90d, deactivate_previous_after: 14d, delete_previous_after: 14d}
`
