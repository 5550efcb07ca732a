package webhook

import (
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/webhook"
)

// Provider describes what rota.yaml can name of webhooks.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "webhook",
		System:  "Webhooks",
		Example: example,
		Notifiers: []provider.Notifier{{
			Kind: provider.Kind{
				Key: "webhook", Remote: true, Summary: "A URL that events are posted to as signed JSON.",
				Example: `{url: https://ops.example.org/rota, keys: ["${file:/run/secrets/hook}"]}`,
			},
			New: func() provider.NotifierConfig { return new(notifierConfig) },
		}},
	}
}

// notifierConfig is an address.
type notifierConfig struct {
	At           provider.Pos             `json:"-"`
	URL          provider.Text            `json:"url" jsonschema:"The URL."`
	Keys         []provider.Text          `json:"keys" secret:"true" jsonschema:"One or two signing keys, as references such as ${file:/run/secrets/hook}. With two, receivers can switch from one to the other."`
	Headers      map[string]provider.Text `json:"headers,omitzero" jsonschema:"Additional headers."`
	AllowPrivate provider.Bool            `json:"allow_private,omitzero" host:"true" jsonschema:"Allows addresses of private networks and of this machine, and requests without TLS."`
	Timeout      provider.Duration        `json:"timeout,omitzero" default:"10s" jsonschema:"The timeout of a request."`
}

// Validate implements [provider.Validator].
func (c *notifierConfig) Validate(v *provider.Validation) {
	if u, plain := c.URL.Literal(); plain && strings.HasPrefix(u, "http://") && !c.AllowPrivate.Yes {
		v.Problem(c.URL.At, "url", "https, or allow_private: true inside of a network of your own", "without TLS anyone on the network path can read and change the events")
	}
	if len(c.Keys) == 0 {
		v.Problem(c.At, "", `keys: ["${file:/run/secrets/hook}"]`, "no key to sign with")
	}
}

// Notifier implements [provider.NotifierConfig].
func (c *notifierConfig) Notifier(b *provider.Build) (rota.Notifier, error) {
	cfg := Config{Name: b.Name, URL: b.Text(c.URL), Headers: b.TextMap(c.Headers), AllowPrivate: c.AllowPrivate.Yes, Timeout: c.Timeout.Length, Reach: b.Reach}
	keys := b.Texts(c.Keys)
	if err := b.Err(); err != nil {
		return nil, err
	}
	for _, text := range keys {
		key, err := webhook.ParseKey(text)
		b.Fail(err)
		cfg.Keys = append(cfg.Keys, key)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(cfg)
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  hook: {webhook: {url: https://hooks.example.org/rota, keys: ["${file:/run/secrets/hook}"]}}
defaults:
  notify: [hook]
secrets: []
`
