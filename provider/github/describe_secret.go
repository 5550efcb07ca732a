package github

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// secretConfig is the target's part of rota.yaml.
type secretConfig struct {
	At         provider.Pos            `json:"-"`
	Connection provider.ConnectionName `json:"connection" kind:"github" jsonschema:"The name of a github connection."`
	placeConfig
	UsedBy         provider.Plain            `json:"used_by,omitzero" enum:"actions,dependabot,codespaces" default:"actions" jsonschema:"What reads the secrets."`
	Secrets        map[string]provider.Plain `json:"secrets,omitzero" jsonschema:"The secrets' names, each with a field of the credential or a template."`
	Document       provider.Plain            `json:"document,omitzero" jsonschema:"A secret with the whole credential, which is never read half."`
	DocumentFormat provider.Plain            `json:"document_format,omitzero" enum:"json,dotenv,aws_credentials" default:"json" jsonschema:"The document's format: a JSON object on one line, a line NAME='value' for each field, or an AWS credentials file."`
	Visibility     provider.Plain            `json:"visibility,omitzero" enum:"all,private,selected" default:"as they are; private for new ones" jsonschema:"Which repositories read secrets of an organization. Which ones are selected is left as it is."`
	WaitFor        []provider.Text           `json:"wait_for,omitzero" default:"the repository itself, or those that read the organization's secrets" jsonschema:"The repositories whose workflow runs hold the old value while they run, each with its owner."`
	NoWait         provider.Bool             `json:"no_wait,omitzero" jsonschema:"true to retire the old value although workflow runs that began with it are still running."`
}

// Validate implements [provider.Validator].
func (c *secretConfig) Validate(v *provider.Validation) {
	c.validate(v)
	for _, one := range c.WaitFor {
		checkRepository(v, "wait_for", one)
	}
	usedBy := UsedBy(c.UsedBy.Text)
	if c.Environment.IsSet() && usedBy != "" && usedBy != Actions {
		v.Problem(c.Environment.At, "environment", "", "only Actions secrets belong to an environment")
	}
	if usedBy == Codespaces && !c.NoWait.Yes {
		v.Problem(c.UsedBy.At, "used_by", "no_wait: true, and a deactivate_previous_after that is longer than your codespaces run", "GitHub doesn't show whose codespaces still hold an old value")
	}
	if c.Visibility.IsSet() && !c.Organization.IsSet() {
		v.Problem(c.Visibility.At, "visibility", "", "belongs to secrets of an organization")
	}
	if len(c.Secrets) == 0 && !c.Document.IsSet() {
		v.Problem(c.At, "", "secrets: {DB_PASSWORD: password}", "nothing to write")
	}
	if c.DocumentFormat.IsSet() && !c.Document.IsSet() {
		v.Problem(c.DocumentFormat.At, "document_format", "document: CREDENTIAL", "belongs to a document")
	}
	if c.DocumentFormat.Text == string(provider.DocumentAWS) && !slices.Contains(v.Issuer.Fields.All, rota.FieldAccessKeyID) {
		v.Problem(c.DocumentFormat.At, "document_format", "json", "aws_credentials needs an access key, and the issuer makes a %s", v.Issuer.Traits.Kind)
	}
	if c.Document.IsSet() {
		if hint := badName(c.Document.Text); hint != "" {
			v.Problem(c.Document.At, "document", hint, "GitHub has no secret of that name")
		}
	}
	if v.FieldMap("secrets", c.Secrets) {
		checkNames(v, "secrets", "secret", c.Secrets, c.Document.Text)
	}
}

// checkNames reports names that GitHub has no secret or variable of, and the same
// name twice: GitHub doesn't distinguish case.
func checkNames(v *provider.Validation, key, what string, m map[string]provider.Plain, taken ...string) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		field := m[name]
		if hint := badName(name); hint != "" {
			v.Problem(field.At, key, hint, "GitHub has no %s %q", what, name)
		}
		if slices.ContainsFunc(taken, func(other string) bool { return strings.EqualFold(other, name) }) {
			v.Problem(field.At, key, "another name", "%s is there twice: GitHub doesn't distinguish case", name)
		}
		taken = append(taken, name)
	}
}

// Claims implements [provider.Claimer]: one secret alone may write to a GitHub
// secret.
func (c *secretConfig) Claims(k *provider.Known) []provider.Claim {
	names := slices.Sorted(maps.Keys(c.Secrets))
	if c.Document.IsSet() {
		names = append(names, c.Document.Text)
	}
	var claims []provider.Claim
	for _, name := range names {
		kind := "GitHub " + cmp.Or(c.UsedBy.Text, string(Actions)) + " secrets"
		if one, ok := c.claim(k, c.Connection.Text, kind, name); ok {
			one.Shown = "GitHub secret " + name
			claims = append(claims, one)
		}
	}
	return claims
}

// Target implements [provider.TargetConfig].
func (c *secretConfig) Target(b *provider.Build) (rota.Target, error) {
	t := &Secrets{
		Target: b.Name, Connection: provider.Open[*Connection](b, c.Connection.Text), UsedBy: UsedBy(c.UsedBy.Text),
		Document: c.Document.Text, DocumentFormat: provider.DocumentFormat(c.DocumentFormat.Text), Visibility: c.Visibility.Text,
		WaitFor: b.Texts(c.WaitFor), NoWait: c.NoWait.Yes,
	}
	if len(c.Secrets) > 0 {
		t.Fields = b.Fields(c.Secrets)
	}
	var err error
	if t.Place, err = c.place(b); err != nil {
		return nil, err
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return t, nil
}
