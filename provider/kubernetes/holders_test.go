package kubernetes

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

// names are the holders' names up to when they began.
func names(t testing.TB, h rota.HolderReporter) []string {
	t.Helper()
	all, err := h.Holders(t.Context(), rota.HoldersRequest{Secret: "prod/orders", Since: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range all {
		name, _, _ := strings.Cut(one.Name, ", begun ")
		if len(one.Remedies) == 0 {
			t.Errorf("%s has no remedy", name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// nextSecond waits until what's written isn't written in the same second as what was.
func (c *cluster) nextSecond() {
	c.t.Helper()
	now := time.Now().Truncate(time.Second)
	until(c.t, "the next second", func() bool { return time.Now().Truncate(time.Second).After(now) })
}

func TestPodsHoldTheOldValueUntilTheyreReplaced(t *testing.T) {
	c := start(t)
	target := c.target(c.admin())
	c.deliver("the-first-one")
	c.workload("Deployment", "orders", 1, byEnv, "", "")
	c.workload("Deployment", "mounts", 1, byMount, "", "")
	c.workload("Deployment", "nothing", 1, byNothing, "", "")
	c.Apply(t, fmt.Sprintf("apiVersion: batch/v1\nkind: Job\nmetadata: {namespace: %s, name: report}\nspec: {template: {spec: {restartPolicy: Never, nodeName: fake-0, terminationGracePeriodSeconds: 0, containers: [%s]}}}\n", c.namespace, byEnvFrom))
	c.Apply(t, fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {namespace: %s, name: alone}\nspec: {nodeName: fake-0, terminationGracePeriodSeconds: 0, containers: [%s]}\n", c.namespace, byEnv))
	for _, name := range []string{"orders", "mounts", "nothing"} {
		c.healthy("Deployment", name)
	}
	pod := func(part string) string {
		t.Helper()
		name := ""
		until(t, "pod "+part, func() bool {
			pods, err := c.admin().listPods(t.Context(), c.namespace, "")
			for _, p := range pods {
				if strings.HasPrefix(p.Metadata.Name, part) && p.Status.Phase == "Running" {
					name = p.Metadata.Name
				}
			}
			return err == nil && name != ""
		})
		return name
	}
	orders, job, alone, mounts := pod("orders-"), pod("report-"), pod("alone"), pod("mounts-")
	c.nextSecond()
	req := c.deliver(canary)
	of := func(pod, owner string) string {
		if owner != "" {
			owner = " of " + owner
		}
		return "pod " + c.namespace + "/" + pod + owner
	}
	replicas := func(pod string) string { return "ReplicaSet " + pod[:strings.LastIndexByte(pod, '-')] }
	want := []string{of(alone, ""), of(mounts, replicas(mounts)), of(orders, replicas(orders)), of(job, "Job report")}
	slices.Sort(want)
	if got := names(t, target); !slices.Equal(got, want) {
		t.Errorf("at first: %q, want %q", got, want)
	}
	if got := names(t, &Secret{NoWait: true}); got != nil {
		t.Errorf("with no_wait: %q", got)
	}
	r := c.reloader(c.admin())
	if got := names(t, r); got != nil {
		t.Errorf("the reloader of a Secret that Rota writes: %q", got)
	}
	if err := r.Reload(t.Context(), req); err != nil { // in the same second, perhaps
		t.Fatal(err)
	}
	until(t, "the old pods to go", func() bool { return !slices.Contains(names(t, target), of(orders, replicas(orders))) })
	c.Do(t, http.MethodPatch, pathOf("", c.namespace, "pods", job)+"/status", map[string]any{"status": map[string]any{"phase": "Succeeded"}}, nil)
	c.Do(t, http.MethodDelete, pathOf("", c.namespace, "pods", alone)+"?gracePeriodSeconds=0", nil, nil)
	if got := names(t, target); !slices.Equal(got, []string{of(mounts, replicas(mounts))}) {
		t.Errorf("in the end: %q", got)
	}
	// Once the kubelets have had their time, nobody holds it.
	secret := c.secret("orders")
	d := delivered{secret: secret, key: "orders", state: secret.Metadata.ResourceVersion, at: secret.appliedAt().Add(-time.Minute)}
	if got, err := target.Connection.holders(t.Context(), c.namespace, "orders", d, time.Minute); err != nil || len(got) != 0 {
		t.Errorf("later: %v, %v", got, err)
	}
}

// Of a Secret that something else writes, such as External Secrets, the reloader says
// who holds the old value.
func TestPodsHoldWhatOthersSync(t *testing.T) {
	c := start(t)
	c.make("stringData: {password: the-first-one}")
	c.workload("Deployment", "orders", 1, byEnv, "", "")
	c.healthy("Deployment", "orders")
	c.nextSecond()
	c.Do(t, http.MethodPatch, pathOf("", c.namespace, "secrets", "orders"), map[string]any{"stringData": map[string]string{"password": canary}}, nil)
	r := c.reloader(c.admin())
	if got := names(t, r); len(got) != 1 || !strings.Contains(got[0], "/orders-") {
		t.Errorf("at first: %q", got)
	}
	if err := r.Reload(t.Context(), rota.ReloadRequest{Secret: "prod/orders", Version: "2"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the old pod to go", func() bool { return len(names(t, r)) == 0 })
}
