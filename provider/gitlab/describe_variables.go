package gitlab

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// variablesConfig is the target's part of rota.yaml.
type variablesConfig struct {
	At          provider.Pos              `json:"-"`
	Connection  provider.ConnectionName   `json:"connection" kind:"gitlab" jsonschema:"The name of a gitlab connection."`
	Project     provider.Text             `json:"project,omitzero" jsonschema:"The project's path, such as shop/api, or its number in quotes."`
	Group       provider.Text             `json:"group,omitzero" jsonschema:"The group's path or its number in quotes, for variables of a group."`
	Instance    provider.Bool             `json:"instance,omitzero" jsonschema:"true for variables of the whole instance. The token must be an administrator's."`
	Environment provider.Plain            `json:"environment,omitzero" default:"\"*\", every job" jsonschema:"The environment scope of the variables."`
	Variables   map[string]provider.Plain `json:"variables,omitzero" jsonschema:"The variables' names, each with a field of the credential or a template."`
	File        provider.Plain            `json:"file,omitzero" jsonschema:"A variable of type file with the whole credential, which is never read half."`
	FileFormat  provider.Plain            `json:"file_format,omitzero" enum:"json,aws_credentials" default:"json" jsonschema:"The file's format: a JSON object on one line, or an AWS credentials file, which GitLab can't mask."`
	Visibility  provider.Plain            `json:"visibility,omitzero" enum:"masked,hidden,visible" default:"masked" jsonschema:"Who can see the values, as in GitLab. hidden needs GitLab 17.4, and variables that don't exist yet or are hidden already."`
	Unmasked    []provider.Plain          `json:"unmasked,omitzero" jsonschema:"The variables to leave visible, such as a short user name, which GitLab can't mask."`
	Protected   provider.Bool             `json:"protected,omitzero" default:"as they are; true for new ones" jsonschema:"Whether only jobs on protected branches and tags get the variables."`
	WaitFor     []provider.Text           `json:"wait_for,omitzero" default:"the project itself, or the group's projects" jsonschema:"The projects whose pipelines hold the old value while they run."`
	NoWait      provider.Bool             `json:"no_wait,omitzero" jsonschema:"true to retire the old value although pipelines that began with it are still running."`
}

// variableName is what GitLab takes.
var variableName = regexp.MustCompile(`^[A-Za-z0-9_]{1,255}$`)

// scopeName is what GitLab takes for an environment's scope.
var scopeName = regexp.MustCompile(`^[A-Za-z0-9_/${}. *-]{1,255}$`)

// Validate implements [provider.Validator].
func (c *variablesConfig) Validate(v *provider.Validation) {
	places := 0
	for _, set := range []bool{c.Project.IsSet(), c.Group.IsSet(), c.Instance.Yes} {
		if set {
			places++
		}
	}
	if places != 1 {
		v.Problem(c.At, "", "project: shop/api, group: shop, or instance: true", "one place is needed")
	}
	checkID(v, "project", c.Project)
	checkID(v, "group", c.Group)
	for _, id := range c.WaitFor {
		checkID(v, "project", id)
	}
	if len(c.Variables) == 0 && !c.File.IsSet() {
		v.Problem(c.At, "", "variables: {DB_PASSWORD: password}", "nothing to write")
	}
	if c.Instance.Yes && c.Environment.IsSet() {
		v.Problem(c.Environment.At, "environment", "", "variables of the instance have no environment")
	}
	if c.Environment.IsSet() && !scopeName.MatchString(c.Environment.Text) {
		v.Problem(c.Environment.At, "environment", "production, or review/*", "GitLab has no environment of that name")
	}
	if c.Instance.Yes && c.Visibility.Text == string(Hidden) {
		v.Problem(c.Visibility.At, "visibility", "masked", "variables of the instance can't be hidden")
	}
	if c.FileFormat.IsSet() && !c.File.IsSet() {
		v.Problem(c.FileFormat.At, "file_format", "file: AWS_SHARED_CREDENTIALS_FILE", "belongs to a file")
	}
	if c.FileFormat.Text == string(provider.DocumentAWS) && !slices.Contains(v.Issuer.Fields.All, rota.FieldAccessKeyID) {
		v.Problem(c.FileFormat.At, "file_format", "json", "aws_credentials needs an access key, and the issuer makes a %s", v.Issuer.Traits.Kind)
	}
	c.validateNames(v)
}

