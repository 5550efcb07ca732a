package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
)

const (
	// clockSkew is how far the provider's clock and Rota's may differ.
	clockSkew = 30 * time.Second
	// maxToken is a token's maximum size, in bytes.
	maxToken = 16 << 10
)

// algorithms are the asymmetric ones. "none" isn't among them, nor are
// symmetric ones, whose verification key can also sign.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.EdDSA,
}

// Verifier authenticates callers by ID tokens. Its methods are safe for
// concurrent use.
type Verifier struct {
	issuers map[string]*trustedIssuer // by URL
	now     func() time.Time
}

type trustedIssuer struct {
	Issuer
	keys *keySet
}

// Options configure a verifier.
type Options struct {
	Now func() time.Time // defaults to time.Now
	Log *slog.Logger     // defaults to slog.Default
}

// NewVerifier creates a verifier for these issuers' tokens. It makes no
// requests yet: a provider that's down at startup is asked again with the first
// token.
func NewVerifier(issuers []Issuer, o Options) (*Verifier, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	v := &Verifier{issuers: map[string]*trustedIssuer{}, now: o.Now}
	var names []string
	for _, i := range issuers {
		if err := i.Validate(); err != nil {
			return nil, err
		}
		if v.issuers[i.URL] != nil || slices.Contains(names, i.Name) {
			return nil, rota.WithRemedies(fmt.Errorf("issuer %q: its name or url is already used by another", i.Name), rota.Configure("", "one issuer with all the bindings"))
		}
		f, err := newFetcher(i)
		if err != nil {
			return nil, err
		}
		names = append(names, i.Name)
		v.issuers[i.URL] = &trustedIssuer{Issuer: i, keys: &keySet{issuer: i.Name, fetch: f.keys, now: o.Now, log: o.Log}}
	}
	return v, nil
}

// Verify returns the caller that a token proves, without the address. The error
// wraps [access.ErrUnavailable] if the provider's keys are unavailable; any
// other error means that the token proves nothing. Its text is for Rota's own
// log.
func (v *Verifier) Verify(ctx context.Context, token string) (access.Caller, error) {
	if len(token) > maxToken {
		return access.Caller{}, errors.New("the token is too long")
	}
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil || len(parsed.Headers) != 1 {
		return access.Caller{}, errors.New("the token is not a JWT with an accepted algorithm")
	}
	var unproven struct {
		Issuer string `json:"iss"`
	}
	if err := parsed.UnsafeClaimsWithoutVerification(&unproven); err != nil {
		return access.Caller{}, errors.New("the token's claims can't be parsed")
	}
	i := v.issuers[unproven.Issuer]
	if i == nil {
		return access.Caller{}, fmt.Errorf("no issuer with url %.200q is configured", unproven.Issuer)
	}
	c, err := i.verify(ctx, parsed, v.now())
	if err != nil {
		return access.Caller{}, fmt.Errorf("token of issuer %q: %w", i.Name, err)
	}
	return i.bind(c)
}

// verify checks the signature first, then the claims.
func (t *trustedIssuer) verify(ctx context.Context, token *jwt.JSONWebToken, now time.Time) (claims, error) {
	header := token.Headers[0]
	keys, err := t.keys.find(ctx, header.KeyID)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.Algorithm != "" && k.Algorithm != header.Algorithm {
			continue
		}
		var standard jwt.Claims
		var all claims
		if err := token.Claims(k.Key, &standard, &all); err != nil {
			continue
		}
		if standard.Expiry == nil {
			return nil, errors.New("it has no expiry")
		}
		expected := jwt.Expected{Issuer: t.URL, AnyAudience: jwt.Audience{t.Audience}, Time: now}
		if err := standard.ValidateWithLeeway(expected, clockSkew); err != nil {
			return nil, err
		}
		return all, nil
	}
	return nil, errors.New("none of the issuer's keys verifies its signature")
}
