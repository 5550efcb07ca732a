package mysql

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what mysql_native_password is made of
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"filippo.io/edwards25519"
)

// The plugins whose passwords Rota sets: MariaDB's own, MySQL's own, and the one
// that both have. Each stores something that proves a password and that isn't
// enough to log in with, except for mysql_native_password's to whoever also listens
// on the network.
const (
	pluginNative  = "mysql_native_password"
	pluginEd25519 = "ed25519"
	pluginSHA2    = "caching_sha2_password"
)

// storedForms are what each plugin stores for a password. Anything else, such as
// the usual "invalid", is no password.
var storedForms = map[string]*regexp.Regexp{
	pluginNative:  regexp.MustCompile(`^\*[0-9A-F]{40}$`),
	pluginEd25519: regexp.MustCompile(`^[A-Za-z0-9+/]{43}$`),
	pluginSHA2:    regexp.MustCompile(`(?s)^\$A\$([0-9A-F]{3})\$(.{20})([./0-9A-Za-z]{43})$`),
}

// stored returns what a plugin stores for a user's password. Nothing in it needs
// quoting in a literal.
func stored(plugin, user, password string) (string, error) {
	switch {
	case password == "":
		return "", errors.New("the password is empty")
	case plugin == pluginSHA2:
		salt := saltMark + mark(user, password)
		return "$A$005$" + salt + shaCrypt(password, salt, 5*shaThousand), nil
	case plugin == pluginEd25519:
		// As MariaDB does, and unlike RFC 8032, with a seed of any length.
		h := sha512.Sum512([]byte(password))
		s, err := edwards25519.NewScalar().SetBytesWithClamping(h[:32])
		if err != nil {
			return "", err
		}
		return base64.RawStdEncoding.EncodeToString((&edwards25519.Point{}).ScalarBaseMult(s).Bytes()), nil
	}
	return native(password), nil
}

// native is what mysql_native_password stores for a password.
func native(password string) string {
	once := sha1.Sum([]byte(password)) //nolint:gosec // see above
	twice := sha1.Sum(once[:])         //nolint:gosec // see above
	return "*" + strings.ToUpper(hex.EncodeToString(twice[:]))
}

// matches compares what a plugin stores for a user with a password.
func matches(plugin, user, have, password string) bool {
	var want string
	if plugin == pluginSHA2 {
		parts := storedForms[pluginSHA2].FindStringSubmatch(have)
		if parts == nil || password == "" {
			return false
		}
		rounds, _ := strconv.ParseInt(parts[1], 16, 32)
		have, want = parts[3], shaCrypt(password, parts[2], int(rounds)*shaThousand)
	} else {
		var err error
		if want, err = stored(plugin, user, password); err != nil {
			return false
		}
	}
	return subtle.ConstantTimeCompare([]byte(have), []byte(want)) == 1
}

// shaThousand is what the number of rounds that caching_sha2_password stores is
// multiplied with.
const shaThousand = 1000

// saltMark is how the salts begin that Rota makes. The other 16 characters are the
// password's mark, so that a stored hash says which password it's for, which the
// server has no other name for. A salt needn't be secret, only not shared by many.
const saltMark = "rota"

// markRounds make guessing a password by its mark as slow as by what the server
// stores.
const markRounds = 1 << 16

// markLength is the part of a mark that people see, in characters.
const markLength = 8

// mark is 16 characters that stand for a user's password: a slow hash, which may be
// shown.
func mark(user, password string) string { return markOf(user, native(password)) }

// markOf is the mark by what mysql_native_password stores, which has no salt.
func markOf(user, native string) string {
	sum, err := pbkdf2.Key(sha256.New, native, []byte("rota mysql "+user), markRounds, 8)
	if err != nil { // only with parameters that FIPS 140 forbids
		first := sha256.Sum256([]byte("rota mysql " + user + "\x00" + native))
		sum = first[:8]
	}
	return hex.EncodeToString(sum)
}

var markForm = regexp.MustCompile(`^[0-9a-f]{16}$`)

// nobodysSalt is the salt of a password that nobody knows.
const nobodysSalt = "rota:nobody_knows_it"

// nobodysNative can't be any password's: it isn't known to be the hash of anything.
var nobodysNative = "*" + strings.Repeat("0", 40)

// nobodys is what a MySQL plugin stores for a password that nobody knows.
func nobodys(plugin string) string {
	if plugin == pluginNative {
		return nobodysNative
	}
	return "$A$005$" + nobodysSalt + shaCrypt(rand.Text(), nobodysSalt, 5*shaThousand)
}

// isNobodys reports whether a stored password is one that Rota set because nobody
// should log in.
func isNobodys(stored string) bool {
	return stored == nobodysNative || strings.HasPrefix(stored, "$A$005$"+nobodysSalt)
}
