package rota_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rota-dev/rota"
)

func TestParseDurationReadsWeeksDaysAndTheUsualUnits(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d":         90 * rota.Day,
		"2w":          14 * rota.Day,
		"1w2d":        9 * rota.Day,
		"1d12h":       36 * time.Hour,
		"1w1d1h1m1s":  8*rota.Day + time.Hour + time.Minute + time.Second,
		"45m":         45 * time.Minute,
		"1.5h":        90 * time.Minute,
		"250ms":       250 * time.Millisecond,
		"0":           0,
		"0s":          0,
		"0d":          0,
		" 10d\n":      10 * rota.Day, //nolint:gocritic // the surrounding blanks are what's tested
		"36500d":      36500 * rota.Day,
		"0w0d0h":      0,
		"1d1000000us": rota.Day + time.Second,
	} {
		t.Run(text, func(t *testing.T) {
			got, err := rota.ParseDuration(text)
			if err != nil || got != want {
				t.Errorf("got %v, %v; want %v", got, err, want)
			}
		})
	}
}

func TestParseDurationRefusesWithAHint(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "empty",
		"  ":                    "empty",
		"-1d":                   "sign",
		"1d-2h":                 "sign",
		"+1d":                   "sign",
		"90":                    "not a duration",
		"d":                     "whole number before d",
		"1.5d":                  "whole number before d",
		"1h2d":                  "whole number before d",
		"2d1w":                  "whole number before w",
		"1d 2h":                 "not a duration",
		"90 days":               "whole number before d",
		"1y":                    "not a duration",
		"36501d":                "longer than 100 years",
		"36500d1h":              "longer than 100 years",
		"99999999999999999999d": "whole number before d",
		"5214w36500d2562047h":   "longer than 100 years",
	} {
		t.Run(text, func(t *testing.T) {
			got, err := rota.ParseDuration(text)
			if err == nil {
				t.Fatalf("taken as %v", got)
			}
			if !strings.Contains(err.Error(), want) || len(rota.RemediesOf(err)) == 0 {
				t.Errorf("error %q, want one with %q and a hint", err, want)
			}
		})
	}
}

func TestFormatDurationKeepsWhatMatters(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"90d":    90 * rota.Day,
		"2d":     2*rota.Day + 23*time.Hour,
		"1d12h":  36*time.Hour + 59*time.Minute,
		"1d":     rota.Day + 59*time.Minute,
		"3h5m":   3*time.Hour + 5*time.Minute + 30*time.Second,
		"3h":     3 * time.Hour,
		"59m":    time.Hour - time.Second,
		"1.5s":   1500 * time.Millisecond,
		"0s":     0,
		"-90d":   -90 * rota.Day,
		"-1h30m": -90 * time.Minute,
	} {
		t.Run(want, func(t *testing.T) {
			if got := rota.FormatDuration(d); got != want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// What FormatDuration writes is read back as the same, but for what it leaves
// out: less than a unit of the smaller of the two that it writes.
func TestWhatFormatDurationWritesParseDurationReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(36500*rota.Day)).Draw(t, "duration"))
		text := rota.FormatDuration(d)
		back, err := rota.ParseDuration(text)
		if err != nil {
			t.Fatalf("%v: %q: %v", d, text, err)
		}
		lost := time.Millisecond
		switch {
		case d >= 2*rota.Day:
			lost = rota.Day
		case d >= rota.Day:
			lost = time.Hour
		case d >= time.Minute:
			lost = time.Minute
		}
		if back > d+time.Millisecond || d-back >= lost+time.Millisecond {
			t.Errorf("%v was written as %q and read as %v", d, text, back)
		}
		if again := rota.FormatDuration(back); again != text {
			t.Errorf("%q was read and written as %q", text, again)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"90d", "2w", "1d12h", "-1d", "36500d", "1w2d3h4m5s", "1.5h", "0", "9223372036s", "1d\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := rota.ParseDuration(s)
		if err != nil {
			return
		}
		if d < 0 || d > 36500*rota.Day {
			t.Errorf("%q is %v", s, d)
		}
		text := rota.FormatDuration(d)
		if _, err := rota.ParseDuration(text); err != nil {
			t.Errorf("%q is written as %q: %v", s, text, err)
		}
	})
}
