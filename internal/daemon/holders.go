package daemon

import (
	"cmp"
	"context"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/internal/store"
)

// noteRead records that whoever reads a version at the Secrets Manager endpoint holds
// it. What an SDK keeps isn't known, so that counts until the lease expires, and a
// later read adds to it.
func (d *Daemon) noteRead(ctx context.Context, c access.Caller, secret, version string) error {
	current, release := d.acquire()
	within := service.Within(current.file.Policy(secret))
	release()
	_, err := d.DB.Holders().Report(ctx, store.HolderReport{
		Principal: c.Principal, Instance: cmp.Or(c.Key, c.Method) + " from " + cmp.Or(c.From, "this machine"), Adds: true,
		Held: []store.Held{{Secret: secret, Versions: []string{version}, Within: within}},
	})
	return err
}

// listenForReports says over and over that instances can report what they hold. Until
// they could for long enough, no previous credential is retired that waits for them.
func (d *Daemon) listenForReports(ctx context.Context) error {
	tick := time.NewTicker(store.ListenEvery)
	defer tick.Stop()
	for {
		if err := d.DB.Holders().Listen(ctx); err != nil && ctx.Err() == nil {
			d.Log.ErrorContext(ctx, "reports of what instances hold", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
