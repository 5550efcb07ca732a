package rota

import (
	"net/http"
	"strconv"
	"time"
)

// ClassOfStatus is the class of an unsuccessful HTTP response: [ClassWait] if it
// may succeed later, otherwise [ClassStop], as for 410.
func ClassOfStatus(code int) Class {
	switch {
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly, code >= http.StatusInternalServerError:
		return ClassWait
	}
	return ClassStop
}

// RetryAfter reads the Retry-After header: seconds, or a date. It's 0 if
// there is none.
func RetryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
