package secretsmanager

import (
	"context"
	"strings"

	"github.com/rota-dev/rota/internal/store/record"
)

const (
	defaultPassword = 32 // characters
	maxPassword     = 4096
	punctuation     = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)

type getRandomPasswordRequest struct {
	PasswordLength          *int64
	ExcludeCharacters       string
	ExcludeNumbers          bool
	ExcludePunctuation      bool
	ExcludeUppercase        bool
	ExcludeLowercase        bool
	IncludeSpace            bool
	RequireEachIncludedType *bool
}

func (r *getRandomPasswordRequest) check() error {
	return firstError(checkRange("passwordLength", r.PasswordLength, 1, maxPassword), checkLength("excludeCharacters", r.ExcludeCharacters, 0, maxPassword))
}

// types returns the character sets to pick from, without excluded characters.
func (r *getRandomPasswordRequest) types() []string {
	var types []string
	for _, t := range []struct {
		out   bool
		chars string
	}{
		{r.ExcludeLowercase, alphanumeric[26:52]},
		{r.ExcludeUppercase, alphanumeric[:26]},
		{r.ExcludeNumbers, alphanumeric[52:]},
		{r.ExcludePunctuation, punctuation},
		{!r.IncludeSpace, " "},
	} {
		left := strings.Map(func(c rune) rune {
			if t.out || strings.ContainsRune(r.ExcludeCharacters, c) {
				return -1
			}
			return c
		}, t.chars)
		if left != "" {
			types = append(types, left)
		}
	}
	return types
}

type randomPassword struct{ RandomPassword string }

func getRandomPassword(_ context.Context, s *Server, _ *record.Guarded, in *getRandomPasswordRequest) (*randomPassword, error) {
	n := defaultPassword
	if in.PasswordLength != nil {
		n = int(*in.PasswordLength)
	}
	types := in.types()
	if len(types) == 0 {
		return nil, errInvalidParameter("The excluded characters leave nothing to generate a password from.")
	}
	each := in.RequireEachIncludedType == nil || *in.RequireEachIncludedType
	if each && n < len(types) {
		return nil, errInvalidParameter("Password length is too short based on the required types.")
	}
	alphabet := strings.Join(types, "")
	password := []byte(s.randomString(alphabet, n))
	// A password that lacks a type is regenerated rather than patched, so that
	// all passwords with every type are equally likely. Only a short one can
	// take many attempts, and is patched in the end.
	for tries := 0; each && !hasEach(password, types); tries++ {
		if password = []byte(s.randomString(alphabet, n)); tries == 1000 {
			s.forceEach(password, types)
		}
	}
	return &randomPassword{string(password)}, nil
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
func (s *Server) forceEach(password []byte, types []string) {
	for i, t := range types {
		password[i] = t[s.randomBelow(len(t))]
	}
	for i := min(len(password), 256) - 1; i > 0; i-- {
		j := s.randomBelow(i + 1)
		password[i], password[j] = password[j], password[i]
	}
}
