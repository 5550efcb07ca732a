package kubernetes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

// annotate writes an annotation onto a Deployment's pods.
func (c *cluster) annotate(name, key, value string) {
	c.t.Helper()
	c.Do(c.t, http.MethodPatch, pathOf(groupApps, c.namespace, "deployments", name), map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": map[string]string{key: value}}}}}, nil)
}

// Who may annotate a workload can't have its restart left out, or its pods' old value
// overlooked.
func TestAForgedRestartCountsForNothing(t *testing.T) {
	c := start(t)
	c.deliver("the-first-one")
	forged := `{"at": "2999-01-01T00:00:00Z", "for": {"other": "1"}}`
	c.workload("Deployment", "orders", 1, byEnv, "", "")
	c.annotate("orders", annotationRestart, forged)
	c.healthy("Deployment", "orders")
	c.nextSecond()
	req := c.deliver(canary)
	target := c.target(c.admin())
	if got := names(t, target); len(got) != 1 {
		t.Errorf("the old pod isn't seen: %q", got)
	}
	if err := c.reloader(c.admin()).Reload(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if last := c.get("Deployment", "orders").lastRestart(); last.At.Year() > 2900 || last.For["orders"] == "" {
		t.Errorf("it wasn't restarted: %+v", last)
	}
	until(t, "the old pod to go", func() bool { return len(names(t, target)) == 0 })
	// Nor can a running pod be declared new.
	c.nextSecond()
	c.deliver("a-third-one")
	pods, err := c.admin().listPods(t.Context(), c.namespace, "")
	if err != nil || len(pods) != 1 {
		t.Fatal(pods, err)
	}
	version := c.secret("orders").Metadata.ResourceVersion
	for _, claim := range []string{forged, fmt.Sprintf(`{"at": %q, "for": {"orders": %q}}`, time.Now().UTC().Add(3*time.Second).Format(time.RFC3339), version), fmt.Sprintf(`{"for": {"orders": %q}}`, version)} {
		at := c.secret("orders").appliedAt()
		p := *pods[0]
		p.Metadata.Annotations, p.Metadata.CreationTimestamp = map[string]string{annotationRestart: claim}, at.Add(-time.Hour)
		if p.isNew(delivered{key: "orders", state: version, at: at}, time.Now()) {
			t.Errorf("%s: it counts as new", claim)
		}
	}
}

// A time that can't be, such as one that a backup brought back or somebody wrote, doesn't
// make Rota wait for it.
func TestASecretFromTheFutureIsntWaitedFor(t *testing.T) {
	c := start(t)
	c.make("stringData: {password: theirs}")
	c.workload("Deployment", "orders", 1, byMount, "", "")
	c.workload("Deployment", "other", 1, byEnv, "", "")
	c.healthy("Deployment", "orders")
	c.healthy("Deployment", "other")
	path := pathOf("", c.namespace, "secrets", "orders")
	var raw map[string]any
	c.Do(t, http.MethodGet, path, nil, &raw)
	for _, m := range raw["metadata"].(map[string]any)["managedFields"].([]any) {
		m.(map[string]any)["time"] = "2100-01-01T00:00:00Z"
	}
	raw["metadata"].(map[string]any)["labels"] = map[string]string{"team": "other"}
	c.Do(t, http.MethodPut, path+"?fieldManager=restore", raw, nil)
	if at := c.secret("orders").writtenAt(); at.Year() < 2099 {
		t.Fatalf("the API server keeps the time itself: %s", at)
	}
	r := c.reloader(c.admin())
	r.Gather, r.Timeout = time.Millisecond, 10*time.Second
	if err := r.Reload(t.Context(), rota.ReloadRequest{Secret: "prod/orders", Version: "1"}); err != nil {
		t.Error(err)
	}
}

func TestAWorkloadThatsDeletedMeanwhileIsntMissed(t *testing.T) {
	for name, on := range map[string]string{"before its restart": http.MethodGet, "before its rollout": http.MethodPatch} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			c.deliver("the-first-one")
			c.workload("Deployment", "goes", 1, byEnv, "", "")
			c.workload("Deployment", "stays", 1, byEnv, "", "")
			c.healthy("Deployment", "goes")
			c.healthy("Deployment", "stays")
			req := c.deliver(canary)
			connection, faults := c.faulty()
			faults.Instead(providertest.Matching(on, "/deployments/goes"), func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if on == http.MethodPatch {
					next.ServeHTTP(w, r)
				}
				c.Do(t, http.MethodDelete, pathOf(groupApps, c.namespace, "deployments", "goes"), nil, nil)
				if on == http.MethodGet {
					next.ServeHTTP(w, r)
				}
			})
			if err := c.reloader(connection).Reload(t.Context(), req); err != nil || !c.restarted("Deployment", "stays") {
				t.Errorf("the other wasn't restarted, or: %v", err)
			}
		})
	}
}

