package authn

import (
	"net/netip"
	"sync"
	"time"

	"github.com/rota-dev/rota/internal/access"
)

// openRetryAfter is how long to wait for an open request to end: nobody knows.
const openRetryAfter = 10 * time.Second

// OpenRequests counts the requests that stay open, such as streams. The zero
// value is ready to use. Authenticators that replace one another share it, since
// open requests outlive them.
type OpenRequests struct {
	mu         sync.Mutex
	principals map[string]int
	networks   map[netip.Prefix]int
}

// Hold counts an open request of a caller that Authenticate returned, until
// release is called, once. The error is an [access.LimitError] if the caller's
// principal or address has as many open as allowed.
func (a *Authenticator) Hold(c access.Caller) (release func(), err error) {
	from, _ := netip.ParseAddr(c.From) // invalid without an address, which is one network too
	at, o := Network(from), a.opts.Open
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.principals[c.Principal] >= a.limits.open.Principal || o.networks[at] >= a.limits.open.Address {
		return nil, &access.LimitError{RetryAfter: openRetryAfter, Of: "open streams and long polls"}
	}
	if o.principals == nil {
		o.principals, o.networks = map[string]int{}, map[netip.Prefix]int{}
	}
	o.principals[c.Principal]++
	o.networks[at]++
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		decrement(o.principals, c.Principal)
		decrement(o.networks, at)
	}, nil
}

// MaxConnections is how many connections one address may have.
func (a *Authenticator) MaxConnections() int { return 2 * a.limits.open.Address }

// decrement keeps no zeros, so that the table is as large as what's open.
func decrement[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}
