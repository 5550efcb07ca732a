package access

import (
	"cmp"
	"errors"
	"time"

	"github.com/rota-dev/rota"
)

// Errors of a request that isn't authenticated. They don't say why: that's in
// Rota's own log.
var (
	// ErrUnauthenticated: the caller's identity isn't proven.
	ErrUnauthenticated = rota.WithRemedies(errors.New("not authenticated"), rota.Outside("a valid key or token, and a correct clock"))
	// ErrUnavailable: authentication depends on something that's unavailable.
	ErrUnavailable = rota.WithRemedies(errors.New("callers can't be authenticated at the moment"), rota.Outside("again in a few seconds"))
	// ErrLimited: too many requests; usually a [*LimitError].
	ErrLimited = errors.New("too many requests")
)

// LimitError is [ErrLimited] with the time after which to retry.
type LimitError struct {
	RetryAfter time.Duration
	Of         string // what there are too many of; defaults to requests
}

// What says what there are too many of.
func (e *LimitError) What() string { return cmp.Or(e.Of, "requests") }

func (e *LimitError) Error() string {
	return "too many " + e.What() + ": the next is let in after " + e.RetryAfter.Round(time.Millisecond).String()
}

func (e *LimitError) Unwrap() error { return ErrLimited }
