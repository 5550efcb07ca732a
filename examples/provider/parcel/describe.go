package parcel

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// kindParcel is the key of Parcel's connections in rota.yaml.
const kindParcel = "parcel"

// Provider describes what rota.yaml can name of Parcel. This is the only place
// that Rota needs: the schema, the checks, rota providers and the docs come from
// here.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "parcel",
		System:  "Parcel",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindParcel, Summary: "A Parcel service, and an administrator's token for it.",
				Example: `{url: https://parcel.example.com, token: "${file:/run/secrets/parcel}"}`,
			},
			New: func() provider.ConnectionConfig { return new(connectionConfig) },
		}},
		Issuers: []provider.Issuer{{
			Kind: provider.Kind{
				Key: "parcel_token", Summary: "The API token of a Parcel account (connection: parcel).",
				Example: "{account: shop}",
			},
			Connection: kindParcel, Evidence: rota.EvidenceRecorded, Reversible: true,
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

// connectionConfig is a connection's part of rota.yaml. A [provider.Text] may
// hold references such as ${file:…}; secret:"true" warns if it doesn't.
type connectionConfig struct {
	At    provider.Pos  `json:"-"`
	URL   provider.Text `json:"url" jsonschema:"The address, such as https://parcel.example.com."`
	Token provider.Text `json:"token" secret:"true" jsonschema:"An administrator's token: a reference such as ${file:/run/secrets/parcel}."`
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	if u, plain := c.URL.Literal(); plain && u != "" && !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "http://127.0.0.1:") {
		v.Problem(c.URL.At, "url", "https://…", "without TLS anyone on the way can read the token")
	}
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	address, token := b.Text(c.URL), b.Text(c.Token)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return NewClient(b.Name, address, token)
}

// Scope implements [provider.Scoper]. The same host is the same Parcel; whether
// two hosts are, only Parcel knows. It's compared with other Scopes, and never with
// what Identity returns, so the two need not be spelled alike.
func (c *connectionConfig) Scope(k *provider.Known) string {
	text, known := k.Text(c.URL)
	u, err := url.Parse(text)
	if !known || err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// Identity implements [provider.Identifier]: Parcel's own name for itself, by
// whichever address it's reached.
func (c *Client) Identity(ctx context.Context) (string, error) {
	var service struct{ ID string }
	err := c.do(ctx, "ask for its id", c.token, http.MethodGet, "/service", nil, &service)
	return service.ID, err
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
	client, account := provider.Open[*Client](b, b.Connection), b.Text(c.Account)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return &Tokens{Client: client, Account: account}, nil
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
	client, account, value := provider.Open[*Client](b, c.Connection.Text), b.Text(c.Account), b.Fields(c.value())
	if err := b.Err(); err != nil {
		return nil, err
	}
	return &Setting{Target: b.Name, Client: client, Account: account, Setting: c.Setting.Text, Value: value}, nil
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
	client, app := provider.Open[*Client](b, c.Connection.Text), b.Text(c.App)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return &App{Reloader: b.Name, Client: client, App: app, Timeout: c.Timeout.Length}, nil
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
