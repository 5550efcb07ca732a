package command

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Provider describes what rota.yaml can name of this machine's programs.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "command",
		System:  "Commands",
		Example: example,
		Reloaders: []provider.Reloader{{
			Kind: provider.Kind{
				Key: "command", Summary: "A command on this machine that exits with 0 once the consumers are healthy.",
				Example: "{run: [systemctl, reload, app]}",
			},
			New: func() provider.ReloaderConfig { return new(programConfig) },
		}},
		Notifiers: []provider.Notifier{{
			Kind: provider.Kind{
				Key: "command", Summary: "A command that gets events as JSON on its standard input.",
				Example: "{run: [/usr/local/bin/tell]}",
			},
			New: func() provider.NotifierConfig { return new(programConfig) },
		}},
	}
}

// programConfig is a program with its arguments. They never hold a secret,
// since other people of the machine can read them.
type programConfig struct {
	At      provider.Pos             `json:"-"`
	Run     []provider.Plain         `json:"run" jsonschema:"The program and its arguments. No shell is involved, and they can't contain ${…} references."`
	Timeout provider.Duration        `json:"timeout,omitzero" default:"10m" jsonschema:"How long it may run."`
	Dir     provider.Text            `json:"dir,omitzero" jsonschema:"The folder to run it in."`
	Env     map[string]provider.Text `json:"env,omitzero" empty:"true" jsonschema:"Additional environment variables."`
}

// Validate implements [provider.Validator].
func (c *programConfig) Validate(v *provider.Validation) {
	if len(c.Run) == 0 {
		v.Problem(c.At, "run", "run: [systemctl, reload, app]", "is empty")
	} else if program := c.Run[0]; strings.Contains(program.Text, "/") && !filepath.IsAbs(program.Text) {
		v.Problem(program.At, "run", "/usr/local/bin/reload", "the program is neither a name nor an absolute path")
	}
	if c.Timeout.IsSet() && c.Timeout.Length == 0 {
		v.Problem(c.Timeout.At, "timeout", "5m", "must be more than nothing")
	}
	if dir, plain := c.Dir.Literal(); plain && dir != "" && !filepath.IsAbs(dir) {
		v.Problem(c.Dir.At, "dir", "/srv/app", "must be absolute")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if !variable.MatchString(name) || strings.HasPrefix(name, "ROTA_") {
			v.Problem(c.Env[name].At, "env", "letters, digits and _; names with ROTA_ are Rota's own", "not a variable's name")
		}
	}
}

// Reloader implements [provider.ReloaderConfig].
func (c *programConfig) Reloader(b *provider.Build) (rota.Reloader, error) {
	cfg, err := c.settings(b)
	if err != nil {
		return nil, err
	}
	return NewReloader(cfg)
}

// Notifier implements [provider.NotifierConfig].
func (c *programConfig) Notifier(b *provider.Build) (rota.Notifier, error) {
	cfg, err := c.settings(b)
	if err != nil {
		return nil, err
	}
	return NewNotifier(cfg)
}

func (c *programConfig) settings(b *provider.Build) (Config, error) {
	cfg := Config{Name: b.Name, Timeout: c.Timeout.Length, Dir: b.Text(c.Dir), Env: b.TextMap(c.Env)}
	for name, text := range c.Env {
		if _, plain := text.Literal(); !plain {
			cfg.Hidden = append(cfg.Hidden, cfg.Env[name])
		}
	}
	for _, argument := range c.Run {
		cfg.Command = append(cfg.Command, argument.Text)
	}
	return cfg, b.Err()
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  app-db: {postgres: {host: db.internal, username: rota_admin, password: "${file:/run/secrets/db}"}}
  pager: {command: {run: [/usr/local/bin/page-on-call], timeout: 30s}}
secrets:
  - name: prod/orders-db
    issuer: {connection: app-db, password: {role: orders}}
    targets:
      - {name: app, file: {path: /etc/orders/db.env, format: dotenv}}
    reload:
      - {name: orders, command: {run: [systemctl, restart, orders]}}
    notify: [{connection: pager, events: [failed, quarantined, late]}]
    policy: {rotate_every: 30d}
`
