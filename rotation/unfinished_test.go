package rotation_test

import (
	"context"
	"testing"
	"time"

	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// A process dies between the call that makes a credential and storing it. Until the
// next ones can know what it did, they say that something is unfinished.
func TestARotationThatDiedIsUnfinishedUntilItGoesOn(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.days(90)
	b.faults.Next("issuer.create", memory.Fault{After: context.Canceled})
	if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err == nil {
		t.Fatal("the answer isn't lost")
	}
	unfinished := 0
	for range 100 {
		res := b.advance(t, rotation.Options{})
		if res.Last.Unfinished != res.Status.Unfinished {
			t.Errorf("the decision says %t, the status %t", res.Last.Unfinished, res.Status.Unfinished)
		}
		if !res.Last.Unfinished && len(res.Done) > 0 {
			break
		}
		unfinished++
		b.now = b.now.Add(time.Second)
	}
	if unfinished == 0 || unfinished == 100 {
		t.Errorf("it was unfinished %d times", unfinished)
	}
}
