package random

import (
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Provider describes what rota.yaml can name of keys that Rota makes itself.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "random",
		System:  "Keys of your own",
		Example: example,
		Issuers: []provider.Issuer{
			{
				Kind: provider.Kind{
					Key: "secret_key", Remote: true, Summary: "A ring of random keys for HMACs, JWTs, cookies or encryption: the current, the previous and the next one.",
					Example: "{bytes: 32, encoding: base64}",
				},
				Varies: "lifetime is how long a key is accepted",
				New:    func() provider.IssuerConfig { return new(secretKeyConfig) },
			},
			{
				Kind: provider.Kind{
					Key: "key_pair", Remote: true, Summary: "A ring of key pairs for signatures, with the public keys as a JWK Set.",
					Example: "{algorithm: ES256}",
				},
				Varies: "lifetime is how long a key is accepted",
				New:    func() provider.IssuerConfig { return new(keyPairConfig) },
			},
		},
	}
}

// common are the keys of both.
type common struct {
	Lifetime provider.Duration `json:"lifetime,omitzero" default:"180d" jsonschema:"How long a key is accepted after it became the current one. It signs for rotate_every of that time."`
	Revoked  []provider.Plain  `json:"revoked,omitzero" jsonschema:"Ids (kid) of keys that leaked: the next ring doesn't contain them."`
}

func (c common) config() Config {
	out := Config{Lifetime: c.lifetime()}
	for _, id := range c.Revoked {
		out.Revoked = append(out.Revoked, id.Text)
	}
	return out
}

func (c common) lifetime() time.Duration {
	if c.Lifetime.IsSet() {
		return c.Lifetime.Length
	}
	return DefaultLifetime
}

// minLifetime leaves time to rotate before a key ends.
const minLifetime = time.Hour

func (c common) validate(v *provider.Validation) {
	if c.Lifetime.IsSet() && c.Lifetime.Length < minLifetime {
		v.Problem(c.Lifetime.At, "lifetime", "180d", "%s is less than %s", rota.FormatDuration(c.Lifetime.Length), rota.FormatDuration(minLifetime))
	}
}

type secretKeyConfig struct {
	At        provider.Pos   `json:"-"`
	Bytes     provider.Int   `json:"bytes,omitzero" min:"16" max:"1024" default:"32, or what the algorithm needs" jsonschema:"How long a key is."`
	Encoding  provider.Plain `json:"encoding,omitzero" enum:"base64,base64url,hex" default:"base64" jsonschema:"How keys are written in the fields key, previous_key and next_key."`
	Algorithm provider.Plain `json:"algorithm,omitzero" enum:"HS256,HS384,HS512" jsonschema:"The algorithm that the JWK Set in field keys names."`
	common
}

// Validate implements [provider.Validator].
func (c *secretKeyConfig) Validate(v *provider.Validation) {
	c.validate(v)
	if _, err := NewSecretKeys(c.keys()); err != nil {
		v.Error(c.Bytes.At, "bytes", err)
	}
}

func (c *secretKeyConfig) keys() SecretKeysConfig {
	return SecretKeysConfig{Config: c.config(), Bytes: c.Bytes.Number, Encoding: c.Encoding.Text, Algorithm: c.Algorithm.Text}
}

// Traits implements [provider.IssuerConfig].
func (c *secretKeyConfig) Traits() rota.Traits {
	return (&Issuer{Config{Lifetime: c.lifetime()}, secretKeys{}}).Traits()
}

// Fields implements [provider.IssuerConfig].
func (c *secretKeyConfig) Fields() provider.Fields {
	all := []string{FieldKeyID, FieldKey, FieldPreviousKey, FieldNextKey, FieldKeys, rota.FieldExpiration}
	return provider.Fields{All: all, Login: all}
}

// Issuer implements [provider.IssuerConfig].
func (c *secretKeyConfig) Issuer(*provider.Build) (rota.Issuer, error) {
	return NewSecretKeys(c.keys())
}

type keyPairConfig struct {
	At        provider.Pos   `json:"-"`
	Algorithm provider.Plain `json:"algorithm,omitzero" enum:"ES256,ES384,ES512,EdDSA,RS256,PS256" default:"ES256" jsonschema:"What the keys sign with. RSA keys have 3072 bits."`
	common
}

// Validate implements [provider.Validator].
func (c *keyPairConfig) Validate(v *provider.Validation) { c.validate(v) }

// Traits implements [provider.IssuerConfig].
func (c *keyPairConfig) Traits() rota.Traits {
	return (&Issuer{Config{Lifetime: c.lifetime()}, keyPairs{}}).Traits()
}

// Fields implements [provider.IssuerConfig].
func (c *keyPairConfig) Fields() provider.Fields {
	all := []string{FieldKeyID, FieldKey, FieldNextKey, FieldPublicKey, FieldJWKS, rota.FieldExpiration}
	return provider.Fields{All: all, Login: all}
}

// Issuer implements [provider.IssuerConfig].
func (c *keyPairConfig) Issuer(*provider.Build) (rota.Issuer, error) {
	return NewKeyPairs(KeyPairsConfig{Config: c.config(), Algorithm: c.Algorithm.Text})
}

// example is a rota.yaml for rota providers and the docs.
const example = `secrets:
  - name: prod/session-cookies
    issuer: {secret_key: {bytes: 32}}
    targets:
      - {name: web, file: {path: /etc/shop/keys.env, format: dotenv, fields: {SECRET_KEY: key, SECRET_KEY_PREVIOUS: previous_key, SECRET_KEY_NEXT: next_key}}}
    policy: {rotate_every: 90d}
  - name: prod/tokens
    issuer: {key_pair: {algorithm: ES256, lifetime: 120d}}
    targets:
      - {name: signer, file: {path: /etc/issuer/signing.json, format: json, fields: {kid: kid, private_key: key}}}
      - {name: verifiers, file: {path: /srv/www/.well-known/jwks.json, format: text, fields: {content: jwks}, mode: "0640", group: www-data}}
    policy: {rotate_every: 60d}
`
