package vault

import (
	"path"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// storeConfig is a store's part of rota.yaml. The store has the issuer's connection.
type storeConfig struct {
	At        provider.Pos   `json:"-"`
	Mount     provider.Plain `json:"mount" jsonschema:"Where the KV engine, of version 2, is mounted, such as secret."`
	Path      provider.Text  `json:"path" jsonschema:"The path in the engine of the entry with the current credential, such as apps/orders, without data/."`
	StatePath provider.Text  `json:"state_path,omitzero" default:"rota/ and the path" jsonschema:"The path of the entry in which Rota keeps all versions. Nobody but Rota should be able to read it."`
}

// Validate implements [provider.Validator].
func (c *storeConfig) Validate(v *provider.Validation) {
	checkPath(v, c.Mount.At, "mount", c.Mount.Text, "secret")
	checkText(v, "path", c.Path, "apps/orders")
	checkText(v, "state_path", c.StatePath, "rota/apps/orders")
	entry, plain := c.Path.Literal()
	state, plainToo := c.StatePath.Literal()
	if plain && plainToo && c.StatePath.IsSet() && entry == state {
		v.Problem(c.StatePath.At, "state_path", "rota/"+entry, "must be another entry")
	}
}

// Claims implements [provider.Claimer]: the same as a target that has the whole entry.
func (c *storeConfig) Claims(k *provider.Known) []provider.Claim {
	claims := claim(k, "Vault KV entry", k.Connection, c.Mount.Text, c.Path)
	if c.StatePath.IsSet() {
		return append(claims, claim(k, "Vault KV entry", k.Connection, c.Mount.Text, c.StatePath)...)
	}
	return append(claims, claim(k, "Vault KV entry", k.Connection, path.Join(c.Mount.Text, "rota"), c.Path)...)
}

// Store implements [provider.StoreConfig].
func (c *storeConfig) Store(b *provider.Build) (rota.Store, error) {
	s := &Store{
		Connection: provider.Open[*Connection](b, b.Connection),
		Entry:      Entry{Mount: c.Mount.Text, Path: b.Text(c.Path), Version: 2},
		State:      Entry{Mount: c.Mount.Text, Path: "rota/" + b.Text(c.Path), Version: 2},
	}
	if c.StatePath.IsSet() {
		s.State.Path = b.Text(c.StatePath)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	if !goodPath(s.Entry.Path) || !goodPath(s.State.Path) || s.Entry == s.State {
		return nil, s.Connection.refuse("keep versions in "+s.Entry.String(), "correct path and state_path", errBadPath)
	}
	return s, nil
}
