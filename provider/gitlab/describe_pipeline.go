package gitlab

import (
	"maps"
	"slices"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// pipelineConfig is the part in rota.yaml of a reloader that makes a pipeline.
type pipelineConfig struct {
	At              provider.Pos             `json:"-"`
	Connection      provider.ConnectionName  `json:"connection" kind:"gitlab" jsonschema:"The name of a gitlab connection."`
	Project         provider.Text            `json:"project" jsonschema:"The project's path, such as shop/api, or its number in quotes."`
	Ref             provider.Plain           `json:"ref" jsonschema:"The branch or tag."`
	Variables       map[string]provider.Text `json:"variables,omitzero" jsonschema:"Variables for the pipeline, if the project permits them."`
	TriggerToken    provider.Text            `json:"trigger_token,omitzero" secret:"true" default:"the connection's token" jsonschema:"A pipeline trigger token to start it with: a reference such as ${file:/run/secrets/trigger}."`
	VersionVariable provider.Plain           `json:"version_variable,omitzero" jsonschema:"A variable that gets the version to be deployed. After an interruption, Rota recognizes its pipeline by it instead of starting another."`
	Job             provider.Plain           `json:"job,omitzero" default:"the whole pipeline" jsonschema:"The job to wait for."`
	Environment     provider.Plain           `json:"environment,omitzero" default:"the whole pipeline" jsonschema:"The environment whose deployment to wait for."`
	Timeout         provider.Duration        `json:"timeout,omitzero" default:"1h" jsonschema:"How long a deployment may take."`
	NoWait          provider.Bool            `json:"no_wait,omitzero" jsonschema:"true to retire the old value although pipelines that began with it are still running."`
}

// Validate implements [provider.Validator].
func (c *pipelineConfig) Validate(v *provider.Validation) {
	checkID(v, "project", c.Project)
	if c.Job.IsSet() && c.Environment.IsSet() {
		v.Problem(c.Environment.At, "environment", "one of them", "job and environment both say what to wait for")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Variables)) {
		if !variableName.MatchString(name) {
			v.Problem(c.Variables[name].At, "variables", "letters, digits and _, at most 255", "GitLab has no variable %q", name)
		}
	}
	if name := c.VersionVariable; name.IsSet() && !variableName.MatchString(name.Text) {
		v.Problem(name.At, "version_variable", "ROTA_VERSION", "GitLab has no variable %q", name.Text)
	}
}

// Reloader implements [provider.ReloaderConfig].
func (c *pipelineConfig) Reloader(b *provider.Build) (rota.Reloader, error) {
	p := &Pipeline{
		Reloader: b.Name, Connection: provider.Open[*Connection](b, c.Connection.Text), Project: b.Text(c.Project), Ref: c.Ref.Text,
		TriggerToken: b.Text(c.TriggerToken), Variables: b.TextMap(c.Variables), VersionVariable: c.VersionVariable.Text,
		Job: c.Job.Text, Environment: c.Environment.Text, Timeout: c.Timeout.Length, NoWait: c.NoWait.Yes,
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// jobConfig is the part in rota.yaml of a reloader that runs a manual job.
type jobConfig struct {
	At         provider.Pos            `json:"-"`
	Connection provider.ConnectionName `json:"connection" kind:"gitlab" jsonschema:"The name of a gitlab connection."`
	Project    provider.Text           `json:"project" jsonschema:"The project's path, such as shop/api, or its number in quotes."`
	Ref        provider.Plain          `json:"ref" jsonschema:"The branch or tag whose latest pipeline has the job."`
	Job        provider.Plain          `json:"job" jsonschema:"The manual job's name."`
	Timeout    provider.Duration       `json:"timeout,omitzero" default:"1h" jsonschema:"How long the job may take."`
	NoWait     provider.Bool           `json:"no_wait,omitzero" jsonschema:"true to retire the old value although pipelines that began with it are still running."`
}

// Validate implements [provider.Validator].
func (c *jobConfig) Validate(v *provider.Validation) { checkID(v, "project", c.Project) }

// Reloader implements [provider.ReloaderConfig].
func (c *jobConfig) Reloader(b *provider.Build) (rota.Reloader, error) {
	p := &Pipeline{
		Reloader: b.Name, Connection: provider.Open[*Connection](b, c.Connection.Text), Project: b.Text(c.Project), Ref: c.Ref.Text,
		Play: c.Job.Text, Timeout: c.Timeout.Length, NoWait: c.NoWait.Yes,
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return p, nil
}
