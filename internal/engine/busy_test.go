package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota"
)

func TestALeaseIsWaitedForUntilItEndsOrTimeIsUp(t *testing.T) {
	busy, broken := fmt.Errorf("app: %w", rota.ErrBusy), errors.New("down")
	for name, c := range map[string]struct {
		free   time.Duration // when the lease ends
		after  error         // what is answered from then on
		cancel time.Duration // when the caller gives up; 0 for never
		want   error
		within [2]time.Duration
	}{
		"free at once":        {0, nil, 0, nil, [2]time.Duration{0, 0}},
		"fails at once":       {0, broken, 0, broken, [2]time.Duration{0, 0}},
		"free after a while":  {3 * time.Second, nil, 0, nil, [2]time.Duration{3 * time.Second, 5 * time.Second}},
		"never free":          {time.Hour, nil, 0, rota.ErrBusy, [2]time.Duration{8 * time.Second, 10 * time.Second}},
		"the caller gives up": {time.Hour, nil, 2 * time.Second, context.Canceled, [2]time.Duration{2 * time.Second, 2 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.cancel > 0 {
					time.AfterFunc(c.cancel, cancel)
				}
				begun := time.Now()
				err := WhileBusy(ctx, 10*time.Second, func(context.Context) error {
					if time.Since(begun) < c.free {
						return busy
					}
					return c.after
				})
				if took := time.Since(begun); !errors.Is(err, c.want) || took < c.within[0] || took > c.within[1] {
					t.Errorf("%v after %s, want %v", err, took, c.want)
				}
			})
		})
	}
}
