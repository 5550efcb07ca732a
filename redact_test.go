package rota

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestSanitizeCutsEveryRendering(t *testing.T) {
	const value = `p+A/s<S>&w"o'r\d=%100~`
	c := NewCredential(map[string]string{FieldUsername: "app", FieldPassword: value})
	asJSON, err := json.Marshal(map[string]string{"pw": value})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{
		"as it is": value, "quoted": fmt.Sprintf("%q", value), "JSON": string(asJSON),
		"a query": url.Values{"pw": {value}}.Encode(), "a path": url.PathEscape(value), "hex": fmt.Sprintf("%x", value), "HEX": fmt.Sprintf("%X", value),
	}
	for i := range 6 {
		texts[fmt.Sprint("base64 after ", i)] = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("u", i) + value + "more"))
		texts[fmt.Sprint("base64url after ", i)] = base64.URLEncoding.EncodeToString([]byte(strings.Repeat("u", i) + value))
	}
	for name, text := range texts {
		got := Sanitize(fmt.Errorf("app: %s: %w", text, ErrRefused), c)
		if !strings.Contains(got.Error(), redacted) || !errors.Is(got, ErrRefused) || !strings.HasPrefix(got.Error(), "app: ") {
			t.Errorf("%s: %v", name, got)
		}
		for _, form := range renderings(value) {
			if strings.Contains(got.Error(), form) {
				t.Errorf("%s: %q still holds the value", name, got)
			}
		}
	}
}

func TestSanitizeCutsValuesOutOfACancelledCall(t *testing.T) {
	c := NewCredential(map[string]string{FieldPassword: "hunter-22"})
	got := Sanitize(fmt.Errorf("reload: %w: it said hunter-22", context.Canceled), c)
	if strings.Contains(got.Error(), "hunter") || !errors.Is(got, context.Canceled) {
		t.Errorf("%v", got)
	}
}

func TestSanitizeLeavesOtherErrorsAlone(t *testing.T) {
	err := errors.New("no route to host")
	if got := Sanitize(err, NewCredential(map[string]string{FieldPassword: "hunter-22"}), Credential{}); got != err {
		t.Errorf("%v", got)
	}
}

func TestSanitizeCutsAShortPasswordWhereItStandsAlone(t *testing.T) {
	for _, test := range []struct{ name, password, text, want string }{
		{"in quotes", "red", `near "red": denied`, `near "[redacted]": denied`},
		{"at both ends", "red", "red is not red", "[redacted] is not [redacted]"},
		{"in a longer word", "red", "refused: shared credentials, redis", "refused: shared credentials, redis"},
		{"in a URL", "red", "postgres://app:red@db", "postgres://app:[redacted]@db"},
		{"beside a letter that isn't ASCII", "red", "ä red, äred", "ä [redacted], äred"},
		{"one sign", "!", "wow! wow!!", "wow[redacted] wow[redacted][redacted]"},
		{"a value that is none", "", "denied", "denied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := NewCredential(map[string]string{FieldUsername: "db", FieldPassword: test.password})
			if got := Sanitize(errors.New(test.text), c).Error(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	other := NewCredential(map[string]string{"color": "red"})
	if got := Sanitize(errors.New("red"), other).Error(); got != "red" {
		t.Errorf("a short field that is no password: %q", got)
	}
}
