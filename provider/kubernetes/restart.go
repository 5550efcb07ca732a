package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

const (
	defaultTimeout     = 15 * time.Minute
	defaultPoll        = 2 * time.Second
	defaultGather      = 10 * time.Second
	defaultPropagation = 2 * time.Minute
)

// Restart is a reloader: it restarts workloads of a namespace as kubectl rollout restart
// does, and waits until the rollout is complete.
type Restart struct {
	Reloader   string // the reloader's name in rota.yaml
	Connection *Connection
	Namespace  string
	// Secret is the Secret that the workloads read. Without Workloads and Labels, every
	// workload that reads it is restarted. "" if it isn't known.
	Secret string
	// Workloads are those to restart.
	Workloads []Workload
	// Labels select the workloads, as kubectl's --selector.
	Labels string
	// RestartMounted says that workloads that only mount the Secret are restarted, too,
	// instead of waiting for the kubelet.
	RestartMounted bool
	// Propagation is how long it takes until every kubelet has written a new value into
	// the volumes. Defaults to 2 min.
	Propagation time.Duration
	// Gather is how long after the Secret was written to wait for other Secrets of the
	// same workloads, so that one restart serves them all. Defaults to 10 s; negative for
	// none.
	Gather time.Duration
	// ExternalSecret is what keeps the Secret in sync. It's asked to do so at once, by its
	// force-sync annotation. "" to wait until it does so by itself.
	ExternalSecret string
	// Fields are the credential's fields that a Secret of others must hold before it counts
	// as in sync. Defaults to its passwords, keys and tokens.
	Fields []string
	// ByWrite says that such a Secret counts as in sync once it's been written since the
	// version was made, whatever it holds: what it holds may be a hash.
	ByWrite bool
	// Timeout bounds a reload. Defaults to 15 min.
	Timeout time.Duration
	// NoWait says that no pod is waited for before the old credential is retired, nor for
	// what keeps the Secret in sync.
	NoWait bool
	// Poll is how often the cluster is asked how far it is. Defaults to 2 s.
	Poll time.Duration
}

var (
	_ rota.Reloader    = (*Restart)(nil)
	_ rota.Preflighter = (*Restart)(nil)
)

// Name implements [rota.Reloader].
func (r *Restart) Name() string { return r.Reloader }

// delivered is the Secret that's reloaded.
type delivered struct {
	secret secret
	// key and state are what a restart for it is known by.
	key, state string
	// at is when it was written, by the cluster's clock and to the second. If the Secret
	// isn't known, it's when the reload began: it was written before that.
	at time.Time
}

// Reload implements [rota.Reloader]. Called again, it goes on where it was: the
// templates say which restarts there have been.
func (r *Restart) Reload(ctx context.Context, req rota.ReloadRequest) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.Timeout, defaultTimeout))
	defer cancel()
	all, err := r.find(ctx)
	if err != nil {
		return err
	}
	d, err := r.synced(ctx, req)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(w *workload) bool { return r.must(w, d) }) {
		if err := r.gather(ctx, d); err != nil {
			return err
		}
	}
	for _, do := range []func(context.Context, *workload, delivered) error{r.restart, r.wait} {
		for _, w := range all {
			if err := do(ctx, w, d); err != nil && !r.gone(err) {
				return err
			}
		}
	}
	return ctx.Err()
}

// gone reports whether a workload was deleted since it was found. One that rota.yaml
// names should be there.
func (r *Restart) gone(err error) bool {
	return len(r.Workloads) == 0 && errors.Is(err, rota.ErrNotFound)
}

