package file

import (
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
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
	At       provider.Pos              `json:"-"`
	Path     provider.Text             `json:"path" jsonschema:"The file's absolute path."`
	Format   provider.Plain            `json:"format" enum:"dotenv,json,aws_credentials,text,htpasswd,docker_config" jsonschema:"The file's format."`
	Profile  provider.Plain            `json:"profile,omitzero" default:"default" jsonschema:"The profile in an AWS credentials file."`
	Registry provider.Plain            `json:"registry,omitzero" jsonschema:"The registry in a Docker config.json, as Docker writes it there, such as registry.example.org or https://index.docker.io/v1/."`
	User     provider.Plain            `json:"user,omitzero" default:"the credential's username" jsonschema:"The user's name in an htpasswd file. With it, several secrets can share the file."`
	Fields   map[string]provider.Plain `json:"fields,omitzero" jsonschema:"The names in the file, each with a field of the credential or a template."`
	Mode     provider.Mode             `json:"mode,omitzero" default:"\"0600\" for a new file" jsonschema:"The permissions of a new file, in quotes, and the most that an existing one keeps."`
	Owner    provider.Plain            `json:"owner,omitzero" default:"the existing file's" jsonschema:"The file's owner, by name or number in quotes."`
	Group    provider.Plain            `json:"group,omitzero" default:"the existing file's" jsonschema:"The file's group, by name or number in quotes."`
}

// Validate implements [provider.Validator].
func (c *targetConfig) Validate(v *provider.Validation) {
	if v.FieldMap("fields", c.Fields) {
		for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
			if err := checkName(c.Format.Text, name); err != nil {
				v.Error(c.Fields[name].At, "fields", err)
			}
		}
	}
	if place, plain := c.Path.Literal(); plain && place != "" && !filepath.IsAbs(place) {
		v.Problem(c.Path.At, "path", "/etc/app/credentials.env", "must be absolute")
	}
	if c.Profile.IsSet() && c.Format.Text != "" && c.Format.Text != AWSCredentials {
		v.Problem(c.Profile.At, "profile", "format: aws_credentials", "belongs to the format aws_credentials")
	}
	c.validateFormat(v)
	if c.Format.Text == AWSCredentials && !slices.Contains(v.Issuer.Fields.All, rota.FieldAccessKeyID) {
		v.Problem(c.Format.At, "format", "dotenv, json", "aws_credentials needs an access key, and the issuer makes a %s", v.Issuer.Traits.Kind)
	}
	if c.Mode.IsSet() && c.Mode.Perm()&0o007 != 0 {
		v.Problem(c.Mode.At, "mode", `"0600", or "0640" with a group`, "%q lets everyone of the machine at the credential", c.Mode.Text)
	}
}

// validateFormat checks what only some formats need.
func (c *targetConfig) validateFormat(v *provider.Validation) {
	switch format := c.Format.Text; {
	case format == Text && len(c.Fields) == 0:
		v.Problem(c.Format.At, "fields", "fields: {content: password}", "the format text needs to know its content")
	case format == DockerConfig && !c.Registry.IsSet():
		v.Problem(c.Format.At, "registry", "registry.example.org", "the format docker_config needs a registry")
	case format != DockerConfig && c.Registry.IsSet():
		v.Problem(c.Registry.At, "registry", "format: docker_config", "belongs to the format docker_config")
	}
	if c.Format.Text != Htpasswd && c.User.IsSet() {
		v.Problem(c.User.At, "user", "format: htpasswd", "belongs to the format htpasswd")
	}
	if c.Format.Text != Htpasswd && c.Format.Text != DockerConfig {
		return
	}
	for _, name := range []string{userName, passwordName} {
		if _, given := c.Fields[name]; !given && (name != userName || !c.User.IsSet()) && (len(c.Fields) > 0 || !slices.Contains(v.Issuer.Fields.All, name)) {
			v.Problem(c.Format.At, "fields", "fields: {username: username, password: password}", "the format %s needs a %s", c.Format.Text, name)
		}
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
	file.Form = c.Format.Text
	if c.Format.Text == AWSCredentials {
		name := c.Profile.Text
		if name == "" {
			name = "default"
		}
		file.Parts = []string{"the profile " + strconv.Quote(name)}
		return []provider.Claim{file}
	}
	switch c.Format.Text {
	case DockerConfig:
		file.Parts = []string{"the registry " + strconv.Quote(c.Registry.Text)}
		return []provider.Claim{file}
	case Htpasswd:
		if c.User.IsSet() {
			file.Parts = []string{"the user " + strconv.Quote(c.User.Text)}
		}
		return []provider.Claim{file}
	case Text:
		return []provider.Claim{file}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		file.Parts = append(file.Parts, strconv.Quote(name))
	}
	return []provider.Claim{file}
}

// File implements [provider.FileWriter].
func (c *targetConfig) File() provider.Text { return c.Path }

// Target implements [provider.TargetConfig].
func (c *targetConfig) Target(b *provider.Build) (rota.Target, error) {
	cfg := Config{
		Name:     b.Name,
		Path:     b.Text(c.Path),
		Format:   c.Format.Text,
		Profile:  c.Profile.Text,
		Registry: c.Registry.Text,
		User:     c.User.Text,
		Fields:   b.Fields(c.Fields),
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
