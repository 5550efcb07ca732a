package store

import (
	"crypto/rand"
	"errors"
	"strings"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store/record"
)

// The first byte of an encrypted value's plaintext. A value stored by Rota
// itself is the JSON object of its fields and begins with neither.
const (
	textMark   = 't'
	binaryMark = 'b'
)

var errTampered = rota.WithRemedies(errors.New("the stored value fails authentication: the database is damaged or was tampered with"), rota.Outside("restore a backup"))

// newSuffix returns the six random characters at the end of a secret's ARN.
func newSuffix() string { return strings.ToLower(rand.Text()[:6]) }

// sealValue encrypts a value for one version of one secret.
func sealValue(key tink.AEAD, secret, version string, v record.Value) ([]byte, error) {
	plain := append([]byte{binaryMark}, v.Binary...)
	if v.Text != nil {
		plain = append([]byte{textMark}, *v.Text...)
	}
	return key.Encrypt(plain, associated("version", secret, version))
}

// openValue is the reverse. A credential's fields are returned as text.
func openValue(key tink.AEAD, secret, version string, value []byte) (record.Value, error) {
	plain, err := key.Decrypt(value, associated("version", secret, version))
	if err != nil || len(plain) == 0 {
		return record.Value{}, errTampered
	}
	if plain[0] == binaryMark {
		return record.Value{Binary: plain[1:]}, nil
	}
	if plain[0] == textMark {
		plain = plain[1:]
	}
	text := string(plain)
	return record.Value{Text: &text}, nil
}
