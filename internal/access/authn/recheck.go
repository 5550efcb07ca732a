package authn

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/rota-dev/rota/internal/access"
)

// Recheck returns who a request is from by now, for requests that stay open: its
// key, token or certificate may have ended since, its principal too, and the
// rules may have changed. accepted is what Authenticate returned for it. What
// has been verified isn't verified again: a signature's time would be over, and
// an access key is the one that Authenticate found. It counts against no limit.
// The errors are Authenticate's.
func (a *Authenticator) Recheck(r *http.Request, accepted access.Caller) (access.Caller, error) {
	caller, err := a.recheck(r, accepted)
	switch {
	case err == nil:
	case r.Context().Err() != nil:
		return access.Caller{}, r.Context().Err()
	case errors.Is(err, access.ErrUnavailable):
		return access.Caller{}, access.ErrUnavailable
	default:
		a.opts.Log.InfoContext(r.Context(), "an open request has ended", "reason", err)
		return access.Caller{}, &failure{err}
	}
	caller.From = accepted.From
	return caller, nil
}

func (a *Authenticator) recheck(r *http.Request, accepted access.Caller) (access.Caller, error) {
	if accepted.Key == "" {
		return a.credential(r).verify(r.Context(), nil) // an ID token or a certificate, which cover no body
	}
	return a.keyAgain(r.Context(), accepted)
}

// keyAgain is the caller with the key that they proved to have.
func (a *Authenticator) keyAgain(ctx context.Context, accepted access.Caller) (access.Caller, error) {
	login, _, err := a.login(ctx, accepted.Key)
	if err != nil {
		return access.Caller{}, err
	}
	if login == nil {
		return access.Caller{}, fmt.Errorf("key %s was deleted", accepted.Key)
	}
	return a.keyCaller(*login, accepted.Method)
}
