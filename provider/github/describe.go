package github

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// kindGitHub is the key of GitHub's connections in rota.yaml.
const kindGitHub = "github"

// Provider describes what rota.yaml can name of GitHub.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "github",
		System:  "GitHub",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindGitHub, Remote: true, Summary: "GitHub, by an access token or as a GitHub App.",
				Example: `{token: "${file:/run/secrets/github}"}`,
			},
			New:    func() provider.ConnectionConfig { return new(connectionConfig) },
			Policy: policy,
		}},
		Issuers: []provider.Issuer{{
			Kind: provider.Kind{
				Key: "github_deploy_key", Summary: "A deploy key of a GitHub repository (connection: github).",
				Example: "{repository: shop/api}",
			},
			Connection: kindGitHub, Evidence: rota.EvidenceRecorded,
			New: func() provider.IssuerConfig { return new(deployKeyConfig) },
		}},
		Targets: []provider.Target{{
			Kind: provider.Kind{
				Key: "github_secret", Summary: "Actions, Dependabot or Codespaces secrets of a GitHub repository, environment or organization.",
				Example: "{connection: github, repository: shop/api, secrets: {DB_PASSWORD: password}}",
			},
			Platform: provider.PlatformJobs,
			New:      func() provider.TargetConfig { return new(secretConfig) },
		}, {
			Kind: provider.Kind{
				Key: "github_variable", Summary: "Configuration variables of a GitHub repository, environment or organization.",
				Example: "{connection: github, repository: shop/api, variables: {DB_USER: username}}",
			},
			Platform: provider.PlatformJobs,
			New:      func() provider.TargetConfig { return new(variableConfig) },
		}},
		Reloaders: []provider.Reloader{{
			Kind: provider.Kind{
				Key: "github_workflow", Summary: "A workflow run of a GitHub repository, which deploys the credential.",
				Example: "{connection: github, repository: shop/api, workflow: deploy.yml, ref: main}",
			},
			New: func() provider.ReloaderConfig { return new(workflowConfig) },
		}},
	}
}

