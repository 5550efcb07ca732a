package controller

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/config"
)

// Options configure a controller.
type Options struct {
	// Login is the controller's own at its cluster. Required.
	Login *rest.Config
	// Load reads rota.yaml together with resources. Required.
	Load func([]*config.Resource) (*config.Compiled, error)
	// Namespace is that of the controller's own Lease. Required.
	Namespace string
	// Identity tells replicas apart. Required.
	Identity string
	// Log gets everything. Required.
	Log *slog.Logger
	// LeaseLasts is how long a replica may report after it was last heard of.
	// Defaults to 20 seconds. It's renewed four times in that time.
	LeaseLasts time.Duration
	// Gather is how long changes are collected before the configuration is read again.
	// Defaults to half a second.
	Gather time.Duration
	// ReportEvery is how often the secrets' states are looked at. Defaults to a second.
	ReportEvery time.Duration
}

func (o Options) withDefaults() Options {
	o.LeaseLasts = cmp.Or(o.LeaseLasts, 20*time.Second)
	o.Gather = cmp.Or(o.Gather, 500*time.Millisecond)
	o.ReportEvery = cmp.Or(o.ReportEvery, time.Second)
	return o
}

// Daemon is what the controller hands its configurations to.
type Daemon interface {
	// Status returns the configuration in force, and how its secrets stand, by name.
	Status(ctx context.Context) (*config.File, map[string]api.StatusSecretDoc, error)
	// Rotate starts a rotation that somebody asked for. The same token is the same request.
	Rotate(ctx context.Context, secret, token string) error
}

// Controller keeps a daemon's configuration like a cluster's resources, and the
// resources' statuses like the daemon's secrets.
//
// Every replica reads the resources, because every replica works on what is due. Only
// the one with the Lease writes to them.
type Controller struct {
	Options
	client  dynamic.Interface
	elector *elector
	values  *values

	rotatingSecrets, connections, clusterConnections, namespaces *follower

	changes atomic.Int64  // of anything that the configuration is made of
	moved   chan struct{} // after a change
	changed chan struct{} // for the daemon, once changes have been collected

	mu     sync.Mutex
	loaded []*snapshot     // that may come into force, oldest first
	force  *snapshot       // the one in force
	last   map[string]last // the last valid specs, by id
	wrote  map[string]string
}

// New makes a controller. Start and Run are called once each, in this order.
func New(o Options) (*Controller, error) {
	c := &Controller{Options: o.withDefaults(), moved: make(chan struct{}, 1), changed: make(chan struct{}, 1), last: map[string]last{}, wrote: map[string]string{}}
	var err error
	if c.client, err = dynamic.NewForConfig(o.Login); err != nil {
		return nil, fmt.Errorf("log in to the cluster: %w", err)
	}
	c.elector = &elector{client: c.client.Resource(leases).Namespace(o.Namespace), identity: o.Identity, lasts: c.LeaseLasts, every: c.LeaseLasts / 4, log: o.Log}
	return c, nil
}

// Changed gets a value when the daemon has to look for changes.
func (c *Controller) Changed() <-chan struct{} { return c.changed }

// KubernetesSecret returns the value of a Secret's key, for references to it.
func (c *Controller) KubernetesSecret(namespace, name, key string) (string, error) {
	return c.values.get(namespace, name, key)
}

// Start begins to read the resources, and returns once all of them are known. They
// are followed until the context ends.
func (c *Controller) Start(ctx context.Context) error {
	ctx = c.quietly(ctx)
	c.values = &values{ctx: ctx, client: c.client, changed: func() { signal(c.moved) }, followed: map[string]*follower{}}
	spec := func(before, after *unstructured.Unstructured) {
		if before == nil || after == nil || before.GetGeneration() != after.GetGeneration() || (before.GetDeletionTimestamp() == nil) != (after.GetDeletionTimestamp() == nil) {
			c.note()
		}
	}
	var err error
	for _, f := range []struct {
		to      **follower
		changed func(before, after *unstructured.Unstructured)
	}{{&c.rotatingSecrets, spec}, {&c.connections, spec}, {&c.clusterConnections, spec}, {&c.namespaces, c.noteLabels}} {
		of := rotatingSecrets
		switch f.to {
		case &c.connections:
			of = connections
		case &c.clusterConnections:
			of = clusterConnections
		case &c.namespaces:
			of = namespaces
		}
		if *f.to, err = follow(ctx, c.client, of, "", "", f.changed); err != nil {
			return err
		}
	}
	return c.synced(ctx)
}

// synced waits until all objects are known.
func (c *Controller) synced(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	slow := time.NewTimer(10 * time.Second)
	defer slow.Stop()
	for {
		all := true
		for _, f := range []*follower{c.rotatingSecrets, c.connections, c.clusterConnections, c.namespaces} {
			all = all && f.informer.HasSynced()
		}
		if all {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-slow.C:
			c.Log.WarnContext(ctx, "the cluster's resources haven't arrived yet",
				"hint", "apply deploy/kubernetes/crds, and let Rota's service account list and watch rotatingsecrets, connections, clusterconnections and namespaces")
		case <-tick.C:
		}
	}
}

// note notes that something has changed that the configuration is made of.
func (c *Controller) note() {
	c.changes.Add(1)
	signal(c.moved)
}

func (c *Controller) noteLabels(before, after *unstructured.Unstructured) {
	if before == nil || after == nil || fmt.Sprint(before.GetLabels()) != fmt.Sprint(after.GetLabels()) {
		c.note()
	}
}

func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default: // there's one already
	}
}

// Run takes part in the election, tells the daemon of changes, and reports, until the
// context ends.
func (c *Controller) Run(ctx context.Context, d Daemon) error {
	ctx = c.quietly(ctx)
	var group errgroup.Group
	group.Go(func() error { c.elector.run(ctx); return nil })
	group.Go(func() error { c.gather(ctx); return nil })
	group.Go(func() error { c.report(ctx, d); return nil })
	return group.Wait()
}

// gather turns changes that come together into one.
func (c *Controller) gather(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.moved:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(c.Gather):
		}
		select {
		case <-c.moved: // they're all read now
		default:
		}
		signal(c.changed)
	}
}
