package sigv4

import "errors"

// Kinds of invalid signatures. Errors of this package wrap one of them.
var (
	ErrMissing    = errors.New("the request is not signed")
	ErrIncomplete = errors.New("the signature is malformed")
	ErrMismatch   = errors.New("the signature is wrong")
	ErrSkewed     = errors.New("the signature's time is too far from now")
	ErrUnknownKey = errors.New("the key is not valid")
	ErrPayload    = errors.New("the body doesn't match its announced hash")
)

// Error is an error with AWS's message. It never contains a secret, or the
// signature that would have been correct.
type Error struct {
	Kind    error // one of the errors above
	Message string
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Kind }

func newError(kind error, message string) error { return &Error{Kind: kind, Message: message} }

// UnknownKey is the error to return from a key lookup if the key doesn't exist,
// isn't active, or belongs to a different session token.
func UnknownKey() error {
	return newError(ErrUnknownKey, "The security token included in the request is invalid.")
}
