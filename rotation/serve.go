package rotation

import (
	"context"
	"errors"
	"fmt"
	"github.com/rota-dev/rota"
	"maps"
	"time"
)

// deliver writes the current credential to every target that does not have it
// yet. One that fails does not stop the others.
func (w *turn) deliver(ctx context.Context, d Decision) error {
	c, err := w.get(ctx, d.Version)
	if err != nil {
		return err
	}
	due := missing(w.state.Targets, w.progress.Versions[d.Version].Delivered)
	if err := w.writeAhead(ctx, d, due...); err != nil {
		return err
	}
	var errs []error
	for _, t := range w.s.Targets {
		if !w.progress.Versions[d.Version].Delivered[t.Name()].IsZero() {
			continue
		}
		err := w.retry(ctx, 3, "target.deliver", t.Name(), func(ctx context.Context) error {
			return t.Deliver(ctx, rota.DeliverRequest{Secret: w.s.Name, Version: d.Version, Credential: c})
		})
		w.noteOutcome(d, t.Name(), err)
		if err != nil {
			errs = append(errs, fmt.Errorf("deliver to %s: %w", t.Name(), err))
			continue
		}
		w.update(d.Version, func(vp *VersionProgress) { vp.Delivered = noted(vp.Delivered, t.Name(), w.Now()) })
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if lastServing(w.state) == rota.StepDeliver {
		return w.markServed(ctx, d.Version)
	}
	return nil
}

// reload makes the consumers take up the current credential, one reloader
// after the other, and waits for each. What a failed reloader would follow is
// not reloaded: the consumers that still run are left alone.
func (w *turn) reload(ctx context.Context, d Decision) error {
	// A reloader's program may print the value that it finds at a target: the
	// sanitiser must know it.
	if _, err := w.get(ctx, d.Version); err != nil {
		return err
	}
	if len(missing(w.state.Reloaders, w.progress.Versions[d.Version].Reloaded)) == 0 {
		// Only the mark is missing, which is an effect of its own.
		if err := w.writeAhead(ctx, d); err != nil {
			return err
		}
	}
	for _, r := range w.s.Reloaders {
		if !w.progress.Versions[d.Version].Reloaded[r.Name()].IsZero() {
			continue
		}
		if err := w.writeAhead(ctx, d, r.Name()); err != nil {
			return err
		}
		if err := w.keep(ctx); err != nil {
			return err
		}
		err := w.traced(ctx, Span{Name: "reloader.reload", Object: r.Name()}, func(ctx context.Context) error {
			return w.alive(ctx, func(ctx context.Context) error {
				return r.Reload(ctx, rota.ReloadRequest{Secret: w.s.Name, Version: d.Version})
			})
		})
		w.noteOutcome(d, r.Name(), err)
		if err != nil {
			return fmt.Errorf("reload %s: %w", r.Name(), err)
		}
		w.update(d.Version, func(vp *VersionProgress) { vp.Reloaded = noted(vp.Reloaded, r.Name(), w.Now()) })
	}
	return w.markServed(ctx, d.Version)
}

// noted adds a name to a copy: the map may be shared with a saved progress.
func noted(m map[string]time.Time, name string, at time.Time) map[string]time.Time {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]time.Time{}
	}
	m[name] = at
	return m
}

// alive runs f and prolongs the lease while it runs. If the lease is lost, f's
// context ends.
func (w *turn) alive(ctx context.Context, f func(context.Context) error) error {
	if w.Heartbeat <= 0 {
		return f(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	progress := w.progress
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(w.Heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := w.Journal.Save(ctx, SaveRequest{Lease: w.lease, Progress: progress}); errors.Is(err, rota.ErrFenced) {
					cancel(err)
					return
				}
			}
		}
	}()
	err := f(ctx)
	lost := context.Cause(ctx)
	cancel(nil)
	<-stopped
	if errors.Is(lost, rota.ErrFenced) {
		return rota.ErrFenced
	}
	return err
}
