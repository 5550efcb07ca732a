package testenv

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
)

// Load sends requests from that many workers until stop is called, which returns how
// many there were. A request that fails fails the test, and ends its worker.
func Load(t testing.TB, workers int, request func(context.Context) error) (stop func() int64) {
	t.Helper()
	var count atomic.Int64
	ended := make(chan struct{})
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				if err := request(t.Context()); err != nil {
					t.Errorf("after %d requests: %v", count.Load(), err)
					return
				}
				count.Add(1)
			}
		})
	}
	return sync.OnceValue(func() int64 { close(ended); all.Wait(); return count.Load() })
}
