package http

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// kindHTTP is the key of this package's connections.
const kindHTTP = "http"

// Provider describes what rota.yaml can name of HTTP APIs.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "http",
		System:  "HTTP APIs",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindHTTP, Remote: true, Summary: "An HTTP API with JSON, and a login that can manage its keys.",
				Example: `{url: https://api.example.com, headers: {Authorization: "Bearer ${file:/run/secrets/api}"}}`,
			},
			New: func() provider.ConnectionConfig { return new(connectionConfig) },
		}},
		Issuers: []provider.Issuer{{
			Kind: provider.Kind{
				Key: "http_key", Summary: "The keys or tokens of an HTTP API, with requests that you describe (connection: http).",
				Example: `{create: {path: /keys, body: '{"name": "{name}"}', fields: {id: id, key: key}}, list: {path: /keys, id: id, name: name}, test: {path: /me, headers: {Authorization: "Bearer {key}"}}, delete: {path: "/keys/{id}"}}`,
			},
			Connection: kindHTTP, Evidence: rota.EvidenceRecorded,
			Varies: "fields are those of create; use is recorded with used in list, and otherwise nothing is known about it; with deactivate and reactivate, a key can be switched off and on",
			New:    func() provider.IssuerConfig { return new(keyConfig) },
		}},
		Targets: []provider.Target{{
			Kind: provider.Kind{
				Key: "http_request", Summary: "A request that hands the credential to an HTTP API.",
				Example: `{connection: api, method: PUT, path: /settings/token, body: '{"value": "{key}"}'}`,
			},
			New: func() provider.TargetConfig { return new(targetConfig) },
		}},
		Reloaders: []provider.Reloader{{
			Kind: provider.Kind{
				Key: "http_request", Summary: "A request that makes consumers pick up the new credential, and another that says when they have.",
				Example: `{connection: api, path: /deploys, until: {path: /deploys/last, at: state, is: ready}}`,
			},
			New: func() provider.ReloaderConfig { return new(reloaderConfig) },
		}},
	}
}

// connectionConfig is an API and its login.
type connectionConfig struct {
	At           provider.Pos             `json:"-"`
	URL          provider.Text            `json:"url" jsonschema:"Where all paths begin, such as https://api.example.com/v3."`
	Headers      map[string]provider.Text `json:"headers,omitzero" secret:"true" jsonschema:"Headers of every request but the test of a new credential, with a reference in place of the login: Authorization: Bearer ${file:/run/secrets/api}."`
	AllowPrivate provider.Bool            `json:"allow_private,omitzero" host:"true" jsonschema:"Allows addresses of private networks and of this machine, and requests without TLS."`
	provider.TLSFiles
	Timeout provider.Duration `json:"timeout,omitzero" default:"30s" jsonschema:"The timeout of a request."`
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	if text, plain := c.URL.Literal(); plain && text != "" {
		if _, err := base(text, c.AllowPrivate.Yes); err != nil {
			v.Error(c.URL.At, "url", err)
		}
	}
	for name, value := range c.Headers {
		if literal, _ := value.Literal(); !goodHeader(name, literal) {
			v.Problem(value.At, "headers", "letters, digits and - in its name, and one line", "a header that can't be sent")
		}
	}
	c.CheckTLS(v, c.At)
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{
		URL: b.Text(c.URL), Headers: b.TextMap(c.Headers), AllowPrivate: c.AllowPrivate.Yes,
		Certificates: c.Certificates(b), Timeout: c.Timeout.Length, Reach: b.Reach,
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper].
func (c *connectionConfig) Scope(k *provider.Known) string {
	text, known := k.Text(c.URL)
	place := provider.ScopeOf(text)
	if !known || place == "" {
		return ""
	}
	return "http\x00" + place
}

// example is a rota.yaml for rota providers and the docs: a service account's tokens
// at Grafana.
const example = `connections:
  grafana:
    http:
      url: https://grafana.example.com/api
      headers: {Authorization: "Bearer ${file:/run/secrets/grafana}"}
  deploys:
    http:
      url: https://deploys.example.com
      headers: {X-Api-Key: "${file:/run/secrets/deploys}"}
secrets:
  - name: prod/grafana-token
    issuer:
      connection: grafana
      http_key:
        create:
          path: /serviceaccounts/2/tokens
          body: '{"name": "{name}"}'
          fields: {id: id, token: key}
        list: {path: /serviceaccounts/2/tokens, id: id, name: name, created: created, expires: expiration, used: lastUsedAt}
        test: {path: /org, headers: {Authorization: "Bearer {token}"}}
        delete: {path: "/serviceaccounts/2/tokens/{id}"}
    targets:
      - name: settings
        http_request: {connection: deploys, method: PUT, path: /apps/shop/settings/GRAFANA_TOKEN, body: '{"value": "{token}"}'}
    reload:
      - name: shop
        http_request: {connection: deploys, path: /apps/shop/deploys, body: '{"reason": "{version}"}', until: {path: "/apps/shop", at: running, is: "{version}"}}
    policy: {rotate_every: 90d, deactivate_previous_after: 7d, delete_previous_after: 14d}
`
