package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
)

// SigV4 verifies AWS's signature of a request with that body, and gives the id
// of the key that it was made with. It asks lookup for the key's secret once it
// knows the id, and gives back lookup's error. The clock, the headers that must
// be signed and the length of time that a signature is good are its affair.
type SigV4 func(r *http.Request, body []byte, lookup func(ctx context.Context, keyID string) (secret string, err error)) (keyID string, err error)

// TokenVerifier verifies id tokens. An error is [access.ErrUnavailable] where it can't
// tell.
type TokenVerifier interface {
	Verify(ctx context.Context, token string) (access.Caller, error)
}

// Options are an authenticator's. Directory is required; what is nil of the
// rest lets nobody in that way.
type Options struct {
	Directory access.Directory // the [access.Cache]
	SigV4     SigV4
	Tokens    TokenVerifier
	Certs     []CertBinding
	// Proxies are those whose X-Forwarded-For is believed. Defaults to none.
	Proxies []netip.Prefix
	Limits  Limits           // what is zero has its default
	Now     func() time.Time // defaults to time.Now
	// Audit, if any, gets an entry of failed authentications: of each address and
	// key one a minute at most, and few of all together.
	Audit access.Recorder
	Log   *slog.Logger // defaults to slog.Default
}

// Authenticator tells callers. Its methods may be called at the same time.
type Authenticator struct {
	opts        Options
	limits   *limiter
	failures *failureLog
	uses     keyUses
	// unknown stands in for the secret of a key that is not there, so that
	// refusing it takes as long.
	dummySecret access.Secret
}

