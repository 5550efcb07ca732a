package cli

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// tellSystemd says how the service is, if systemd wants to know.
func (a *app) tellSystemd(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.log.Warn("systemd can't be told how the service is", "error", err)
	}
}

// watchdog says that the service is alive, as often as systemd wants to hear it.
func (a *app) watchdog(ctx context.Context) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil || limit == 0 {
		return
	}
	go func() {
		tick := time.NewTicker(limit / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				a.tellSystemd(daemon.SdNotifyWatchdog)
			}
		}
	}()
}
