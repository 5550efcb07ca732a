package grafana

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

// Provider describes what rota.yaml can name of Grafana.
func Provider() provider.Provider {
	return provider.Provider{
		Name: "grafana", System: "Grafana", Example: example,
		Connections: []provider.Connection{httpapi.ConnectionKind(system, provider.Kind{
			Summary: "An organization at a Grafana, and a service account that manages another's tokens.",
			Example: `{url: https://grafana.internal, token: "${file:/run/secrets/grafana}"}`,
		})},
		Issuers: []provider.Issuer{{
			Kind: provider.Kind{
				Key: "grafana_token", Summary: "A token of a Grafana service account (connection: grafana).",
				Example: `{service_account: "7", name: orders}`,
			},
			Connection: "grafana", Evidence: rota.EvidenceRecorded, New: func() provider.IssuerConfig { return new(tokenConfig) },
		}},
	}
}

// tokenConfig is the issuer's part of rota.yaml.
type tokenConfig struct {
	ServiceAccount provider.Text `json:"service_account" jsonschema:"The number of the service account whose tokens they are, in quotes."`
	httpapi.TokenConfig
}

// Traits implements [provider.IssuerConfig].
func (c *tokenConfig) Traits() rota.Traits { return traits }

// Claims implements [provider.Claimer].
func (c *tokenConfig) Claims(k *provider.Known) []provider.Claim {
	return c.Claim(k, "Grafana token", c.ServiceAccount)
}

// Issuer implements [provider.IssuerConfig].
func (c *tokenConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	tokens, account := c.Tokens(b), b.Text(c.ServiceAccount)
	return Tokens(account, tokens), b.Err()
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  grafana: {grafana: {url: https://grafana.internal, token: "${file:/run/secrets/grafana}"}}
secrets:
  - name: prod/orders-grafana
    issuer: {connection: grafana, grafana_token: {service_account: "7", name: orders, expires_after: 180d}}
    targets:
      - name: env
        file: {path: /etc/orders/grafana.env, format: dotenv, fields: {GRAFANA_TOKEN: token}}
    policy: {rotate_every: 90d, delete_previous_after: 30d}
`