// validateNames checks the variables' names, and the templates for what GitLab can't
// mask whatever the credential is.
func (c *variablesConfig) validateNames(v *provider.Validation) {
	if c.File.IsSet() && !variableName.MatchString(c.File.Text) {
		v.Problem(c.File.At, "file", "letters, digits and _, at most 255", "GitLab has no variable of that name")
	}
	for _, name := range c.Unmasked {
		if _, there := c.Variables[name.Text]; !there && name.Text != c.File.Text {
			v.Problem(name.At, "unmasked", strings.Join(slices.Sorted(maps.Keys(c.Variables)), ", "), "%s is none of the variables", name.Text)
		}
	}
	if !v.FieldMap("variables", c.Variables) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.Variables)) {
		field := c.Variables[name]
		switch {
		case !variableName.MatchString(name):
			v.Problem(field.At, "variables", "letters, digits and _, at most 255", "GitLab has no variable %q", name)
		case name == c.File.Text:
			v.Problem(field.At, "variables", "another name", "%s is the file's variable as well", name)
		case c.masks(name) && strings.ContainsFunc(strings.TrimSpace(field.Text), unicode.IsSpace):
			v.Problem(field.At, "variables", "a template without blanks, or unmasked: ["+name+"]", "GitLab can't mask a value with a blank")
		}
	}
}

// masks reports whether a variable's value is to be masked.
func (c *variablesConfig) masks(name string) bool {
	return c.Visibility.Text != string(Visible) && !slices.ContainsFunc(c.Unmasked, func(p provider.Plain) bool { return p.Text == name })
}

func (c *variablesConfig) environment() string {
	if c.Environment.Text == "" {
		return anyEnvironment
	}
	return c.Environment.Text
}

// Claims implements [provider.Claimer]: one secret alone may write to a variable.
func (c *variablesConfig) Claims(k *provider.Known) []provider.Claim {
	names := slices.Sorted(maps.Keys(c.Variables))
	if c.File.IsSet() {
		names = append(names, c.File.Text)
	}
	var claims []provider.Claim
	for _, name := range names {
		var one provider.Claim
		ok := true
		switch {
		case c.Project.IsSet():
			one, ok = claim(k, "GitLab project", c.Connection.Text, c.Project, c.environment(), name)
		case c.Group.IsSet():
			one, ok = claim(k, "GitLab group", c.Connection.Text, c.Group, c.environment(), name)
		default:
			one = provider.Claim{Kind: "GitLab instance", Connection: c.Connection.Text, Name: name, At: c.At}
		}
		if ok {
			one.Kind, one.Shown = "variables of a "+one.Kind, "GitLab variable "+name
			claims = append(claims, one)
		}
	}
	return claims
}

// Target implements [provider.TargetConfig].
func (c *variablesConfig) Target(b *provider.Build) (rota.Target, error) {
	t := &Variables{
		Target: b.Name, Connection: provider.Open[*Connection](b, c.Connection.Text),
		File: c.File.Text, FileFormat: provider.DocumentFormat(c.FileFormat.Text), Visibility: Visibility(c.Visibility.Text),
		WaitFor: b.Texts(c.WaitFor), NoWait: c.NoWait.Yes,
	}
	switch project, group := b.Text(c.Project), b.Text(c.Group); {
	case c.Project.IsSet():
		t.Place = Place{Level: LevelProject, ID: project, Environment: c.environment()}
	case c.Group.IsSet():
		t.Place = Place{Level: LevelGroup, ID: group, Environment: c.environment()}
	default:
		t.Place = Place{Level: LevelInstance}
	}
	if len(c.Variables) > 0 {
		t.Fields = b.Fields(c.Variables)
	}
	for _, name := range c.Unmasked {
		t.Unmasked = append(t.Unmasked, name.Text)
	}
	if c.Protected.At.IsSet() {
		t.Protected = &c.Protected.Yes
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return t, nil
}
