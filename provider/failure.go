package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// TimedOut reports whether an error means that no answer came in time.
func TimedOut(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// Plaintext reports whether an error means that what answered a TLS handshake
// doesn't speak TLS.
func Plaintext(err error) bool {
	_, record := errors.AsType[tls.RecordHeaderError](err)
	return record || errors.Is(err, http.ErrSchemeMismatch)
}

// Opaque returns an error with only a text, so that nothing else of err, such as a
// driver's settings, is reached through its chain. The chain holds the sentinel,
// if there is one, or else that the context ended or the time was up, if that's
// what happened.
func Opaque(text string, err, sentinel error) error {
	switch {
	case sentinel != nil:
		return fmt.Errorf("%w: %s", sentinel, text)
	case errors.Is(err, context.Canceled):
		return &ended{text: text, cause: context.Canceled}
	case TimedOut(err):
		return &ended{text: text, cause: context.DeadlineExceeded}
	}
	return errors.New(text)
}

// ended is the text for a call that was given up.
type ended struct {
	text  string
	cause error
}

func (e *ended) Error() string { return e.text }
func (e *ended) Unwrap() error { return e.cause }
