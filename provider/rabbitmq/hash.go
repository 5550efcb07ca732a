package rabbitmq

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
)

// saltSize is the size of the salt that RabbitMQ's hashes begin with, in bytes.
const saltSize = 4

// sums are the algorithms that RabbitMQ salts the same way. It has a third, MD5,
// only for passwords from before 3.6.
var sums = map[string]func([]byte) []byte{
	sha256Module:                     func(b []byte) []byte { s := sha256.Sum256(b); return s[:] },
	"rabbit_password_hashing_sha512": func(b []byte) []byte { s := sha512.Sum512(b); return s[:] },
}

const sha256Module = "rabbit_password_hashing_sha256"

// off is what a deactivated user's hash ends with. No password matches a hash that
// is longer than its algorithm's, and without this it's the old one again.
var off = []byte("rota:off")

// stored returns what RabbitMQ stores for a password.
func stored(algorithm, password string) string {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	return base64.StdEncoding.EncodeToString(salted(algorithm, salt, password))
}

func salted(algorithm string, salt []byte, password string) []byte {
	return append(bytes.Clone(salt), sums[algorithm](append(bytes.Clone(salt), password...))...)
}

// matches compares what RabbitMQ stores with a password; known is false if it was
// made in a way that Rota doesn't know.
func matches(a account, password string) (match, known bool) {
	have, err := base64.StdEncoding.DecodeString(a.Hash)
	switch {
	case err != nil:
		return false, false
	case len(have) <= saltSize || bytes.HasSuffix(have, off):
		return false, true
	case sums[a.Algorithm] == nil:
		return false, false
	}
	return subtle.ConstantTimeCompare(have, salted(a.Algorithm, have[:saltSize], password)) == 1, true
}

// inactive reports whether Deactivate has spoiled the hash.
func (a account) inactive() bool {
	have, err := base64.StdEncoding.DecodeString(a.Hash)
	return err == nil && bytes.HasSuffix(have, off)
}

// switched is the hash, spoiled or restored.
func (a account) switched(active bool) string {
	have, err := base64.StdEncoding.DecodeString(a.Hash)
	if err != nil || active != bytes.HasSuffix(have, off) {
		return a.Hash
	}
	if active {
		return base64.StdEncoding.EncodeToString(bytes.TrimSuffix(have, off))
	}
	return base64.StdEncoding.EncodeToString(append(have, off...))
}
