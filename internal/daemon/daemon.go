// Package daemon is rota serve: it keeps all secrets fresh by itself, and
// serves the REST API, the Secrets Manager endpoint, probes and metrics.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/engine/river"
	"github.com/rota-dev/rota/internal/server/metrics"
	"github.com/rota-dev/rota/internal/server/rest"
	"github.com/rota-dev/rota/internal/server/secretsmanager"
	"github.com/rota-dev/rota/internal/server/syslog"
	"github.com/rota-dev/rota/internal/server/tracing"
	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/rotation"
)

// Options configure a daemon.
type Options struct {
	// Load reads the configuration, and returns when the context ends. Required.
	Load func(context.Context) (*config.File, error)
	// Environment resolves the configuration's references. Its OwnStore and
	// Budget are the daemon's.
	Environment config.Environment
	// DB is Rota's own store. Required. The daemon doesn't close it.
	DB *store.DB
	// Database is the URL of the store's PostgreSQL database, for the queue; ""
	// if the store is SQLite.
	Database string
	// Listen, unless "", overrides the configuration's listen address.
	Listen string
	// Version is the program's.
	Version string
	// Log gets everything. Required.
	Log *slog.Logger
	// Tracing, if any, creates the spans. The daemon doesn't stop it.
	Tracing *tracing.Tracing
	// Ready, if any, is called with the address once the daemon accepts requests.
	Ready func(address net.Addr)
	// WatchEvery is how often the configuration file is checked for
	// changes. Defaults to five seconds.
	WatchEvery time.Duration
	// Changed, if any, makes the daemon look for changes at once.
	Changed <-chan struct{}
	// Notify, if any, returns one more notifier for a secret, or nil.
	Notify func(secret string) rota.Notifier
	// SurveyEvery is how often the secrets are counted for the metrics, at most.
	// Defaults to 15 seconds.
	SurveyEvery time.Duration
	// VerifyEvery is how often the audit's chain is verified. Defaults to an hour.
	VerifyEvery time.Duration
	// Limits bound concurrent work.
	Limits engine.Limits
}

// The lease of the daemon's workers. Every write extends it.
const (
	leaseTTL  = time.Minute
	heartbeat = 10 * time.Second
)

// scheduler finds what's due and works on it.
type scheduler interface {
	Run(ctx context.Context) error
	Poke()
	Health() engine.Health
}

// Daemon is a daemon that has been set up.
type Daemon struct {
	Options
	settings       config.ServerSettings
	reloadMu       sync.Mutex // held while another configuration is put in place
	behind         bool       // another replica's configuration is active; guarded by reloadMu
	configurations engine.Generations[*configuration]
	writes         struct { // the last check of whether the store takes writes
		mu  sync.Mutex
		at  time.Time
		err error
	}
	refused   atomic.Pointer[api.RefusedDoc] // why the newest configuration isn't in force
	secrets   *engine.Secrets                // of the current one
	rotator   *rotation.Rotator
	worker    *engine.Worker
	schedule  scheduler
	watchdog  *engine.Watchdog
	keepAlive *engine.KeepAlive
	directory *access.Cache
	auth      auth
	clientCAs *clientCAs // nil without client certificates
	admin     *access.Administration
	endpoint  *secretsmanager.Server
	feed      *rest.Feed
	anchors   *anchors
	metrics   *metrics.Metrics
	survey    *metrics.Survey
	replica   *river.Service // the schedule if replicas share a database; nil otherwise
	jobs      *pgxpool.Pool  // of the queue; nil without one
	queue     http.Handler   // its page
	endQueue  func()
}