// What a reload needs is tried before the rotation.
func TestAReloadersRightsAreTriedBeforehand(t *testing.T) {
	c := start(t)
	c.deliver("the-first-one")
	c.workload("Deployment", "orders", 1, byEnv, "", "")
	for verb, rule := range map[string]string{"secrets": "get secrets orders", "get": "get, patch deployments.apps orders"} {
		t.Run(rule, func(t *testing.T) {
			r := c.reloader(nil)
			account := "without-" + verb
			token := c.ServiceAccountToken(t, c.namespace, account)
			role := `{apiGroups: [""], resources: [pods, secrets], verbs: [list, get]}, {apiGroups: [apps], resources: [deployments, statefulsets, daemonsets], verbs: [list, patch]}, {apiGroups: [argoproj.io], resources: [rollouts], verbs: [list]}`
			if verb == "secrets" {
				role = `{apiGroups: [""], resources: [pods], verbs: [list]}, {apiGroups: [apps], resources: [deployments, statefulsets, daemonsets], verbs: [list, get, patch]}, {apiGroups: [argoproj.io], resources: [rollouts], verbs: [list]}`
			}
			c.Apply(t, fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {namespace: %s, name: %s}\nrules: [%s]\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {namespace: %[1]s, name: %[2]s}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[2]s}\nsubjects: [{kind: ServiceAccount, name: %[2]s, namespace: %[1]s}]\n", c.namespace, account, role))
			r.Connection = c.connect(c.Kubeconfig(token))
			until(t, "the role to be known", func() bool { _, err := r.find(t.Context()); return err == nil })
			said := ""
			for _, f := range r.Preflight(t.Context()) {
				if !f.OK && !f.Warning {
					said += rota.Hint(f.Remedies)
				}
			}
			if !strings.Contains(said, rule) {
				t.Errorf("preflight says %q", said)
			}
		})
	}
}

// Reloader's other annotations: https://github.com/stakater/Reloader.
func TestWhatReloaderLeavesAloneIsRestarted(t *testing.T) {
	for name, test := range map[string]struct {
		workload, secret map[string]string
		reloads          bool
	}{
		"auto":                     {map[string]string{"reloader.stakater.com/auto": "true"}, nil, true},
		"auto, but excluded":       {map[string]string{"reloader.stakater.com/auto": "true", "secrets.exclude.reloader.stakater.com/reload": "x, orders"}, nil, false},
		"auto, another excluded":   {map[string]string{"reloader.stakater.com/auto": "true", "secrets.exclude.reloader.stakater.com/reload": "orders-2"}, nil, true},
		"auto, the Secret ignored": {map[string]string{"reloader.stakater.com/auto": "true"}, map[string]string{"reloader.stakater.com/ignore": "true"}, false},
		"by a pattern":             {map[string]string{"secret.reloader.stakater.com/reload": "ord.*"}, nil, true},
		"by another's pattern":     {map[string]string{"secret.reloader.stakater.com/reload": "ord"}, nil, false},
		"by no pattern":            {map[string]string{"secret.reloader.stakater.com/reload": "("}, nil, false},
		"search and match":         {map[string]string{"reloader.stakater.com/search": "true"}, map[string]string{"reloader.stakater.com/match": "true"}, true},
		"search without match":     {map[string]string{"reloader.stakater.com/search": "true"}, nil, false},
		"nothing":                  {nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &workload{kind: kinds[0]}
			if err := json.Unmarshal([]byte(`{"spec": {"template": {"spec": {"containers": [{"envFrom": [{"secretRef": {"name": "orders"}}]}]}}}}`), w); err != nil {
				t.Fatal(err)
			}
			w.Metadata.Annotations = test.workload
			s := secret{Metadata: metadata{Name: "orders", Annotations: test.secret}}
			if got := w.reloadedByOther(s); got != test.reloads {
				t.Errorf("reloaded: %v", got)
			}
		})
	}
}

