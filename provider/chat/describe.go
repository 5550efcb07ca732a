package chat

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Provider describes what rota.yaml can name of chat and paging services.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "chat",
		System:  "Chat and paging",
		Example: example,
		Notifiers: []provider.Notifier{{
			Kind: provider.Kind{
				Key: "chat", Summary: "A chat or paging service: Slack, Teams, Discord, PagerDuty and many more.",
				Example: `{url: "${file:/run/secrets/slack}"}`,
			},
			New: func() provider.NotifierConfig { return new(notifierConfig) },
		}},
	}
}

// notifierConfig is a service that shoutrrr knows.
type notifierConfig struct {
	At      provider.Pos      `json:"-"`
	URL     provider.Text     `json:"url" secret:"true" jsonschema:"The service's shoutrrr URL. It contains a token, so give it as a reference such as ${file:/run/secrets/slack}."`
	Timeout provider.Duration `json:"timeout,omitzero" default:"10s" jsonschema:"The timeout for sending a message."`
}

// Notifier implements [provider.NotifierConfig].
func (c *notifierConfig) Notifier(b *provider.Build) (rota.Notifier, error) { return c.build(b) }

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  slack: {chat: {url: "${file:/run/secrets/slack}"}}
defaults:
  notify: [{connection: slack, events: [failed, quarantined, late, recovered]}]
secrets: []
`