// New sets up a daemon, and enrolls the configured secrets. Run starts it.
func New(ctx context.Context, o Options) (_ *Daemon, err error) {
	if o.WatchEvery == 0 {
		o.WatchEvery = 5 * time.Second
	}
	if o.VerifyEvery == 0 {
		o.VerifyEvery = time.Hour
	}
	o.Environment.OwnStore, o.Environment.Outbox = o.DB.Secret, o.DB.Outbox()
	d := &Daemon{Options: o, secrets: &engine.Secrets{}, metrics: metrics.New(o.Version), auth: auth{changed: make(chan struct{}, 1)}}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if err := d.newBudget(ctx); err != nil {
		return nil, err
	}
	d.Environment.Budget = d.metrics.Budget(d.Environment.Budget)
	file, err := o.Load(ctx)
	if err != nil {
		return nil, err
	}
	if d.settings, err = d.serverSettings(ctx, file); err != nil {
		return nil, err
	}
	if d.settings.ClientCAFile != "" {
		if d.clientCAs, err = newClientCAs(d.settings.ClientCAFile, o.Log, time.Now); err != nil {
			return nil, err
		}
	}
	if d.settings.ClientCRLFile != "" {
		if d.clientCAs.crls, err = newClientCRLs(d.settings.ClientCRLFile, o.Log, time.Now); err != nil {
			return nil, rota.WithRemedies(err, rota.Outside("a file with a revocation list from each authority of client_ca, in PEM"))
		}
	}
	if d.directory, err = access.NewCache(d.DB.Directory(), nil); err != nil {
		return nil, err
	}
	if err := d.apply(ctx, file); err != nil {
		return nil, err
	}
	if at, err := o.DB.RestoredAt(ctx); err != nil {
		return nil, err
	} else if !at.IsZero() {
		o.Log.WarnContext(ctx, "the store was restored from a backup: every secret is compared with its issuer before anything is done", "at", at)
	}
	d.rotator = d.newRotator("rota serve")
	d.worker = engine.NewWorker(engine.WorkerOptions{Rotator: d.rotator, Secrets: d.secrets, Limits: o.Limits, Log: o.Log, OnOutcome: d.onOutcome})
	if err := d.newSchedule(ctx); err != nil {
		return nil, err
	}
	d.watchdog = engine.NewWatchdog(engine.WatchdogOptions{
		Rotator: d.newRotator("rota serve, watchdog"), Secrets: d.secrets, Unwired: d.unwired, Overdue: o.DB.Queue(), Health: d.schedule.Health, Log: o.Log,
	})
	d.keepAlive = engine.NewKeepAlive(engine.KeepAliveOptions{
		Rotator: d.newRotator("rota serve, renewals"), Secrets: d.secrets, OpenCircuits: func() []string { return d.worker.Load().OpenCircuits }, Halted: d.halted, Log: o.Log,
	})
	d.newEndpoints()
	d.survey = d.newSurvey()
	d.feed = rest.NewFeed(o.DB.Audit(), 100*time.Millisecond, o.Log)
	if d.anchors, err = newAnchors(ctx, d); err != nil {
		return nil, err
	}
	return d, nil
}

// newBudget creates the call budget per account, for all replicas together if
// they share a database.
func (d *Daemon) newBudget(ctx context.Context) error {
	if d.Database == "" {
		d.Environment.Budget = rota.NewLocalBudget()
		return nil
	}
	pool, err := store.PoolConfig(d.Database)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	if d.jobs, err = pgxpool.NewWithConfig(ctx, pool); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	d.Environment.Budget = store.NewSharedBudget(d.jobs)
	return nil
}

func (d *Daemon) newRotator(actor string) *rotation.Rotator {
	return &rotation.Rotator{Journal: d.DB.Journal(), Now: d.DB.Now, Actor: actor, LeaseTTL: leaseTTL, Heartbeat: heartbeat, Log: d.Log, Trace: d.tracer()}
}

// newSchedule creates the local scheduler or, if replicas share a database,
// one replica of the queue.
func (d *Daemon) newSchedule(ctx context.Context) error {
	if d.Database == "" {
		d.schedule = engine.NewService(engine.ServiceOptions{Worker: d.worker, Queue: d.DB.Queue(), Log: d.Log, Now: d.DB.Now})
		return nil
	}
	if err := river.Migrate(ctx, d.jobs); err != nil {
		return err
	}
	var err error
	d.replica, err = river.New(river.Options{Pool: d.jobs, Worker: d.worker, Queue: d.DB.Queue(), Log: d.Log, Now: d.DB.Now})
	if err != nil {
		return err
	}
	d.schedule = d.replica
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	d.endQueue = end
	d.queue, err = d.replica.UI(life, queuePage)
	return err
}

