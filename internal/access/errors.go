package access

import (
	"errors"
	"fmt"
	"time"
)

// Errors of a request that is let in no further. They say nothing of why: that
// is in Rota's own log.
var (
	// ErrUnauthenticated: it is not proven who asks.
	ErrUnauthenticated = errors.New("not authenticated (try: a key or token that is valid, and the right clock)")
	// ErrUnavailable: what is needed to tell who asks can't be had now.
	ErrUnavailable = errors.New("who asks can't be checked now (try: again in a few seconds)")
	// ErrLimited: too many requests; as a rule it is a [*LimitError].
	ErrLimited = errors.New("too many requests")
)

// LimitError is [ErrLimited] with the time after which to ask again.
type LimitError struct{ RetryAfter time.Duration }

func (e *LimitError) Error() string {
	return fmt.Sprintf("%v (try: again in %s)", ErrLimited, e.RetryAfter.Round(time.Millisecond))
}

func (e *LimitError) Unwrap() error { return ErrLimited }
