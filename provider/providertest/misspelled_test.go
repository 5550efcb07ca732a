package providertest

import (
	"encoding/base64"
	"testing"
)

func TestAMisspelledSignatureIsAnother(t *testing.T) {
	for last := range 4 {
		signature := make([]byte, 256)
		signature[255] = byte(last)
		text := base64.RawURLEncoding.EncodeToString(signature)
		got, err := base64.RawURLEncoding.DecodeString(misspelled(text))
		if err != nil || string(got) == string(signature) {
			t.Errorf("%s is the same signature as %s: %v", misspelled(text)[300:], text[300:], err)
		}
	}
	for _, value := range []string{"a", "x", "xx", "yx", "ab"} {
		if got := misspelled(value); got == value || len(got) != len(value) {
			t.Errorf("%q became %q", value, got)
		}
	}
}
