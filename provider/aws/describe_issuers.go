package aws

import (
	"cmp"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// accessKeyKind is what issuers of access keys issue.
const accessKeyKind = "IAM access key"

// accessKeyConfig names the IAM user whose access key is rotated.
type accessKeyConfig struct {
	At   provider.Pos  `json:"-"`
	User provider.Text `json:"user" jsonschema:"The IAM user's name."`
}

// Validate implements [provider.Validator].
func (c *accessKeyConfig) Validate(v *provider.Validation) {
	if user, plain := c.User.Literal(); plain && user != "" {
		if err := ValidateUserName(user); err != nil {
			v.Error(c.User.At, "user", err)
		}
	}
}

// Traits implements [provider.IssuerConfig].
func (c *accessKeyConfig) Traits() rota.Traits { return (&accessKeys{}).Traits() }

// Fields implements [provider.IssuerConfig].
func (c *accessKeyConfig) Fields() provider.Fields {
	fields := []string{rota.FieldAccessKeyID, rota.FieldSecretAccessKey}
	return provider.Fields{All: fields, Login: fields}
}

// Claims implements [provider.Claimer].
func (c *accessKeyConfig) Claims(k *provider.Known) []provider.Claim {
	user, ok := k.Claim("IAM user", c.User)
	if !ok {
		return nil
	}
	user.Name = strings.ToLower(user.Name) // IAM doesn't distinguish case
	return []provider.Claim{user}
}

// Issuer implements [provider.IssuerConfig].
func (c *accessKeyConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := AccessKeysConfig{User: b.Text(c.User), Platforms: b.Platforms, NoAdvice: !b.Advice}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.AccessKeys(cfg), nil
}

// UserOf returns the IAM user whose access key an issuer's configuration rotates.
// The name is "" if it's a reference. ok is false for other issuers.
func UserOf(config any) (user string, ok bool) {
	c, ok := config.(*accessKeyConfig)
	if !ok {
		return "", false
	}
	user, _ = c.User.Literal()
	return user, true
}

// assumeRoleConfig is a role whose sessions are issued, as keys that expire.
type assumeRoleConfig struct {
	At                provider.Pos             `json:"-"`
	RoleARN           provider.Text            `json:"role_arn" jsonschema:"The role."`
	Duration          provider.Duration        `json:"duration,omitzero" default:"1h" jsonschema:"How long a session lives, 15m to 12h. At most 1h with a chain, or if the connection itself assumes a role."`
	SessionName       provider.Text            `json:"session_name,omitzero" default:"rota" jsonschema:"The session name, as shown in CloudTrail."`
	ExternalID        provider.Text            `json:"external_id,omitzero" jsonschema:"The external ID that the role's trust policy requires."`
	Policy            provider.Plain           `json:"policy,omitzero" jsonschema:"A session policy in JSON. The session can do what both it and the role allow."`
	PolicyARNs        []provider.Text          `json:"policy_arns,omitzero" jsonschema:"Managed policies, as session policies."`
	Tags              map[string]provider.Text `json:"tags,omitzero" empty:"true" jsonschema:"Session tags."`
	TransitiveTagKeys []provider.Plain         `json:"transitive_tag_keys,omitzero" jsonschema:"The tags to pass on to sessions of roles that are assumed from this one."`
	Chain             []provider.Text          `json:"chain,omitzero" jsonschema:"Roles to assume on the way, each with the previous one's credentials."`
}

// Traits implements [provider.IssuerConfig].
func (c *assumeRoleConfig) Traits() rota.Traits {
	return AssumedRoleTraits(cmp.Or(c.Duration.Length, DefaultSession))
}

// Fields implements [provider.IssuerConfig].
func (c *assumeRoleConfig) Fields() provider.Fields {
	fields := []string{rota.FieldAccessKeyID, rota.FieldSecretAccessKey, rota.FieldSessionToken, rota.FieldExpiration}
	return provider.Fields{All: fields, Login: fields}
}

// Validate implements [provider.Validator]. It refuses what STS would refuse, as
// far as the values are known already.
func (c *assumeRoleConfig) Validate(v *provider.Validation) {
	places := map[string]provider.Pos{
		"role_arn": c.RoleARN.At, "duration": c.Duration.At, "session_name": c.SessionName.At, "external_id": c.ExternalID.At,
		"policy": c.Policy.At,
	}
	for key, list := range map[string][]provider.Text{"chain": c.Chain, "policy_arns": c.PolicyARNs} {
		if len(list) > 0 {
			places[key] = list[0].At
		}
	}
	if len(c.TransitiveTagKeys) > 0 {
		places["transitive_tag_keys"] = c.TransitiveTagKeys[0].At
	}
	v.Settings(c.settings(func(t provider.Text) string { text, _ := t.Literal(); return text }).Validate(), places)
	if on, ok := v.Connection.(*connectionConfig); ok && on.RoleARN.IsSet() && c.Duration.Length > ChainedSession && len(c.Chain) == 0 {
		v.Problem(c.Duration.At, "duration", "1h, or a connection without role_arn",
			"more than the 1h that AWS gives where a role is assumed with another role's credentials, as by connection %q", v.ConnectionName)
	}
}

// Issuer implements [provider.IssuerConfig].
func (c *assumeRoleConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := c.settings(b.Text)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.AssumedRole(cfg)
}

// settings returns the issuer's settings, using text to resolve values.
func (c *assumeRoleConfig) settings(text func(provider.Text) string) AssumedRoleConfig {
	cfg := AssumedRoleConfig{
		RoleARN: text(c.RoleARN), Duration: c.Duration.Length, SessionName: text(c.SessionName), ExternalID: text(c.ExternalID),
		Policy: c.Policy.Text,
	}
	for list, arns := range map[*[]string][]provider.Text{&cfg.Chain: c.Chain, &cfg.PolicyARNs: c.PolicyARNs} {
		for _, arn := range arns {
			*list = append(*list, text(arn))
		}
	}
	for _, key := range c.TransitiveTagKeys {
		cfg.TransitiveTagKeys = append(cfg.TransitiveTagKeys, key.Text)
	}
	if len(c.Tags) > 0 {
		cfg.Tags = make(map[string]string, len(c.Tags))
		for key, value := range c.Tags {
			cfg.Tags[key] = text(value)
		}
	}
	return cfg
}
