package rota

import (
	"context"
	"time"
)

// Sleep waits so long, or until ctx ends, whose error it returns then. It is what
// a rotation.Rotator waits with by default.
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
