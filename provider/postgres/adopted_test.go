package postgres

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// odd are passwords that clients prepare in some way before they hash them.
var odd = map[string]string{
	"letters with accents":              "pässwörd-ñ",
	"accents apart from their letters":  "pa\u0308sswo\u0308rd",
	"a ligature":                        "o\ufb03ce-key",
	"wide letters":                      "ｐａｓｓ-1234",
	"a space that does not break":       "pass\u00a0word",
	"a hyphen that is not seen":         "pass\u00adword",
	"emoji":                             "correct-\U0001F40E-battery",
	"letters written from the right":    "סיסמה",
	"letters written in both ways":      "abcסיסמה\ufb01",
	"a control character":               "pass\u0007word\ufb01",
	"quotes and what ends a connection": `p'"\;--$$`,
	"only what is not seen":             "\u00ad\u00ad",
}

// The server makes the verifier of an adopted password from the clear text;
// Rota logs in with it, puts it back with a verifier of its own, and both are
// the same password to the server.
func TestAdoptedPasswordsOfAnyCharactersLogInAndCanBePutBack(t *testing.T) {
	s := shared.Get(t)
	i := func(t *testing.T) (rota.Issuer, rota.Credential, string) {
		name := role(t, s)
		i := must(admin(t, s).Password(PasswordConfig{Role: name}))
		return i, must(i.Create(t.Context(), rota.CreateRequest{})), name
	}
	for what, password := range odd {
		t.Run(what, func(t *testing.T) {
			i, made, name := i(t)
			adopted := testenv.With(made, rota.FieldPassword, password)
			s.Exec(t, "ALTER ROLE "+name+" LOGIN PASSWORD "+literal(password))
			if err := i.Test(t.Context(), rota.TestRequest{Credential: adopted}); err != nil {
				t.Fatalf("as the server hashed it: %v", err)
			}
			rotated := rotate(t, i)
			wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: adopted}), rota.ClassWait, rota.ErrRefused)
			if err := i.Set(t.Context(), rota.SetRequest{Credential: adopted}); err != nil {
				t.Fatalf("put back: %v", err)
			}
			if err := i.Test(t.Context(), rota.TestRequest{Credential: adopted}); err != nil {
				t.Errorf("as Rota hashed it: %v", err)
			}
			wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: rotated}), rota.ClassWait, rota.ErrRefused)
		})
	}
}

// What the server makes of a clear password, and what Rota makes of it, must
// be the same keys: libpq logs in with either.
func TestRotaPreparesPasswordsAsTheServerDoes(t *testing.T) {
	s := shared.Get(t)
	name := role(t, s)
	for what, password := range odd {
		t.Run(what, func(t *testing.T) {
			s.Exec(t, "ALTER ROLE "+name+" PASSWORD "+literal(password))
			wantSameKeys(t, s, name, password)
		})
	}
}

func TestPreparingNeverChangesASCII(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom(nil, &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0, Hi: 0x7f, Stride: 1}}})).Draw(t, "text")
		if got := prepare(text); got != text {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

func FuzzPrepare(f *testing.F) {
	for _, password := range odd {
		f.Add(password)
	}
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, password string) {
		prepared := prepare(password)
		if prepared == "" && password != "" {
			t.Errorf("%q became empty", password)
		}
		if again := prepare(prepared); again != prepared {
			t.Errorf("%q became %q, then %q", password, prepared, again)
		}
		if utf8.ValidString(password) != utf8.ValidString(prepared) || strings.Contains(prepared, "\u00a0") && prepared != password {
			t.Errorf("%q became %q", password, prepared)
		}
	})
}
