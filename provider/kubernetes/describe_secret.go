package kubernetes

import (
	"maps"
	"slices"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// secretConfig is the target's part of rota.yaml.
type secretConfig struct {
	At         provider.Pos              `json:"-"`
	Connection provider.ConnectionName   `json:"connection" kind:"kubernetes" jsonschema:"The name of a kubernetes connection."`
	Namespace  provider.Plain            `json:"namespace" jsonschema:"The Secret's namespace."`
	Secret     provider.Plain            `json:"secret" jsonschema:"The Secret's name."`
	Type       provider.Plain            `json:"type,omitzero" enum:"Opaque,kubernetes.io/basic-auth,kubernetes.io/ssh-auth,kubernetes.io/tls,kubernetes.io/dockerconfigjson" default:"Opaque" jsonschema:"The Secret's type, which says what keys it must have."`
	Fields     map[string]provider.Plain `json:"fields,omitzero" default:"the credential's own fields" jsonschema:"The Secret's keys, each with a field of the credential or a template. With type kubernetes.io/dockerconfigjson, the login's username and password."`
	Registry   provider.Text             `json:"registry,omitzero" jsonschema:"The registry, with type kubernetes.io/dockerconfigjson: registry.example.org, or https://index.docker.io/v1/."`
	Adopt      provider.Bool             `json:"adopt,omitzero" jsonschema:"true to take over a Secret that Rota didn't create. Its other keys stay."`
	NoWait     provider.Bool             `json:"no_wait,omitzero" jsonschema:"true to retire the old value although pods that began with it are still running."`
}

// checkName reports what can't be an object's or a namespace's name.
func checkName(v *provider.Validation, key string, p provider.Plain, good func(string) bool) {
	if p.IsSet() && p.Text != "" && !good(p.Text) {
		v.Problem(p.At, key, "lower-case letters, digits and -, such as orders-db", "%q isn't a name in Kubernetes", p.Text)
	}
}

// Validate implements [provider.Validator].
func (c *secretConfig) Validate(v *provider.Validation) {
	checkName(v, "namespace", c.Namespace, goodNamespace)
	checkName(v, "secret", c.Secret, goodName)
	docker := c.Type.Text == TypeDockerConfig
	if c.Registry.IsSet() != docker {
		v.Problem(c.Registry.At, "registry", "registry: registry.example.org, with type: "+TypeDockerConfig, "a registry and the type %s need each other", TypeDockerConfig)
	}
	names := slices.Sorted(maps.Keys(c.Fields))
	good := v.FieldMap("fields", c.Fields)
	for _, name := range names {
		switch {
		case docker && name != rota.FieldUsername && name != rota.FieldPassword:
			v.Problem(c.Fields[name].At, "fields", "fields: {username: username, password: token}", "%q isn't part of a registry's login", name)
		case !docker && !goodKey(name):
			v.Error(c.Fields[name].At, "fields", badKey(name))
		}
	}
	if len(names) == 0 {
		names = v.Issuer.Fields.All
	}
	switch {
	case !good || len(names) == 0:
	case docker:
		for _, name := range []string{rota.FieldUsername, rota.FieldPassword} {
			if !slices.Contains(names, name) {
				v.Problem(c.At, "fields", "fields: {username: username, password: token}", "a registry's login needs a %s", name)
			}
		}
	default:
		if err := missingKeys(Content{Type: c.Type.Text}.kind(), names); err != nil {
			v.Error(c.At, "fields", err)
		}
	}
}

// Claims implements [provider.Claimer]: one secret alone may write to a Secret, as all
// that Rota applies to it is one set of fields.
func (c *secretConfig) Claims(*provider.Known) []provider.Claim {
	name := c.Namespace.Text + "/" + c.Secret.Text
	return []provider.Claim{{Kind: "Kubernetes Secret", Name: name, Connection: c.Connection.Text, Shown: "Kubernetes Secret " + name, At: c.Secret.At}}
}

// Target implements [provider.TargetConfig].
func (c *secretConfig) Target(b *provider.Build) (rota.Target, error) {
	t := &Secret{
		Target: b.Name, Connection: provider.Open[*Connection](b, c.Connection.Text), Namespace: c.Namespace.Text, Object: c.Secret.Text,
		Content: Content{Type: c.Type.Text, Registry: b.Text(c.Registry)}, Adopt: c.Adopt.Yes, NoWait: c.NoWait.Yes,
	}
	if len(c.Fields) > 0 {
		t.Content.Fields = b.Fields(c.Fields)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return t, nil
}
