package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// rewireEvery is how often secrets that could not be wired are retried: a store
// may have been unreachable.
const rewireEvery = time.Minute

// watch rewires when the configuration file or the values of its references
// have changed: a connection may log in with a secret that Rota itself
// rotates. Errors are logged once.
func (d *Daemon) watch(ctx context.Context) error {
	tick := time.NewTicker(d.WatchEvery)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-d.Changed:
		}
		d.checkHistory(ctx)
		reread, err := d.refresh(ctx)
		if err == nil {
			told = ""
			if reread {
				d.auditReload(ctx, nil)
			}
		} else if text := err.Error(); text != told && ctx.Err() == nil {
			d.Log.ErrorContext(ctx, unchangedMessage, "error", err)
			d.auditReload(ctx, err)
			told = text
		}
	}
}

// checkHistory has this replica go by an older state of the database, if the database
// went back to one. A replica that has nothing to write wouldn't notice.
func (d *Daemon) checkHistory(ctx context.Context) {
	if err := d.DB.CheckHistory(ctx); errors.Is(err, store.ErrWentBack) {
		d.Log.ErrorContext(ctx, "the database went back to an older state: secrets are compared with their systems before anything is done for them",
			"hint", "rota audit verify says since when; rota plan shows what was rotated since")
		d.schedule.Poke()
	}
}

// refresh puts a new configuration in place if the current one is outdated, and
// reports whether it read the file again.
func (d *Daemon) refresh(ctx context.Context) (reread bool, err error) {
	current, release := d.acquire()
	defer release()
	if !current.file.Unchanged() {
		return true, d.reload(ctx)
	}
	values, err := d.values(ctx, current.file)
	if err != nil {
		return false, err
	}
	if values != current.values || len(current.wired.Broken) > 0 && time.Since(current.since) > rewireEvery {
		return false, d.apply(ctx, current.file)
	}
	d.noteRefused(ctx, nil) // the file on disk is the one in force
	return false, d.follow(ctx, current.fingerprints)
}

// unwired is a secret that can't be worked on, for an alert.
func (d *Daemon) unwired(secret string) *rotation.Secret {
	current, release := d.acquire()
	defer release()
	return current.wired.Watched[secret]
}

// values is a fingerprint of the values of a file's references.
func (d *Daemon) values(ctx context.Context, file *config.File) (string, error) {
	return file.Values(d.Environment, func(secret string) (string, error) {
		kept, err := d.DB.Journal().Load(ctx, secret)
		return kept.Progress.Status.Version, err
	})
}

// halted returns whether a secret gets no turns because a person paused it or froze all.
func (d *Daemon) halted(ctx context.Context) (func(secret string) bool, error) {
	frozen, err := d.DB.Queue().Frozen(ctx)
	if err != nil {
		return nil, err
	}
	paused, err := d.DB.Queue().Paused(ctx)
	return func(secret string) bool {
		_, found := paused[secret]
		return found || frozen != nil
	}, err
}
