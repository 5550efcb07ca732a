package gitlab

import (
	"strconv"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// issuers are the kinds of tokens.
func issuers() []provider.Issuer {
	kind := func(key, summary, example string, config func() provider.IssuerConfig) provider.Issuer {
		return provider.Issuer{
			Kind:       provider.Kind{Key: key, Summary: summary + " (connection: gitlab).", Example: example},
			Connection: kindGitLab, Evidence: rota.EvidenceRecorded, New: config,
		}
	}
	return []provider.Issuer{
		kind("gitlab_project_token", "A project access token at GitLab", "{project: shop/api, name: deployer, scopes: [read_api], role: developer}", func() provider.IssuerConfig { return new(projectTokenConfig) }),
		kind("gitlab_group_token", "A group access token at GitLab", "{group: shop, name: deployer, scopes: [read_api], role: developer}", func() provider.IssuerConfig { return new(groupTokenConfig) }),
		kind("gitlab_personal_token", "A user's personal access token at GitLab, made by an administrator", `{user: "42", name: deployer, scopes: [read_api]}`, func() provider.IssuerConfig { return new(personalTokenConfig) }),
		kind("gitlab_trigger_token", "A pipeline trigger token at GitLab", "{project: shop/api, name: deployer}", func() provider.IssuerConfig { return new(triggerTokenConfig) }),
		{
			Kind: provider.Kind{
				Key: "gitlab_deploy_token", Summary: "A deploy token of a GitLab project or group, for its registries and repositories (connection: gitlab).",
				Example: "{project: shop/api, name: puller, scopes: [read_registry]}",
			},
			Connection: kindGitLab, New: func() provider.IssuerConfig { return new(deployTokenConfig) },
		},
		kind("gitlab_rotated_token", "An access token at GitLab that the next one replaces at once, without overlap, where no second one may be made", `{user: "42", name: deployer}`, func() provider.IssuerConfig { return new(rotatedTokenConfig) }),
	}
}

// accessToken is what project, group and personal access tokens have in common.
type accessToken struct {
	Name         provider.Plain    `json:"name" jsonschema:"The tokens' name. It's how Rota recognizes them."`
	Scopes       []provider.Plain  `json:"scopes" jsonschema:"What a token may do, such as read_api."`
	ExpiresAfter provider.Duration `json:"expires_after,omitzero" default:"364d" jsonschema:"How long a token is valid, in days: longer than rotate_every and delete_previous_after together."`
}

// resourceToken is what project and group access tokens have in common.
type resourceToken struct {
	Role provider.Plain `json:"role" enum:"guest,reporter,developer,maintainer,owner" jsonschema:"The token's role."`
}

func (c accessToken) validate(v *provider.Validation) {
	if len(c.Scopes) == 0 {
		v.Problem(v.At, "", "scopes: [read_api]", "no scopes")
	}
	checkLength(v, c.ExpiresAfter)
}

// checkLength reports how long no token can be valid.
func checkLength(v *provider.Validation, length provider.Duration) {
	if length.IsSet() && (length.Length < 2*rota.Day || length.Length > 400*rota.Day) {
		v.Problem(length.At, "expires_after", "364d", "not between two days and what GitLab allows, which is a year")
	}
}

func (c accessToken) tokens(b *provider.Build, kind TokenKind, owner provider.Text, role string) (*Tokens, error) {
	t := &Tokens{Connection: provider.Open[*Connection](b, b.Connection), Kind: kind, Owner: b.Text(owner), TokenName: c.Name.Text, Role: role, ExpiresAfter: c.ExpiresAfter.Length}
	for _, s := range c.Scopes {
		t.Scopes = append(t.Scopes, s.Text)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	if kind == PersonalToken && t.user() <= 0 {
		return nil, t.Connection.refuse("make "+t.what(), "give the user's number", errNoUser)
	}
	return t, nil
}

// issuerOf is no issuer at all if there's an error.
func issuerOf(t *Tokens, err error) (rota.Issuer, error) {
	if err != nil {
		return nil, err
	}
	return t, nil
}

var tokenFields = provider.Fields{All: []string{FieldTokenID, FieldToken}, Login: []string{FieldTokenID, FieldToken}}

// claimTokens is the claim on the tokens of one name.
func claimTokens(k *provider.Known, kind TokenKind, owner provider.Text, name string) []provider.Claim {
	c, ok := claim(k, "GitLab "+string(kind)+"s", k.Connection, owner, name)
	if !ok {
		return nil
	}
	c.Shown = "GitLab " + string(kind) + " " + strconv.Quote(name)
	return []provider.Claim{c}
}

// projectTokenConfig is an issuer's part of rota.yaml.
type projectTokenConfig struct {
	At      provider.Pos  `json:"-"`
	Project provider.Text `json:"project" jsonschema:"The project's path, such as shop/api, or its number in quotes."`
	accessToken
	resourceToken
}

// Validate implements [provider.Validator].
func (c *projectTokenConfig) Validate(v *provider.Validation) {
	checkID(v, "project", c.Project)
	c.validate(v)
}

// Traits implements [provider.IssuerConfig].
func (c *projectTokenConfig) Traits() rota.Traits { return ProjectToken.traits(c.ExpiresAfter.Length) }

// Fields implements [provider.IssuerConfig].
func (c *projectTokenConfig) Fields() provider.Fields { return tokenFields }

// Claims implements [provider.Claimer].
func (c *projectTokenConfig) Claims(k *provider.Known) []provider.Claim {
	return claimTokens(k, ProjectToken, c.Project, c.Name.Text)
}

// Issuer implements [provider.IssuerConfig].
func (c *projectTokenConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	return issuerOf(c.tokens(b, ProjectToken, c.Project, c.Role.Text))
}

// groupTokenConfig is an issuer's part of rota.yaml.
type groupTokenConfig struct {
	At    provider.Pos  `json:"-"`
	Group provider.Text `json:"group" jsonschema:"The group's path or its number in quotes."`
	accessToken
	resourceToken
}

// Validate implements [provider.Validator].
func (c *groupTokenConfig) Validate(v *provider.Validation) {
	checkID(v, "group", c.Group)
	c.validate(v)
}

// Traits implements [provider.IssuerConfig].
func (c *groupTokenConfig) Traits() rota.Traits { return GroupToken.traits(c.ExpiresAfter.Length) }

// Fields implements [provider.IssuerConfig].
func (c *groupTokenConfig) Fields() provider.Fields { return tokenFields }

// Claims implements [provider.Claimer].
func (c *groupTokenConfig) Claims(k *provider.Known) []provider.Claim {
	return claimTokens(k, GroupToken, c.Group, c.Name.Text)
}

// Issuer implements [provider.IssuerConfig].
func (c *groupTokenConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	return issuerOf(c.tokens(b, GroupToken, c.Group, c.Role.Text))
}

// personalTokenConfig is an issuer's part of rota.yaml.
type personalTokenConfig struct {
	At   provider.Pos  `json:"-"`
	User provider.Text `json:"user" jsonschema:"The user's number, in quotes."`
	accessToken
}

// Validate implements [provider.Validator].
func (c *personalTokenConfig) Validate(v *provider.Validation) {
	checkUser(v, c.User)
	c.validate(v)
}

// checkUser reports a user who isn't given by number.
func checkUser(v *provider.Validation, user provider.Text) {
	if text, plain := user.Literal(); plain && user.IsSet() {
		if n, err := strconv.ParseInt(text, 10, 64); err != nil || n <= 0 {
			v.Problem(user.At, "user", `"42", as GitLab shows it on the user's page`, "not a user's number")
		}
	}
}

// Traits implements [provider.IssuerConfig].
func (c *personalTokenConfig) Traits() rota.Traits {
	return PersonalToken.traits(c.ExpiresAfter.Length)
}

// Fields implements [provider.IssuerConfig].
func (c *personalTokenConfig) Fields() provider.Fields { return tokenFields }

// Claims implements [provider.Claimer].
func (c *personalTokenConfig) Claims(k *provider.Known) []provider.Claim {
	return claimTokens(k, PersonalToken, c.User, c.Name.Text)
}

// Issuer implements [provider.IssuerConfig].
func (c *personalTokenConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	return issuerOf(c.tokens(b, PersonalToken, c.User, ""))
}

// triggerTokenConfig is an issuer's part of rota.yaml.
type triggerTokenConfig struct {
	At      provider.Pos   `json:"-"`
	Project provider.Text  `json:"project" jsonschema:"The project's path, such as shop/api, or its number in quotes."`
	Name    provider.Plain `json:"name" jsonschema:"The tokens' description. It's how Rota recognizes them."`
}

// Validate implements [provider.Validator].
func (c *triggerTokenConfig) Validate(v *provider.Validation) { checkID(v, "project", c.Project) }

// Traits implements [provider.IssuerConfig].
func (c *triggerTokenConfig) Traits() rota.Traits { return TriggerToken.traits(0) }

// Fields implements [provider.IssuerConfig].
func (c *triggerTokenConfig) Fields() provider.Fields { return tokenFields }

// Claims implements [provider.Claimer].
func (c *triggerTokenConfig) Claims(k *provider.Known) []provider.Claim {
	return claimTokens(k, TriggerToken, c.Project, c.Name.Text)
}

// Issuer implements [provider.IssuerConfig].
func (c *triggerTokenConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	t := &Tokens{Connection: provider.Open[*Connection](b, b.Connection), Kind: TriggerToken, Owner: b.Text(c.Project), TokenName: c.Name.Text}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return t, nil
}
