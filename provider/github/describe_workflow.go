package github

import (
	"maps"
	"regexp"
	"slices"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// workflowConfig is the part in rota.yaml of a reloader that runs a workflow.
type workflowConfig struct {
	At           provider.Pos              `json:"-"`
	Connection   provider.ConnectionName   `json:"connection" kind:"github" jsonschema:"The name of a github connection."`
	Repository   provider.Text             `json:"repository" jsonschema:"The repository with its owner, such as shop/api."`
	Workflow     provider.Plain            `json:"workflow" jsonschema:"The name of the workflow's file, such as deploy.yml. It has on: workflow_dispatch."`
	Ref          provider.Plain            `json:"ref" jsonschema:"The branch or tag."`
	Inputs       map[string]provider.Plain `json:"inputs,omitzero" jsonschema:"The workflow's inputs. They're never secret: GitHub shows them."`
	VersionInput provider.Plain            `json:"version_input,omitzero" jsonschema:"An input that gets the version to be deployed. If the workflow's run-name shows it, Rota recognizes its run after an interruption instead of starting another."`
	Job          provider.Plain            `json:"job,omitzero" default:"the whole run" jsonschema:"The job to wait for."`
	Timeout      provider.Duration         `json:"timeout,omitzero" default:"1h" jsonschema:"How long a deployment may take."`
	NoWait       provider.Bool             `json:"no_wait,omitzero" jsonschema:"true to retire the old value although workflow runs that began with it are still running."`
}

var workflowFile = regexp.MustCompile(`^[A-Za-z0-9._-]+\.ya?ml$`)

// maxInputs is how many inputs GitHub takes.
const maxInputs = 25

// Validate implements [provider.Validator].
func (c *workflowConfig) Validate(v *provider.Validation) {
	checkRepository(v, "repository", c.Repository)
	if c.Workflow.IsSet() && !workflowFile.MatchString(c.Workflow.Text) {
		v.Problem(c.Workflow.At, "workflow", "deploy.yml, without .github/workflows", "not the name of a workflow's file")
	}
	n := len(c.Inputs)
	if c.VersionInput.IsSet() {
		n++
		if _, there := c.Inputs[c.VersionInput.Text]; there {
			v.Problem(c.VersionInput.At, "version_input", "an input of its own", "%s is one of the inputs as well", c.VersionInput.Text)
		}
	}
	if n > maxInputs {
		first := slices.Sorted(maps.Keys(c.Inputs))[0]
		v.Problem(c.Inputs[first].At, "inputs", "fewer inputs", "GitHub takes %d inputs, and there are %d", maxInputs, n)
	}
}

// Reloader implements [provider.ReloaderConfig].
func (c *workflowConfig) Reloader(b *provider.Build) (rota.Reloader, error) {
	w := &Workflow{
		Reloader: b.Name, Connection: provider.Open[*Connection](b, c.Connection.Text), File: c.Workflow.Text, Ref: c.Ref.Text,
		Inputs: provider.PlainTexts(c.Inputs), VersionInput: c.VersionInput.Text, Job: c.Job.Text, Timeout: c.Timeout.Length, NoWait: c.NoWait.Yes,
	}
	var err error
	w.Owner, w.Repository, err = ParseRepository(b.Text(c.Repository))
	if b.Err() != nil {
		return nil, b.Err()
	}
	return w, err
}
