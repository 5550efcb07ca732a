package provider_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

func TestAnAddressIsAPlace(t *testing.T) {
	for text, wrong := range map[string]string{
		"https://api.example.com/v3":      "",
		"http://localhost:8200":           "",
		"http://127.0.0.1":                "",
		"http://[::1]:80/api":             "",
		"http://127.example.com":          "without TLS",
		"http://api.example.com":          "without TLS",
		"https://me:secret@example.com":   "more than a place",
		"https://example.com/?token=abcd": "more than a place",
		"api.example.com":                 "not an address",
		"ftp://example.com":               "not an address",
		"https://":                        "not an address",
	} {
		_, err := provider.ParseAddress(text, "https://example.com")
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%s: %v, want %q", text, err, wrong)
		}
		if err != nil && (len(rota.RemediesOf(err)) == 0 || strings.Contains(err.Error(), text)) {
			t.Errorf("%s: %v, remedies %v: want a remedy, and not what may hold a login", text, err, rota.RemediesOf(err))
		}
	}
}

func TestOneScopeHasOneSpelling(t *testing.T) {
	for _, text := range []string{"https://GitLab.example.com", "https://gitlab.example.com:443/", "https://gitlab.example.com./", "http://gitlab.example.com:80"} {
		if got := provider.ScopeOf(text); got != "gitlab.example.com" {
			t.Errorf("%s: %q", text, got)
		}
	}
	for _, text := range []string{"http://127.0.0.1:15672", "http://localhost:15672/", "http://[::1]:15672"} {
		if got := provider.ScopeOf(text); got != "localhost:15672" {
			t.Errorf("%s: %q", text, got)
		}
	}
	if got := provider.ScopeOf("https://example.com:8443/gitlab/"); got != "example.com:8443/gitlab" {
		t.Errorf("%q", got)
	}
}

func TestAMessageIsNeverCutInsideAWord(t *testing.T) {
	value := "Zq8-" + strings.Repeat("x", 60)
	for before := 300; before < 410; before++ {
		text := strings.Repeat("a", before) + " " + value + " and\r\n\x1b[2Jmore"
		got := provider.Said(text)
		if strings.ContainsAny(got, "\r\n\x1b") {
			t.Fatalf("%q holds control characters", got)
		}
		if rest := rota.Sanitize(errors.New(got), rota.NewCredential(map[string]string{"password": value})).Error(); strings.Contains(rest, "Zq8") {
			t.Fatalf("after %d bytes: %q holds part of the value", before, rest)
		}
	}
}
