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

// SigV4 verifies a request's AWS signature, given the body, and returns the id
// of the key that signed it. Once it knows the id, it calls lookup for the
// key's secret, and returns lookup's error. It handles the clock, the headers
// that must be signed and how long a signature is valid.
type SigV4 func(r *http.Request, body []byte, lookup func(ctx context.Context, keyID string) (secret string, err error)) (keyID string, err error)

// TokenVerifier verifies ID tokens. An error wraps [access.ErrUnavailable] if a
// token can't be verified at the moment.
type TokenVerifier interface {
	Verify(ctx context.Context, token string) (access.Caller, error)
}

// Options configure an authenticator. Directory is required. A nil method is
// disabled.
type Options struct {
	Directory access.Directory // the [access.Cache]
	SigV4     SigV4
	Tokens    TokenVerifier
	Certs     []CertBinding
	// Proxies are the ones whose X-Forwarded-For is trusted. Defaults to none.
	Proxies []netip.Prefix
	Limits  Limits           // zero fields have their defaults
	Now     func() time.Time // defaults to time.Now
	// Audit, if any, gets entries for failed authentications: at most one a
	// minute per address and key, with an overall limit.
	Audit access.Recorder
	Log   *slog.Logger // defaults to slog.Default
}

// Authenticator authenticates callers. Its methods are safe for concurrent use.
type Authenticator struct {
	opts     Options
	limits   *limiter
	failures *failureLog
	uses     keyUses
	// dummySecret replaces the secret of an unknown key, so that refusing it
	// takes as long.
	dummySecret access.Secret
}

// New creates an authenticator. Run must be running for last uses to be
// recorded.
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

// Authenticate returns who sent the request. body is the request's body, which
// SigV4 covers with its signature.
//
// The error is [access.ErrLimited] for a caller over their rate limit,
// [access.ErrUnavailable] if authentication isn't possible at the moment, the
// context's error if that ended, and otherwise [access.ErrUnauthenticated],
// with the same text whatever was wrong. The reason is in the log and in the
// audit, without secrets. errors.As finds SigV4's own error in it, for servers
// that answer with AWS's codes; an unknown key and a wrong secret look the same
// there.
func (a *Authenticator) Authenticate(r *http.Request, body []byte) (access.Caller, error) {
	from, credential := a.ClientAddress(r), presentedBy(r)
	if err := a.limits.address(from, credential); err != nil {
		return access.Caller{}, err
	}
	caller, err := a.authenticate(r, body)
	switch {
	case err == nil:
	case r.Context().Err() != nil:
		return access.Caller{}, r.Context().Err()
	case errors.Is(err, access.ErrUnavailable):
		a.opts.Log.ErrorContext(r.Context(), "callers can't be authenticated", "from", from, "error", err)
		return access.Caller{}, access.ErrUnavailable
	default:
		var limited error
		if !errors.Is(err, errNoCredentials) { // that isn't a guess
			limited = a.limits.failed(from, claimedKey(r))
		}
		a.opts.Log.InfoContext(r.Context(), "authentication failed", "from", from, "reason", err)
		claimed := unknownPrincipal
		if c, ok := errors.AsType[*claimError](err); ok {
			claimed = c.claimed
		}
		a.failures.record(r, from, claimed, err)
		if limited != nil {
			return access.Caller{}, limited
		}
		return access.Caller{}, &failure{err}
	}
	a.limits.prove(from, credential)
	if from.IsValid() {
		caller.From = from.String()
	}
	if err := a.limits.principal(caller.Principal); err != nil {
		return access.Caller{}, err
	}
	return caller, nil
}

// failure is why authentication failed. Its text doesn't say.
type failure struct{ reason error }

func (r *failure) Error() string   { return access.ErrUnauthenticated.Error() }
func (r *failure) Unwrap() []error { return []error{access.ErrUnauthenticated, r.reason} }

var errNoCredentials = errors.New("neither an Authorization header nor a verified client certificate")

// authenticate uses the one method that the request chose: a certificate
// doesn't make up for an invalid Authorization header.
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
		return access.Caller{}, errors.New("the Authorization scheme is neither AWS4-HMAC-SHA256 nor Bearer")
	default:
		return access.Caller{}, errors.New("several Authorization headers")
	}
}

func (a *Authenticator) signature(r *http.Request, body []byte) (access.Caller, error) {
	if a.opts.SigV4 == nil {
		return access.Caller{}, errors.New("signatures are not accepted")
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
		return access.Caller{}, withClaim(id, errors.New("signature: no such key"))
	}
	return a.keyCaller(*login, "sigv4")
}

func (a *Authenticator) bearer(ctx context.Context, token string) (access.Caller, error) {
	if !access.IsToken(token) {
		if a.opts.Tokens == nil {
			return access.Caller{}, errors.New("ID tokens are not accepted")
		}
		return a.opts.Tokens.Verify(ctx, token)
	}
	id, given, ok := access.ParseToken(token)
	if !ok {
		return access.Caller{}, errors.New("a truncated or mistyped Rota token")
	}
	login, secret, err := a.login(ctx, id)
	if err != nil {
		return access.Caller{}, err
	}
	if same := secret.Equal(given); login == nil || !same {
		return access.Caller{}, withClaim(id, fmt.Errorf("key %s: no such key, or a different secret", id))
	}
	return a.keyCaller(*login, "token")
}

// login returns a key with its secret. For an unknown key, it returns nil and a
// secret that nobody has.
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

// keyCaller runs after the secret is verified, so that only its holder can tell
// a disabled key from an unknown one.
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
