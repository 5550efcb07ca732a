package smtp

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Provider describes what rota.yaml can name of mail.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "smtp",
		System:  "Mail",
		Example: example,
		Notifiers: []provider.Notifier{{
			Kind: provider.Kind{
				Key: "smtp", Summary: "A mail server, and the recipients of events.",
				Example: "{host: mail.example.org, from: rota@example.org, to: [ops@example.org]}",
			},
			New: func() provider.NotifierConfig { return new(notifierConfig) },
		}},
	}
}

// notifierConfig is a mail server.
type notifierConfig struct {
	At       provider.Pos      `json:"-"`
	Host     provider.Text     `json:"host" jsonschema:"The mail server."`
	Port     provider.Int      `json:"port,omitzero" min:"1" max:"65535" default:"587, or 465 with security: tls" jsonschema:"The port."`
	Security provider.Plain    `json:"security,omitzero" enum:"starttls,tls,none" default:"starttls" jsonschema:"How the connection is secured. With starttls, nothing is sent to a server that doesn't offer it."`
	Username provider.Text     `json:"username,omitzero" jsonschema:"The user to log in as."`
	Password provider.Text     `json:"password,omitzero" secret:"true" jsonschema:"Its password: a reference such as ${file:/run/secrets/smtp}."`
	From     provider.Plain    `json:"from" jsonschema:"The sender, such as Rota <rota@example.org>."`
	To       []provider.Plain  `json:"to" jsonschema:"The recipients."`
	Timeout  provider.Duration `json:"timeout,omitzero" default:"10s" jsonschema:"The timeout for sending a mail."`
}

// Validate implements [provider.Validator].
func (c *notifierConfig) Validate(v *provider.Validation) {
	if len(c.To) == 0 {
		v.Problem(c.At, "", "to: [ops@example.org]", "no recipients")
	}
}

// Notifier implements [provider.NotifierConfig].
func (c *notifierConfig) Notifier(b *provider.Build) (rota.Notifier, error) {
	cfg := Config{
		Name: b.Name, Host: b.Text(c.Host), Port: c.Port.Number, Security: Security(c.Security.Text),
		Username: b.Text(c.Username), Password: b.Text(c.Password), From: c.From.Text, Timeout: c.Timeout.Length,
	}
	for _, to := range c.To {
		cfg.To = append(cfg.To, to.Text)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(cfg)
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  mail:
    smtp: {host: mail.example.org, username: rota, password: "${file:/run/secrets/smtp}", from: rota@example.org, to: [team@example.org]}
defaults:
  notify: [{connection: mail, digest: 24h}]
secrets: []
`
