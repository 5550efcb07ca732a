package authn

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
)

// Rate is a token bucket: requests per second in the long run, and at once.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Limits are the rate limits of each replica.
type Limits struct {
	Principal Rate // requests of one principal. Defaults to 200/s, 1,000 at once
	Address   Rate // requests from one address. Defaults to 500/s, 2,000 at once
	// Failures are failed authentications from one address with one key id, or
	// without any. Beyond the limit they are answered as too many requests.
	// Valid credentials are never refused because others failed. Defaults to
	// 0.2/s, 20 at once.
	Failures Rate
	// Open are requests that stay open, such as streams, at any one time.
	Open OpenLimits
	// Tracked is how many addresses and principals are tracked; the least
	// recently seen are dropped. Defaults to 20,000 of each.
	Tracked int
}

// OpenLimits are limits on requests that stay open. Each costs memory, and work
// for every event.
type OpenLimits struct {
	Principal int // of one principal. Defaults to 500
	// Address is how many from one address, which may have twice as many
	// connections. Defaults to 1,000.
	Address int
}

// limiter enforces rate limits. An IPv6 /64 counts as one address, because
// anyone who has one can use all of its addresses.
//
// A credential that was proven at an address has its own share there from then
// on. Only requests that prove it again take from that share: a key's id is no
// secret, so whatever merely names it counts for the address.
type limiter struct {
	now        func() time.Time
	open       OpenLimits
	principals *bucketTable[string]
	addresses  *bucketTable[netip.Prefix]
	proven     *bucketTable[provenAt]
	failures   *bucketTable[claimant]
}

// provenAt is a credential with an address where it was proven.
type provenAt struct {
	network netip.Prefix
	share
}

func newLimiter(l Limits, now func() time.Time) (*limiter, error) {
	if l.Tracked == 0 {
		l.Tracked = 20_000
	}
	open := OpenLimits{cmp.Or(l.Open.Principal, 500), cmp.Or(l.Open.Address, 1000)}
	principals, err := newBucketTable[string]("principal", l.Principal, Rate{200, 1000}, l.Tracked)
	if err != nil {
		return nil, err
	}
	addresses, err := newBucketTable[netip.Prefix]("address", l.Address, Rate{500, 2000}, l.Tracked)
	if err != nil {
		return nil, err
	}
	proven, err := newBucketTable[provenAt]("address", l.Address, Rate{500, 2000}, l.Tracked)
	if err != nil {
		return nil, err
	}
	failures, err := newBucketTable[claimant]("failures", l.Failures, Rate{0.2, 20}, l.Tracked)
	if err != nil {
		return nil, err
	}
	return &limiter{now: now, open: open, principals: principals, addresses: addresses, proven: proven, failures: failures}, nil
}

func (l *limiter) principal(name string) error { return take(l.principals.bucket(name), l.now(), 1) }

// address takes some of the address's tokens.
func (l *limiter) address(from netip.Addr, tokens int) error {
	return take(l.addresses.bucket(Network(from)), l.now(), tokens)
}

// isProven reports whether the credential has its own share at the address.
func (l *limiter) isProven(from netip.Addr, s share) bool {
	return l.proven.buckets.Contains(provenAt{Network(from), s})
}

// prove takes one token of the credential's own share at the address, for a
// request that has proven it. The first one creates that share.
func (l *limiter) prove(from netip.Addr, s share) error {
	return take(l.proven.bucket(provenAt{Network(from), s}), l.now(), 1)
}

// failed counts a failure. The error is [access.LimitError] if there were too
// many.
func (l *limiter) failed(from netip.Addr, keyID string) error {
	now, b := l.now(), l.failures.bucket(claimant{Network(from), keyID})
	if b.AllowN(now, 1) {
		return nil
	}
	missing := (1 - b.TokensAt(now)) / float64(b.Limit())
	return &access.LimitError{RetryAfter: time.Duration(missing * float64(time.Second))}
}

func take(b *rate.Limiter, now time.Time, tokens int) error {
	r := b.ReserveN(now, min(tokens, b.Burst()))
	wait := r.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	r.CancelAt(now)
	return &access.LimitError{RetryAfter: wait}
}

// Network is what counts as one address for limits.
func Network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // an invalid address has the zero prefix: all of them together
	return p
}

// bucketTable has a bucket for each of the most recently seen keys.
type bucketTable[K comparable] struct {
	rate    Rate
	buckets *lru.Cache[K, *rate.Limiter]
}

func newBucketTable[K comparable](name string, r, standard Rate, size int) (*bucketTable[K], error) {
	if r == (Rate{}) {
		r = standard
	}
	if r.PerSecond <= 0 || r.Burst < 1 || size < 1 {
		return nil, rota.WithRemedies(fmt.Errorf("limit %s: %v per second, %d at once, %d tracked", name, r.PerSecond, r.Burst, size), rota.Configure("", "values above 0"))
	}
	buckets, err := lru.New[K, *rate.Limiter](size)
	if err != nil {
		return nil, fmt.Errorf("limit %s: %w", name, err)
	}
	return &bucketTable[K]{rate: r, buckets: buckets}, nil
}

func (t *bucketTable[K]) bucket(key K) *rate.Limiter {
	if b, ok := t.buckets.Get(key); ok {
		return b
	}
	b := rate.NewLimiter(rate.Limit(t.rate.PerSecond), t.rate.Burst)
	if earlier, ok, _ := t.buckets.PeekOrAdd(key, b); ok {
		return earlier
	}
	return b
}
