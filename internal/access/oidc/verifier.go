package oidc

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
)

const (
	// clockSkew is how far the provider's clock and Rota's may differ.
	clockSkew = 30 * time.Second
	// maxToken is a token's maximum size, in bytes.
	maxToken = 16 << 10
	// maxProofs bounds the remembered proofs, a few kilobytes each.
	maxProofs = 2000
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
	proofs  *lru.Cache[[sha256.Size]byte, *proof]
	now     func() time.Time
}

// proof is a token whose signature was verified. Callers send a token over and
// over, and open requests are rechecked with theirs every second, so the
// signature isn't verified again as long as the issuer's keys are the same.
// Everything else about the token is.
type proof struct {
	issuer    *trustedIssuer
	fetchedAt time.Time // the keys that verified it
	standard  jwt.Claims
	claims    claims
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
	proofs, err := lru.New[[sha256.Size]byte, *proof](maxProofs)
	if err != nil {
		return nil, fmt.Errorf("proofs: %w", err)
	}
	v := &Verifier{issuers: map[string]*trustedIssuer{}, proofs: proofs, now: o.Now}
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
	sum := sha256.Sum256([]byte(token))
	if known, ok := v.proofs.Get(sum); ok && known.issuer.keys.upToDate(known.fetchedAt) {
		return known.caller(v.now())
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
	p, err := i.verify(ctx, parsed)
	if err != nil {
		return access.Caller{}, fmt.Errorf("token of issuer %q: %w", i.Name, err)
	}
	caller, err := p.caller(v.now())
	if err == nil { // so that only those who may use Rota fill the memory
		v.proofs.Add(sum, p)
	}
	return caller, err
}

// verify checks the signature.
func (t *trustedIssuer) verify(ctx context.Context, token *jwt.JSONWebToken) (*proof, error) {
	header := token.Headers[0]
	keys, fetchedAt, err := t.keys.find(ctx, header.KeyID)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.Algorithm != "" && k.Algorithm != header.Algorithm {
			continue
		}
		p := &proof{issuer: t, fetchedAt: fetchedAt}
		if err := token.Claims(k.Key, &p.standard, &p.claims); err == nil {
			return p, nil
		}
	}
	return nil, errors.New("none of the issuer's keys verifies its signature")
}

// caller is who the token proves at a time.
func (p *proof) caller(now time.Time) (access.Caller, error) {
	if err := p.validate(now); err != nil {
		return access.Caller{}, fmt.Errorf("token of issuer %q: %w", p.issuer.Name, err)
	}
	return p.issuer.bind(p.claims)
}

func (p *proof) validate(now time.Time) error {
	if p.standard.Expiry == nil {
		return errors.New("it has no expiry")
	}
	return p.standard.ValidateWithLeeway(jwt.Expected{Issuer: p.issuer.URL, AnyAudience: jwt.Audience{p.issuer.Audience}, Time: now}, clockSkew)
}
