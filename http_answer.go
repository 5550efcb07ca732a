package rota

import (
	"net/http"
	"strconv"
	"time"
)

// ClassOfStatus is the class of an HTTP answer that is no success: [ClassWait] for
// what may go well later, [ClassStop] for the rest, such as 410.
func ClassOfStatus(code int) Class {
	switch {
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly, code >= http.StatusInternalServerError:
		return ClassWait
	}
	return ClassStop
}

// RetryAfter reads the header of that name: seconds, or a date. It is 0 where
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
