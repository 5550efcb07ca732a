package secretsmanager

import (
	"context"
	"errors"
	"net/http"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/sigv4"
	"github.com/rota-dev/rota/internal/store/record"
)

// Error is an error with AWS's code and message.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func newError(code, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: message}
}

func errInvalidParameter(message string) *Error {
	return newError("InvalidParameterException", message)
}
func errInvalidRequest(message string) *Error { return newError("InvalidRequestException", message) }
func errNotFound(message string) *Error       { return newError("ResourceNotFoundException", message) }
func errLimit(message string) *Error          { return newError("LimitExceededException", message) }
func errSerialization(message string) *Error  { return newError("SerializationException", message) }
func errValidation(message string) *Error     { return newError("ValidationException", message) }

func errThrottled() *Error { return newError("ThrottlingException", "Rate exceeded") }

func errNoSecret() *Error { return errNotFound("Secrets Manager can't find the specified secret.") }

func errUnknownOperation(name string) *Error {
	if name == "" {
		return newError("UnknownOperationException", "There is no Secrets Manager operation in the request's X-Amz-Target.")
	}
	return newError("UnknownOperationException", "The operation "+name+" is not known.")
}

// signatureCodes are AWS's codes for package sigv4's errors.
var signatureCodes = []struct {
	kind error
	code string
}{
	{sigv4.ErrMissing, "MissingAuthenticationTokenException"},
	{sigv4.ErrIncomplete, "IncompleteSignatureException"},
	{sigv4.ErrMismatch, "InvalidSignatureException"},
	{sigv4.ErrSkewed, "InvalidSignatureException"},
	{sigv4.ErrPayload, "InvalidSignatureException"},
	{sigv4.ErrUnknownKey, "UnrecognizedClientException"},
}

// explain turns any error into one of AWS's. Anything unknown is the service's
// own fault: the client learns only that, and the details are logged.
func (s *Server) explain(operation string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if wrong, ok := errors.AsType[*sigv4.Error](err); ok {
		for _, known := range signatureCodes {
			if errors.Is(wrong, known.kind) {
				return newError(known.code, wrong.Message)
			}
		}
	}
	switch {
	case errors.Is(err, access.ErrDenied):
		if errors.Is(err, access.ErrUnrecorded) {
			s.opts.Log.Error("audit", "operation", operation, "error", err)
		}
		return newError("AccessDeniedException", "Not authorized to perform secretsmanager:"+operation+": "+hint.Text(err))
	case errors.Is(err, record.ErrNotFound):
		return errNoSecret()
	case errors.Is(err, access.ErrUnauthenticated):
		return newError("UnrecognizedClientException", "The security token included in the request is invalid: "+hint.Text(access.ErrUnauthenticated))
	case errors.Is(err, access.ErrLimited):
		return errThrottled()
	case errors.Is(err, access.ErrUnavailable):
		return &Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: hint.Text(access.ErrUnavailable)}
	}
	if !errors.Is(err, context.Canceled) {
		s.opts.Log.Error("secrets manager call failed", "operation", operation, "error", err)
	}
	return &Error{Status: http.StatusInternalServerError, Code: "InternalServiceError", Message: "An error occurred on the server side."}
}
