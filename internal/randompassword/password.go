// Package randompassword generates passwords as Secrets Manager's GetRandomPassword
// does.
package randompassword

import (
	"errors"
	"io"
	"strings"
)

const (
	// DefaultLength is how many characters a password has unless the request says.
	DefaultLength = 32
	// MaxLength is the most that a request may ask for.
	MaxLength = 4096

	// Alphanumeric are the letters and digits: upper case, lower case, digits.
	Alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	punctuation  = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)

// Request is that of GetRandomPassword.
type Request struct {
	PasswordLength          *int64 // DefaultLength if nil; from 1 to MaxLength
	ExcludeCharacters       string
	ExcludeNumbers          bool
	ExcludePunctuation      bool
	ExcludeUppercase        bool
	ExcludeLowercase        bool
	IncludeSpace            bool
	RequireEachIncludedType *bool // true if nil
}

// Generate returns a password. The error is that of InvalidParameterException. It
// crashes if there are no random numbers, as crypto/rand itself does.
func (r *Request) Generate(random io.Reader) (string, error) {
	n := DefaultLength
	if r.PasswordLength != nil {
		n = int(*r.PasswordLength)
	}
	alphabet, types, err := r.alphabet()
	if err != nil {
		return "", err
	}
	if n < len(types) {
		return "", errors.New("Password length is too short based on the required types.") //nolint:staticcheck // AWS's text
	}
	password := []byte(String(random, alphabet, n))
	// A password that lacks a type is regenerated rather than patched, so that
	// all passwords with every type are equally likely. Only a short one can
	// take many attempts, and is patched in the end.
	for tries := 0; !hasEach(password, types); tries++ {
		if password = []byte(String(random, alphabet, n)); tries == 1000 {
			forceEach(random, password, types)
		}
	}
	return string(password), nil
}

// alphabet returns the characters to pick from, and the types of which each must
// occur. A space may occur, but never has to.
func (r *Request) alphabet() (all string, required []string, err error) {
	each := r.RequireEachIncludedType == nil || *r.RequireEachIncludedType
	for _, t := range []struct {
		out, optional bool
		chars         string
	}{
		{r.ExcludeLowercase, false, Alphanumeric[26:52]},
		{r.ExcludeUppercase, false, Alphanumeric[:26]},
		{r.ExcludeNumbers, false, Alphanumeric[52:]},
		{r.ExcludePunctuation, false, punctuation},
		{!r.IncludeSpace, true, " "},
	} {
		if t.out {
			continue
		}
		left := strings.Map(func(c rune) rune {
			if strings.ContainsRune(r.ExcludeCharacters, c) {
				return -1
			}
			return c
		}, t.chars)
		all += left
		switch {
		case !each || t.optional:
		case left == "":
			return "", nil, errors.New("All characters of the desired type have been excluded.") //nolint:staticcheck // AWS's text
		default:
			required = append(required, left)
		}
	}
	if all == "" {
		return "", nil, errors.New("All characters have been excluded from selection.") //nolint:staticcheck // AWS's text
	}
	return all, required, nil
}

func hasEach(password []byte, types []string) bool {
	for _, t := range types {
		if !strings.ContainsAny(string(password), t) {
			return false
		}
	}
	return true
}

// forceEach puts one character of each type at distinct positions.
func forceEach(random io.Reader, password []byte, types []string) {
	for i, t := range types {
		password[i] = t[below(random, len(t))]
	}
	for i := min(len(password), 256) - 1; i > 0; i-- {
		j := below(random, i+1)
		password[i], password[j] = password[j], password[i]
	}
}

// String returns n random characters from an alphabet of at most 256.
func String(random io.Reader, alphabet string, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[below(random, len(alphabet))]
	}
	return string(out)
}

// below is a uniformly distributed random number from 0 to n-1, with n at most 256.
func below(random io.Reader, n int) int {
	var b [1]byte
	limit := 256 - 256%n
	for {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			panic("randompassword: no random numbers: " + err.Error())
		}
		if int(b[0]) < limit {
			return int(b[0]) % n
		}
	}
}
