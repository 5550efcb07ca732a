package rota_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

// Systems write what they ask for in more ways than the standard has.
func TestHowLongASystemAsksFor(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"30":                   30 * time.Second,
		"\t30":                 30 * time.Second,
		"0.503":                time.Second,
		"1.5":                  2 * time.Second,
		"0":                    0,
		"":                     0,
		"-5":                   0,
		"soon":                 0,
		"inf":                  0,
		"1e9":                  0,
		"99999999999999999999": 365 * rota.Day,
		now.Add(time.Hour).Format(http.TimeFormat):     time.Hour,
		now.Add(-time.Hour).Format(http.TimeFormat):    0,
		now.AddDate(200, 0, 0).Format(http.TimeFormat): 365 * rota.Day,
	} {
		if got := rota.RetryAfter(header, now); got != want {
			t.Errorf("%q: %s, not %s", header, got, want)
		}
	}
}
