package rota

import (
	"bytes"
	"crypto/rand"
	"math"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestPasswordRulesThatCannotMakeGoodPasswordsAreRefusedWithAHint(t *testing.T) {
	for _, test := range []struct {
		name  string
		rules PasswordRules
		want  string // part of the error; "" for none
	}{
		{"the zero rules are good", PasswordRules{}, ""},
		{"eleven of 64 characters are enough", PasswordRules{Length: 11}, ""},
		{"ten of 64 characters are too few bits", PasswordRules{Length: 10}, "try: length 11"},
		{"a short alphabet needs a long password", PasswordRules{Length: 16, Alphabet: "01234567"}, "try: length 22"},
		{"hexadecimal digits need no upper case", PasswordRules{Alphabet: "0123456789abcdef"}, ""},
		{"seven characters are too short", PasswordRules{Length: 7}, "not between 8 and 1024"},
		{"a negative length", PasswordRules{Length: -1}, "not between 8 and 1024"},
		{"1025 characters are too long", PasswordRules{Length: 1025}, "not between 8 and 1024"},
		{"a character twice", PasswordRules{Alphabet: "abcdefa"}, "'a' appears twice"},
		{"a blank", PasswordRules{Alphabet: "abc def"}, "not a printable ASCII"},
		{"a line break", PasswordRules{Alphabet: "abc\ndef"}, "not a printable ASCII"},
		{"a letter with an accent", PasswordRules{Alphabet: "abcdé"}, "not a printable ASCII"},
		{"bytes that are no text", PasswordRules{Alphabet: "abc\xff"}, "not a printable ASCII"},
		{"all excluded", PasswordRules{Exclude: PasswordAlphabet}, "0 characters are left"},
		{"all but one excluded", PasswordRules{Alphabet: "abc", Exclude: "bc"}, "1 characters are left"},
		{"excluding what is not there", PasswordRules{Exclude: "@/é"}, ""},
		{"a required class that the alphabet lacks", PasswordRules{Alphabet: "abcdefghijklmnop", Require: []CharacterClass{CharDigit}}, "no digit character"},
		{"an unknown class", PasswordRules{Require: []CharacterClass{"emoji"}}, `no class "emoji"`},
		{"a class required twice", PasswordRules{Require: []CharacterClass{CharSymbol, CharSymbol}}, ""},
		{"no class required", PasswordRules{Require: []CharacterClass{}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.rules.Validate()
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(WithHint(err.Error(), RemediesOf(err), Remedy.String), test.want)):
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			if _, generateErr := test.rules.Generate(nil); (generateErr == nil) != (err == nil) {
				t.Errorf("Generate says %v, Validate says %v", generateErr, err)
			}
			if (test.rules.Bits() > 0) != (err == nil) {
				t.Errorf("%v bits, Validate says %v", test.rules.Bits(), err)
			}
		})
	}
}

