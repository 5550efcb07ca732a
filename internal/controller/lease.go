package controller

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// leaseName is that of the Lease, in the controller's own namespace.
const leaseName = "rota"

// elector holds the Lease as long as it can. Only its holder writes to resources.
//
// It works as client-go's leaderelection does, which needs the typed clients and with
// them a fifth of the program: clocks of different machines are never compared. A Lease
// may be taken over once it hasn't changed for its duration by this machine's clock.
type elector struct {
	client   dynamic.ResourceInterface
	identity string
	lasts    time.Duration
	every    time.Duration
	log      *slog.Logger

	object  *unstructured.Unstructured // as it was seen last
	seen    string                     // its resource version
	seenAt  time.Time
	renewed time.Time
	leads   atomic.Bool
}

const microTime = "2006-01-02T15:04:05.000000Z07:00"

// run renews or tries to take the Lease until the context ends, and then gives it up.
func (e *elector) run(ctx context.Context) {
	tick := time.NewTicker(e.every)
	defer tick.Stop()
	for {
		e.try(ctx)
		select {
		case <-ctx.Done():
			e.release(context.WithoutCancel(ctx))
			return
		case <-tick.C:
		}
	}
}

// try is one attempt.
func (e *elector) try(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.lasts/2)
	defer cancel()
	held, err := e.attempt(ctx)
	now := time.Now()
	switch {
	case held:
		e.renewed = now
		if !e.leads.Swap(true) {
			e.log.InfoContext(ctx, "this replica reports in the resources", "lease", leaseName, "identity", e.identity)
		}
	case err == nil || now.Sub(e.renewed) > e.lasts-e.every: // nobody else can have it yet before that
		if e.leads.Swap(false) {
			e.log.WarnContext(ctx, "this replica no longer reports in the resources", "lease", leaseName, "error", err)
		}
	}
}

// attempt reports whether this replica holds the Lease now.
func (e *elector) attempt(ctx context.Context) (bool, error) {
	if e.object == nil || !e.leads.Load() {
		got, err := e.client.Get(ctx, leaseName, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return e.write(e.client.Create(ctx, e.claim(nil), metav1.CreateOptions{}))
		}
		if err != nil {
			return false, err
		}
		e.see(got)
		if e.holder() != e.identity && e.holder() != "" && time.Since(e.seenAt) < e.lasts {
			return false, nil
		}
	}
	held, err := e.write(e.client.Update(ctx, e.claim(e.object), metav1.UpdateOptions{}))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) { // somebody else wrote or removed it
		e.object = nil
		return false, nil
	}
	return held, err
}

func (e *elector) write(now *unstructured.Unstructured, err error) (bool, error) {
	if err == nil {
		e.see(now)
	}
	return err == nil, err
}

// see remembers since when the Lease is as it is.
func (e *elector) see(o *unstructured.Unstructured) {
	if e.object = o; o.GetResourceVersion() != e.seen {
		e.seen, e.seenAt = o.GetResourceVersion(), time.Now()
	}
}

func (e *elector) holder() string {
	holder, _, _ := unstructured.NestedString(e.object.Object, "spec", "holderIdentity")
	return holder
}

// claim is the Lease with this replica as its holder.
func (e *elector) claim(before *unstructured.Unstructured) *unstructured.Unstructured {
	now, acquired, transitions := time.Now().UTC().Format(microTime), "", int64(0)
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": map[string]any{"name": leaseName}}}
	if before != nil {
		o = before.DeepCopy()
		transitions, _, _ = unstructured.NestedInt64(o.Object, "spec", "leaseTransitions")
		if holder, _, _ := unstructured.NestedString(o.Object, "spec", "holderIdentity"); holder == e.identity {
			acquired, _, _ = unstructured.NestedString(o.Object, "spec", "acquireTime")
		} else {
			transitions++
		}
	}
	if acquired == "" {
		acquired = now
	}
	o.Object["spec"] = map[string]any{
		"holderIdentity": e.identity, "leaseDurationSeconds": int64(e.lasts.Seconds()),
		"acquireTime": acquired, "renewTime": now, "leaseTransitions": transitions,
	}
	return o
}

// release lets another replica take the Lease at once.
func (e *elector) release(ctx context.Context) {
	if !e.leads.Swap(false) || e.object == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	o := e.claim(e.object)
	_ = unstructured.SetNestedField(o.Object, "", "spec", "holderIdentity")
	if _, err := e.client.Update(ctx, o, metav1.UpdateOptions{}); err != nil {
		e.log.DebugContext(ctx, "the lease wasn't given up", "error", err)
	}
}
