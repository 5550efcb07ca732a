package gitlab

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// rotatedTokenConfig is an issuer's part of rota.yaml.
type rotatedTokenConfig struct {
	At           provider.Pos      `json:"-"`
	Project      provider.Text     `json:"project,omitzero" jsonschema:"The project's path, such as shop/api, or its number in quotes, for a project access token."`
	Group        provider.Text     `json:"group,omitzero" jsonschema:"The group's path or its number in quotes, for a group access token."`
	User         provider.Text     `json:"user,omitzero" jsonschema:"The user's number, in quotes, for a personal access token."`
	Name         provider.Plain    `json:"name" jsonschema:"The token's name. A person makes the first one, and no other of this name may be valid."`
	ExpiresAfter provider.Duration `json:"expires_after,omitzero" default:"364d" jsonschema:"How long a token is valid, in days: longer than rotate_every."`
}

// owner is what the token belongs to, as its kind and its place.
func (c *rotatedTokenConfig) owner() (TokenKind, provider.Text) {
	switch {
	case c.Group.IsSet():
		return GroupToken, c.Group
	case c.User.IsSet():
		return PersonalToken, c.User
	}
	return ProjectToken, c.Project
}

// Validate implements [provider.Validator].
func (c *rotatedTokenConfig) Validate(v *provider.Validation) {
	checkID(v, "project", c.Project)
	checkID(v, "group", c.Group)
	checkUser(v, c.User)
	set := 0
	for _, one := range []provider.Text{c.Project, c.Group, c.User} {
		if one.IsSet() {
			set++
		}
	}
	if set != 1 {
		v.Problem(v.At, "", `project: shop/api, or user: "42"`, "name a project, a group or a user")
	}
	checkLength(v, c.ExpiresAfter)
}

// Traits implements [provider.IssuerConfig].
func (c *rotatedTokenConfig) Traits() rota.Traits {
	kind, _ := c.owner()
	return kind.rotatedTraits(c.ExpiresAfter.Length)
}

// Fields implements [provider.IssuerConfig].
func (c *rotatedTokenConfig) Fields() provider.Fields { return tokenFields }

// Claims implements [provider.Claimer]: those of the tokens that have overlap, since two
// ways to rotate one token would be in each other's way.
func (c *rotatedTokenConfig) Claims(k *provider.Known) []provider.Claim {
	kind, owner := c.owner()
	return claimTokens(k, kind, owner, c.Name.Text)
}

// Issuer implements [provider.IssuerConfig].
func (c *rotatedTokenConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	kind, owner := c.owner()
	t, err := accessToken{Name: c.Name, ExpiresAfter: c.ExpiresAfter}.tokens(b, kind, owner, "")
	if err != nil {
		return nil, err
	}
	t.Rotated = true
	return t, nil
}
