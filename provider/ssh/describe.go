package ssh

import (
	"io/fs"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/fileformat"
)

// kindSSH is the key of this package's connections.
const kindSSH = "ssh"

// Provider describes what rota.yaml can name of Unix hosts.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "ssh",
		System:  "Unix hosts over SSH",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindSSH, Summary: "Unix hosts, and the user to log in as over SSH. Host keys are always verified.",
				Example: `{hosts: [web-1.internal], user: rota, private_key: "${file:/run/secrets/ssh}", known_hosts: "${file:/etc/rota/known_hosts}"}`,
			},
			New: func() provider.ConnectionConfig { return new(connectionConfig) },
		}},
		Issuers: issuers(),
		Targets: []provider.Target{{
			Kind: provider.Kind{
				Key: "ssh_file", Summary: "A file on each host of a connection.",
				Example: "{connection: web, path: /etc/app/credentials.env, format: dotenv}",
			},
			New: func() provider.TargetConfig { return new(fileConfig) },
		}},
		Reloaders: []provider.Reloader{{
			Kind: provider.Kind{
				Key: "ssh_command", Summary: "A command on each host of a connection that exits with 0 once the consumers are healthy.",
				Example: "{connection: web, run: [systemctl, reload, app], run_as: root}",
			},
			New: func() provider.ReloaderConfig { return new(commandConfig) },
		}},
	}
}

// fileConfig is a file on each host.
type fileConfig struct {
	At         provider.Pos            `json:"-"`
	Connection provider.ConnectionName `json:"connection" kind:"ssh" jsonschema:"The connection to the hosts."`
	Path       provider.Text           `json:"path" jsonschema:"The file's absolute path, without symbolic links. Its folder must exist."`
	fileformat.Keys
	Mode  provider.Mode  `json:"mode,omitzero" default:"\"0600\" for a new file" jsonschema:"The permissions of a new file, in quotes, and the most that an existing one keeps."`
	Owner provider.Plain `json:"owner,omitzero" default:"the existing file's" jsonschema:"The file's owner, by name or number in quotes."`
	Group provider.Plain `json:"group,omitzero" default:"the existing file's" jsonschema:"The file's group, by name or number in quotes."`
	RunAs provider.Plain `json:"run_as,omitzero" default:"the connection's user" jsonschema:"The user who writes the file, through sudo."`
}

// Validate implements [provider.Validator].
func (c *fileConfig) Validate(v *provider.Validation) {
	c.Check(v)
	if text, plain := c.Path.Literal(); plain && text != "" {
		if err := checkPath(text); err != nil {
			v.Error(c.Path.At, "path", err)
		}
	}
	if c.Mode.IsSet() && c.Mode.Perm()&0o007 != 0 {
		v.Problem(c.Mode.At, "mode", `"0600", or "0640" with a group`, "%q lets everyone of the host at the credential", c.Mode.Text)
	}
	for key, name := range map[string]provider.Plain{"owner": c.Owner, "group": c.Group, "run_as": c.RunAs} {
		if name.IsSet() {
			if err := checkUser(name.Text); err != nil {
				v.Error(name.At, key, err)
			}
		}
	}
}

// Claims implements [provider.Claimer]: the file on each of the hosts. Several
// secrets may write to different parts of it.
func (c *fileConfig) Claims(k *provider.Known) []provider.Claim {
	var claims []provider.Claim
	for _, addr := range hostsOf(k, c.Connection.Text) {
		if file, ok := k.Claim("file", c.Path); ok {
			file.Scope, file.Server, file.Connection, file.Shown = scope(addr), addr, c.Connection.Text, "the file"
			claims = append(claims, c.Claim(file))
		}
	}
	return claims
}

// Target implements [provider.TargetConfig].
func (c *fileConfig) Target(b *provider.Build) (rota.Target, error) {
	connection := provider.Open[*Connection](b, c.Connection.Text)
	cfg := FileConfig{
		Name: b.Name, Path: b.Text(c.Path), Content: c.Settings(b), Mode: fs.FileMode(c.Mode.Perm()),
		Owner: c.Owner.Text, Group: c.Group.Text, RunAs: c.RunAs.Text,
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.File(cfg)
}

// commandConfig is a command on each host.
type commandConfig struct {
	At         provider.Pos            `json:"-"`
	Connection provider.ConnectionName `json:"connection" kind:"ssh" jsonschema:"The connection to the hosts."`
	Run        []provider.Plain        `json:"run" jsonschema:"The program and its arguments. They're passed on as they are, and can't contain ${…} references."`
	RunAs      provider.Plain          `json:"run_as,omitzero" default:"the connection's user" jsonschema:"The user who runs it, through sudo."`
	Timeout    provider.Duration       `json:"timeout,omitzero" default:"10m" jsonschema:"How long it may run on each host."`
}

// Validate implements [provider.Validator].
func (c *commandConfig) Validate(v *provider.Validation) {
	if len(c.Run) == 0 {
		v.Problem(c.At, "run", "run: [systemctl, reload, app]", "is empty")
	}
	if c.Timeout.IsSet() && c.Timeout.Length == 0 {
		v.Problem(c.Timeout.At, "timeout", "5m", "must be more than nothing")
	}
	if c.RunAs.IsSet() {
		if err := checkUser(c.RunAs.Text); err != nil {
			v.Error(c.RunAs.At, "run_as", err)
		}
	}
}

// Reloader implements [provider.ReloaderConfig].
func (c *commandConfig) Reloader(b *provider.Build) (rota.Reloader, error) {
	connection := provider.Open[*Connection](b, c.Connection.Text)
	cfg := CommandConfig{Name: b.Name, RunAs: c.RunAs.Text, Timeout: c.Timeout.Length}
	for _, word := range c.Run {
		cfg.Run = append(cfg.Run, word.Text)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Command(cfg)
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  web:
    ssh:
      hosts: [web-1.internal, web-2.internal]
      user: rota
      private_key: "${file:/run/secrets/ssh}"
      known_hosts: "${file:/etc/rota/known_hosts}"
secrets:
  - name: prod/session-cookies
    issuer: {secret_key: {bytes: 32}}
    targets:
      - name: shop
        ssh_file: {connection: web, path: /etc/shop/keys.env, format: dotenv, fields: {SECRET_KEY: key, SECRET_KEY_PREVIOUS: previous_key, SECRET_KEY_NEXT: next_key}, mode: "0640", group: shop, run_as: root}
    reload:
      - {name: shop, ssh_command: {connection: web, run: [systemctl, reload, shop], run_as: root}}
    policy: {rotate_every: 90d}
  - name: prod/deploy-key
    issuer: {connection: web, ssh_key: {user: deploy}}
    targets:
      - {name: runner, file: {path: /etc/deploy/id_ed25519, format: text, fields: {content: private_key}}}
    policy: {rotate_every: 90d}
  - name: prod/reports-login
    issuer: {connection: web, ssh_password: {user: reports}}
    targets:
      - {name: agent, file: {path: /etc/reports/login.env, format: dotenv}}
    policy: {rotate_every: 30d}
`
