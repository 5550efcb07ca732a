package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

// rollouts makes a stand-in for the custom resource of Argo Rollouts, and plays its
// controller, which isn't part of the tests' control plane: it deletes pods that are older
// than restartAt, and says in the status how far it is. A ReplicaSet makes the new pods.
func (c *cluster) rollouts() (become func(phase string)) {
	c.t.Helper()
	crd := `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rollouts.argoproj.io}
spec: {group: argoproj.io, scope: Namespaced, names: {kind: Rollout, plural: rollouts, singular: rollout}, versions: [
  {name: v1alpha1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}
`
	if err := c.Try(c.t.Context(), http.MethodPost, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd, nil); err != nil && !strings.Contains(err.Error(), "409") {
		c.t.Fatal(err)
	}
	path := kinds[3].path(c.namespace, "")
	until(c.t, "rollouts to be served", func() bool { return c.Try(c.t.Context(), http.MethodGet, path, nil, nil) == nil })
	var mu sync.Mutex
	phase := "Healthy"
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			mu.Lock()
			is := phase
			mu.Unlock()
			c.control(ctx, path, is)
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	})
	c.t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return func(p string) {
		mu.Lock()
		defer mu.Unlock()
		phase = p
	}
}

// control is one look of the controller at all Rollouts.
func (c *cluster) control(ctx context.Context, path, phase string) {
	var list struct{ Items []*workload }
	if c.Try(ctx, http.MethodGet, path, nil, &list) != nil {
		return
	}
	for _, w := range list.Items {
		var pods struct{ Items []*pod }
		if c.Try(ctx, http.MethodGet, pathOf("", c.namespace, "pods", "")+"?labelSelector=app="+w.Metadata.Name, nil, &pods) != nil {
			return
		}
		old, available := 0, 0
		for _, p := range pods.Items {
			switch {
			case p.Metadata.CreationTimestamp.Before(w.Spec.RestartAt):
				old++
				_ = c.Try(ctx, http.MethodDelete, pathOf("", c.namespace, "pods", p.Metadata.Name), nil, nil)
			case p.Status.Phase == "Running":
				available++
			}
		}
		status := map[string]any{"observedGeneration": strconv.FormatInt(w.Metadata.Generation, 10), "availableReplicas": available, "phase": phase, "message": "as the test wants it"}
		if old == 0 && !w.Spec.RestartAt.IsZero() {
			status["restartedAt"] = w.Spec.RestartAt.UTC().Format(time.RFC3339)
		}
		_ = c.Try(ctx, http.MethodPatch, path+"/"+w.Metadata.Name+"/status", map[string]any{"status": status}, nil)
	}
}

// rollout makes a Rollout that reads the Secret orders, with its pods.
func (c *cluster) rollout(name string) {
	c.t.Helper()
	template := fmt.Sprintf("template: {metadata: {labels: {app: %s}}, spec: {nodeName: fake-0, terminationGracePeriodSeconds: 0, containers: [%s]}}", name, byEnv)
	c.Apply(c.t, fmt.Sprintf("apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {namespace: %s, name: %s}\nspec: {replicas: 2, selector: {matchLabels: {app: %[2]s}}, %[3]s}\n", c.namespace, name, template))
	c.Apply(c.t, fmt.Sprintf("apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {namespace: %s, name: %s}\nspec: {replicas: 2, selector: {matchLabels: {app: %[2]s}}, %[3]s}\n", c.namespace, name, template))
	c.healthy("Rollout", name)
}

func TestARolloutIsRestartedInPlace(t *testing.T) {
	c := start(t)
	become := c.rollouts()
	c.deliver("the-first-one")
	c.rollout("shop")
	template := fmt.Sprint(c.get("Rollout", "shop").Spec.Template)
	r := c.reloader(c.admin())
	r.Connection = c.restricted(r) // what rota policy kubernetes prints is enough
	for _, f := range r.Preflight(t.Context()) {
		if !f.OK {
			t.Errorf("%+v", f)
		}
	}
	c.nextSecond()
	req := c.deliver(canary)
	c.nextSecond() // the controller compares whole seconds
	if err := r.Reload(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	w := c.get("Rollout", "shop")
	if w.Status.RestartedAt.IsZero() || !w.Status.RestartedAt.Equal(w.Spec.RestartAt) || fmt.Sprint(w.Spec.Template) != template {
		t.Errorf("restarted at %s of %s, with the template %v", w.Status.RestartedAt, w.Spec.RestartAt, w.Spec.Template)
	}
	pods, err := c.admin().listPods(t.Context(), c.namespace, "app=shop")
	for _, p := range pods {
		if p.Metadata.CreationTimestamp.Before(w.Spec.RestartAt) {
			t.Errorf("pod %s is older than the restart", p.Metadata.Name)
		}
	}
	if err != nil || len(pods) != 2 {
		t.Errorf("%d pods: %v", len(pods), err)
	}
	// Again, there's nothing to do.
	if err := r.Reload(t.Context(), req); err != nil || !c.get("Rollout", "shop").Spec.RestartAt.Equal(w.Spec.RestartAt) {
		t.Errorf("a second reload restarts again, or: %v", err)
	}
	// One that's degraded holds the reload.
	become("Degraded")
	until(t, "the phase to be another", func() bool { return c.get("Rollout", "shop").Status.Phase == "Degraded" })
	c.nextSecond()
	req = c.deliver(canary + "-3")
	if err := r.Reload(t.Context(), req); err == nil || !strings.Contains(err.Error(), "it's degraded: as the test wants it") || rota.ClassOf(err) != rota.ClassWait {
		t.Errorf("a degraded rollout: %v", err)
	}
	become("Progressing")
	until(t, "the phase to be another", func() bool { return c.get("Rollout", "shop").Status.Phase == "Progressing" })
	r.Timeout = time.Second
	if err := r.Reload(t.Context(), req); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "its phase is Progressing") {
		t.Errorf("a rollout that goes on: %v", err)
	}
}

func TestWithoutTheAPIThereAreNoRollouts(t *testing.T) {
	c := start(t)
	connection, faults := c.faulty()
	faults.Answer(http.MethodGet, "/apis/argoproj.io/v1alpha1$", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("404 page not found"))
	})
	all, err := connection.listWorkloads(t.Context(), c.namespace, "")
	if err != nil || len(all) != 0 {
		t.Errorf("%d workloads: %v", len(all), err)
	}
}