func TestDefaultPasswordsNeedNoEscapingAnywhere(t *testing.T) {
	for range 100 {
		password, err := PasswordRules{}.Generate(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(password) != DefaultPasswordLength || strings.ContainsAny(password, "/@\"'\\:;%~- \t$`!#&*?<>|(){}[]^=,+") {
			t.Fatalf("%d characters, or one that means something elsewhere", len(password))
		}
	}
	if bits := (PasswordRules{}).Bits(); bits < 191 || bits > 192 {
		t.Errorf("%v bits, want nearly 192", bits)
	}
}

func TestBitsCountExactlyThePasswordsThatTheRulesAllow(t *testing.T) {
	// Three characters, one of each class: 3*2*1 of 27 passwords are allowed.
	p := passwordPlan{length: 3, alphabet: "aA1", require: []CharacterClass{CharLower, CharUpper, CharDigit}}
	if got, want := p.bits(), math.Log2(6); math.Abs(got-want) > 1e-9 {
		t.Errorf("%v bits, want %v", got, want)
	}
	p.length = 2
	if got := p.bits(); got != 0 {
		t.Errorf("%v bits of no password at all", got)
	}
}

func TestPasswordsKeepTheirRules(t *testing.T) {
	valid := rapid.Custom(drawRules).Filter(func(r PasswordRules) bool { return r.Validate() == nil })
	rapid.Check(t, func(t *rapid.T) {
		rules := valid.Draw(t, "rules")
		seed := [32]byte{}
		copy(seed[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		password, err := rules.Generate(mathrand.NewChaCha8(seed))
		if err != nil {
			t.Fatal(err)
		}
		again, err := rules.Generate(mathrand.NewChaCha8(seed))
		if err != nil || again != password {
			t.Fatalf("the same randomness made another password (%v)", err)
		}
		checkPassword(t, rules, password)
	})
}

func drawRules(t *rapid.T) PasswordRules {
	printable := rapid.RuneFrom(nil, printableASCII)
	return PasswordRules{
		Length:   rapid.IntRange(0, 80).Draw(t, "length"),
		Alphabet: string(rapid.SliceOfNDistinct(printable, 0, 94, rapid.ID[rune]).Draw(t, "alphabet")),
		Exclude:  string(rapid.SliceOfN(printable, 0, 5).Draw(t, "exclude")),
		Require: rapid.SliceOfN(rapid.SampledFrom([]CharacterClass{CharLower, CharUpper, CharDigit, CharSymbol}), 0, 4).
			Draw(t, "require"),
	}
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func checkPassword(t fataler, rules PasswordRules, password string) {
	t.Helper()
	length, alphabet := rules.Length, rules.Alphabet
	if length == 0 {
		length = DefaultPasswordLength
	}
	if alphabet == "" {
		alphabet = PasswordAlphabet
	}
	if len(password) != length {
		t.Fatalf("%d characters, want %d", len(password), length)
	}
	for _, c := range password {
		if !strings.ContainsRune(alphabet, c) || strings.ContainsRune(rules.Exclude, c) {
			t.Fatalf("%q is not allowed", c)
		}
	}
	for _, class := range rules.Require {
		if !slices.ContainsFunc([]byte(password), func(c byte) bool { return characterClass(c) == class }) {
			t.Fatalf("no %s character", class)
		}
	}
}

// A modulo without rejection would make 62 of the 256 bytes' first characters
// likelier by a quarter; the bound is far below that and far above chance.
func TestEveryCharacterIsAsLikelyAsAnother(t *testing.T) {
	rules := PasswordRules{
		Length:   1000,
		Alphabet: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
		Require:  []CharacterClass{},
	}
	random := mathrand.NewChaCha8([32]byte{1})
	counts := map[rune]float64{}
	for range 500 {
		password, err := rules.Generate(random)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range password {
			counts[c]++
		}
	}
	expected := 500 * 1000.0 / float64(len(rules.Alphabet))
	chiSquared := 0.0
	for _, c := range rules.Alphabet {
		chiSquared += (counts[c] - expected) * (counts[c] - expected) / expected
	}
	// 61 degrees of freedom: mean 61, standard deviation 11.
	if chiSquared > 61+5*11 {
		t.Errorf("chi squared is %.0f", chiSquared)
	}
}

func TestARequiredClassIsNotTiedToAPlace(t *testing.T) {
	rules := PasswordRules{Length: 30, Alphabet: "abcdefghijklmnopqrstuvwxyz1", Require: []CharacterClass{CharLower, CharDigit}}
	random := mathrand.NewChaCha8([32]byte{2})
	places := make([]int, 30)
	for range 3000 {
		password, err := rules.Generate(random)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range password {
			if c == '1' {
				places[i]++
			}
		}
	}
	// About 164 expected at each place.
	for i, n := range places {
		if n < 100 || n > 240 {
			t.Errorf("the digit is %d times at place %d", n, i)
		}
	}
}

func TestASourceThatEndsOrIsNotRandomIsAnError(t *testing.T) {
	if _, err := (PasswordRules{}).Generate(bytes.NewReader(make([]byte, 5))); err == nil {
		t.Error("five bytes were enough")
	}
	if _, err := (PasswordRules{}).Generate(zeros{}); err == nil {
		t.Error("zeros were taken for randomness")
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func FuzzPasswordRules(f *testing.F) {
	f.Add(32, "", "", "")
	f.Add(16, "abcdefghijklmnop", "a", "lower")
	f.Add(20, "aA1!bB2?cC3.", "", "lower upper digit symbol")
	f.Add(1024, "ab", "\x00", "")
	f.Fuzz(func(t *testing.T, length int, alphabet, exclude, require string) {
		rules := PasswordRules{Length: length, Alphabet: alphabet, Exclude: exclude}
		for class := range strings.FieldsSeq(require) {
			rules.Require = append(rules.Require, CharacterClass(class))
		}
		invalid := rules.Validate()
		password, err := rules.Generate(rand.Reader)
		if (err == nil) != (invalid == nil) {
			t.Fatalf("Validate says %v, Generate says %v", invalid, err)
		}
		if err == nil {
			checkPassword(t, rules, password)
		}
	})
}

func BenchmarkPassword(b *testing.B) {
	for b.Loop() {
		if _, err := (PasswordRules{}).Generate(nil); err != nil {
			b.Fatal(err)
		}
	}
}

// printableASCII is the characters that an alphabet may have.
var printableASCII = &unicode.RangeTable{R16: []unicode.Range16{{Lo: '!', Hi: '~', Stride: 1}}, LatinOffset: 1}
