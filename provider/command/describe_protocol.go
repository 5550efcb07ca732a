package command

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// speaker is a program that speaks the protocol. It's told values on its standard
// input alone, so that its environment takes no references.
type speaker struct {
	Run      []provider.Plain          `json:"run" jsonschema:"The program and its arguments. No shell is involved, and they can't contain ${…} references."`
	Settings map[string]provider.Text  `json:"settings,omitzero" jsonschema:"What each request hands to the program, such as an address and a login of its own: token: ${file:/run/secrets/parcel}."`
	Timeout  provider.Duration         `json:"timeout,omitzero" default:"1m" jsonschema:"How long it may take to answer."`
	Dir      provider.Text             `json:"dir,omitzero" default:"Rota's own" jsonschema:"The folder to run it in."`
	Env      map[string]provider.Plain `json:"env,omitzero" jsonschema:"Additional environment variables, which can't contain ${…} references."`
}

func (c *speaker) validate(v *provider.Validation, at provider.Pos) {
	checkRun(v, at, c.Run)
	checkTimeout(v, c.Timeout)
	checkDir(v, c.Dir)
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		checkVariable(v, c.Env[name].At, name)
	}
}

func (c *speaker) config(b *provider.Build) (cfg Config, settings map[string]string, err error) {
	cfg = Config{Name: b.Name, Timeout: c.Timeout.Length, Dir: b.Text(c.Dir), Env: provider.PlainTexts(c.Env)}
	for _, argument := range c.Run {
		cfg.Command = append(cfg.Command, argument.Text)
	}
	settings = b.TextMap(c.Settings)
	cfg.Hidden = hidden(c.Settings, settings)
	return cfg, settings, b.Err()
}

// hidden are the values that came from references.
func hidden(texts map[string]provider.Text, values map[string]string) []string {
	var out []string
	for name, text := range texts {
		if _, plain := text.Literal(); !plain {
			out = append(out, values[name])
		}
	}
	return out
}

// issuerConfig is a program that issues credentials. Its keys are those of
// [Description].
type issuerConfig struct {
	At provider.Pos `json:"-"`
	speaker
	Credential    provider.Plain    `json:"kind,omitzero" default:"credential of the program" jsonschema:"What people call such a credential: Parcel token."`
	FieldNames    []provider.Plain  `json:"fields" jsonschema:"The fields of a credential."`
	ID            provider.Plain    `json:"id,omitzero" default:"id" jsonschema:"The field that identifies a credential. It's shown, so it can't be secret."`
	IssuerChooses provider.Bool     `json:"issuer_chooses,omitzero" default:"false" jsonschema:"Create makes a credential valid, and its value is answered only then. Otherwise create only thinks of a value, and set makes it valid."`
	FromCurrent   provider.Bool     `json:"from_current,omitzero" default:"false" jsonschema:"Create, set and the verbs that retire are given the credential in use."`
	Limit         provider.Int      `json:"limit,omitzero" min:"1" max:"1000" default:"no limit" jsonschema:"How many credentials can exist at once. With 1, set replaces the current one."`
	TestSuccesses provider.Int      `json:"test_successes,omitzero" min:"1" max:"20" default:"3" jsonschema:"How many tests in a row prove a new credential."`
	Settle        provider.Duration `json:"settle,omitzero" default:"0s" jsonschema:"How long the list takes to show a change."`
	Lifetime      provider.Duration `json:"lifetime,omitzero" default:"until it's deleted" jsonschema:"How long a credential lasts at most, if it expires by itself. Its field expiration says when."`
	Verbs         []provider.Plain  `json:"verbs,omitzero" enum:"list,last_used,deactivate,reactivate,in_force" jsonschema:"The optional verbs that the program has."`
}

func (c *issuerConfig) description() Description {
	d := Description{
		Kind: c.Credential.Text, ID: c.ID.Text, IssuerChooses: c.IssuerChooses.Yes, FromCurrent: c.FromCurrent.Yes,
		Limit: c.Limit.Number, TestSuccesses: c.TestSuccesses.Number, Settle: Span(c.Settle.Length), Lifetime: Span(c.Lifetime.Length),
	}
	for _, f := range c.FieldNames {
		d.Fields = append(d.Fields, f.Text)
	}
	for _, v := range c.Verbs {
		d.Verbs = append(d.Verbs, Verb(v.Text))
	}
	var command []string
	for _, argument := range c.Run {
		command = append(command, argument.Text)
	}
	return d.withDefaults(command)
}

// Validate implements [provider.Validator].
func (c *issuerConfig) Validate(v *provider.Validation) {
	c.validate(v, c.At)
	places := map[string]provider.Pos{"limit": c.Limit.At, "lifetime": c.Lifetime.At}
	if len(c.Verbs) > 0 {
		places["verbs"] = c.Verbs[0].At
	}
	if len(c.FieldNames) > 0 {
		places["fields"] = c.FieldNames[0].At
	}
	for _, wrong := range c.description().wrong() {
		if wrong.key == "fields" && len(c.FieldNames) == 0 {
			v.Problem(c.At, "fields", wrong.hint, "is empty")
			break
		}
		v.Problem(places[wrong.key], wrong.key, wrong.hint, "%s", wrong.text)
	}
}

