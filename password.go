package rota

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// PasswordAlphabet is what passwords are made of by default: letters, digits,
// "_" and ".", 64 characters or 6 bits each. None of them means anything to a
// URL, a connection string, a shell, YAML or a .env file, wherever in the
// password it stands; "-" (an option) and "~" (a home folder) would at its
// beginning.
const PasswordAlphabet = "abcdefghijklmnopqrstuvwxyz" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "0123456789" + "_."

// The bounds of passwords.
const (
	// DefaultPasswordLength gives 192 bits with the default alphabet.
	DefaultPasswordLength = 32

	minPasswordLength = 8
	maxPasswordLength = 1024
	minPasswordBits   = 64

	// maxPasswordTries bounds how often Generate starts over because a
	// required class is missing. Rules that pass Validate lose most of their
	// tries only with a reader that is not random.
	maxPasswordTries = 100_000
)

// CharacterClass is a kind of characters that a password must have one of.
type CharacterClass string

// The classes. Symbol is every printable character that is no letter or digit.
const (
	CharLower  CharacterClass = "lower"
	CharUpper  CharacterClass = "upper"
	CharDigit  CharacterClass = "digit"
	CharSymbol CharacterClass = "symbol"
)

// PasswordRules say what a generated password looks like. The zero value is
// ready for use.
type PasswordRules struct {
	// Length is how many characters a password has, 8 to 1024. Defaults to 32.
	Length int
	// Alphabet is the characters that it is made of: printable ASCII without
	// blanks, each once. Defaults to PasswordAlphabet.
	Alphabet string
	// Exclude are characters to leave out of the alphabet.
	Exclude string
	// Require are the classes of which each password has at least one
	// character. Nil means lower, upper and digit, as far as the alphabet has
	// them; an empty list means none.
	Require []CharacterClass
}

// Validate says why no password, or only weak ones, can be made by the rules.
func (r PasswordRules) Validate() error {
	_, err := r.plan()
	return err
}

// Bits is the entropy of a password made by the rules, in bits; 0 where they
// are not valid.
func (r PasswordRules) Bits() float64 {
	p, err := r.plan()
	if err != nil {
		return 0
	}
	return p.bits()
}

// Generate makes a password: each one that the rules allow is as likely as
// any other. Randomness is read from random, or from crypto/rand where it is
// nil.
func (r PasswordRules) Generate(random io.Reader) (string, error) {
	p, err := r.plan()
	if err != nil {
		return "", err
	}
	if random == nil {
		random = rand.Reader
	}
	for range maxPasswordTries {
		password, err := p.draw(random)
		if err != nil {
			return "", fmt.Errorf("password: read randomness: %w", err)
		}
		if p.satisfied(password) {
			return string(password), nil
		}
	}
	return "", errors.New("password: the source of randomness is not random")
}

// passwordPlan is rules with their defaults filled in and checked.
type passwordPlan struct {
	length   int
	alphabet string
	require  []CharacterClass
}

func (r PasswordRules) plan() (passwordPlan, error) {
	p := passwordPlan{length: r.Length, alphabet: r.Alphabet}
	if p.length == 0 {
		p.length = DefaultPasswordLength
	}
	if p.length < minPasswordLength || p.length > maxPasswordLength {
		return p, fmt.Errorf("password: length %d is not within %d and %d (try: %d)", r.Length, minPasswordLength, maxPasswordLength, DefaultPasswordLength)
	}
	if p.alphabet == "" {
		p.alphabet = PasswordAlphabet
	}
	seen := [128]bool{}
	for _, c := range p.alphabet {
		if c <= ' ' || c > '~' {
			return p, fmt.Errorf("password: alphabet: %q is no printable ASCII character (try: leave out blanks, control characters and letters with accents)", c)
		}
		if seen[c] {
			return p, fmt.Errorf("password: alphabet: %q is there twice, which would make it likelier than the others", c)
		}
		seen[c] = true
	}
	p.alphabet = strings.Map(func(c rune) rune {
		if strings.ContainsRune(r.Exclude, c) {
			return -1
		}
		return c
	}, p.alphabet)
	if len(p.alphabet) < 2 {
		return p, fmt.Errorf("password: %d characters are left after exclude (try: a larger alphabet, or exclude fewer)", len(p.alphabet))
	}
	if err := p.requireClasses(r.Require); err != nil {
		return p, err
	}
	if bits := p.bits(); bits < minPasswordBits {
		return p, fmt.Errorf("password: %d characters out of %d give %.0f bits, fewer than %d (try: length %d)",
			p.length, len(p.alphabet), math.Floor(max(bits, 0)), minPasswordBits, p.enough())
	}
	return p, nil
}

