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
// rules may have changed. It's only for requests that Authenticate accepted:
// a signature isn't verified again, because that's only possible for a few
// minutes. It counts against no limit. The errors are Authenticate's.
func (a *Authenticator) Recheck(r *http.Request) (access.Caller, error) {
	recheck := func() (access.Caller, error) { return a.authenticate(r, nil) }
	if id, signed := signingKey(r.Header.Get("Authorization")); signed {
		recheck = func() (access.Caller, error) { return a.signedBefore(r.Context(), id) }
	}
	caller, err := recheck()
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
	if from := a.ClientAddress(r); from.IsValid() {
		caller.From = from.String()
	}
	return caller, nil
}

// signedBefore is the caller with a key that has signed the request.
func (a *Authenticator) signedBefore(ctx context.Context, id string) (access.Caller, error) {
	login, _, err := a.login(ctx, id)
	if err != nil {
		return access.Caller{}, err
	}
	if login == nil {
		return access.Caller{}, fmt.Errorf("key %s was deleted", id)
	}
	return a.keyCaller(*login, "sigv4")
}
