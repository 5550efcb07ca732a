package httpapi

import (
	"encoding/json"
	"regexp"
	"strconv"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// ConnectionKind describes the connections of a system. The address has to be in
// rota.yaml unless the system has a [System].DefaultURL.
func ConnectionKind(s System, k provider.Kind) provider.Connection {
	k.Key = s.Key
	return provider.Connection{Kind: k, New: func() provider.ConnectionConfig {
		if s.DefaultURL != "" {
			return &service{login: login{system: s}}
		}
		return &instance{login: login{system: s}}
	}}
}

// instance is a connection's part of rota.yaml, to a system that everyone runs at an
// address of their own.
type instance struct {
	URL provider.Text `json:"url" jsonschema:"The address, with https:// in front. Without TLS only on loopback addresses."`
	login
}

// Validate implements [provider.Validator].
func (c *instance) Validate(v *provider.Validation) { c.check(v, c.URL) }

// Open implements [provider.ConnectionConfig].
func (c *instance) Open(b *provider.Build) (any, error) { return c.open(b, c.URL) }

// Scope implements [provider.Scoper].
func (c *instance) Scope(k *provider.Known) string { return c.system.Scope(k, c.URL) }

// service is a connection's part of rota.yaml, to a system that its vendor runs.
type service struct {
	URL provider.Text `json:"url,omitzero" default:"the vendor's" jsonschema:"The API's address, where it isn't the usual one."`
	login
}

// Validate implements [provider.Validator].
func (c *service) Validate(v *provider.Validation) { c.check(v, c.URL) }

// Open implements [provider.ConnectionConfig].
func (c *service) Open(b *provider.Build) (any, error) { return c.open(b, c.URL) }

// Scope implements [provider.Scoper].
func (c *service) Scope(k *provider.Known) string { return c.system.Scope(k, c.URL) }

// login is what every connection's part of rota.yaml has beside the address.
type login struct {
	At    provider.Pos  `json:"-"`
	Token provider.Text `json:"token" secret:"true" jsonschema:"The token that Rota logs in with: a reference such as ${file:/run/secrets/token}."`
	provider.TLSFiles
	Timeout provider.Duration `json:"timeout,omitzero" default:"30s" jsonschema:"The timeout for a request."`

	system System
}

func (l login) check(v *provider.Validation, address provider.Text) {
	l.CheckTLS(v, l.At)
	l.system.CheckURL(v, address)
}

func (l login) open(b *provider.Build, address provider.Text) (any, error) {
	cfg := Config{URL: b.Text(address), Authorization: Bearer(b.Text(l.Token)), Certificates: l.Certificates(b), Timeout: l.Timeout.Length, Budget: b.Budget(), Reach: b.Reach}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Name, l.system, cfg)
}

// CheckURL reports an address that can't be one of the system's.
func (s System) CheckURL(v *provider.Validation, address provider.Text) {
	if text, plain := address.Literal(); plain && text != "" {
		if _, err := s.address(text); err != nil {
			v.Error(address.At, "url", err)
		}
	}
}

// Scope is what a connection is compared by, for a [provider.Scoper].
func (s System) Scope(k *provider.Known, address provider.Text) string {
	text, known := k.Text(address)
	if text == "" {
		text = s.DefaultURL
	}
	place := provider.ScopeOf(text)
	if !known || place == "" {
		return ""
	}
	return s.Key + "\x00" + place
}

// TokenConfig is what rota.yaml says about an issuer of tokens. The issuer's
// configuration embeds it.
type TokenConfig struct {
	At           provider.Pos      `json:"-"`
	Name         provider.Plain    `json:"name" jsonschema:"What the tokens' names begin with. It's how Rota recognizes them."`
	ExpiresAfter provider.Duration `json:"expires_after,omitzero" default:"365d" jsonschema:"How long a token is valid: longer than rotate_every, deactivate_previous_after and delete_previous_after together."`
}

// tokenName is what a token can be called: with a version's id behind it, no system's
// limit is exceeded.
var tokenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

// maxName is how long a token's name may be, in characters, so that the version's id
// fits behind it.
const maxName = 64

// Validate implements [provider.Validator].
func (c *TokenConfig) Validate(v *provider.Validation) {
	CheckNamed(v, c.Name, maxName, c.ExpiresAfter)
}

// CheckNamed reports a name that no token can have, of at most longest characters, and
// a life that's too short.
func CheckNamed(v *provider.Validation, name provider.Plain, longest int, life provider.Duration) {
	if name.IsSet() && (len(name.Text) > longest || !tokenName.MatchString(name.Text)) {
		v.Problem(name.At, "name", "orders", "up to %d letters, digits, - and _, beginning with a letter or a digit", longest)
	}
	if life.IsSet() && life.Length < time.Hour {
		v.Problem(life.At, "expires_after", "90d", "less than an hour")
	}
}

// Fields implements [provider.IssuerConfig].
func (c *TokenConfig) Fields() provider.Fields {
	return provider.Fields{All: []string{FieldTokenID, FieldToken}, Login: []string{FieldTokenID, FieldToken}}
}

// Claim is the claim on the tokens of this name in an account. kind is what they are.
func (c *TokenConfig) Claim(k *provider.Known, kind string, account provider.Text) []provider.Claim {
	one, ok := k.Claim(kind, account)
	if !ok || c.Name.Text == "" {
		return nil
	}
	one.Name += "\x00" + c.Name.Text
	one.Shown = kind + " " + strconv.Quote(c.Name.Text)
	return []provider.Claim{one}
}

// Tokens are the issuer's, over the connection beside it. The provider adds its traits and
// its API.
func (c *TokenConfig) Tokens(b *provider.Build) Tokens {
	life := c.ExpiresAfter.Length
	if life == 0 {
		life = 365 * rota.Day
	}
	return Tokens{Connection: provider.Open[*Connection](b, b.Connection), Names: Names(c.Name.Text), ExpiresAfter: life}
}

// CheckJSON reports a text that isn't JSON of a form, or holds nothing, if it's there.
// example is one.
func CheckJSON[Form []map[string]any | map[string]any](v *provider.Validation, key string, text provider.Plain, example string) {
	var form Form
	if text.IsSet() && (json.Unmarshal([]byte(text.Text), &form) != nil || len(form) == 0) {
		v.Problem(text.At, key, example, "not the JSON that's expected here")
	}
}
