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

// alphabet returns the characters to pick from, and the types of which each must
// occur. A space may occur, but never has to.
func (r *getRandomPasswordRequest) alphabet() (all string, required []string, err error) {
	each := r.RequireEachIncludedType == nil || *r.RequireEachIncludedType
	for _, t := range []struct {
		out, optional bool
		chars         string
	}{
		{r.ExcludeLowercase, false, alphanumeric[26:52]},
		{r.ExcludeUppercase, false, alphanumeric[:26]},
		{r.ExcludeNumbers, false, alphanumeric[52:]},
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
			return "", nil, errInvalidParameter("All characters of the desired type have been excluded.")
		default:
			required = append(required, left)
		}
	}
	if all == "" {
		return "", nil, errInvalidParameter("All characters have been excluded from selection.")
	}
	return all, required, nil
}

type randomPassword struct{ RandomPassword string }

func getRandomPassword(_ context.Context, s *Server, _ *record.Guarded, in *getRandomPasswordRequest) (*randomPassword, error) {
	n := defaultPassword
	if in.PasswordLength != nil {
		n = int(*in.PasswordLength)
	}
	alphabet, types, err := in.alphabet()
	if err != nil {
		return nil, err
	}
	if n < len(types) {
		return nil, errInvalidParameter("Password length is too short based on the required types.")
	}
	password := []byte(s.randomString(alphabet, n))
	// A password that lacks a type is regenerated rather than patched, so that
	// all passwords with every type are equally likely. Only a short one can
	// take many attempts, and is patched in the end.
	for tries := 0; !hasEach(password, types); tries++ {
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
