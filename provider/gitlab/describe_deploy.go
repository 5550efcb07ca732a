package gitlab

import (
	"regexp"
	"strconv"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

var deployFields = provider.Fields{All: []string{FieldTokenID, FieldUsername, FieldToken}, Login: []string{FieldTokenID, FieldUsername, FieldToken}}

// deployTokenConfig is an issuer's part of rota.yaml.
type deployTokenConfig struct {
	At       provider.Pos   `json:"-"`
	Project  provider.Text  `json:"project,omitzero" jsonschema:"The project's path, such as shop/api, or its number in quotes."`
	Group    provider.Text  `json:"group,omitzero" jsonschema:"The group's path or its number in quotes, for a token that's good for each of its projects."`
	Username provider.Plain `json:"username,omitzero" default:"gitlab+deploy-token-N, by its number" jsonschema:"The name that every token logs in with."`
	accessToken
}

var deployUsername = regexp.MustCompile(`^[a-zA-Z0-9.+_-]{1,255}$`)

// maxDeployName leaves room for a version's id in a name of 255 characters.
const maxDeployName = 200

// Validate implements [provider.Validator].
func (c *deployTokenConfig) Validate(v *provider.Validation) {
	checkID(v, "project", c.Project)
	checkID(v, "group", c.Group)
	if c.Project.IsSet() == c.Group.IsSet() {
		v.Problem(v.At, "", "project: shop/api", "name a project or a group")
	}
	if c.Name.Text == ciDeployToken {
		v.Problem(c.Name.At, "name", "another name, and a gitlab_variables target for the jobs", "GitLab gives jobs one token of this name, and doesn't say which while there are two")
	}
	if len(c.Name.Text) > maxDeployName {
		v.Problem(c.Name.At, "name", "a shorter one", "longer than %d characters", maxDeployName)
	}
	if c.Username.IsSet() && !deployUsername.MatchString(c.Username.Text) {
		v.Problem(c.Username.At, "username", "registry-puller", "not letters, digits and _ - + . only")
	}
	c.validate(v)
}

// Traits implements [provider.IssuerConfig].
func (c *deployTokenConfig) Traits() rota.Traits { return deployTraits(c.ExpiresAfter.Length) }

// Fields implements [provider.IssuerConfig].
func (c *deployTokenConfig) Fields() provider.Fields { return deployFields }

func (c *deployTokenConfig) owner() (Level, provider.Text) {
	if c.Group.IsSet() {
		return LevelGroup, c.Group
	}
	return LevelProject, c.Project
}

// Claims implements [provider.Claimer].
func (c *deployTokenConfig) Claims(k *provider.Known) []provider.Claim {
	level, owner := c.owner()
	one, ok := claim(k, "GitLab "+string(level)+" deploy tokens", k.Connection, owner, c.Name.Text)
	if !ok {
		return nil
	}
	one.Shown = "GitLab deploy token " + strconv.Quote(c.Name.Text)
	return []provider.Claim{one}
}

// Issuer implements [provider.IssuerConfig].
func (c *deployTokenConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	level, owner := c.owner()
	d := &DeployTokens{
		Connection: provider.Open[*Connection](b, b.Connection), Level: level, Owner: b.Text(owner),
		TokenName: c.Name.Text, Username: c.Username.Text, ExpiresAfter: c.ExpiresAfter.Length,
	}
	for _, s := range c.Scopes {
		d.Scopes = append(d.Scopes, s.Text)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return d, nil
}
