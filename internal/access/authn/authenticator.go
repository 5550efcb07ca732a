package authn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
)

// SigV4 reads a request's AWS signature. It returns the id of the key that the
// signature claims to be made with, and a function that verifies the claim,
// given the body and the key's secret. It handles the clock, the headers that
// must be signed and how long a signature is valid. The id is as sent, and known
// even with some errors.
type SigV4 func(r *http.Request) (keyID string, verify func(body []byte, secret string) error, err error)

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
	// Trust returns an error if the certificate of a connection isn't trusted any
	// more, although the handshake verified it. Defaults to nil: it always is.
	Trust func(*tls.ConnectionState) error
	// Proxies are the ones whose X-Forwarded-For is trusted. Defaults to none.
	Proxies []netip.Prefix
	Limits  Limits           // zero fields have their defaults
	Open    *OpenRequests    // defaults to its own
	Now     func() time.Time // defaults to time.Now
	// Audit, if any, gets entries for failed authentications: at most one a
	// minute per address and key, with an overall limit. So does Log.
	Audit access.Recorder
	Log   *slog.Logger // defaults to slog.Default
}

// Authenticator authenticates callers. Its methods are safe for concurrent use.
type Authenticator struct {
	opts     Options
	limits   *limiter
	failures *failureLog
	uses     keyUses
	outages  rate.Sometimes // when to log that nobody can be authenticated
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
	if o.Open == nil {
		o.Open = &OpenRequests{}
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
	return &Authenticator{opts: o, limits: limits, failures: refusals, dummySecret: access.GenerateSecret(), outages: rate.Sometimes{Interval: outageInterval}}, nil
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
	from, presented := a.ClientAddress(r), a.credential(r)
	proven := a.limits.isProven(from, presented.share)
	if !proven {
		if err := a.limits.address(from, 1); err != nil {
			return access.Caller{}, err
		}
	}
	caller, err := presented.verify(r.Context(), body)
	if err != nil {
		err = a.refused(r, from, presented, err)
		if proven { // earlier, by another request: this one is like any other of its address
			if limited := a.limits.address(from, 1); limited != nil {
				err = limited
			}
		}
		return access.Caller{}, err
	}
	if err := a.limits.prove(from, presented.share); err != nil {
		return access.Caller{}, err
	}
	if from.IsValid() {
		caller.From = from.String()
	}
	if err := a.limits.principal(caller.Principal); err != nil {
		return access.Caller{}, err
	}
	return caller, nil
}

// Admit counts a request that needs no credential against its address's share, as
// that many ordinary ones. The error is an [access.LimitError] if there were too
// many.
func (a *Authenticator) Admit(r *http.Request, as int) error {
	return a.limits.address(a.ClientAddress(r), as)
}

// outageInterval is how often the log says that nobody can be authenticated:
// anyone can send requests.
const outageInterval = 10 * time.Second

// refused is the error to answer with if a credential couldn't be verified, once
// it's counted and noted.
func (a *Authenticator) refused(r *http.Request, from netip.Addr, presented credential, err error) error {
	switch {
	case r.Context().Err() != nil:
		return r.Context().Err()
	case errors.Is(err, access.ErrUnavailable):
		a.outages.Do(func() {
			a.opts.Log.ErrorContext(r.Context(), "callers can't be authenticated", "from", from, "error", err)
		})
		return access.ErrUnavailable
	}
	claimed := unknownPrincipal
	if c, ok := errors.AsType[*claimError](err); ok {
		claimed = c.claimed
	}
	a.failures.record(r, from, claimed, err)
	if !errors.Is(err, errNoCredentials) { // that isn't a guess
		if limited := a.limits.failed(from, presented.keyID); limited != nil {
			return limited
		}
	}
	return &failure{err}
}

// failure is why authentication failed. Its text doesn't say.
type failure struct{ reason error }

func (r *failure) Error() string   { return access.ErrUnauthenticated.Error() }
func (r *failure) Unwrap() []error { return []error{access.ErrUnauthenticated, r.reason} }

var errNoCredentials = errors.New("neither an Authorization header nor a verified client certificate")

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
	return access.Caller{Principal: l.Principal.Name, Rules: l.Principal.Rules, Method: method, Key: l.Key.ID}, nil
}
