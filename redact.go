package rota

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// minRedacted is the length in bytes from which a value is taken for a secret. A
// shorter one is likely to appear by chance.
const minRedacted = 4

// redactValue removes a value from a text, in every form that programs commonly
// print. For example, a reload command that fails might print the file it reads.
func redactValue(text, value string) string {
	for _, form := range renderings(value) {
		text = strings.ReplaceAll(text, form, redacted)
	}
	return text
}

// redactWord removes a short value from a text where it isn't part of a longer
// word.
func redactWord(text, value string) string {
	if value == "" {
		return text
	}
	first, _ := utf8.DecodeRuneInString(value)
	last, _ := utf8.DecodeLastRuneInString(value)
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, value)
		if !found {
			out.WriteString(text)
			return out.String()
		}
		out.WriteString(before)
		left, _ := utf8.DecodeLastRuneInString(out.String())
		right, _ := utf8.DecodeRuneInString(after)
		if isWord(left) && isWord(first) || isWord(last) && isWord(right) {
			out.WriteString(value)
		} else {
			out.WriteString(redacted)
		}
		text = after
	}
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// renderings returns the usual ways to print a value. Base64 and hexadecimal are
// included only for values long enough not to appear by chance.
func renderings(value string) []string {
	inner := func(quoted string) string { return quoted[1 : len(quoted)-1] }
	asJSON, _ := json.Marshal(value) // a string: it can't fail
	forms := []string{value, inner(strconv.Quote(value)), inner(string(asJSON)), url.QueryEscape(value), url.PathEscape(value)}
	if len(value) < 8 {
		return forms
	}
	asHex := hex.EncodeToString([]byte(value))
	forms = append(forms, asHex, strings.ToUpper(asHex))
	// If the value is part of a longer encoded text, its base64 depends on
	// which of three offsets it starts at. The characters at either end that
	// also encode neighboring bytes stay.
	for offset := range 3 {
		bits := 8 * (offset + len(value))
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, offset), value...))
			forms = append(forms, text[(8*offset+5)/6:bits/6])
		}
	}
	return forms
}
