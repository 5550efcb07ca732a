package access

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/rota-dev/rota/rotation"
)

// CacheTTL is how long a replica trusts what it knows about a key. A key that
// was disabled on one replica works on the others for at most this long; on the
// replica that disabled it, it stops working immediately. Together with the
// second between two looks at an open stream, that's five seconds.
const CacheTTL = 4 * time.Second

// maxCachedLogins bounds memory, at a few hundred bytes each.
const maxCachedLogins = 10_000

// queryTimeout bounds a query, which outlives the request that caused it.
const queryTimeout = 10 * time.Second

// Cache is a [Directory] that caches logins for [CacheTTL], so that a busy
// caller costs no queries, and many requests at once cost one. Unknown keys are
// not cached.
type Cache struct {
	Directory
	now        func() time.Time
	logins     *lru.Cache[string, cached]
	queries    singleflight.Group
	generation atomic.Int64 // of the principals: a result from before a change is not cached
}

type cached struct {
	login Login
	until time.Time
}

// NewCache caches a directory. now defaults to time.Now.
func NewCache(d Directory, now func() time.Time) (*Cache, error) {
	logins, err := lru.New[string, cached](maxCachedLogins)
	if err != nil {
		return nil, fmt.Errorf("cache of keys: %w", err)
	}
	if now == nil {
		now = time.Now
	}
	return &Cache{Directory: d, now: now, logins: logins}, nil
}

// Login returns a key from the cache or the directory.
func (c *Cache) Login(ctx context.Context, keyID string) (Login, error) {
	generation := c.generation.Load()
	if known, _ := c.logins.Get(keyID); c.now().Before(known.until) {
		return known.login, nil
	}
	// Nobody joins a query from before a change that has been made.
	query := c.queries.DoChan(strconv.FormatInt(generation, 10)+" "+keyID, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryTimeout)
		defer cancel()
		return c.query(ctx, keyID, generation)
	})
	select {
	case <-ctx.Done():
		return Login{}, ctx.Err()
	case result := <-query:
		login, _ := result.Val.(Login)
		return login, result.Err
	}
}

// query asks the directory and caches the answer, unless the principals have
// changed since the generation.
func (c *Cache) query(ctx context.Context, keyID string, generation int64) (Login, error) {
	asked := c.now()
	login, err := c.Directory.Login(ctx, keyID)
	if err != nil {
		return Login{}, err
	}
	c.logins.Add(keyID, cached{login: login, until: asked.Add(CacheTTL)})
	if c.generation.Load() != generation {
		c.logins.Remove(keyID)
	}
	return login, nil
}

// Update changes the directory and clears the cache.
func (c *Cache) Update(ctx context.Context, change func(*Change) error, entries ...rotation.Entry) error {
	err := c.Directory.Update(ctx, change, entries...)
	// Even after an error, which may have come after the commit.
	c.generation.Add(1)
	c.logins.Purge()
	return err
}
