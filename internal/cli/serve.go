package cli

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/rota-dev/rota/internal/daemon"
	"github.com/rota-dev/rota/internal/store"
)

func (a *app) serveCommand() *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Keep all secrets fresh, and serve the API",
		Long: `Runs the daemon: it keeps all secrets of rota.yaml fresh by itself, and serves the
REST API under /v1, the AWS Secrets Manager API at /, /healthz, /readyz and
/metrics.

On one machine it keeps its state in the data folder. With a PostgreSQL database,
any number of replicas share the work: give them all the same --database and the
same master key. Edits to rota.yaml take effect within seconds, or immediately on
SIGHUP. SIGTERM and SIGINT stop the daemon: in-flight work is finished or
released.`,
		Args: noArgs, Annotations: inPlace(placeHere),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.keepServing(c, func(ctx context.Context) error {
				return a.serve(ctx, daemon.Options{Load: a.load, Listen: listen}, nil)
			})
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "the `address` and port to listen on, instead of the one in rota.yaml")
	return c
}

// keepServing runs what goes on until it's stopped, and logs why it ended.
func (a *app) keepServing(c *cobra.Command, do func(ctx context.Context) error) error {
	if a.logLevel == "" && a.environment["ROTA_LOG_LEVEL"] == "" {
		a.logLevel = "info" // the log is all there is to see of a daemon
		if err := a.start(); err != nil {
			return err
		}
	}
	err := a.traced(c.Context(), "", do)
	if err != nil && a.logJSON && !a.json() {
		a.log.ErrorContext(c.Context(), "rota "+c.Name()+" ended", "error", err)
		return silently(codeOf(err))
	}
	return err
}

// serve runs a daemon with these options, and whatever runs beside it.
func (a *app) serve(ctx context.Context, o daemon.Options, beside func(ctx context.Context, d *daemon.Daemon) error) error {
	db, err := a.openServedStore(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	o.Environment.LookupEnv, o.DB, o.Database, o.Version, o.Log, o.Tracing = a.lookupEnv, db, a.databaseURL(), Version, a.log, a.tracing
	o.Ready = func(address net.Addr) { a.listening(ctx, address) }
	d, err := daemon.New(ctx, o)
	if err != nil {
		return refused(err)
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangup:
				d.Reload(ctx)
			}
		}
	}()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.Run(ctx) })
	if beside != nil {
		group.Go(func() error { return beside(ctx, d) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// listening prints where the daemon listens, as a JSON line if the log is
// JSON lines.
func (a *app) listening(ctx context.Context, address net.Addr) {
	if a.logJSON {
		a.log.InfoContext(ctx, "listening", "address", address.String())
		return
	}
	a.note("rota: listening on %s", address)
}

// openServedStore opens the store for the daemon: on PostgreSQL with the
// database's clock, which all replicas share.
func (a *app) openServedStore(ctx context.Context) (*store.DB, error) {
	o, err := a.storeOptions(ctx)
	if err != nil {
		return nil, err
	}
	o.Now, o.Actor = nil, "rota serve"
	db, err := store.Open(ctx, o)
	return db, refused(err)
}
