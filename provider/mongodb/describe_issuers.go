package mongodb

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// fields are those of a MongoDB credential.
func fields() provider.Fields {
	login := []string{rota.FieldUsername, rota.FieldPassword}
	return provider.Fields{All: append(login[:2:2], FieldAuthSource), Login: login}
}

// passwordConfig is the password of one user.
type passwordConfig struct {
	provider.PasswordRules
	User       provider.Text `json:"user" jsonschema:"The user's name."`
	AuthSource provider.Text `json:"auth_source,omitzero" default:"admin" jsonschema:"The database that the user is in."`
}

// Traits implements [provider.IssuerConfig].
func (c *passwordConfig) Traits() rota.Traits { return (&single{}).Traits() }

// Fields implements [provider.IssuerConfig].
func (c *passwordConfig) Fields() provider.Fields { return fields() }

// Validate implements [provider.Validator].
func (c *passwordConfig) Validate(v *provider.Validation) {
	checkSource(v, c.AuthSource)
	notOurs(v, c.AuthSource, c.User)
	v.Password(c.PasswordRules)
}

// Claims implements [provider.Claimer].
func (c *passwordConfig) Claims(k *provider.Known) []provider.Claim {
	return claims(k, c.AuthSource, c.User)
}

// Issuer implements [provider.IssuerConfig].
func (c *passwordConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := PasswordConfig{User: b.Text(c.User), AuthSource: b.Text(c.AuthSource), Rules: c.Over(b.Passwords)}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Password(cfg)
}

// alternatingConfig is two users whose passwords change in turn.
type alternatingConfig struct {
	provider.PasswordRules
	Users      [2]provider.Text `json:"users" jsonschema:"The two users' names, with the same roles."`
	AuthSource provider.Text    `json:"auth_source,omitzero" default:"admin" jsonschema:"The database that both users are in."`
}

// Traits implements [provider.IssuerConfig].
func (c *alternatingConfig) Traits() rota.Traits { return (&alternating{}).Traits() }

// Fields implements [provider.IssuerConfig].
func (c *alternatingConfig) Fields() provider.Fields { return fields() }

// Validate implements [provider.Validator].
func (c *alternatingConfig) Validate(v *provider.Validation) {
	v.Pair("users", "user", "roles", c.Users)
	checkSource(v, c.AuthSource)
	notOurs(v, c.AuthSource, c.Users[:]...)
	v.Password(c.PasswordRules)
}

// Claims implements [provider.Claimer].
func (c *alternatingConfig) Claims(k *provider.Known) []provider.Claim {
	return claims(k, c.AuthSource, c.Users[:]...)
}

// Issuer implements [provider.IssuerConfig].
func (c *alternatingConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := AlternatingConfig{Users: [2]string{b.Text(c.Users[0]), b.Text(c.Users[1])}, AuthSource: b.Text(c.AuthSource), Rules: c.Over(b.Passwords)}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Alternating(cfg)
}

// claims are those on users. One name in two databases is two users.
func claims(k *provider.Known, source provider.Text, users ...provider.Text) []provider.Claim {
	in, known := k.Text(source)
	if !known {
		return nil
	}
	if in == "" {
		in = defaultSource
	}
	var all []provider.Claim
	for _, user := range users {
		if c, ok := k.Claim("MongoDB user", user); ok {
			c.Name += "\x00" + in
			all = append(all, c)
		}
	}
	return all
}

// notOurs refuses to rotate the user that Rota itself logs in as, in its database.
func notOurs(v *provider.Validation, source provider.Text, users ...provider.Text) {
	c, ok := v.Connection.(*connectionConfig)
	if !ok {
		return
	}
	ours, first := c.AuthSource.Literal()
	theirs, second := source.Literal()
	if first && second && orAdmin(ours) == orAdmin(theirs) {
		v.NotOwn("user", c.Username, users...)
	}
}

func orAdmin(source string) string {
	if source == "" {
		return defaultSource
	}
	return source
}

// commandConfig is a command that must run with a new password.
type commandConfig struct {
	Command  provider.Text `json:"command" jsonschema:"The command as JSON. It has to be one that only reads."`
	Database provider.Text `json:"database,omitzero" default:"the user's auth_source" jsonschema:"The database to run it in."`
}

// Validate implements [provider.Validator].
func (c *commandConfig) Validate(v *provider.Validation) {
	if text, literal := c.Command.Literal(); literal && text != "" {
		if _, err := parseCommand(text); err != nil {
			v.Error(c.Command.At, "command", err)
		}
	}
}

// Check implements [provider.CheckConfig].
func (c *commandConfig) Check(b *provider.Build) (rota.Check, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := CommandConfig{Database: b.Text(c.Database), JSON: b.Text(c.Command)}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Command(b.Name, cfg)
}
