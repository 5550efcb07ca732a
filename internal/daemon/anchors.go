package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/rota-dev/rota/internal/store/anchor"
)

// anchors writes the audit's signed head to places outside, periodically and at
// shutdown.
type anchors struct {
	d      *Daemon
	places []anchor.Destination

	mu           sync.Mutex
	failingSince map[string]time.Time // since when a place has been failing
}

func newAnchors(ctx context.Context, d *Daemon) (*anchors, error) {
	current, release := d.acquire()
	defer release()
	places, err := current.file.Anchors(ctx, d.Environment)
	return &anchors{d: d, places: places, failingSince: map[string]time.Time{}}, err
}

func (a *anchors) run(ctx context.Context) error {
	if len(a.places) == 0 {
		return nil
	}
	tick := time.NewTicker(a.d.settings.AnchorEvery)
	defer tick.Stop()
	a.put(ctx)
	for {
		select {
		case <-ctx.Done():
			a.put(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			a.put(ctx)
		}
	}
}

// put anchors the current head in all places at once, so that one that doesn't
// answer takes no time from the others. A place that rejects it shows up in the
// log and the metrics.
func (a *anchors) put(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	head, err := a.d.DB.Audit().SignedHead(ctx)
	if err != nil {
		a.d.Log.ErrorContext(ctx, "sign the audit's head", "error", err)
		for _, p := range a.places {
			a.d.metrics.Anchored(p.Name(), 0, err)
		}
		return
	}
	var all sync.WaitGroup
	for _, p := range a.places {
		all.Go(func() { a.putInto(ctx, p, head) })
	}
	all.Wait()
}

func (a *anchors) putInto(ctx context.Context, p anchor.Destination, head anchor.Head) {
	err := p.Put(ctx, head)
	a.d.metrics.Anchored(p.Name(), head.Seq, err)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch since, was := a.failingSince[p.Name()]; {
	case err == nil:
		delete(a.failingSince, p.Name())
	case !was:
		a.failingSince[p.Name()] = time.Now()
		a.d.Log.ErrorContext(ctx, "anchor the audit's head", "place", p.Name(), "error", err)
	default:
		a.d.Log.ErrorContext(ctx, "anchor the audit's head", "place", p.Name(), "since", since, "error", err)
	}
}
