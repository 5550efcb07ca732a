package random

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/rota-dev/rota"
)

// rsaBits is the length of RSA keys.
const rsaBits = 3072

// generators make private keys, by the algorithm (RFC 7518 and 8037) that they
// sign with.
var generators = map[string]func() (crypto.Signer, error){
	"ES256": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	"ES384": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) },
	"ES512": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) },
	"EdDSA": func() (crypto.Signer, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	},
	"RS256": func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, rsaBits) },
	"PS256": func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, rsaBits) },
}

// KeyPairsConfig describes key pairs.
type KeyPairsConfig struct {
	Config
	// Algorithm is what the keys sign with: ES256, ES384, ES512, EdDSA (Ed25519),
	// RS256 or PS256 (3072 bits). Defaults to ES256.
	Algorithm string
}

// NewKeyPairs makes the issuer of key pairs.
func NewKeyPairs(c KeyPairsConfig) (*Issuer, error) {
	if c.Algorithm == "" {
		c.Algorithm = "ES256"
	}
	if generators[c.Algorithm] == nil {
		return nil, fmt.Errorf("algorithm %q isn't one of %s", c.Algorithm, strings.Join(slices.Sorted(maps.Keys(generators)), ", "))
	}
	return &Issuer{c.withDefaults(), keyPairs{c.Algorithm}}, nil
}

// keyPairs are pairs for signatures.
type keyPairs struct{ algorithm string }

func (keyPairs) kind() string { return "key pair" }

func (k keyPairs) generate() (jose.JSONWebKey, error) {
	private, err := generators[k.algorithm]()
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	key := jose.JSONWebKey{Key: private, Algorithm: k.algorithm, Use: "sig"}
	key.KeyID, err = thumbprint(key.Public())
	return key, err
}

// thumbprint is a public key's id (RFC 7638).
func thumbprint(k jose.JSONWebKey) (string, error) {
	sum, err := k.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// read returns the ring's public keys, with the private halves of the next and
// the current one.
func (keyPairs) read(c rota.Credential) (set, error) {
	ring, err := parseSet(c.Field(FieldJWKS))
	if err != nil || len(ring.Keys) < 2 {
		return set{}, errors.New("field jwks isn't a key ring that Rota made")
	}
	for i, field := range []string{FieldNextKey, FieldKey} {
		private, err := parsePrivate(c.Field(field))
		if err != nil {
			return set{}, fmt.Errorf("field %s: %w", field, err)
		}
		e := &ring.Keys[i]
		e.Key = private
		if id, err := thumbprint(e.Public()); err != nil || id != e.KeyID {
			return set{}, fmt.Errorf("field %s isn't the key that jwks names in its place", field)
		}
	}
	return ring, nil
}

func parsePrivate(text string) (crypto.Signer, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("not one PEM block")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("not a PKCS #8 private key") // the parser's own error may quote it
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("not a key that signs")
	}
	return signer, nil
}

func (keyPairs) fields(s set) (map[string]string, error) {
	public := set{Keys: slices.Clone(s.Keys)}
	for i := range public.Keys {
		public.Keys[i].JSONWebKey = public.Keys[i].Public()
	}
	text, err := public.text()
	if err != nil {
		return nil, err
	}
	fields := map[string]string{FieldJWKS: text}
	for i, field := range []string{FieldNextKey, FieldKey} {
		der, err := x509.MarshalPKCS8PrivateKey(s.Keys[i].Key)
		if err != nil {
			return nil, err
		}
		fields[field] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	fields[FieldPublicKey], err = publicText(s.Keys[1])
	return fields, err
}

func publicText(e entry) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(e.Public().Key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}

// works signs with the private key and verifies with the public one as it's
// published.
func (keyPairs) works(current entry, c rota.Credential) bool {
	if text, err := publicText(current); err != nil || text != c.Field(FieldPublicKey) {
		return false
	}
	published, err := parseSet(c.Field(FieldJWKS))
	if err != nil {
		return false
	}
	public, found := published.find(current.KeyID)
	if !found || !public.IsPublic() {
		return false
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(current.Algorithm), Key: current.JSONWebKey}, nil)
	if err != nil {
		return false
	}
	signed, err := signer.Sign([]byte("rota"))
	if err != nil {
		return false
	}
	_, err = signed.Verify(public.JSONWebKey)
	return err == nil
}
