package ssh

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// issuers are the kinds of issuers.
func issuers() []provider.Issuer {
	return []provider.Issuer{
		{
			Kind: provider.Kind{
				Key: "ssh_key", Summary: "A user's SSH key, in authorized_keys on each host (connection: ssh). The old one stays valid until it's turned off.",
				Example: "{user: deploy}",
			},
			Connection: kindSSH, Reversible: true,
			New: func() provider.IssuerConfig { return new(keyConfig) },
		},
		{
			Kind: provider.Kind{
				Key: "ssh_password", Summary: "A Unix user's password on each host (connection: ssh). The old one stops working when the new one is set.",
				Example: "{user: reports}",
			},
			Connection: kindSSH,
			New:        func() provider.IssuerConfig { return new(passwordConfig) },
		},
	}
}

// keyConfig is the keys of one user.
type keyConfig struct {
	At        provider.Pos   `json:"-"`
	User      provider.Text  `json:"user" jsonschema:"The user that the keys log in as."`
	Name      provider.Plain `json:"name,omitzero" default:"default" jsonschema:"The name of these keys in their comment (rota:NAME). Several secrets can have keys of the same user under different names."`
	Algorithm provider.Plain `json:"algorithm,omitzero" enum:"ed25519,ecdsa,rsa" default:"ed25519" jsonschema:"The algorithm of new key pairs. ECDSA keys are on the curve P-256, and RSA keys have 3072 bits."`
	Options   provider.Plain `json:"options,omitzero" empty:"true" default:"those of the key before" jsonschema:"The options in front of new keys, such as from=\"10.0.0.0/8\",no-pty."`
	Path      provider.Text  `json:"path,omitzero" default:".ssh/authorized_keys in the user's home folder" jsonschema:"The absolute path of the file that sshd reads the user's keys from (AuthorizedKeysFile)."`
	RunAs     provider.Plain `json:"run_as,omitzero" default:"the user, or with path the connection's user" jsonschema:"The user who edits the file, through sudo."`
}

// Traits implements [provider.IssuerConfig].
func (c *keyConfig) Traits() rota.Traits { return keyTraits() }

// Fields implements [provider.IssuerConfig].
func (c *keyConfig) Fields() provider.Fields {
	return provider.Fields{
		All:   []string{rota.FieldUsername, FieldPrivateKey, FieldPublicKey},
		Login: []string{rota.FieldUsername, FieldPrivateKey},
	}
}

// Validate implements [provider.Validator].
func (c *keyConfig) Validate(v *provider.Validation) {
	if name, plain := c.User.Literal(); plain && name != "" {
		if err := checkUser(name); err != nil {
			v.Error(c.User.At, "user", err)
		}
	}
	if c.Name.IsSet() && !keyName.MatchString(c.Name.Text) {
		v.Problem(c.Name.At, "name", "ci", "isn't one word of letters and digits")
	}
	if c.RunAs.IsSet() {
		if err := checkUser(c.RunAs.Text); err != nil {
			v.Error(c.RunAs.At, "run_as", err)
		}
	}
	if c.Options.IsSet() {
		if err := checkOptions(c.Options.Text); err != nil {
			v.Error(c.Options.At, "options", err)
		}
	}
	if text, plain := c.Path.Literal(); plain && text != "" {
		if err := checkPath(text); err != nil {
			v.Error(c.Path.At, "path", err)
		}
	}
}

// Claims implements [provider.Claimer]: the user's keys of this name, on each host.
func (c *keyConfig) Claims(k *provider.Known) []provider.Claim {
	return claimUser(k, "SSH keys of user", c.User, func(claim provider.Claim) provider.Claim {
		name := c.Name.Text
		if name == "" {
			name = defaultName
		}
		claim.Form, claim.Parts = "keys", []string{"the name " + name}
		return claim
	})
}

// claimUser claims a user on each host of the issuer's connection.
func claimUser(k *provider.Known, kind string, user provider.Text, more func(provider.Claim) provider.Claim) []provider.Claim {
	var claims []provider.Claim
	for _, addr := range hostsOf(k, k.Connection) {
		if claim, ok := k.Claim(kind, user); ok {
			claim.Scope, claim.Server = scope(addr), addr
			claims = append(claims, more(claim))
		}
	}
	return claims
}

// Issuer implements [provider.IssuerConfig].
func (c *keyConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := KeysConfig{User: b.Text(c.User), Name: c.Name.Text, Algorithm: c.Algorithm.Text, Path: b.Text(c.Path), RunAs: c.RunAs.Text}
	if c.Options.IsSet() {
		cfg.Options = &c.Options.Text
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Keys(cfg)
}

// passwordConfig is the password of one user.
type passwordConfig struct {
	provider.PasswordRules
	User  provider.Text  `json:"user" jsonschema:"The Unix user."`
	RunAs provider.Plain `json:"run_as,omitzero" default:"root" jsonschema:"The user who runs chpasswd, through sudo."`
}

// Traits implements [provider.IssuerConfig].
func (c *passwordConfig) Traits() rota.Traits { return passwordTraits() }

// Fields implements [provider.IssuerConfig].
func (c *passwordConfig) Fields() provider.Fields {
	both := []string{rota.FieldUsername, rota.FieldPassword}
	return provider.Fields{All: both, Login: both}
}

// Validate implements [provider.Validator].
func (c *passwordConfig) Validate(v *provider.Validation) {
	own, byPassword := "", false
	if connection, ok := v.Connection.(*connectionConfig); ok {
		own, _ = connection.User.Literal()
		byPassword = connection.Password.IsSet()
	}
	if name, plain := c.User.Literal(); plain && name != "" {
		err := checkUser(name)
		if err == nil {
			err = checkOther(name, own, byPassword)
		}
		if err != nil {
			v.Error(c.User.At, "user", err)
		}
	}
	if c.RunAs.IsSet() {
		if err := checkUser(c.RunAs.Text); err != nil {
			v.Error(c.RunAs.At, "run_as", err)
		}
	}
	v.Password(c.PasswordRules)
}

// Claims implements [provider.Claimer].
func (c *passwordConfig) Claims(k *provider.Known) []provider.Claim {
	return claimUser(k, "password of Unix user", c.User, func(claim provider.Claim) provider.Claim { return claim })
}

// Issuer implements [provider.IssuerConfig].
func (c *passwordConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := PasswordConfig{User: b.Text(c.User), Rules: c.Over(b.Passwords), RunAs: c.RunAs.Text}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Password(cfg)
}
