package rota

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ClassOfStatus returns the class of an unsuccessful HTTP response: [ClassWait]
// if a retry might succeed, [ClassStop] otherwise, including for 410.
func ClassOfStatus(code int) Class {
	switch {
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly, code >= http.StatusInternalServerError:
		return ClassWait
	}
	return ClassStop
}

// longestRetry is the longest wait that [RetryAfter] returns.
const longestRetry = 365 * Day

// RetryAfter parses the value of a Retry-After header, either seconds, which some
// systems give in fractions, or a date. It returns 0 if the value is neither, and for a
// date that has passed.
func RetryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseFloat(header, 64); err == nil && strings.Trim(header, "0123456789.") == "" {
		return time.Duration(math.Ceil(min(seconds, longestRetry.Seconds()))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(0, at.Sub(now)), longestRetry)
	}
	return 0
}
