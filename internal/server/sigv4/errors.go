package sigv4

import "errors"

// What is wrong with a signature. The errors of this package wrap one of them.
var (
	ErrMissing    = errors.New("the request is not signed")
	ErrIncomplete = errors.New("the signature has not the right form")
	ErrMismatch   = errors.New("the signature is wrong")
	ErrSkewed     = errors.New("the signature's time is too far from now")
	ErrUnknownKey = errors.New("the key is not valid")
	ErrPayload    = errors.New("the body is not the one that was announced")
)

// Error says what is wrong in AWS's words. It never holds a secret, and never
// the signature that would have been right.
type Error struct {
	Kind    error // one of the errors above
	Message string
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Kind }

func newError(kind error, message string) error { return &Error{Kind: kind, Message: message} }

// UnknownKey is what whoever looks keys up answers for one that there is not,
// or that is not active, or whose session token is another.
func UnknownKey() error {
	return newError(ErrUnknownKey, "The security token included in the request is invalid.")
}
