package access

import (
	"errors"
	"fmt"
	"time"
)

// Errors of a request that isn't authenticated. They don't say why: that's in
// Rota's own log.
var (
	// ErrUnauthenticated: the caller's identity isn't proven.
	ErrUnauthenticated = errors.New("not authenticated (try: a valid key or token, and a correct clock)")
	// ErrUnavailable: authentication depends on something that's unavailable.
	ErrUnavailable = errors.New("callers can't be authenticated at the moment (try: again in a few seconds)")
	// ErrLimited: too many requests; usually a [*LimitError].
	ErrLimited = errors.New("too many requests")
)

// LimitError is [ErrLimited] with the time after which to retry.
type LimitError struct{ RetryAfter time.Duration }

func (e *LimitError) Error() string {
	return fmt.Sprintf("%v (try: again in %s)", ErrLimited, e.RetryAfter.Round(time.Millisecond))
}

func (e *LimitError) Unwrap() error { return ErrLimited }
