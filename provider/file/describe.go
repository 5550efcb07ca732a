package file

import (
	"io/fs"
	"path/filepath"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/fileformat"
)

// Provider describes what rota.yaml can name of this machine's files.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "file",
		System:  "Files",
		Example: example,
		Targets: []provider.Target{{
			Kind: provider.Kind{
				Key: "file", Summary: "A file on this machine.",
				Example: "{path: /etc/app/credentials.env, format: dotenv}",
			},
			Platform: provider.PlatformMachine,
			New:      func() provider.TargetConfig { return new(targetConfig) },
		}},
	}
}

// targetConfig is a file of this machine.
type targetConfig struct {
	At   provider.Pos  `json:"-"`
	Path provider.Text `json:"path" jsonschema:"The file's absolute path."`
	fileformat.Keys
	Mode  provider.Mode  `json:"mode,omitzero" default:"\"0600\" for a new file" jsonschema:"The permissions of a new file, in quotes, and the most that an existing one keeps."`
	Owner provider.Plain `json:"owner,omitzero" default:"the existing file's" jsonschema:"The file's owner, by name or number in quotes."`
	Group provider.Plain `json:"group,omitzero" default:"the existing file's" jsonschema:"The file's group, by name or number in quotes."`
}

// Validate implements [provider.Validator].
func (c *targetConfig) Validate(v *provider.Validation) {
	c.Check(v)
	if place, plain := c.Path.Literal(); plain && place != "" && !filepath.IsAbs(place) {
		v.Problem(c.Path.At, "path", "/etc/app/credentials.env", "must be absolute")
	}
	if c.Mode.IsSet() && c.Mode.Perm()&0o007 != 0 {
		v.Problem(c.Mode.At, "mode", `"0600", or "0640" with a group`, "%q lets everyone of the machine at the credential", c.Mode.Text)
	}
}

// Claims implements [provider.Claimer]. Two targets may write to one file only
// if it's an AWS credentials file and their profiles differ, or if both name
// their fields and no field is the same.
func (c *targetConfig) Claims(k *provider.Known) []provider.Claim {
	file, ok := k.Claim("file", c.Path)
	if !ok {
		return nil
	}
	file.Scope, file.Connection, file.Name, file.Shown = "this machine", "", filepath.Clean(file.Name), "the file"
	return []provider.Claim{c.Claim(file)}
}

// File implements [provider.FileWriter].
func (c *targetConfig) File() provider.Text { return c.Path }

// Target implements [provider.TargetConfig].
func (c *targetConfig) Target(b *provider.Build) (rota.Target, error) {
	content := c.Settings(b)
	cfg := Config{
		Name:     b.Name,
		Path:     b.Text(c.Path),
		Format:   content.Format,
		Profile:  content.Profile,
		Registry: content.Registry,
		User:     content.User,
		Fields:   content.Fields,
		Mode:     fs.FileMode(c.Mode.Perm()),
		Owner:    c.Owner.Text,
		Group:    c.Group.Text,
		Own:      b.Own,
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(cfg)
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  app-db: {postgres: {host: db.internal, username: rota_admin, password: "${file:/run/secrets/db}"}}
secrets:
  - name: prod/orders-db
    issuer: {connection: app-db, password: {role: orders}}
    targets:
      - {name: app, file: {path: /etc/orders/db.env, format: dotenv, fields: {DB_USER: username, DB_PASSWORD: password}, mode: "0640", group: orders}}
    policy: {rotate_every: 30d}
`