// A container's log may have anything in it.
func TestNoLogControlsTheTerminal(t *testing.T) {
	c := start(t)
	c.deliver("the-first-one")
	c.workload("Deployment", "orders", 1, byEnv, "", "")
	c.healthy("Deployment", "orders")
	c.Kubelet.Become(c.namespace, testenv.PodCrashes)
	c.Kubelet.Print(c.namespace, "\x1b]0;owned\x07\x1b[2J\rall is well\n")
	err := c.reloader(c.admin()).Reload(t.Context(), c.deliver(canary))
	wantError(t, err, rota.ClassWait, nil, "CrashLoopBackOff", "all is well")
	if strings.ContainsAny(err.Error(), "\x1b\x07\r") {
		t.Errorf("%q", err)
	}
}

// Pods that began with a Secret that's gone by now hold its old value all the same.
func TestADeletedSecretsOldValueIsStillHeld(t *testing.T) {
	c := start(t)
	c.deliver("the-first-one")
	c.workload("Deployment", "orders", 1, byEnv, "", "")
	c.healthy("Deployment", "orders")
	c.nextSecond()
	c.deliver(canary)
	since := time.Now()
	c.Do(t, http.MethodDelete, pathOf("", c.namespace, "secrets", "orders"), nil, nil)
	h, err := c.target(c.admin()).Holders(t.Context(), rota.HoldersRequest{Secret: "prod/orders", Since: since})
	if err != nil || len(h) != 1 {
		t.Errorf("%v, %v", h, err)
	}
}

// A quota without room for a surge refuses a pod now and then, though the rollout gets
// on: as an old pod goes, there's room for the next.
func TestARolloutThatGetsOnIsntGivenUp(t *testing.T) {
	c := start(t)
	c.deliver("the-first-one")
	c.workload("Deployment", "orders", 1, byEnv, "", "")
	c.healthy("Deployment", "orders")
	quota := pathOf("", c.namespace, "resourcequotas", "tight")
	c.Do(t, http.MethodPost, pathOf("", c.namespace, "resourcequotas", ""), map[string]any{"metadata": map[string]any{"name": "tight"}, "spec": map[string]any{"hard": map[string]any{"pods": "1"}}}, nil)
	until(t, "the quota to be counted", func() bool {
		var q struct {
			Status struct{ Used map[string]string }
		}
		c.Do(t, http.MethodGet, quota, nil, &q)
		return q.Status.Used["pods"] == "1"
	})
	req := c.deliver(canary)
	r := c.reloader(c.admin())
	r.Timeout, r.Poll = 30*time.Second, 200*time.Millisecond
	ended := make(chan error, 1)
	go func() { ended <- r.Reload(t.Context(), req) }()
	until(t, "a refusal", func() bool {
		return slices.ContainsFunc(c.get("Deployment", "orders").Status.Conditions, func(c condition) bool { return c.Type == "ReplicaFailure" && c.Status == "True" })
	})
	time.Sleep(3 * r.Poll)
	c.Do(t, http.MethodDelete, quota, nil, nil)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
