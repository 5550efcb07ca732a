package mysql

import (
	"crypto/sha1" //nolint:gosec // what mysql_native_password is made of
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"

	"filippo.io/edwards25519"
)

// The plugins whose passwords Rota sets. Each stores something that proves a
// password and that isn't enough to log in with, except for
// mysql_native_password's to whoever also listens on the network.
const (
	pluginNative  = "mysql_native_password"
	pluginEd25519 = "ed25519"
)

// storedForms are what each plugin stores for a password. Anything else, such as
// the usual "invalid", is no password.
var storedForms = map[string]*regexp.Regexp{
	pluginNative:  regexp.MustCompile(`^\*[0-9A-F]{40}$`),
	pluginEd25519: regexp.MustCompile(`^[A-Za-z0-9+/]{43}$`),
}

// stored returns what a plugin stores for a password. Nothing in it needs quoting
// in a literal.
func stored(plugin, password string) (string, error) {
	if password == "" {
		return "", errors.New("the password is empty")
	}
	if plugin == pluginEd25519 {
		// As MariaDB does, and unlike RFC 8032, with a seed of any length.
		h := sha512.Sum512([]byte(password))
		s, err := edwards25519.NewScalar().SetBytesWithClamping(h[:32])
		if err != nil {
			return "", err
		}
		return base64.RawStdEncoding.EncodeToString((&edwards25519.Point{}).ScalarBaseMult(s).Bytes()), nil
	}
	once := sha1.Sum([]byte(password)) //nolint:gosec // see above
	twice := sha1.Sum(once[:])         //nolint:gosec // see above
	return "*" + strings.ToUpper(hex.EncodeToString(twice[:])), nil
}

// matches compares what a plugin stores with a password.
func matches(plugin, have, password string) bool {
	want, err := stored(plugin, password)
	return err == nil && subtle.ConstantTimeCompare([]byte(have), []byte(want)) == 1
}