// delivered reads the Secret, if it's known. The cluster has answered before, so its
// clock is known.
func (r *Restart) delivered(ctx context.Context, req rota.ReloadRequest) (delivered, error) {
	if r.Secret == "" {
		return delivered{key: "rota:" + req.Secret, state: req.Version, at: r.Connection.now()}, nil
	}
	s, exists, err := r.Connection.readSecret(ctx, r.Namespace, r.Secret)
	if err != nil {
		return delivered{}, err
	}
	if !exists {
		return delivered{}, r.Connection.refuse("read Secret "+r.Namespace+"/"+r.Secret, rota.Configure("secret", "the Secret that a target, or what syncs it, writes in this namespace"), fmt.Errorf("it isn't there: %w", rota.ErrNotFound))
	}
	d := delivered{secret: s, key: r.Secret, state: s.Metadata.ResourceVersion, at: s.writtenAt()}
	if now := r.Connection.now(); d.at.After(now.Add(skew)) {
		d.at = now
	}
	return d, nil
}

// writtenAt is when the Secret's values were written last.
func (s secret) writtenAt() time.Time {
	at := s.Metadata.CreationTimestamp
	for _, m := range s.Metadata.ManagedFields {
		if len(m.keys("data")) > 0 && m.Time.After(at) {
			at = m.Time
		}
	}
	return at
}

// find is what the reloader is about.
func (r *Restart) find(ctx context.Context) ([]*workload, error) {
	var found []*workload
	for _, named := range r.Workloads {
		k, _ := named.kind()
		w, err := r.Connection.getWorkload(ctx, r.Namespace, k, named.Name)
		if err != nil {
			return nil, err
		}
		found = append(found, w)
	}
	if len(r.Workloads) > 0 {
		return found, nil
	}
	all, err := r.Connection.listWorkloads(ctx, r.Namespace, r.Labels)
	if err != nil {
		return nil, err
	}
	if r.Labels != "" {
		if len(all) == 0 {
			return nil, r.Connection.refuse("find workloads in namespace "+r.Namespace, rota.Configure("selector", "the labels of the workloads themselves, as kubectl get deployments --show-labels prints them"), fmt.Errorf("none has the labels %s", r.Labels))
		}
		return all, nil
	}
	return slices.DeleteFunc(all, func(w *workload) bool { return w.Spec.Template.Spec.uses(r.Secret) == unused }), nil
}

// restarts reports whether a workload needs a restart to read a new value: not if the
// kubelet puts it into the pods that run.
func (r *Restart) restarts(w *workload) bool {
	return r.Secret == "" || r.RestartMounted || w.Spec.Template.Spec.uses(r.Secret) != mounted
}

// must reports whether Rota has to restart the workload now.
func (r *Restart) must(w *workload, d delivered) bool {
	return r.restarts(w) && !w.reloadedByOther(d.secret) && !w.lastRestart().covers(d, r.Connection.now()) && w.replicaless() == ""
}

// replicaless says why there's nothing to restart, "" if there is.
func (w *workload) replicaless() string {
	if w.kind.name != "daemonset" && w.replicas() == 0 {
		return "it's scaled to 0"
	}
	return ""
}

// gather waits for what's delivered at about the same time.
func (r *Restart) gather(ctx context.Context, d delivered) error {
	rest := cmp.Or(r.Gather, defaultGather) - r.Connection.now().Sub(d.at)
	if rest <= 0 {
		return nil
	}
	return rota.Sleep(ctx, rest)
}

// now is the cluster's time.
func (c *Connection) now() time.Time {
	now := time.Now
	if c.clock.Now != nil {
		now = c.clock.Now
	}
	there, _ := c.clock.There(now())
	return there
}

// restart restarts a workload unless that's been done since the delivery. The patch
// holds only for the workload as it was read, so that two reloads don't both restart it.
func (r *Restart) restart(ctx context.Context, w *workload, d delivered) error {
	var err error
	for range maxRaces {
		now, readErr := r.Connection.getWorkload(ctx, r.Namespace, w.kind, w.Metadata.Name)
		if readErr != nil {
			return readErr
		}
		*w = *now
		if !r.must(w, d) {
			return nil
		}
		if err = r.obstacle(w); err != nil {
			return err
		}
		if err = r.patch(ctx, w, d, false); !errors.Is(err, rota.ErrConflict) {
			return err
		}
	}
	return err
}
