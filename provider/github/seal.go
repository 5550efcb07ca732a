package github

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"

	"golang.org/x/crypto/nacl/box"
)

// publicKey is a place's, for values that are sent there.
type publicKey struct {
	id  string
	key *[32]byte
}

func parseKey(id, text string) (publicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != 32 || id == "" {
		return publicKey{}, errors.New("it isn't a public key")
	}
	return publicKey{id, (*[32]byte)(raw)}, nil
}

// seal encrypts a value so that GitHub alone can read it: libsodium's
// crypto_box_seal, in base64.
func (k publicKey) seal(value string) (string, error) {
	sealed, err := box.SealAnonymous(nil, []byte(value), k.key, rand.Reader)
	return base64.StdEncoding.EncodeToString(sealed), err
}

// maxValue is the longest value that GitHub takes, in bytes.
const maxValue = 48 << 10

// The most secrets and variables that a place has.
const (
	maxOfRepository            = 100
	maxOfOrganization          = 1000
	maxVariablesOfRepository   = 500
	maxVariablesOfEnvironment  = 100
	maxVariablesOfOrganization = 1000
)

// badName says why GitHub has no secret or variable of a name, "" if it may have.
func badName(name string) string {
	switch {
	case name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}):
		return "letters, digits and _"
	case name[0] >= '0' && name[0] <= '9':
		return "a name that doesn't begin with a digit"
	case strings.HasPrefix(strings.ToUpper(name), "GITHUB_"):
		return "a name that doesn't begin with GITHUB_"
	}
	return ""
}
