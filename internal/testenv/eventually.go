package testenv

import (
	"testing"
	"time"
)

// Eventually waits until something is so, and fails the test if it isn't within a
// minute.
func Eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline.C:
			t.Fatal("never: " + what)
		case <-tick.C:
		}
	}
}
