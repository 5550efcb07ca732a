package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"regexp"
	"strings"

	"github.com/rota-dev/rota"
)

// The parts of a key. Id and secret are what AWS's tools expect of an access
// key; the bearer token combines both. So there's only one kind of key to
// store, list and disable.
const (
	keyIDPrefix   = "ROTA"
	keyIDLength   = 20
	secretLength  = 40
	tokenPrefix   = "rota_"
	tokenLength   = len(tokenPrefix) + keyIDLength + 1 + secretLength
	idRandomBytes = 10 // 16 characters of base32
	secretBytes   = 25 // 200 bits, 40 characters of base32
)

// Base32 needs no quoting anywhere, and a double click selects all of it.
var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

var keyID = regexp.MustCompile(`^ROTA[A-Z2-7]{16}$`)

// Secret is the secret part of a key: a credential with a single field, which
// is never printed.
type Secret struct{ rota.Credential }

const secretField = "secret"

// NewSecret wraps a secret.
func NewSecret(value string) Secret {
	return Secret{rota.NewCredential(map[string]string{secretField: value})}
}

// Reveal returns the secret itself, to store it encrypted or to verify with it.
func (s Secret) Reveal() string { return s.Field(secretField) }

// Equal compares in constant time.
func (s Secret) Equal(other string) bool {
	mine, theirs := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(other))
	return subtle.ConstantTimeCompare(mine[:], theirs[:]) == 1
}

func newKeyID() string { return keyIDPrefix + random(idRandomBytes) }

// GenerateSecret generates a secret with 200 random bits.
func GenerateSecret() Secret { return NewSecret(random(secretBytes)) }

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: it crashes the program instead
	return encoding.EncodeToString(b)
}

// IsKeyID reports whether a text looks like a key's id.
func IsKeyID(s string) bool { return keyID.MatchString(s) }

// ParseToken splits a bearer token, rota_<id>_<secret>. It doesn't check
// whether the key exists.
func ParseToken(token string) (id, secret string, ok bool) {
	rest, found := strings.CutPrefix(token, tokenPrefix)
	if !found || len(token) != tokenLength || rest[keyIDLength] != '_' || !IsKeyID(rest[:keyIDLength]) {
		return "", "", false
	}
	return rest[:keyIDLength], rest[keyIDLength+1:], true
}

// IsToken reports whether a text claims to be one of Rota's tokens.
func IsToken(s string) bool { return strings.HasPrefix(s, tokenPrefix) }

// Issued is a new key with its secret, which is shown only this once.
type Issued struct {
	Principal string
	Key       Key
	Secret    Secret
}

// Token is the key as one word, for "Authorization: Bearer".
func (i Issued) Token() string { return tokenPrefix + i.Key.ID + "_" + i.Secret.Reveal() }