// Traits implements [provider.IssuerConfig].
func (c *issuerConfig) Traits() rota.Traits { return c.description().traits() }

// Fields implements [provider.IssuerConfig].
func (c *issuerConfig) Fields() provider.Fields {
	all := c.description().Fields
	return provider.Fields{All: all, Login: all}
}

// Issuer implements [provider.IssuerConfig].
func (c *issuerConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	cfg, settings, err := c.config(b)
	if err != nil {
		return nil, err
	}
	return NewIssuer(IssuerConfig{Config: cfg, Settings: settings, Description: c.description()})
}

// Claims implements [provider.Claimer]. Which account the program reaches is up to
// its arguments and settings: those that rota.yaml spells out tell two apart.
func (c *issuerConfig) Claims(*provider.Known) []provider.Claim {
	if len(c.Run) == 0 {
		return nil
	}
	var name strings.Builder
	for _, argument := range c.Run {
		name.WriteString(argument.Text + "\x00")
	}
	for _, key := range slices.Sorted(maps.Keys(c.Settings)) {
		if text, plain := c.Settings[key].Literal(); plain {
			name.WriteString("\x00" + key + "\x00" + text)
		}
	}
	return []provider.Claim{{
		Kind: "program's account", Name: name.String(), Scope: "this machine", At: c.Run[0].At,
		Shown: "account that " + filepath.Base(c.Run[0].Text) + " reaches with these arguments and settings",
	}}
}

// targetConfig is a program that takes credentials.
type targetConfig struct {
	At provider.Pos `json:"-"`
	speaker
	Fields map[string]provider.Plain `json:"fields,omitzero" default:"the credential's own" jsonschema:"The fields to hand over, each with a field of the credential or a template."`
}

// Validate implements [provider.Validator].
func (c *targetConfig) Validate(v *provider.Validation) {
	c.validate(v, c.At)
	v.FieldMap("fields", c.Fields)
}

// Target implements [provider.TargetConfig].
func (c *targetConfig) Target(b *provider.Build) (rota.Target, error) {
	cfg, settings, err := c.config(b)
	fields := b.Fields(c.Fields)
	if err == nil {
		err = b.Err()
	}
	if err != nil {
		return nil, err
	}
	return NewTarget(TargetConfig{Config: cfg, Settings: settings, Fields: fields})
}

// reloaderConfig is a program that makes consumers pick up a new value.
type reloaderConfig struct {
	programConfig
	Protocol provider.Int             `json:"protocol,omitzero" min:"1" max:"1" default:"the exit code alone counts" jsonschema:"With 1, the program gets a request with the verb reload on its standard input, and answers it."`
	Settings map[string]provider.Text `json:"settings,omitzero" jsonschema:"What the request hands to the program (protocol: 1)."`
}

// Validate implements [provider.Validator].
func (c *reloaderConfig) Validate(v *provider.Validation) {
	c.programConfig.Validate(v)
	if c.Protocol.Number == 0 && len(c.Settings) > 0 {
		v.Problem(c.At, "settings", "protocol: 1", "only a program that speaks the protocol gets settings")
	}
}

// Reloader implements [provider.ReloaderConfig].
func (c *reloaderConfig) Reloader(b *provider.Build) (rota.Reloader, error) {
	cfg, err := c.settings(b)
	settings := b.TextMap(c.Settings)
	if err == nil {
		err = b.Err()
	}
	switch {
	case err != nil:
		return nil, err
	case c.Protocol.Number == 0:
		return NewReloader(cfg)
	}
	cfg.Hidden = append(cfg.Hidden, hidden(c.Settings, settings)...)
	return NewProtocolReloader(ReloaderConfig{Config: cfg, Settings: settings})
}

func checkRun(v *provider.Validation, at provider.Pos, run []provider.Plain) {
	if len(run) == 0 {
		v.Problem(at, "run", "run: [systemctl, reload, app]", "is empty")
		return
	}
	switch program := run[0]; {
	case program.Text == "":
		v.Problem(program.At, "run", "/usr/local/bin/reload", "the program's name is empty")
	case strings.Contains(program.Text, "/") && !filepath.IsAbs(program.Text):
		v.Problem(program.At, "run", "/usr/local/bin/reload", "the program is neither a name nor an absolute path")
	}
	for _, word := range run {
		if strings.ContainsRune(word.Text, 0) {
			v.Problem(word.At, "run", "", "an argument can't have a NUL byte")
		}
	}
}

func checkTimeout(v *provider.Validation, timeout provider.Duration) {
	if timeout.IsSet() && timeout.Length == 0 {
		v.Problem(timeout.At, "timeout", "5m", "must be more than nothing")
	}
}

func checkDir(v *provider.Validation, dir provider.Text) {
	if text, plain := dir.Literal(); plain && text != "" && !filepath.IsAbs(text) {
		v.Problem(dir.At, "dir", "/srv/app", "must be absolute")
	}
}

func checkVariable(v *provider.Validation, at provider.Pos, name string) {
	if !variable.MatchString(name) || strings.HasPrefix(name, "ROTA_") {
		v.Problem(at, "env", "letters, digits and _; names with ROTA_ are Rota's own", "not a variable's name")
	}
}
