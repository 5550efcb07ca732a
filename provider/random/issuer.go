package random

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rota-dev/rota"
)

// The fields of a credential, in addition to [rota.FieldExpiration].
const (
	FieldKeyID       = "kid"
	FieldKey         = "key"          // a secret key, or a pair's private key in PEM
	FieldPreviousKey = "previous_key" // of secret keys
	FieldNextKey     = "next_key"
	FieldPublicKey   = "public_key" // of pairs, in PEM
	FieldKeys        = "keys"       // of secret keys: all of them, as a JWK Set
	FieldJWKS        = "jwks"       // of pairs: all public keys, as a JWK Set
)

// DefaultLifetime is how long a key is accepted.
const DefaultLifetime = 180 * rota.Day

// Config is what key rings have in common.
type Config struct {
	// Lifetime is how long a key is accepted, from the day it becomes the current
	// one. Defaults to [DefaultLifetime].
	Lifetime time.Duration
	// Revoked are ids of keys that no later ring contains.
	Revoked []string
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.Lifetime == 0 {
		c.Lifetime = DefaultLifetime
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// form is what differs between secret keys and pairs.
type form interface {
	kind() string
	generate() (jose.JSONWebKey, error)
	// read returns a credential's ring, with the secrets of its next two keys.
	read(c rota.Credential) (set, error)
	// fields are a credential's fields but its id and its end.
	fields(s set) (map[string]string, error)
	// works signs with a key and verifies with the ring.
	works(current entry, c rota.Credential) bool
}

// Issuer makes key rings. A ring is found in its predecessor and in nothing
// else, so that no call reaches outside.
type Issuer struct {
	config Config
	form   form
}

var (
	_ rota.Issuer      = (*Issuer)(nil)
	_ rota.Preflighter = (*Issuer)(nil)
)

// Traits says that keys end by themselves, when those who verify no longer
// accept them.
func (i *Issuer) Traits() rota.Traits {
	return rota.Traits{Kind: i.form.kind(), IssuerChooses: true, FromCurrent: true, TestSuccesses: 1, Lifetime: i.config.Lifetime}
}

// CredentialID is the id of the current key.
func (i *Issuer) CredentialID(c rota.Credential) string { return c.Field(FieldKeyID) }

// Create makes the ring after the current one, or the first.
func (i *Issuer) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	if err := ctx.Err(); err != nil {
		return rota.Credential{}, i.failed("make a key", rota.ClassWait, err)
	}
	var before set
	if !r.Current.IsZero() {
		var err error
		if before, err = i.form.read(r.Current); err != nil {
			err = i.failed("continue the key ring "+i.CredentialID(r.Current), rota.ClassStop, err)
			return rota.Credential{}, rota.WithRemedies(err, rota.Outside("roll back to the version before, if somebody wrote this one by hand; or write the whole key ring back"))
		}
	}
	after, err := before.succeed(i.config.Now(), i.config.Lifetime, i.config.Revoked, i.form.generate)
	if err != nil {
		return rota.Credential{}, i.failed("make a key", rota.ClassWait, err)
	}
	fields, err := i.form.fields(after)
	if err != nil {
		return rota.Credential{}, i.failed("make a key", rota.ClassStop, err)
	}
	current := after.Keys[1]
	fields[FieldKeyID] = current.KeyID
	fields[rota.FieldExpiration] = current.Ends.UTC().Format(time.RFC3339)
	return rota.NewCredential(fields), nil
}

// Set is a no-op: a key is valid for whoever gets it.
func (i *Issuer) Set(ctx context.Context, _ rota.SetRequest) error { return ctx.Err() }

// Delete is a no-op: a key isn't accepted any more once it has ended.
func (i *Issuer) Delete(ctx context.Context, _ rota.RetireRequest) error { return ctx.Err() }

// Test checks that the ring holds the key, that the key has that id, and that
// what it signs can be verified.
func (i *Issuer) Test(ctx context.Context, r rota.TestRequest) error {
	op := "use key " + i.CredentialID(r.Credential)
	if err := ctx.Err(); err != nil {
		return i.failed(op, rota.ClassWait, err)
	}
	ring, err := i.form.read(r.Credential)
	if err != nil {
		return i.failed(op, rota.ClassStop, fmt.Errorf("%w: %w", rota.ErrRefused, err))
	}
	current, found := ring.find(i.CredentialID(r.Credential))
	switch {
	case !found:
		err = errors.New("the ring doesn't contain it")
	case !i.form.works(current, r.Credential):
		err = errors.New("key and id don't belong together")
	case current.Ends.UTC().Format(time.RFC3339) != r.Credential.Field(rota.FieldExpiration):
		err = errors.New("the ring says that it ends at another time")
	case !i.config.Now().Before(current.Ends):
		err = errors.New("it has ended")
	default:
		return nil
	}
	return i.failed(op, rota.ClassStop, fmt.Errorf("%w: %w", rota.ErrRefused, err))
}

// Preflight has nothing to ask.
func (i *Issuer) Preflight(context.Context) []rota.Finding {
	return []rota.Finding{{OK: true, Check: "make a " + i.form.kind(), Detail: "nothing outside has to know it"}}
}

func (i *Issuer) failed(op string, class rota.Class, err error) error {
	return &rota.Error{System: "random", Op: op, Class: class, Err: err}
}

// SecretKeysConfig describes secret keys.
type SecretKeysConfig struct {
	Config
	// Bytes is how long a key is. Defaults to 32.
	Bytes int
	// Encoding is [Base64], [Base64URL] or [Hex]. Defaults to Base64.
	Encoding string
	// Algorithm is the "alg" of the keys in field keys, such as HS256. Defaults to
	// none.
	Algorithm string
}

// The encodings of secret keys.
const (
	Base64    = "base64"
	Base64URL = "base64url" // without padding, as in JWKs
	Hex       = "hex"
)

// The lengths that a secret key may have, in bytes.
const (
	MinBytes = 16
	MaxBytes = 1024
)

// leastBytes is how long RFC 7518 says that an algorithm's keys must be.
var leastBytes = map[string]int{"": MinBytes, "HS256": 32, "HS384": 48, "HS512": 64}

// NewSecretKeys makes the issuer of secret keys.
func NewSecretKeys(c SecretKeysConfig) (*Issuer, error) {
	if c.Bytes == 0 {
		c.Bytes = max(32, leastBytes[c.Algorithm])
	}
	if c.Encoding == "" {
		c.Encoding = Base64
	}
	least, known := leastBytes[c.Algorithm]
	switch {
	case !known:
		return nil, fmt.Errorf("algorithm %q isn't one of HS256, HS384, HS512", c.Algorithm)
	case c.Bytes < least || c.Bytes > MaxBytes:
		return nil, rota.WithRemedies(fmt.Errorf("%d bytes aren't between %d and %d", c.Bytes, least, MaxBytes), rota.Configure("bytes", fmt.Sprint(max(32, least))))
	case !slices.Contains([]string{Base64, Base64URL, Hex}, c.Encoding):
		return nil, fmt.Errorf("encoding %q isn't one of %s, %s, %s", c.Encoding, Base64, Base64URL, Hex)
	}
	return &Issuer{c.withDefaults(), secretKeys{c}}, nil
}

// secretKeys are keys for HMACs, cookies and encryption.
type secretKeys struct{ config SecretKeysConfig }

func (secretKeys) kind() string { return "secret key" }

func (k secretKeys) generate() (jose.JSONWebKey, error) {
	return newSecret(k.config.Bytes, k.config.Algorithm), nil
}

func (k secretKeys) encode(e entry) string {
	secret, _ := e.Key.([]byte)
	switch k.config.Encoding {
	case Hex:
		return hex.EncodeToString(secret)
	case Base64URL:
		return base64.RawURLEncoding.EncodeToString(secret)
	}
	return base64.StdEncoding.EncodeToString(secret)
}

func (secretKeys) read(c rota.Credential) (set, error) {
	ring, err := parseSet(c.Field(FieldKeys))
	if err != nil || len(ring.Keys) < 2 {
		return set{}, errors.New("field keys isn't a key ring that Rota made")
	}
	for _, e := range ring.Keys {
		if secret, ok := e.Key.([]byte); !ok || secretID(secret) != e.KeyID {
			return set{}, errors.New("field keys has a key with another key's id")
		}
	}
	return ring, nil
}

func (k secretKeys) fields(s set) (map[string]string, error) {
	text, err := s.text()
	previous := entry{JSONWebKey: newSecret(k.config.Bytes, "")} // of a first ring: a key that nothing was signed with
	if len(s.Keys) > 2 {
		previous = s.Keys[2]
	}
	return map[string]string{
		FieldKey: k.encode(s.Keys[1]), FieldNextKey: k.encode(s.Keys[0]), FieldPreviousKey: k.encode(previous), FieldKeys: text,
	}, err
}

func (k secretKeys) works(current entry, c rota.Credential) bool {
	// Another encoding may have been configured since.
	for _, encoding := range []string{Base64, Base64URL, Hex} {
		if (secretKeys{SecretKeysConfig{Encoding: encoding}}).encode(current) == c.Field(FieldKey) {
			return true
		}
	}
	return false
}
