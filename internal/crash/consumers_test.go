package crash

import (
	"encoding/json"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/rota-dev/rota"
)

// consumers read the file that the target writes, when they're reloaded. Some are
// late: they hold on to the one before for the whole grace period.
type consumers struct {
	clock func() time.Time
	path  string

	mu     sync.Mutex
	served rota.Credential
	before rota.Credential
	until  time.Time // how long before must work
	gap    bool      // a value was set that ended the old one, and isn't served yet
}

// mayGap records that a value was set that ends the one before.
func (c *consumers) mayGap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gap = true
}

func (c *consumers) reload() error {
	now, err := c.file()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !same(now, c.served) {
		c.before, c.until = c.served, c.clock().Add(policy.DeactivatePreviousAfter)
	}
	c.served, c.gap = now, false
	return nil
}

// holds is what consumers hold, what late ones must still be able to use, and
// whether nothing can be expected to work.
func (c *consumers) holds(overlap bool) (served, late rota.Credential, gap bool) {
	now := c.clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if overlap && now.Before(c.until) {
		late = c.before
	}
	return c.served, late, c.gap
}

// file is the credential in the target, zero if there's no file.
func (c *consumers) file() (rota.Credential, error) {
	text, err := os.ReadFile(c.path)
	if errors.Is(err, os.ErrNotExist) {
		return rota.Credential{}, nil
	}
	if err != nil {
		return rota.Credential{}, err
	}
	var fields map[string]string
	if err := json.Unmarshal(text, &fields); err != nil {
		return rota.Credential{}, err
	}
	return rota.NewCredential(fields), nil
}
