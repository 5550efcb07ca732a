package testenv

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
)

// WantError checks an error's class, its sentinel, and the words in it and its hint. It
// must be one line without the secret. Without a sentinel it must not say that a
// credential was refused, which blames the secret for a problem of something else.
func WantError(t testing.TB, err error, class rota.Class, sentinel error, secret string, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one of class %s", class)
	}
	if got := rota.ClassOf(err); got != class {
		t.Errorf("class %s, want %s: %v", got, class, err)
	}
	switch {
	case sentinel != nil && !errors.Is(err, sentinel):
		t.Errorf("want %q in the chain of: %v", sentinel, err)
	case sentinel == nil && errors.Is(err, rota.ErrRefused):
		t.Errorf("a problem of something else is blamed on the secret: %v", err)
	}
	text := hint.Text(err)
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("no %q in: %v", word, text)
		}
	}
	if strings.Contains(text, secret) || strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has a secret or several lines: %q", text)
	}
}

// FindingOf is what a preflight finds for a check whose name holds this.
func FindingOf(t testing.TB, of any, check string) rota.Finding {
	t.Helper()
	findings := of.(rota.Preflighter).Preflight(t.Context())
	for _, f := range findings {
		if strings.Contains(f.Check, check) {
			return f
		}
	}
	t.Fatalf("no finding about %q in %+v", check, findings)
	return rota.Finding{}
}

// Soon is a context for calls that must give up.
func Soon(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// With is a credential with another value in one field.
func With(c rota.Credential, name, value string) rota.Credential {
	fields := c.Fields()
	fields[name] = value
	return rota.NewCredential(fields)
}
