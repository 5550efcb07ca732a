package rota

import (
	"net/http"
	"strconv"
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

// RetryAfter parses the value of a Retry-After header, either seconds or a date.
// It returns 0 if the value is neither, and for a date that has passed.
func RetryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
