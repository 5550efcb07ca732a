package rota

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
)

// redactValue removes a value from a text, in every form programs usually write
// it: a reloader's program that fails may print the file it reads.
func redactValue(text, value string) string {
	if len(value) < 4 {
		return text // not a secret, and common by chance
	}
	for _, form := range renderings(value) {
		text = strings.ReplaceAll(text, form, redacted)
	}
	return text
}

// renderings are the usual ways to write a value. Base64 and hexadecimal
// are only for values long enough not to occur by chance.
func renderings(value string) []string {
	inner := func(quoted string) string { return quoted[1 : len(quoted)-1] }
	asJSON, _ := json.Marshal(value) // a string: it can't fail
	forms := []string{value, inner(strconv.Quote(value)), inner(string(asJSON)), url.QueryEscape(value), url.PathEscape(value)}
	if len(value) < 8 {
		return forms
	}
	asHex := hex.EncodeToString([]byte(value))
	forms = append(forms, asHex, strings.ToUpper(asHex))
	// Within other text, base64 looks different at each of three offsets;
	// the characters that neighboring bytes change at either end stay.
	for offset := range 3 {
		bits := 8 * (offset + len(value))
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, offset), value...))
			forms = append(forms, text[(8*offset+5)/6:bits/6])
		}
	}
	return forms
}
