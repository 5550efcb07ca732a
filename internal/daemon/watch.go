package daemon

import (
	"context"
	"time"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/rotation"
)

// brokenAgain is how often what could not be wired is tried again: a store may
// have been out of reach.
const brokenAgain = time.Minute

// watch wires anew when the configuration's file has changed, or what its
// references stand for: a connection may log in with a secret that Rota itself
// rotates. What is wrong is told of once.
func (d *Daemon) watch(ctx context.Context) error {
	tick := time.NewTicker(d.WatchEvery)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		reread, err := d.refresh(ctx)
		if err == nil {
			told = ""
			if reread {
				d.noteReload(ctx, nil)
			}
		} else if text := err.Error(); text != told && ctx.Err() == nil {
			d.Log.ErrorContext(ctx, leftAsItWas, "error", err)
			d.noteReload(ctx, err)
			told = text
		}
	}
}

// refresh puts a new configuration in place if the one there is no longer holds,
// and tells whether the file was read again for it.
func (d *Daemon) refresh(ctx context.Context) (reread bool, err error) {
	g := d.current.borrow()
	defer g.release()
	if !g.file.Unchanged() {
		return true, d.read(ctx)
	}
	values, err := d.values(ctx, g.file)
	if err != nil {
		return false, err
	}
	if values != g.values || len(g.wired.Broken) > 0 && time.Since(g.since) > brokenAgain {
		return false, d.use(ctx, g.file)
	}
	return false, d.follow(ctx, g.prints)
}

// watched is a secret that can't be worked, for an alert.
func (d *Daemon) watched(secret string) *rotation.Secret {
	g := d.current.borrow()
	defer g.release()
	return g.wired.Watched[secret]
}

// values is a fingerprint of what a file's references stand for.
func (d *Daemon) values(ctx context.Context, file *config.File) (string, error) {
	return file.Values(d.Environment, func(secret string) (string, error) {
		p, err := d.DB.Load(ctx, secret)
		return p.Status.Version, err
	})
}
