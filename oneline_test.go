package rota_test

import (
	"testing"

	"github.com/rota-dev/rota"
)

func TestATextOnOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                              "plain",
		"exit status 1: one\ntwo":            "exit status 1: one; two",
		"it said:\r\n\r\n\tthis\n  and that": "it said: this; and that",
	} {
		if got := rota.OneLine(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