// connectionConfig is a GitHub, and how to log in to it.
type connectionConfig struct {
	At             provider.Pos  `json:"-"`
	URL            provider.Text `json:"url,omitzero" default:"https://api.github.com" jsonschema:"The API's address: for GitHub Enterprise Server https://HOST/api/v3."`
	Token          provider.Text `json:"token,omitzero" secret:"true" jsonschema:"A personal access token: a reference such as ${file:/run/secrets/github}."`
	AppID          provider.Text `json:"app_id,omitzero" jsonschema:"The client id or number of a GitHub App to log in as, in quotes."`
	AppPrivateKey  provider.Text `json:"app_private_key,omitzero" secret:"true" jsonschema:"The App's private key in PEM: a reference such as ${file:/run/secrets/rota.pem}."`
	InstallationID provider.Text `json:"installation_id,omitzero" default:"that of each owner" jsonschema:"The number of the App's installation, in quotes."`
	provider.TLSFiles
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	c.CheckTLS(v, c.At)
	switch {
	case c.Token.IsSet() && (c.AppID.IsSet() || c.AppPrivateKey.IsSet()):
		v.Problem(c.Token.At, "token", "one of them", "a token and an App both say how to log in")
	case !c.Token.IsSet() && (!c.AppID.IsSet() || !c.AppPrivateKey.IsSet()):
		v.Problem(c.At, "", "token, or app_id and app_private_key", "nothing says how to log in")
	}
	if text, plain := c.InstallationID.Literal(); plain && c.InstallationID.IsSet() {
		if n, err := strconv.ParseInt(text, 10, 64); err != nil || n <= 0 {
			v.Problem(c.InstallationID.At, "installation_id", `"12345678", as in the address of the installation's settings`, "not an installation's number")
		}
	}
	text, plain := c.URL.Literal()
	if !plain || text == "" {
		return
	}
	u, err := provider.ParseAddress(text, exampleURL)
	switch {
	case err != nil:
		v.Error(c.URL.At, "url", err)
	case strings.EqualFold(u.Hostname(), "github.com"):
		v.Problem(c.URL.At, "url", DefaultURL+", which is the default", "GitHub's web page, not its API")
	case strings.Trim(u.Path, "/") == "" && !strings.HasPrefix(u.Hostname(), "api."):
		v.Problem(c.URL.At, "url", "https://"+u.Host+"/api/v3", "not the address of an API")
	}
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{
		URL: b.Text(c.URL), Token: b.Text(c.Token), App: App{ID: b.Text(c.AppID), PrivateKey: b.Text(c.AppPrivateKey)},
		Certificates: c.Certificates(b), Budget: b.Budget(), Reach: b.Reach,
	}
	if text := b.Text(c.InstallationID); text != "" {
		cfg.App.Installation, _ = strconv.ParseInt(text, 10, 64) // 0, which finds it, if it's no number
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper]: a GitHub is known by its host.
func (c *connectionConfig) Scope(k *provider.Known) string {
	text, known := k.Text(c.URL)
	place := provider.ScopeOf(cmp.Or(text, DefaultURL))
	if !known || place == "" {
		return ""
	}
	return "github\x00" + place
}

// checkRepository reports what can't be a repository.
func checkRepository(v *provider.Validation, key string, repository provider.Text) {
	text, plain := repository.Literal()
	if !plain || !repository.IsSet() {
		return
	}
	if _, _, err := ParseRepository(text); err != nil {
		v.Problem(repository.At, key, "shop/api, as in the repository's address", "not a repository with its owner")
	}
}

// placeConfig is where secrets or variables are, in rota.yaml.
type placeConfig struct {
	Repository   provider.Text  `json:"repository,omitzero" jsonschema:"The repository with its owner, such as shop/api."`
	Environment  provider.Plain `json:"environment,omitzero" default:"all of the repository" jsonschema:"The repository's environment."`
	Organization provider.Text  `json:"organization,omitzero" jsonschema:"The organization, for those of an organization."`
}

func (c placeConfig) validate(v *provider.Validation) {
	if c.Repository.IsSet() == c.Organization.IsSet() {
		v.Problem(v.At, "", "repository: shop/api, or organization: shop", "one place is needed")
	}
	checkRepository(v, "repository", c.Repository)
	if text, plain := c.Organization.Literal(); plain && c.Organization.IsSet() && !ownerName.MatchString(text) {
		v.Problem(c.Organization.At, "organization", "shop, as in the organization's address", "not the name of an organization")
	}
	if c.Environment.IsSet() && c.Organization.IsSet() {
		v.Problem(c.Environment.At, "environment", "", "an organization has no environments")
	}
}

// place is the place, once the texts are known.
func (c placeConfig) place(b *provider.Build) (Place, error) {
	p := Place{Owner: b.Text(c.Organization), Environment: c.Environment.Text}
	var err error
	if c.Repository.IsSet() {
		p.Owner, p.Repository, err = ParseRepository(b.Text(c.Repository))
	}
	if b.Err() != nil {
		return Place{}, b.Err()
	}
	return p, err
}

// claim is the claim on something of the place, as far as its name is known. GitHub
// doesn't distinguish case in the names of owners, repositories and secrets.
func (c placeConfig) claim(k *provider.Known, connection, kind, name string) (provider.Claim, bool) {
	text := c.Repository
	if c.Organization.IsSet() {
		text = c.Organization
	}
	one, ok := k.Claim(kind, text)
	if !ok {
		return provider.Claim{}, false
	}
	one.Connection = connection
	one.Name = strings.ToLower(one.Name) + "/" + url.PathEscape(strings.ToLower(c.Environment.Text)) + "/" + strings.ToUpper(name)
	return one, true
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  github: {github: {app_id: Iv23liAbCdEfGhIjKlMn, app_private_key: "${file:/run/secrets/rota.pem}"}}
secrets:
  - name: prod/session-cookies
    issuer: {secret_key: {bytes: 32}}
    targets:
      - name: ci
        github_secret:
          connection: github
          repository: shop/api
          environment: production
          secrets: {SECRET_KEY: key, SECRET_KEY_PREVIOUS: previous_key, SECRET_KEY_NEXT: next_key}
      - {name: ci-id, github_variable: {connection: github, organization: shop, variables: {SESSION_KEY_ID: kid}}}
    reload:
      - name: deploy
        github_workflow: {connection: github, repository: shop/api, workflow: deploy.yml, ref: main, version_input: version}
    policy: {rotate_every: 90d}
  - name: prod/shop-mirror
    issuer: {connection: github, github_deploy_key: {repository: shop/api, title: mirror}}
    targets:
      - {name: mirror, github_secret: {connection: github, repository: shop/web, secrets: {SHOP_API_KEY: private_key}}}
    policy: {rotate_every: 90d, deactivate_previous_after: 7d, delete_previous_after: 7d}
`
