package kubernetes

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// The whole way of an access key into a running Deployment: a rollout that fails holds
// the retirement of the old key, and so does a pod that began with it. Once both are
// over, the old key goes.
func TestAKeyGoesIntoADeploymentAndTheOldOneGoesLast(t *testing.T) {
	c := start(t)
	now := time.Now()
	clock := func() time.Time { return now }
	keys := memory.NewAccessKeys(memory.AccessKeysOptions{Options: memory.Options{Now: clock}})
	inPods := func() rota.Credential { return rota.NewCredential(c.values("orders")) }
	connection := c.admin()
	restart := c.reloader(connection)
	secret := &rotation.Secret{
		Name: "prod/shop-s3", Issuer: keys, Store: memory.NewStore(memory.Options{Now: clock}),
		Targets:   []rota.Target{c.target(connection)},
		Reloaders: []rota.Reloader{restart},
		Policy:    rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 7 * rota.Day, DeletePreviousAfter: 14 * rota.Day},
	}
	rotator := &rotation.Rotator{Journal: memory.NewJournal(memory.Options{Now: clock}), Now: clock}
	advance := func() (string, rotation.Result, error) {
		t.Helper()
		r, err := rotator.Advance(t.Context(), secret, rotation.Options{})
		var steps []string
		for _, d := range r.Done {
			steps = append(steps, string(d.Step))
		}
		return strings.Join(steps, " "), r, err
	}
	if steps, _, err := advance(); err != nil || steps != "create test promote deliver reload" {
		t.Fatalf("at first, it did %q: %v", steps, err)
	}
	first := inPods()
	c.workload("Deployment", "orders", 2, byEnvFrom, "", "")
	alone := pathOf("", c.namespace, "pods", "alone")
	c.Apply(t, fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {namespace: %s, name: alone}\nspec: {nodeName: fake-0, terminationGracePeriodSeconds: 0, containers: [%s]}\n", c.namespace, byEnvFrom))
	c.healthy("Deployment", "orders")
	c.nextSecond()

	now = now.Add(90 * rota.Day)
	c.Kubelet.Become(c.namespace, testenv.PodCrashes)
	steps, _, err := advance()
	if err == nil || steps != "create test promote deliver" || !strings.Contains(err.Error(), "CrashLoopBackOff") || !strings.Contains(err.Error(), "prod/shop-s3") {
		t.Fatalf("with a failing rollout, it did %q: %v", steps, err)
	}
	now = now.Add(30 * rota.Day)
	if steps, r, err := advance(); err == nil || steps != "" || !keys.Login(first) {
		t.Fatalf("a month later, it did %q (%s): %v", steps, r.Last.Reason, err)
	}
	c.Kubelet.Become(c.namespace, testenv.PodReady)
	c.healthy("Deployment", "orders")
	now = now.Add(rota.Day)
	if steps, _, err := advance(); err != nil || steps != "reload" {
		t.Fatalf("once the rollout works, it did %q: %v", steps, err)
	}
	if second := inPods(); second.Equal(first) || !keys.Login(second) {
		t.Error("the pods don't get the new key")
	}
	now = now.Add(15 * rota.Day) // the grace period is over, and nobody has used it for a week
	want := "may still be held: by pod " + c.namespace + "/alone"
	if steps, r, err := advance(); err != nil || steps != "" || r.Last.Hold != rotation.HoldInUse || !strings.Contains(r.Last.Reason, want) {
		t.Fatalf("while a pod holds the old key, it did %q and says %q: %v", steps, r.Last.Reason, err)
	}
	c.Do(t, http.MethodDelete, alone+"?gracePeriodSeconds=0", nil, nil)
	for _, want := range []string{"deactivate", "delete"} {
		now = now.Add(15 * rota.Day)
		if steps, r, err := advance(); err != nil || steps != want {
			t.Fatalf("it did %q, want %q (%s): %v", steps, want, r.Last.Reason, err)
		}
	}
	if len(keys.Keys()) != 1 {
		t.Errorf("%d keys are left", len(keys.Keys()))
	}

	// An immutable Secret is a hold before a key is made.
	c.Do(t, http.MethodPatch, pathOf("", c.namespace, "secrets", "orders"), map[string]any{"immutable": true}, nil)
	now = now.Add(90 * rota.Day)
	if steps, r, err := advance(); err != nil || steps != "" || r.Last.Hold != rotation.HoldNotReady || !strings.Contains(r.Last.Reason, "it's immutable") || len(keys.Keys()) != 1 {
		t.Errorf("with an immutable Secret, it did %q, hold %q (%s), %d keys: %v", steps, r.Last.Hold, r.Last.Reason, len(keys.Keys()), err)
	}
}
