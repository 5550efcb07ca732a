package rotation

import (
	"errors"
	"testing"
)

func TestATextForStatusHasOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                              "plain",
		"exit status 1: one\ntwo":            "exit status 1: one; two",
		"it said:\r\n\r\n\tthis\n  and that": "it said: this; and that",
	} {
		if got := oneLine(errors.New(text)); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if got := naming("reload", "orders", errors.New("orders: exit status 1")).Error(); got != "reload orders: exit status 1" {
		t.Errorf("it says %q", got)
	}
	if got := naming("deliver to", "env", errors.New("no such folder")).Error(); got != "deliver to env: no such folder" {
		t.Errorf("it says %q", got)
	}
}
