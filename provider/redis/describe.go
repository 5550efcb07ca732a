package redis

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// kindRedis is the key of this package's connections.
const kindRedis = "redis"

// Provider describes what rota.yaml can name of Redis and Valkey.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "redis",
		System:  "Redis and Valkey",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindRedis, Remote: true, Summary: "Redis or Valkey: its servers, and a user that can change other users' passwords.",
				Example: `{addresses: [redis.internal:6379], username: rota, password: "${file:/run/secrets/redis}"}`,
			},
			New:    func() provider.ConnectionConfig { return new(connectionConfig) },
			Policy: policy,
		}},
		Issuers: []provider.Issuer{{
			Kind: provider.Kind{
				Key: "redis_password", Summary: "The password of a Redis or Valkey ACL user (connection: redis). The old one stays valid until it's deleted.",
				Example: "{user: orders}",
			},
			Connection: kindRedis, Evidence: rota.EvidenceSampled,
			New: func() provider.IssuerConfig { return new(userConfig) },
		}},
		Checks: []provider.Check{{
			Kind: provider.Kind{
				Key: "redis_command", Summary: "A command that must run with the new password, such as GET orders:health.",
				Example: `"GET orders:health"`,
			},
			Connection: kindRedis, Needs: "a Redis password",
			New: func() provider.CheckConfig { return new(commandConfig) },
		}},
	}
}

// userConfig is the password of one ACL user.
type userConfig struct {
	provider.PasswordRules
	User provider.Text `json:"user" jsonschema:"The ACL user."`
}

// Traits implements [provider.IssuerConfig].
func (c *userConfig) Traits() rota.Traits { return traits() }

// Fields implements [provider.IssuerConfig].
func (c *userConfig) Fields() provider.Fields {
	both := []string{rota.FieldUsername, rota.FieldPassword}
	return provider.Fields{All: both, Login: both}
}

// Validate implements [provider.Validator].
func (c *userConfig) Validate(v *provider.Validation) {
	own := ""
	if connection, ok := v.Connection.(*connectionConfig); ok {
		own, _ = connection.Username.Literal()
	}
	if name, plain := c.User.Literal(); plain && name != "" {
		if err := checkUser(name, own); err != nil {
			v.Error(c.User.At, "user", err)
		}
	}
	v.Password(c.PasswordRules)
}

// Claims implements [provider.Claimer].
func (c *userConfig) Claims(k *provider.Known) []provider.Claim {
	if user, ok := k.Claim("Redis user", c.User); ok {
		return []provider.Claim{user}
	}
	return nil
}

// Issuer implements [provider.IssuerConfig].
func (c *userConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := UserConfig{Name: b.Text(c.User), Rules: c.Over(b.Passwords)}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.User(cfg)
}

// commandConfig is a command that must run with a new password.
type commandConfig struct{ provider.Text }

// Check implements [provider.CheckConfig].
func (c *commandConfig) Check(b *provider.Build) (rota.Check, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	text := b.Text(c.Text)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Command(b.Name, text)
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  cache:
    redis:
      addresses: [redis-1.internal:6379, redis-2.internal:6379]
      username: rota
      password: "${file:/run/secrets/redis}"
secrets:
  - name: prod/orders-cache
    issuer: {connection: cache, redis_password: {user: orders}}
    test: {redis_command: "GET orders:health"}
    targets:
      - name: env
        file: {path: /etc/orders/redis.env, format: dotenv, fields: {REDIS_USERNAME: username, REDIS_PASSWORD: password}}
    policy: {rotate_every: 30d, deactivate_previous_after: 7d, delete_previous_after: 14d}
`
