package postgres

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// prepare is what PostgreSQL and libpq make of a password before they hash it:
// SASLprep, RFC 4013, or the password as it is where SASLprep forbids it. For
// ASCII, of which generated passwords are, it changes nothing. That characters
// newer than Unicode 3.2 are forbidden too is left out: it would matter only
// beside one that is changed.
func prepare(password string) string {
	if !utf8.ValidString(password) || strings.IndexFunc(password, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return password
	}
	prepared := norm.NFKC.String(strings.Map(func(r rune) rune {
		switch {
		case r == 0x200B, r != ' ' && unicode.Is(unicode.Zs, r): // table C.1.2
			return ' '
		case r >= 0xFE00 && r <= 0xFE0F, slices.Contains([]rune{0x00AD, 0x034F, 0x1806, 0x180B, 0x180C, 0x180D, 0x200C, 0x200D, 0x2060, 0xFEFF}, r): // table B.1
			return -1
		}
		return r
	}, password))
	if prepared == "" || strings.ContainsFunc(prepared, prohibited) || !oneDirection(prepared) {
		return password
	}
	return prepared
}

// prohibited tells the characters of tables C.2 to C.9.
func prohibited(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point) ||
		r == 0x0340 || r == 0x0341 || (r >= 0x2FF0 && r <= 0x2FFB) || (r >= 0xFFF9 && r <= 0xFFFD)
}

// oneDirection is RFC 3454's section 6: text that has a letter written from
// right to left begins and ends with one, and has none of the other kind.
func oneDirection(s string) bool {
	toLeft := func(r rune) bool {
		p, _ := bidi.LookupRune(r)
		return p.Class() == bidi.R || p.Class() == bidi.AL
	}
	var right, left bool
	for _, r := range s {
		p, _ := bidi.LookupRune(r)
		right = right || toLeft(r)
		left = left || p.Class() == bidi.L
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	return !right || (!left && toLeft(first) && toLeft(last))
}
