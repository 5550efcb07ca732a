package rotation_test

import (
	"context"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// remembers is a reloader that notes what it's asked.
type remembers struct {
	rota.Reloader
	asked []rota.ReloadRequest
	held  []rota.HoldersRequest
}

func (r *remembers) Reload(ctx context.Context, req rota.ReloadRequest) error {
	r.asked = append(r.asked, req)
	return r.Reloader.Reload(ctx, req)
}

func (r *remembers) Holders(_ context.Context, req rota.HoldersRequest) ([]rota.Holder, error) {
	r.held = append(r.held, req)
	return nil, nil
}

// What copies a version by itself can't have had it before it was there.
func TestAReloaderIsToldSinceWhenTheVersionIsThere(t *testing.T) {
	b := newBench(t)
	r := &remembers{Reloader: b.reloader}
	b.secret.Reloaders = []rota.Reloader{r}
	b.advance(t, rotation.Options{})
	b.days(90)
	before := b.now
	b.advance(t, rotation.Options{})
	last := func() time.Time { return r.asked[len(r.asked)-1].From }
	if at := last(); at.Before(before) || at.After(b.now) {
		t.Errorf("rotated between %s and %s, it's there since %s", before, b.now, at)
	}
	b.days(95)
	before = b.now
	if _, err := b.rotator.Rollback(t.Context(), b.secret); err != nil {
		t.Fatal(err)
	}
	b.advance(t, rotation.Options{})
	if at := last(); len(r.asked) != 3 || at.Before(before) || at.After(b.now) {
		t.Errorf("rolled back at %s, it's there since %s (%d reloads)", before, at, len(r.asked))
	}
	for _, h := range r.held {
		if h.From.IsZero() || h.From.After(b.now) {
			t.Errorf("asked who holds it: %+v", h)
		}
	}
}
