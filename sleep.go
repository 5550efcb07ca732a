package rota

import (
	"context"
	"time"
)

// Sleep waits for d. If ctx is done first, it returns ctx's error. It's how a
// rotation.Rotator waits by default.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