// newEndpoints creates access management and the Secrets Manager endpoint.
func (d *Daemon) newEndpoints() {
	d.admin = access.NewAdministration(d.directory, d.DB.Audit(), nil)
	d.endpoint = secretsmanager.New(secretsmanager.Options{
		Records: record.Guard(d.DB.Records(), d.DB.Now), Authenticate: d.auth.Authenticate,
		Account: d.settings.Account, Region: d.settings.Region, Functions: d.settings.Functions,
		Managed: d.managed, Rotate: d.rotate, Rotations: d.rotations, Reads: d.noteRead, Tokens: d.DB.PageTokens(), Log: d.Log,
	})
}

// managed reports whether the configuration has a secret.
func (d *Daemon) managed(name string) bool {
	secret, done := d.secrets.Borrow(name)
	defer done()
	return secret != nil
}

// onOutcome is called after every turn.
func (d *Daemon) onOutcome(o engine.Outcome) {
	d.metrics.Turn(o)
	if d.feed != nil {
		d.feed.Poke()
	}
}

// Run serves until ctx ends. Then it stops accepting requests, starts nothing
// new, finishes or releases in-flight work, and returns nil.
func (d *Daemon) Run(ctx context.Context) error {
	defer d.close()
	server, listener, err := d.listen(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.serve(ctx, server, listener) })
	group.Go(func() error { return d.schedule.Run(ctx) })
	group.Go(func() error { return d.watchdog.Run(ctx) })
	group.Go(func() error { return d.keepAlive.Run(ctx) })
	group.Go(func() error { return d.feed.Run(ctx) })
	group.Go(func() error { d.auth.run(ctx); return nil })
	group.Go(func() error { return d.anchors.run(ctx) })
	group.Go(func() error { return d.watchAudit(ctx) })
	group.Go(func() error { return d.survey.Run(ctx) })
	group.Go(func() error { return d.watch(ctx) })
	group.Go(func() error { return d.export(ctx) })
	group.Go(func() error { return d.everyMinute(ctx) })
	group.Go(func() error { return d.listenForReports(ctx) })
	if d.Ready != nil {
		d.Ready(listener.Addr())
	}
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// everyMinute makes the endpoint call due rotation functions, and sends
// digests.
func (d *Daemon) everyMinute(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := d.endpoint.RotateDue(ctx); err != nil && ctx.Err() == nil {
				d.Log.ErrorContext(ctx, "rotation functions", "error", err)
			}
			d.flush(ctx)
		}
	}
}

// flush sends the digests that are due.
func (d *Daemon) flush(ctx context.Context) {
	current, release := d.acquire()
	defer release()
	for _, digest := range current.wired.Digesters {
		if err := digest.Flush(ctx); err != nil && ctx.Err() == nil {
			d.Log.WarnContext(ctx, "digest", "notifier", digest.Name(), "error", err)
		}
	}
}

// export sends the audit where the configuration says.
func (d *Daemon) export(ctx context.Context) error {
	if d.settings.Syslog == "" {
		return nil
	}
	client, err := syslog.New(d.settings.Syslog)
	if err != nil {
		return err
	}
	all := d.feed.Watch("")
	defer all.Stop()
	return syslog.Follow(ctx, client, d.DB.Audit(), all.Changed(), d.Log)
}

func (d *Daemon) close() {
	if d.endpoint != nil {
		d.endpoint.Close()
	}
	if d.endQueue != nil {
		d.endQueue()
	}
	if d.jobs != nil {
		d.jobs.Close()
	}
	d.secrets.Replace(nil, nil)
	d.configurations.End()
}

// operations returns the operations for one caller, on the current configuration.
func (d *Daemon) operations(_ context.Context, c access.Caller) (service.Operations, func(), error) {
	current, release := d.acquire()
	if current == nil {
		return nil, nil, fmt.Errorf("the configuration hasn't been read yet: %w", rota.ErrBusy)
	}
	rewire := func(ctx context.Context) (*config.Wired, error) {
		return d.wire(ctx, current.file, current.fingerprints)
	}
	return &service.Local{
		Refused: d.refused.Load(), Rewire: rewire, File: current.file, Wired: current.wired, DB: d.DB, Rotator: d.rotator, Workers: d.worker, Caller: c, Controls: controls{d}, Anchors: d.anchors.places, Now: d.DB.Now,
	}, release, nil
}