func (p *passwordPlan) requireClasses(require []CharacterClass) error {
	if require == nil {
		for _, class := range []CharacterClass{CharLower, CharUpper, CharDigit} {
			if p.count(class) > 0 {
				p.require = append(p.require, class)
			}
		}
		return nil
	}
	for _, class := range require {
		switch class {
		case CharLower, CharUpper, CharDigit, CharSymbol:
		default:
			return fmt.Errorf("password: require: no class %q (try: lower, upper, digit, symbol)", class)
		}
		if p.count(class) == 0 {
			return fmt.Errorf("password: require: the alphabet has no %s character (try: add one to the alphabet, or take %s out of require)", class, class)
		}
		if !slices.Contains(p.require, class) {
			p.require = append(p.require, class)
		}
	}
	return nil
}

func characterClass(c byte) CharacterClass {
	switch {
	case c >= 'a' && c <= 'z':
		return CharLower
	case c >= 'A' && c <= 'Z':
		return CharUpper
	case c >= '0' && c <= '9':
		return CharDigit
	default:
		return CharSymbol
	}
}

// count is how many characters of the alphabet are of the class.
func (p passwordPlan) count(class CharacterClass) int {
	n := 0
	for i := range len(p.alphabet) {
		if characterClass(p.alphabet[i]) == class {
			n++
		}
	}
	return n
}

// bits is the logarithm of how many passwords the rules allow: all of the
// length, times the share that has every required class (by inclusion and
// exclusion over the classes that are missing).
func (p passwordPlan) bits() float64 {
	size, length := float64(len(p.alphabet)), float64(p.length)
	share := 0.0
	for missing := range 1 << len(p.require) {
		left, sign := size, 1.0
		for i, class := range p.require {
			if missing&(1<<i) != 0 {
				left -= float64(p.count(class))
				sign = -sign
			}
		}
		share += sign * math.Pow(left/size, length)
	}
	if share <= 0 {
		return 0
	}
	return max(0, length*math.Log2(size)+math.Log2(share))
}

// enough is the smallest length at which the rules are strong enough.
func (p passwordPlan) enough() int {
	for p.length < maxPasswordLength && p.bits() < minPasswordBits {
		p.length++
	}
	return p.length
}

// draw reads random bytes and drops those that would make some characters
// likelier than others.
func (p passwordPlan) draw(random io.Reader) ([]byte, error) {
	size := len(p.alphabet)
	fair := 256 - 256%size
	password := make([]byte, 0, p.length)
	buffer := make([]byte, p.length)
	for len(password) < p.length {
		if _, err := io.ReadFull(random, buffer); err != nil {
			return nil, err
		}
		for _, b := range buffer {
			if int(b) < fair && len(password) < p.length {
				password = append(password, p.alphabet[int(b)%size])
			}
		}
	}
	return password, nil
}

func (p passwordPlan) satisfied(password []byte) bool {
	return !slices.ContainsFunc(p.require, func(class CharacterClass) bool {
		return !slices.ContainsFunc(password, func(c byte) bool { return characterClass(c) == class })
	})
}
