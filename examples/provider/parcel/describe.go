package parcel

import (
	"net/url"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

// Provider describes what rota.yaml can name of Parcel. This is the only place
// that Rota needs: the schema, the checks, rota providers and the docs come from
// here.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "parcel",
		System:  "Parcel",
		Example: example,
		Connections: []provider.Connection{httpapi.ConnectionKind(system, provider.Kind{
			Summary: "A Parcel service, and an administrator's token for it.",
			Example: `{url: https://parcel.example.com, token: "${file:/run/secrets/parcel}"}`,
		})},
		Issuers: []provider.Issuer{{
			Kind: provider.Kind{
				Key: "parcel_token", Summary: "The API token of a Parcel account (connection: parcel).",
				Example: "{account: shop}",
			},
			Connection: "parcel", Evidence: rota.EvidenceRecorded, Reversible: true,
			New: func() provider.IssuerConfig { return new(tokenConfig) },
		}},
		Targets: []provider.Target{{
			Kind: provider.Kind{
				Key: "parcel_setting", Summary: "A setting of a Parcel account.",
				Example: "{connection: parcel, account: shop, setting: api_token, field: token}",
			},
			New: func() provider.TargetConfig { return new(settingConfig) },
		}},
		Reloaders: []provider.Reloader{{
			Kind: provider.Kind{
				Key: "parcel_app", Summary: "An app at Parcel, which is restarted.",
				Example: "{connection: parcel, app: storefront}",
			},
			New: func() provider.ReloaderConfig { return new(appConfig) },
		}},
	}
}

// tokenConfig is the issuer's part of rota.yaml.
type tokenConfig struct {
	At      provider.Pos  `json:"-"`
	Account provider.Text `json:"account" jsonschema:"The account's name."`
}

// Traits implements [provider.IssuerConfig].
func (c *tokenConfig) Traits() rota.Traits { return traits() }

// Fields implements [provider.IssuerConfig].
func (c *tokenConfig) Fields() provider.Fields {
	return provider.Fields{All: []string{FieldTokenID, FieldToken}, Login: []string{FieldTokenID, FieldToken}}
}

// Claims implements [provider.Claimer]: one secret alone may change the tokens
// of an account, or two would delete each other's.
func (c *tokenConfig) Claims(k *provider.Known) []provider.Claim {
	if account, ok := k.Claim("Parcel account", c.Account); ok {
		return []provider.Claim{account}
	}
	return nil
}

// Issuer implements [provider.IssuerConfig].
func (c *tokenConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection, account := provider.Open[*httpapi.Connection](b, b.Connection), b.Text(c.Account)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return &Tokens{Connection: connection, Account: account}, nil
}

// settingConfig is the target's part of rota.yaml.
type settingConfig struct {
	At         provider.Pos            `json:"-"`
	Connection provider.ConnectionName `json:"connection" kind:"parcel" jsonschema:"The name of a parcel connection."`
	Account    provider.Text           `json:"account" jsonschema:"The account's name."`
	Setting    provider.Plain          `json:"setting" jsonschema:"The setting's name."`
	Field      provider.Plain          `json:"field" jsonschema:"What it gets: a field of the credential, or a template such as Bearer {token}."`
}

// Validate implements [provider.Validator].
func (c *settingConfig) Validate(v *provider.Validation) {
	v.FieldMap("field", c.value())
}

// value is the field map of the one setting.
func (c *settingConfig) value() map[string]provider.Plain {
	return map[string]provider.Plain{c.Setting.Text: c.Field}
}

// Claims implements [provider.Claimer].
func (c *settingConfig) Claims(k *provider.Known) []provider.Claim {
	setting, ok := k.Claim("Parcel setting", c.Account)
	if !ok {
		return nil
	}
	setting.Connection = c.Connection.Text
	// Each is escaped, so that "a/b" and "c" aren't "a" and "b/c".
	setting.Name = url.PathEscape(setting.Name) + "/" + url.PathEscape(c.Setting.Text)
	return []provider.Claim{setting}
}

// Target implements [provider.TargetConfig].
func (c *settingConfig) Target(b *provider.Build) (rota.Target, error) {
	connection, account, value := provider.Open[*httpapi.Connection](b, c.Connection.Text), b.Text(c.Account), b.Fields(c.value())
	if err := b.Err(); err != nil {
		return nil, err
	}
	return &Setting{Target: b.Name, Connection: connection, Account: account, Setting: c.Setting.Text, Value: value}, nil
}

// appConfig is the reloader's part of rota.yaml.
type appConfig struct {
	At         provider.Pos            `json:"-"`
	Connection provider.ConnectionName `json:"connection" kind:"parcel" jsonschema:"The name of a parcel connection."`
	App        provider.Text           `json:"app" jsonschema:"The app's name."`
	Timeout    provider.Duration       `json:"timeout,omitzero" default:"5m" jsonschema:"How long a restart may take."`
}

// Reloader implements [provider.ReloaderConfig].
func (c *appConfig) Reloader(b *provider.Build) (rota.Reloader, error) {
	connection, app := provider.Open[*httpapi.Connection](b, c.Connection.Text), b.Text(c.App)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return &App{Reloader: b.Name, Connection: connection, App: app, Timeout: c.Timeout.Length}, nil
}

// example is a rota.yaml for rota providers. A test validates it.
const example = `connections:
  parcel: {parcel: {url: https://parcel.example.com, token: "${file:/run/secrets/parcel}"}}
secrets:
  - name: shop/parcel
    issuer: {connection: parcel, parcel_token: {account: shop}}
    targets:
      - {name: settings, parcel_setting: {connection: parcel, account: shop, setting: api_token, field: token}}
    reload:
      - {name: storefront, parcel_app: {connection: parcel, app: storefront}}
    policy: {rotate_every: 30d, deactivate_previous_after: 3d, delete_previous_after: 6d}
`
