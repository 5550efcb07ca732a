package store

import (
	"sync"
	"time"
)

// holderCounts remembers how many leases there are, so that not every new one counts
// thousands of others. The numbers may be a few seconds old, and other replicas add
// to them: the bounds are against running full, and don't have to be exact.
type holderCounts struct {
	mu     sync.Mutex
	counts map[holdersKey]*holderCount
	limits map[string]int // by the query that counts; nil for the usual ones
}

type holdersKey struct{ query, name string }

type holderCount struct {
	n  int
	at time.Time
}

// recountHolders is how long a count is good for.
const recountHolders = 10 * time.Second

// hasRoom reports whether there's room for one more lease, and counts it.
func (db Holders) hasRoom(t *tx, principal, secret string) (bool, error) {
	keys := []holdersKey{{sqlCountOfSecret, secret}, {sqlCountOfPrincipal, principal}}
	for _, k := range keys {
		if db.holders.isRecent(k, t.now) {
			continue
		}
		n, err := t.count(k.query, k.name, db.holders.limit(k.query))
		if err != nil {
			return false, err
		}
		db.holders.keep(k, &holderCount{n, t.now})
	}
	return db.holders.take(keys), nil
}

// isRecent reports whether a count is good enough.
func (c *holderCounts) isRecent(k holdersKey, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.counts[k]
	return one != nil && now.Sub(one.at).Abs() <= recountHolders
}

// take adds one to the counts, if all of them allow it.
func (c *holderCounts) take(keys []holdersKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keys {
		if one := c.counts[k]; one != nil && one.n >= c.limit(k.query) {
			return false
		}
	}
	for _, k := range keys {
		if one := c.counts[k]; one != nil {
			one.n++
		}
	}
	return true
}

func (c *holderCounts) limit(query string) int {
	switch {
	case c.limits != nil:
		return c.limits[query]
	case query == sqlCountOfSecret:
		return maxHoldersOfSecret
	}
	return maxHoldersOfPrincipal
}

// keep keeps a count, and no more than a thousand.
func (c *holderCounts) keep(k holdersKey, one *holderCount) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil || len(c.counts) >= 1000 {
		c.counts = map[holdersKey]*holderCount{}
	}
	c.counts[k] = one
}
