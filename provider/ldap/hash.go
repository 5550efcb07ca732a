package ldap

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // RFC 2307's, and what every server knows
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"slices"
	"strings"
	"sync"
)

// Scheme is how a password is hashed.
type Scheme string

// The schemes that Rota hashes with. Its passwords are random, so a scheme that's
// slow on purpose would protect nothing.
const (
	SchemeServer Scheme = ""        // the server hashes, if it can
	SchemeSSHA   Scheme = "ssha"    // salted SHA-1
	Scheme256    Scheme = "ssha256" // salted SHA-2, which takes a module in OpenLDAP
	Scheme512    Scheme = "ssha512"
)

// sums are the hashes that a value can begin with, and whether they're salted.
var sums = map[string]struct {
	new    func() hash.Hash
	salted bool
}{
	"{SSHA}": {sha1.New, true}, "{SSHA256}": {sha256.New, true}, "{SSHA512}": {sha512.New, true},
	"{SHA}": {sha1.New, false}, "{SHA256}": {sha256.New, false}, "{SHA512}": {sha512.New, false},
}

// mark begins the salts of Rota's own values. The credential's id follows, by which
// the value is found again when it's time to remove it.
const mark = "rota"

// The sizes of the part of an id that stands for the password, and of that with the
// rest of the salt, in bytes.
const (
	idSize   = 4
	saltSize = idSize + 8
)

// value is what userPassword holds for a password. It's the same each time, so that
// adding it again adds nothing.
func (s Scheme) value(password string, salt []byte) string {
	name := "{" + strings.ToUpper(string(s)) + "}"
	return name + base64.StdEncoding.EncodeToString(sum(name, password, slices.Concat([]byte(mark), salt)))
}

func sum(name, password string, salt []byte) []byte {
	h := sums[name].new()
	h.Write([]byte(password))
	h.Write(salt)
	return append(h.Sum(nil), salt...)
}

// parse takes a value apart. It's cleartext if it has no scheme.
func parse(value string) (name string, digest, salt []byte, known bool) {
	end := strings.IndexByte(value, '}')
	if !strings.HasPrefix(value, "{") || end < 0 {
		return "", []byte(value), nil, true
	}
	name = strings.ToUpper(value[:end+1])
	s, known := sums[name]
	if !known {
		return name, nil, nil, false
	}
	digest, err := base64.StdEncoding.DecodeString(value[end+1:])
	size := s.new().Size()
	if err != nil || len(digest) < size || !s.salted && len(digest) > size {
		return name, nil, nil, true // no password matches it
	}
	return name, digest, digest[size:], true
}

// matches compares a value with a password; known is false for a scheme that Rota
// doesn't know.
func matches(value, password string) (match, known bool) {
	name, digest, salt, known := parse(value)
	if !known || digest == nil || password == "" {
		return false, known
	}
	if name == "" {
		return subtle.ConstantTimeCompare(digest, []byte(password)) == 1, true
	}
	return subtle.ConstantTimeCompare(digest, sum(name, password, salt)) == 1, true
}

// marked is the salt of a value of Rota's own, without the mark; nil of any other.
func marked(value string) []byte {
	_, _, salt, _ := parse(value)
	rest, ok := bytes.CutPrefix(salt, []byte(mark))
	if !ok || len(rest) != saltSize {
		return nil
	}
	return rest
}

// salts remembers the salts of passwords.
type salts struct{ known sync.Map }

// saltRounds makes guessing a password by its id as slow as by a login.
const saltRounds = 1 << 16

// of is the salt for a password of an entry, from a slow hash of both. Its beginning
// is what stands for the password in an id.
func (s *salts) of(dn, password string) []byte {
	key := sha256.Sum256([]byte(dn + "\x00" + password))
	if salt, ok := s.known.Load(key); ok {
		return salt.([]byte)
	}
	salt, err := pbkdf2.Key(sha256.New, password, []byte("rota ldap "+dn), saltRounds, saltSize)
	if err != nil { // only with parameters that FIPS 140 forbids
		salt = key[:saltSize]
	}
	s.known.Store(key, salt)
	return salt
}

// shown is what stands for a password, by its salt.
func shown(salt []byte) string { return hex.EncodeToString(salt[:idSize]) }
