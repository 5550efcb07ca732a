package rota

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Day is 24 hours, the length of a day in policies.
const Day = 24 * time.Hour

// maxDuration is the longest duration ParseDuration accepts: 100 years.
const maxDuration = 36500 * Day

// ParseDuration parses a policy's duration: numbers with units, such as "90d",
// "2w", "1d12h" or "45m". A day is always 24 hours; the other units are those
// of [time.ParseDuration]. Signs and anything over 100 years are rejected.
func ParseDuration(s string) (time.Duration, error) {
	bad := func(why string) (time.Duration, error) {
		return 0, WithRemedies(fmt.Errorf("duration %q: %s", s, why), Configure("", "90d, 2w, 12h, 30m"))
	}
	rest := strings.TrimSpace(s)
	if rest == "" {
		return bad("empty")
	}
	if strings.ContainsAny(rest, "+-") {
		return bad("it has a sign")
	}
	var total time.Duration
	for _, unit := range []struct {
		suffix string
		length time.Duration
	}{{"w", 7 * Day}, {"d", Day}} {
		number, after, found := strings.Cut(rest, unit.suffix)
		if !found {
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil {
			return bad("needs a whole number before " + unit.suffix)
		}
		if n > int(maxDuration/unit.length) {
			return bad("longer than 100 years")
		}
		total += time.Duration(n) * unit.length
		rest = after
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil {
			return bad("not a duration")
		}
		total += d
	}
	if total > maxDuration || total < 0 {
		return bad("longer than 100 years")
	}
	return total, nil
}

// FormatDuration formats a duration the way ParseDuration reads it, in days,
// hours and minutes, leaving out units too small to matter.
func FormatDuration(d time.Duration) string {
	if d < 0 {
		return "-" + FormatDuration(-d)
	}
	switch {
	case d >= 2*Day:
		return fmt.Sprintf("%dd", int(d/Day))
	case d >= Day:
		if h := int((d % Day) / time.Hour); h > 0 {
			return fmt.Sprintf("1d%dh", h)
		}
		return "1d"
	case d >= time.Hour:
		if m := int((d % time.Hour) / time.Minute); m > 0 {
			return fmt.Sprintf("%dh%dm", int(d/time.Hour), m)
		}
		return fmt.Sprintf("%dh", int(d/time.Hour))
	case d >= time.Minute:
		return fmt.Sprintf("%dm", int(d/time.Minute))
	default:
		return d.Round(time.Millisecond).String()
	}
}
