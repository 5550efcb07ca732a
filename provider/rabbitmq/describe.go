package rabbitmq

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// kindRabbitMQ is the key of this package's connections.
const kindRabbitMQ = "rabbitmq"

// Provider describes what rota.yaml can name of RabbitMQ.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "rabbitmq",
		System:  "RabbitMQ",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindRabbitMQ, Remote: true, Summary: "A RabbitMQ server or cluster, and an administrator that can change other users' passwords.",
				Example: `{url: https://mq.internal:15671, amqp: amqps://mq.internal, username: rota, password: "${file:/run/secrets/mq}"}`,
			},
			New: func() provider.ConnectionConfig { return new(connectionConfig) },
		}},
		Issuers: []provider.Issuer{
			{
				Kind: provider.Kind{
					Key: "rabbitmq_user", Summary: "The password of one RabbitMQ user (connection: rabbitmq). The old one stops working as soon as the new one is set.",
					Example: "{user: reports}",
				},
				Connection: kindRabbitMQ, Evidence: rota.EvidenceSampled,
				New: func() provider.IssuerConfig { return new(userConfig) },
			},
			{
				Kind: provider.Kind{
					Key: "rabbitmq_alternating", Summary: "The passwords of two RabbitMQ users in turn (connection: rabbitmq), so that one always stays valid.",
					Example: "{users: [orders_a, orders_b]}",
				},
				Connection: kindRabbitMQ, Evidence: rota.EvidenceSampled, Reversible: true,
				New: func() provider.IssuerConfig { return new(alternatingConfig) },
			},
		},
	}
}

// connectionConfig is a connection's part of rota.yaml.
type connectionConfig struct {
	At            provider.Pos  `json:"-"`
	URL           provider.Text `json:"url" jsonschema:"The address of the management plugin, such as https://mq.internal:15671. Without TLS only on loopback addresses."`
	AMQP          provider.Text `json:"amqp,omitzero" default:"tests over the management API, which few users may log in to" jsonschema:"The address that new passwords are tested at, such as amqps://mq.internal."`
	Username      provider.Text `json:"username" jsonschema:"The administrator that Rota logs in as."`
	Password      provider.Text `json:"password" secret:"true" jsonschema:"Its password: a reference such as ${file:/run/secrets/mq}."`
	SendPasswords provider.Bool `json:"send_passwords,omitzero" default:"false" jsonschema:"Whether to send new passwords instead of their hashes, so that the server's credential validator can check them."`
	provider.TLSFiles
	Timeout provider.Duration `json:"timeout,omitzero" default:"10s" jsonschema:"The timeout for a request or a login."`
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	if text, plain := c.URL.Literal(); plain && text != "" {
		if _, err := apiAddress(text); err != nil {
			v.Error(c.URL.At, "url", err)
		}
	}
	if text, plain := c.AMQP.Literal(); plain && text != "" {
		if _, err := amqpAddress(text); err != nil {
			v.Error(c.AMQP.At, "amqp", err)
		}
	}
	c.CheckTLS(v, c.At)
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{
		URL: b.Text(c.URL), AMQP: b.Text(c.AMQP), Username: b.Text(c.Username), Password: b.Text(c.Password),
		SendPasswords: c.SendPasswords.Yes, Certificates: c.Certificates(b), Timeout: c.Timeout.Length, Reach: b.Reach,
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper].
func (c *connectionConfig) Scope(k *provider.Known) string {
	text, known := k.Text(c.URL)
	if !known {
		return ""
	}
	return provider.ScopeOf(text)
}

// userConfig is the password of one user.
type userConfig struct {
	provider.PasswordRules
	User  provider.Text `json:"user" jsonschema:"The user's name."`
	VHost provider.Text `json:"vhost,omitzero" jsonschema:"A virtual host that a login must be able to open."`
}

// Traits implements [provider.IssuerConfig].
func (c *userConfig) Traits() rota.Traits { return (&single{}).Traits() }

// Fields implements [provider.IssuerConfig].
func (c *userConfig) Fields() provider.Fields { return fields() }

// Validate implements [provider.Validator].
func (c *userConfig) Validate(v *provider.Validation) {
	notOurs(v, c.User)
	v.Password(c.PasswordRules)
}

// Claims implements [provider.Claimer].
func (c *userConfig) Claims(k *provider.Known) []provider.Claim { return claims(k, c.User) }

// Issuer implements [provider.IssuerConfig].
func (c *userConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := UserConfig{User: b.Text(c.User), VHost: b.Text(c.VHost), Rules: c.Over(b.Passwords)}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.User(cfg)
}

// alternatingConfig is two users whose passwords change in turn.
type alternatingConfig struct {
	provider.PasswordRules
	Users [2]provider.Text `json:"users" jsonschema:"The two users' names, with the same permissions."`
	VHost provider.Text    `json:"vhost,omitzero" jsonschema:"A virtual host that a login must be able to open."`
}

// Traits implements [provider.IssuerConfig].
func (c *alternatingConfig) Traits() rota.Traits { return (&alternating{}).Traits() }

// Fields implements [provider.IssuerConfig].
func (c *alternatingConfig) Fields() provider.Fields { return fields() }

// Validate implements [provider.Validator].
func (c *alternatingConfig) Validate(v *provider.Validation) {
	v.Pair("users", "user", "permissions", c.Users)
	notOurs(v, c.Users[:]...)
	v.Password(c.PasswordRules)
}

// Claims implements [provider.Claimer].
func (c *alternatingConfig) Claims(k *provider.Known) []provider.Claim {
	return claims(k, c.Users[:]...)
}

// Issuer implements [provider.IssuerConfig].
func (c *alternatingConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := AlternatingConfig{Users: [2]string{b.Text(c.Users[0]), b.Text(c.Users[1])}, VHost: b.Text(c.VHost), Rules: c.Over(b.Passwords)}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Alternating(cfg)
}

// fields are those of a RabbitMQ credential.
func fields() provider.Fields {
	login := []string{rota.FieldUsername, rota.FieldPassword}
	return provider.Fields{All: login, Login: login}
}

func claims(k *provider.Known, users ...provider.Text) []provider.Claim {
	var all []provider.Claim
	for _, user := range users {
		if c, ok := k.Claim("RabbitMQ user", user); ok {
			all = append(all, c)
		}
	}
	return all
}

// notOurs refuses to rotate the user that Rota itself logs in as.
func notOurs(v *provider.Validation, accounts ...provider.Text) {
	if c, ok := v.Connection.(*connectionConfig); ok {
		v.NotOwn("user", c.Username, accounts...)
	}
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  mq:
    rabbitmq: {url: "https://mq.internal:15671", amqp: amqps://mq.internal, username: rota, password: "${file:/run/secrets/mq}"}
secrets:
  - name: prod/reports-mq
    issuer: {connection: mq, rabbitmq_user: {user: reports}}
    policy: {rotate_every: 30d}
  - name: prod/orders-mq
    issuer: {connection: mq, rabbitmq_alternating: {users: [orders_a, orders_b], vhost: shop}}
    targets:
      - {name: orders, file: {path: /etc/orders/mq.env, format: dotenv, fields: {MQ_USERNAME: username, MQ_PASSWORD: password}}}
    reload:
      - {name: orders, command: {run: [systemctl, restart, orders]}}
    policy: {rotate_every: 30d, deactivate_previous_after: 7d, delete_previous_after: 14d}
`
