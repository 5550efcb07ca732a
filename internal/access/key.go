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

// The parts of a key. Id and secret are what AWS's tools take for a key; the
// bearer token is both of them in one word, so that there is one kind of key,
// kept, listed and disabled in one place.
const (
	keyIDPrefix   = "ROTA"
	keyIDLength   = 20
	secretLength  = 40
	tokenPrefix   = "rota_"
	tokenLength   = len(tokenPrefix) + keyIDLength + 1 + secretLength
	idRandomBytes = 10 // 16 characters of base32
	secretBytes   = 25 // 200 bits, 40 characters of base32
)

// base32 needs no quoting anywhere, and a double click takes all of it.
var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

var keyID = regexp.MustCompile(`^ROTA[A-Z2-7]{16}$`)

// Secret is the secret part of a key: a credential of one field, which never
// prints.
type Secret struct{ rota.Credential }

const secretField = "secret"

// NewSecret wraps a secret.
func NewSecret(value string) Secret {
	return Secret{rota.NewCredential(map[string]string{secretField: value})}
}

// Reveal is the secret itself: for storing it, encrypted, and for verifying.
func (s Secret) Reveal() string { return s.Field(secretField) }

// Equal compares in a time that does not depend on where the two differ.
func (s Secret) Equal(other string) bool {
	mine, theirs := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(other))
	return subtle.ConstantTimeCompare(mine[:], theirs[:]) == 1
}

// newKeyID makes an id.
func newKeyID() string { return keyIDPrefix + random(idRandomBytes) }

// GenerateSecret makes a secret of 200 random bits.
func GenerateSecret() Secret { return NewSecret(random(secretBytes)) }

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return encoding.EncodeToString(b)
}

// IsKeyID tells whether a text has the form of a key's id.
func IsKeyID(s string) bool { return keyID.MatchString(s) }

// ParseToken takes a bearer token, rota_<id>_<secret>, apart. It says nothing
// about whether there is such a key.
func ParseToken(token string) (id, secret string, ok bool) {
	rest, found := strings.CutPrefix(token, tokenPrefix)
	if !found || len(token) != tokenLength || rest[keyIDLength] != '_' || !IsKeyID(rest[:keyIDLength]) {
		return "", "", false
	}
	return rest[:keyIDLength], rest[keyIDLength+1:], true
}

// IsToken tells whether a text claims to be a token of Rota's.
func IsToken(s string) bool { return strings.HasPrefix(s, tokenPrefix) }

// Issued is a new key together with its secret, which is shown this once.
type Issued struct {
	Principal string
	Key       Key
	Secret    Secret
}

// Token is the key in one word, for "Authorization: Bearer".
func (i Issued) Token() string { return tokenPrefix + i.Key.ID + "_" + i.Secret.Reveal() }
