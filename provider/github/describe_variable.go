package github

import (
	"maps"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// variableConfig is the target's part of rota.yaml.
type variableConfig struct {
	At         provider.Pos            `json:"-"`
	Connection provider.ConnectionName `json:"connection" kind:"github" jsonschema:"The name of a github connection."`
	placeConfig
	Variables  map[string]provider.Plain `json:"variables" jsonschema:"The variables' names, each with a field of the credential or a template."`
	Readable   []provider.Plain          `json:"readable,omitzero" jsonschema:"The variables that may have a secret field, although everyone who can read the repository can read them."`
	Visibility provider.Plain            `json:"visibility,omitzero" enum:"all,private,selected" default:"as they are; private for new ones" jsonschema:"Which repositories read variables of an organization. Which ones are selected is left as it is."`
	WaitFor    []provider.Text           `json:"wait_for,omitzero" default:"the repository itself, or those that read the organization's variables" jsonschema:"The repositories whose workflow runs hold the old value while they run, each with its owner."`
	NoWait     provider.Bool             `json:"no_wait,omitzero" jsonschema:"true to retire the old value although workflow runs that began with it are still running."`
}

// openFields are the fields of credentials that only say which one it is, or where
// it's valid. All others are taken for secret.
var openFields = []string{rota.FieldAccessKeyID, rota.FieldUsername, "host", "port", "dbname", "engine", "expiration", "token_id", "kid", "jwks", "public_key"}

// secretIn is a secret field that a template has, "" if there's none.
func secretIn(template string, fields []string) string {
	for _, field := range fields {
		if slices.Contains(openFields, field) {
			continue
		}
		if template == field || strings.Contains(template, "{"+field+"}") || strings.Contains(template, "{"+field+"|") {
			return field
		}
	}
	return ""
}

// Validate implements [provider.Validator].
func (c *variableConfig) Validate(v *provider.Validation) {
	c.validate(v)
	for _, one := range c.WaitFor {
		checkRepository(v, "wait_for", one)
	}
	if c.Visibility.IsSet() && !c.Organization.IsSet() {
		v.Problem(c.Visibility.At, "visibility", "", "belongs to variables of an organization")
	}
	for _, name := range c.Readable {
		if _, there := c.Variables[name.Text]; !there {
			v.Problem(name.At, "readable", strings.Join(slices.Sorted(maps.Keys(c.Variables)), ", "), "%s is none of the variables", name.Text)
		}
	}
	if len(c.Variables) == 0 {
		v.Problem(c.At, "", "variables: {DB_USER: username}", "nothing to write")
	}
	if !v.FieldMap("variables", c.Variables) {
		return
	}
	checkNames(v, "variables", "variable", c.Variables)
	for _, name := range slices.Sorted(maps.Keys(c.Variables)) {
		field := c.Variables[name]
		readable := slices.ContainsFunc(c.Readable, func(p provider.Plain) bool { return p.Text == name })
		if secret := secretIn(field.Text, v.Issuer.Fields.All); secret != "" && !readable {
			v.Problem(field.At, "variables", "a github_secret, or readable: ["+name+"]", "everyone who can read the repository can read variables, and %s is secret", secret)
		}
	}
}

// Claims implements [provider.Claimer]: one secret alone may write to a variable.
func (c *variableConfig) Claims(k *provider.Known) []provider.Claim {
	var claims []provider.Claim
	for _, name := range slices.Sorted(maps.Keys(c.Variables)) {
		if one, ok := c.claim(k, c.Connection.Text, "GitHub variables", name); ok {
			one.Shown = "GitHub variable " + name
			claims = append(claims, one)
		}
	}
	return claims
}

// Target implements [provider.TargetConfig].
func (c *variableConfig) Target(b *provider.Build) (rota.Target, error) {
	t := &Variables{
		Target: b.Name, Connection: provider.Open[*Connection](b, c.Connection.Text), Fields: b.Fields(c.Variables),
		Visibility: c.Visibility.Text, WaitFor: b.Texts(c.WaitFor), NoWait: c.NoWait.Yes,
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
