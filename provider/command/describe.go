package command

import (
	"maps"
	"slices"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Provider describes what rota.yaml can name of this machine's programs.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "command",
		System:  "Commands",
		Example: example,
		Issuers: []provider.Issuer{{
			Kind: provider.Kind{
				Key: "command", Summary: "A program of yours that issues credentials: JSON on its standard input and output.",
				Example: "{run: [/usr/local/lib/rota/parcel], fields: [id, token], issuer_chooses: true, verbs: [list]}",
			},
			Evidence: rota.EvidenceRecorded,
			Varies:   "all of it is as the program says, and rota.yaml with it; use is recorded or sampled with last_used, and otherwise nothing is known about it; with deactivate and reactivate, a credential can be switched off and on",
			New:      func() provider.IssuerConfig { return new(issuerConfig) },
		}},
		Targets: []provider.Target{{
			Kind: provider.Kind{
				Key: "command", Summary: "A program of yours that takes the credential: JSON on its standard input and output.",
				Example: "{run: [/usr/local/lib/rota/vault-put], settings: {path: shop/token}}",
			},
			New: func() provider.TargetConfig { return new(targetConfig) },
		}},
		Reloaders: []provider.Reloader{{
			Kind: provider.Kind{
				Key: "command", Summary: "A command on this machine that exits with 0 once the consumers are healthy.",
				Example: "{run: [systemctl, reload, app]}",
			},
			New: func() provider.ReloaderConfig { return new(reloaderConfig) },
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
	checkRun(v, c.At, c.Run)
	checkTimeout(v, c.Timeout)
	checkDir(v, c.Dir)
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		checkVariable(v, c.Env[name].At, name)
	}
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
	cfg.Hidden = hidden(c.Env, cfg.Env)
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
  - name: prod/parcel-token
    issuer:
      command:
        run: [/usr/local/lib/rota/parcel]
        settings: {url: https://parcel.example.com, account: shop, token: "${file:/run/secrets/parcel}"}
        kind: Parcel token
        fields: [id, token]
        issuer_chooses: true
        limit: 2
        verbs: [list, last_used]
    targets:
      - {name: kiosks, command: {run: [/usr/local/lib/rota/kiosks], fields: {PARCEL_TOKEN: token}}}
    policy: {rotate_every: 90d, deactivate_previous_after: 7d, delete_previous_after: 14d}
  - name: prod/orders-db
    issuer: {connection: app-db, password: {role: orders}}
    targets:
      - {name: app, file: {path: /etc/orders/db.env, format: dotenv}}
    reload:
      - {name: orders, command: {run: [systemctl, restart, orders]}}
    notify: [{connection: pager, events: [failed, quarantined, late]}]
    policy: {rotate_every: 30d}
`
