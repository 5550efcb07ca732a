package authn

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/rota-dev/rota/internal/access"
)

const (
	// useGranularity is how precisely the last use of a key is recorded: each
	// key costs one write per interval, however busy it is.
	useGranularity = time.Hour
	// flushEvery is how often recorded uses are written.
	flushEvery   = time.Minute
	flushTimeout = 10 * time.Second
)

// keyUses collects when keys were used, until that is written.
type keyUses struct {
	mu      sync.Mutex
	pending map[string]time.Time
	written map[string]time.Time // in this hour
}

func (u *keyUses) record(k access.Key, now time.Time) {
	hour := now.UTC().Truncate(useGranularity)
	if !k.UsedAt.Before(hour) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.written[k.ID].Equal(hour) {
		return
	}
	if u.pending == nil {
		u.pending = map[string]time.Time{}
	}
	u.pending[k.ID] = hour
}

// flush writes the recorded uses. Those that couldn't be written are kept for
// the next time.
func (u *keyUses) flush(ctx context.Context, d access.Directory, now time.Time) error {
	u.mu.Lock()
	pending := u.pending
	u.pending = nil
	u.mu.Unlock()
	if len(pending) == 0 {
		return nil
	}
	err := d.MarkUsed(ctx, pending)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		maps.Copy(pending, u.pending) // the later ones win
		u.pending = pending
		return fmt.Errorf("record the last uses of keys: %w", err)
	}
	hour := now.UTC().Truncate(useGranularity)
	maps.DeleteFunc(u.written, func(_ string, at time.Time) bool { return !at.Equal(hour) })
	if u.written == nil {
		u.written = map[string]time.Time{}
	}
	maps.Copy(u.written, pending)
	return nil
}

// Flush writes when keys were last used.
func (a *Authenticator) Flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	return a.uses.flush(ctx, a.opts.Directory, a.opts.Now())
}

// Run writes once a minute when keys were last used, and a last time when the
// context ends. Then it returns.
func (a *Authenticator) Run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		var over bool
		select {
		case <-ctx.Done():
			over = true
		case <-tick.C:
		}
		if err := a.Flush(context.WithoutCancel(ctx)); err != nil {
			a.opts.Log.WarnContext(ctx, "the last uses of keys could not be written yet", "error", err)
		}
		if over {
			return
		}
	}
}