// New makes an authenticator. Run must be running for last uses to be noted.
func New(o Options) (*Authenticator, error) {
	if o.Directory == nil {
		return nil, errors.New("authenticator: no directory given")
	}
	for n, b := range o.Certs {
		if err := b.Validate(); err != nil {
			return nil, fmt.Errorf("certificate binding %d: %w", n+1, err)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	limits, err := newLimiter(o.Limits, o.Now)
	if err != nil {
		return nil, err
	}
	refusals, err := newFailureLog(o)
	if err != nil {
		return nil, err
	}
	return &Authenticator{opts: o, limits: limits, failures: refusals, dummySecret: access.GenerateSecret()}, nil
}

// Authenticate tells who sent the request. body is what was read of its body:
// SigV4 signs it, nothing else needs it.
//
// The error is [access.ErrLimited] for one who asked too often,
// [access.ErrUnavailable] where it can't be told now, the context's where that
// ended, and for all others [access.ErrUnauthenticated], with the same text
// whatever was wrong. What it was is in the log and in the audit, without
// anything secret. The errors of SigV4 can be found in it with errors.As, for
// those who answer in AWS's words: it gets the same for a key that is not there
// as for a wrong secret.
func (a *Authenticator) Authenticate(r *http.Request, body []byte) (access.Caller, error) {
	from := a.ClientAddress(r)
	if err := a.limits.address(from); err != nil {
		return access.Caller{}, err
	}
	caller, err := a.authenticate(r, body)
	switch {
	case err == nil:
	case r.Context().Err() != nil:
		return access.Caller{}, r.Context().Err()
	case errors.Is(err, access.ErrUnavailable):
		a.opts.Log.ErrorContext(r.Context(), "who asks can't be checked", "from", from, "error", err)
		return access.Caller{}, access.ErrUnavailable
	default:
		if !errors.Is(err, errNoCredentials) { // that guesses nothing
			a.limits.failed(from)
		}
		a.opts.Log.InfoContext(r.Context(), "authentication failed", "from", from, "reason", err)
		claimed := unknownPrincipal
		if c, ok := errors.AsType[*claimError](err); ok {
			claimed = c.claimed
		}
		a.failures.record(r, from, claimed, err)
		return access.Caller{}, &failure{err}
	}
	if from.IsValid() {
		caller.From = from.String()
	}
	if err := a.limits.principal(caller.Principal); err != nil {
		return access.Caller{}, err
	}
	return caller, nil
}

// failure is why somebody was not let in. Its text does not say it.
type failure struct{ reason error }

func (r *failure) Error() string   { return access.ErrUnauthenticated.Error() }
func (r *failure) Unwrap() []error { return []error{access.ErrUnauthenticated, r.reason} }

var errNoCredentials = errors.New("neither Authorization nor a verified client certificate")

// authenticate takes the one way that the request chose: an Authorization that is
// wrong is not made good by a certificate.
func (a *Authenticator) authenticate(r *http.Request, body []byte) (access.Caller, error) {
	switch headers := r.Header.Values("Authorization"); len(headers) {
	case 0:
		return a.certificate(r.TLS)
	case 1:
		scheme, rest, _ := strings.Cut(headers[0], " ")
		switch {
		case scheme == "AWS4-HMAC-SHA256":
			return a.signature(r, body)
		case strings.EqualFold(scheme, "Bearer"):
			return a.bearer(r.Context(), strings.TrimSpace(rest))
		}
		return access.Caller{}, errors.New("an Authorization of another kind than AWS4-HMAC-SHA256 and Bearer")
	default:
		return access.Caller{}, errors.New("several Authorization headers")
	}
}

func (a *Authenticator) signature(r *http.Request, body []byte) (access.Caller, error) {
	if a.opts.SigV4 == nil {
		return access.Caller{}, errors.New("signatures are not let in")
	}
	var login *access.Login
	id, err := a.opts.SigV4(r, body, func(ctx context.Context, id string) (string, error) {
		var secret access.Secret
		var err error
		login, secret, err = a.login(ctx, id)
		return secret.Reveal(), err
	})
	if err != nil {
		return access.Caller{}, withClaim(id, fmt.Errorf("signature: %w", err))
	}
	if login == nil || login.Key.ID != id {
		return access.Caller{}, withClaim(id, errors.New("signature: there is no such key"))
	}
	return a.keyCaller(*login, "sigv4")
}

func (a *Authenticator) bearer(ctx context.Context, token string) (access.Caller, error) {
	if !access.IsToken(token) {
		if a.opts.Tokens == nil {
			return access.Caller{}, errors.New("id tokens are not let in")
		}
		return a.opts.Tokens.Verify(ctx, token)
	}
	id, given, ok := access.ParseToken(token)
	if !ok {
		return access.Caller{}, errors.New("a token of Rota's that is cut off or mistyped")
	}
	login, secret, err := a.login(ctx, id)
	if err != nil {
		return access.Caller{}, err
	}
	if same := secret.Equal(given); login == nil || !same {
		return access.Caller{}, withClaim(id, fmt.Errorf("key %s: there is no such key, or its secret is another", id))
	}
	return a.keyCaller(*login, "token")
}

// login gives a key with its secret. For one that is not there, it gives nil
// and a secret that nobody has.
func (a *Authenticator) login(ctx context.Context, id string) (*access.Login, access.Secret, error) {
	if !access.IsKeyID(id) {
		return nil, a.dummySecret, nil
	}
	login, err := a.opts.Directory.Login(ctx, id)
	if errors.Is(err, rota.ErrNotFound) {
		return nil, a.dummySecret, nil
	}
	if err != nil {
		return nil, a.dummySecret, fmt.Errorf("%w: %w", access.ErrUnavailable, err)
	}
	return &login, login.Secret, nil
}

// keyCaller comes after the secret is proven, so that only its holder could
// tell a disabled key from one that is not there.
func (a *Authenticator) keyCaller(l access.Login, method string) (access.Caller, error) {
	now := a.opts.Now()
	var refused error
	switch {
	case l.Key.Disabled:
		refused = fmt.Errorf("key %s is disabled", l.Key.ID)
	case !l.Key.Usable(now):
		refused = fmt.Errorf("key %s has expired", l.Key.ID)
	case l.Principal.Disabled:
		refused = fmt.Errorf("principal %s is disabled", l.Principal.Name)
	}
	if refused != nil {
		return access.Caller{}, withClaim(l.Key.ID, refused)
	}
	a.uses.record(l.Key, now)
	return access.Caller{Principal: l.Principal.Name, Rules: l.Principal.Rules, Method: method}, nil
}
