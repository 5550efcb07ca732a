package vault

import (
	"maps"
	"slices"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// kvConfig is the target's part of rota.yaml.
type kvConfig struct {
	At         provider.Pos              `json:"-"`
	Connection provider.ConnectionName   `json:"connection" kind:"vault" jsonschema:"The name of a vault connection."`
	Mount      provider.Plain            `json:"mount" jsonschema:"Where the KV engine is mounted, such as secret."`
	Path       provider.Text             `json:"path" jsonschema:"The entry's path in the engine, such as apps/orders, without data/."`
	Version    provider.Int              `json:"version,omitzero" min:"1" max:"2" default:"2" jsonschema:"The KV engine's version. Rota makes sure that it's this one."`
	Fields     map[string]provider.Plain `json:"fields,omitzero" default:"the credential's own fields" jsonschema:"The entry's keys, each with a field of the credential or a template."`
	Whole      provider.Bool             `json:"whole,omitzero" jsonschema:"true if the entry is Rota's alone: keys that aren't its own are removed. Otherwise they stay. Version 1, which can't notice other writers, takes only true."`
}

func (c *kvConfig) version() int {
	if c.Version.IsSet() {
		return c.Version.Number
	}
	return 2
}

// Validate implements [provider.Validator].
func (c *kvConfig) Validate(v *provider.Validation) {
	checkPath(v, c.Mount.At, "mount", c.Mount.Text, "secret")
	checkText(v, "path", c.Path, "apps/orders")
	v.FieldMap("fields", c.Fields)
	if c.version() == 1 && !c.Whole.Yes {
		v.Problem(c.Version.At, "version", "whole: true, or an engine of version 2",
			"KV version 1 has no check-and-set, so Rota can't keep other keys in the entry without the risk of overwriting what somebody else writes")
	}
}

// Claims implements [provider.Claimer]. Several secrets may write keys of their own
// into one entry, unless it's one's alone.
func (c *kvConfig) Claims(k *provider.Known) []provider.Claim {
	claims := claim(k, "Vault KV entry", c.Connection.Text, c.Mount.Text, c.Path)
	for i := range claims {
		if c.Whole.Yes || len(c.Fields) == 0 {
			continue
		}
		claims[i].Form, claims[i].Parts = "keys", slices.Sorted(maps.Keys(c.Fields))
	}
	return claims
}

// Target implements [provider.TargetConfig].
func (c *kvConfig) Target(b *provider.Build) (rota.Target, error) {
	t := &KV{
		Target: b.Name, Connection: provider.Open[*Connection](b, c.Connection.Text),
		Entry: Entry{Mount: c.Mount.Text, Path: b.Text(c.Path), Version: c.version()}, Whole: c.Whole.Yes,
	}
	if len(c.Fields) > 0 {
		t.Fields = b.Fields(c.Fields)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	if !goodPath(t.Entry.Path) {
		return nil, t.Connection.refuse("write "+t.Entry.String(), "correct path", errBadPath)
	}
	return t, nil
}

// Permissions implements [provider.Permitter].
func (t *KV) Permissions() []provider.Permission { return permissions(t.needs()) }
