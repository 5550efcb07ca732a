package awstest

import (
	"errors"
	"net/http"
	"time"

	"github.com/rota-dev/rota/internal/sigv4"
)

// maxSkew is how far a signature's time can be from the machine's clock.
const maxSkew = 15 * time.Minute

// verifier checks the signatures for all servers, so that they share its cache
// of derived keys.
var verifier = sigv4.Verifier{Skew: maxSkew}

// parseSignature reads the signature and checks everything that needs no key.
// Even with an error, it returns what it could parse (the key id, the service)
// for the call's record.
func parseSignature(r *http.Request) (sigv4.Signature, *apiError) {
	s, err := verifier.Read(r)
	return s, signatureError(s.Service, err)
}

// signatureError translates an error of package sigv4 into the code of the
// query services or S3; nil stays nil.
func signatureError(service string, err error) *apiError {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sigv4.ErrMissing):
		return fail(403, codeMissing, err.Error())
	case errors.Is(err, sigv4.ErrIncomplete):
		return fail(400, codeIncomplete, err.Error())
	case errors.Is(err, sigv4.ErrUnknownKey):
		return fail(403, codeUnknown, err.Error())
	case errors.Is(err, sigv4.ErrSkewed) && service == "s3":
		return fail(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
	case errors.Is(err, sigv4.ErrPayload) && service == "s3":
		return fail(400, "XAmzContentSHA256Mismatch", err.Error())
	}
	return fail(403, codeSignature, err.Error())
}
