package gitlab

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// kindGitLab is the key of GitLab's connections in rota.yaml.
const kindGitLab = "gitlab"

// Provider describes what rota.yaml can name of GitLab.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "gitlab",
		System:  "GitLab",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindGitLab, Remote: true, Summary: "A GitLab instance, and an access token for it.",
				Example: `{url: https://gitlab.example.com, token: "${file:/run/secrets/gitlab}"}`,
			},
			New: func() provider.ConnectionConfig { return new(connectionConfig) },
		}},
		Issuers: issuers(),
		Targets: []provider.Target{{
			Kind: provider.Kind{
				Key: "gitlab_variables", Summary: "CI/CD variables of a GitLab project, group or instance.",
				Example: "{connection: gitlab, project: shop/api, variables: {DB_PASSWORD: password}}",
			},
			Platform: provider.PlatformJobs,
			New:      func() provider.TargetConfig { return new(variablesConfig) },
		}},
		Reloaders: []provider.Reloader{{
			Kind: provider.Kind{
				Key: "gitlab_pipeline", Summary: "A new pipeline of a GitLab project, which deploys the credential.",
				Example: "{connection: gitlab, project: shop/api, ref: main}",
			},
			New: func() provider.ReloaderConfig { return new(pipelineConfig) },
		}, {
			Kind: provider.Kind{
				Key: "gitlab_job", Summary: "A manual job of a GitLab project's latest pipeline, which deploys the credential.",
				Example: "{connection: gitlab, project: shop/api, ref: main, job: deploy}",
			},
			New: func() provider.ReloaderConfig { return new(jobConfig) },
		}},
	}
}

// connectionConfig is an instance and the token to call it with.
type connectionConfig struct {
	At    provider.Pos  `json:"-"`
	URL   provider.Text `json:"url,omitzero" default:"https://gitlab.com" jsonschema:"The instance's URL, such as https://gitlab.example.com."`
	Token provider.Text `json:"token" secret:"true" jsonschema:"A personal, project or group access token with the scope api: a reference such as ${file:/run/secrets/gitlab}."`
	provider.TLSFiles
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	c.CheckTLS(v, c.At)
	text, plain := c.URL.Literal()
	if !plain || text == "" {
		return
	}
	u, err := provider.ParseAddress(text, exampleURL)
	switch {
	case err != nil:
		v.Error(c.URL.At, "url", err)
	case strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/api/v4"):
		v.Problem(c.URL.At, "url", "https://"+u.Host, "the instance's own URL, without /api/v4")
	}
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{URL: b.Text(c.URL), Token: b.Text(c.Token), Certificates: c.Certificates(b), Budget: b.Budget(), Reach: b.Reach}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper]: an instance is known by its host and path.
func (c *connectionConfig) Scope(k *provider.Known) string {
	text, known := k.Text(c.URL)
	place := provider.ScopeOf(cmp.Or(text, DefaultURL))
	if !known || place == "" {
		return ""
	}
	return "gitlab\x00" + place
}

// pathOf is a project's or group's path in one spelling: GitLab doesn't distinguish
// case.
func pathOf(text string) string { return strings.ToLower(strings.Trim(text, "/")) }

// checkID reports a project or group that can't be one.
func checkID(v *provider.Validation, key string, id provider.Text) {
	text, plain := id.Literal()
	if !plain || !id.IsSet() {
		return
	}
	if text != strings.Trim(text, "/ ") || strings.Contains(text, "://") || strings.ContainsAny(text, " ?#%") {
		v.Problem(id.At, key, "shop/api, or the number in quotes", "not the path of a GitLab %s", key)
	}
}

// claim is the claim on something of a project or group, as far as its name is
// known.
func claim(k *provider.Known, kind, connection string, id provider.Text, parts ...string) (provider.Claim, bool) {
	c, ok := k.Claim(kind, id)
	if !ok {
		return provider.Claim{}, false
	}
	c.Connection = connection
	c.Name = url.PathEscape(pathOf(c.Name))
	for _, part := range parts {
		c.Name += "/" + url.PathEscape(part)
	}
	return c, true
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  prod-aws: {aws: {region: eu-central-1}}
  gitlab: {gitlab: {url: https://gitlab.example.com, token: "${file:/run/secrets/gitlab}"}}
  ann: {gitlab: {url: https://gitlab.example.com, token: "${file:/run/secrets/gitlab-ann}"}}
secrets:
  - name: prod/shop-s3
    issuer: {connection: prod-aws, iam_access_key: {user: shop}}
    targets:
      - name: ci
        gitlab_variables:
          connection: gitlab
          project: shop/api
          environment: production
          variables: {AWS_ACCESS_KEY_ID: access_key_id, AWS_SECRET_ACCESS_KEY: secret_access_key}
    reload:
      - {name: deploy, gitlab_pipeline: {connection: gitlab, project: shop/api, ref: main, environment: production}}
      - {name: docs, gitlab_job: {connection: gitlab, project: shop/docs, ref: main, job: publish}}
    policy: {rotate_every: 90d, deactivate_previous_after: 7d, delete_previous_after: 14d}
  - name: prod/shop-registry
    issuer: {connection: gitlab, gitlab_deploy_token: {project: shop/api, name: registry, scopes: [read_registry], expires_after: 90d}}
    policy: {rotate_every: 30d, deactivate_previous_after: 7d, delete_previous_after: 7d}
  - name: prod/shop-reporter
    issuer: {connection: gitlab, gitlab_project_token: {project: shop/api, name: reporter, scopes: [read_api], role: developer}}
    policy: {rotate_every: 90d, deactivate_previous_after: 7d, delete_previous_after: 7d}
  - name: prod/shop-mirror
    issuer: {connection: gitlab, gitlab_group_token: {group: shop, name: mirror, scopes: [read_repository], role: reporter}}
    policy: {rotate_every: 90d, deactivate_previous_after: 7d, delete_previous_after: 7d}
  - name: prod/shop-bot
    issuer: {connection: gitlab, gitlab_personal_token: {user: "42", name: bot, scopes: [api]}}
    policy: {rotate_every: 90d, deactivate_previous_after: 7d, delete_previous_after: 7d}
  - name: prod/shop-nightly
    issuer: {connection: gitlab, gitlab_trigger_token: {project: shop/api, name: nightly}}
    policy: {rotate_every: 90d, deactivate_previous_after: 7d, delete_previous_after: 7d}
  - name: prod/ann-cli
    issuer: {connection: ann, gitlab_rotated_token: {user: "7", name: cli, expires_after: 90d}}
    targets:
      - {name: ci, gitlab_variables: {connection: gitlab, project: shop/api, variables: {ANN_TOKEN: token}}}
    policy: {rotate_every: 30d}
`
