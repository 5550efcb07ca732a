package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

// reloader is one that waits for nothing but the cluster.
func (c *cluster) reloader(connection *Connection) *Restart {
	return &Restart{Reloader: "pods", Connection: connection, Namespace: c.namespace, Secret: "orders", Gather: -1, Propagation: time.Millisecond, Poll: 10 * time.Millisecond, Timeout: 20 * time.Second}
}

func (c *cluster) deliver(password string) rota.ReloadRequest {
	c.t.Helper()
	r := delivery(password)
	if err := c.target(c.admin()).Deliver(c.t.Context(), r); err != nil {
		c.t.Fatal(err)
	}
	return rota.ReloadRequest{Secret: r.Secret, Version: r.Version}
}

// restarts counts the patches of workloads.
func restarts(faults *providertest.HTTPFaults) int {
	n := 0
	for _, r := range faults.Requests() {
		if strings.HasPrefix(r, http.MethodPatch) {
			n++
		}
	}
	return n
}

// restarted reports whether Rota has restarted a workload, as kubectl would have.
func (c *cluster) restarted(kind, name string) bool {
	c.t.Helper()
	a := c.get(kind, name).Spec.Template.Metadata.Annotations
	return a[annotationRestarted] != "" && a[annotationRestart] != ""
}

func TestWorkloadsAreFoundByHowTheyReadTheSecret(t *testing.T) {
	c := start(t)
	all := map[string]struct {
		kind     string
		template template
		restart  bool
	}{
		"env": {"Deployment", byEnv, true}, "env-from": {"StatefulSet", byEnvFrom, true}, "sub-path": {"DaemonSet", bySubPath, true},
		"mount": {"Deployment", byMount, false}, "projected": {"StatefulSet", byProject, false}, "nothing": {"Deployment", byNothing, false},
	}
	req := c.deliver("the-first-one")
	for name, w := range all {
		c.workload(w.kind, name, 2, w.template, "", "")
	}
	for name, w := range all {
		c.healthy(w.kind, name)
	}
	connection, faults := c.faulty()
	r := c.reloader(connection)
	if f := testenv.FindingOf(t, r, "find the workloads"); !f.OK || f.Detail != "5 read it or are named" {
		t.Errorf("preflight: %+v", f)
	}
	if f := testenv.FindingOf(t, r, "Deployment mount"); !f.OK || !strings.Contains(f.Detail, "only mounts") {
		t.Errorf("preflight: %+v", f)
	}
	before := restarts(faults) // the dry runs of the preflight
	if err := r.Reload(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	for name, w := range all {
		if got := c.restarted(w.kind, name); got != w.restart {
			t.Errorf("%s %s was restarted: %v", w.kind, name, got)
		}
		if missing := c.get(w.kind, name).missing(); missing != "" {
			t.Errorf("%s %s: %s", w.kind, name, missing)
		}
	}
	if n := restarts(faults) - before; n != 3 {
		t.Errorf("%d restarts, want 3", n)
	}
	r.RestartMounted = true
	if err := r.Reload(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if n := restarts(faults) - before; n != 5 || c.restarted("Deployment", "nothing") {
		t.Errorf("with mounted: restart, %d restarts, want 5", n)
	}
}

func TestWorkloadsAreRestartedByNameAndByLabels(t *testing.T) {
	c := start(t)
	for kind, name := range map[string]string{"Deployment": "api", "StatefulSet": "db", "DaemonSet": "agent"} {
		c.workload(kind, name, 1, byNothing, "", "")
		c.healthy(kind, name)
	}
	connection, faults := c.faulty()
	r := c.reloader(connection)
	r.Secret, r.Labels = "", "app in (api,agent)"
	for range 2 { // the second time, they run with it
		if err := r.Reload(t.Context(), rota.ReloadRequest{Secret: "prod/orders", Version: "1"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := restarts(faults); n != 2 || !c.restarted("Deployment", "api") || !c.restarted("DaemonSet", "agent") || c.restarted("StatefulSet", "db") {
		t.Errorf("%d restarts", n)
	}
	r.Labels, r.Workloads = "", []Workload{{"statefulset", "db"}, {"deployment", "api"}}
	for _, req := range []rota.ReloadRequest{{Secret: "prod/orders", Version: "2"}, {Secret: "prod/other", Version: "1"}, {Secret: "prod/orders", Version: "2"}} {
		if err := r.Reload(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	if n := restarts(faults); n != 6 {
		t.Errorf("%d restarts after two secrets, want 6", n)
	}
	r.Workloads = []Workload{{"deployment", "gone"}}
	wantError(t, r.Reload(t.Context(), rota.ReloadRequest{}), rota.ClassStop, rota.ErrNotFound, "Deployment "+c.namespace+"/gone", "correct the name")
	r.Workloads, r.Labels = nil, "app=none"
	wantError(t, r.Reload(t.Context(), rota.ReloadRequest{}), rota.ClassStop, nil, "none has the labels app=none")
	r.Labels, r.Secret = "", "gone"
	wantError(t, r.Reload(t.Context(), rota.ReloadRequest{}), rota.ClassStop, rota.ErrNotFound, "it isn't there")
	if f := testenv.FindingOf(t, r, "find the workloads"); !f.Warning || !strings.Contains(f.Detail, "none reads Secret gone") {
		t.Errorf("preflight: %+v", f)
	}
}

// Two secrets of one workload that are delivered at about the same time.
func TestSecretsThatRotateTogetherCauseOneRestart(t *testing.T) {
	for name, known := range map[string]bool{"of Secrets that are known": true, "of workloads by name": false} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			connection, faults := c.faulty()
			both := []string{"orders", "shop-s3"}
			deliver := func(password string) (reqs []rota.ReloadRequest) {
				for _, name := range both {
					target := c.target(c.admin())
					target.Object = name
					r := delivery(password)
					r.Secret = "prod/" + name
					if err := target.Deliver(t.Context(), r); err != nil {
						t.Fatal(err)
					}
					reqs = append(reqs, rota.ReloadRequest{Secret: r.Secret, Version: r.Version})
				}
				return reqs
			}
			deliver("the-first-one")
			c.workload("Deployment", "api", 2, `{name: app, image: app, envFrom: [{secretRef: {name: orders}}, {secretRef: {name: shop-s3}}]}`, "", "")
			c.healthy("Deployment", "api")
			reqs := deliver(canary)
			var group sync.WaitGroup
			for i, name := range both {
				r := c.reloader(connection)
				r.Secret, r.Gather = name, 4*time.Second
				if !known {
					r.Secret, r.Workloads = "", []Workload{{"deployment", "api"}}
				}
				group.Go(func() {
					if err := r.Reload(t.Context(), reqs[i]); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if n := restarts(faults); n < 1 || n > 2 || c.get("Deployment", "api").Metadata.Generation != 2 {
				t.Errorf("%d patches, generation %d: want one restart", n, c.get("Deployment", "api").Metadata.Generation)
			}
		})
	}
}

func TestAReloadGoesOnWhereItWas(t *testing.T) {
	c := start(t)
	connection, faults := c.faulty()
	c.deliver("the-first-one")
	c.workload("Deployment", "orders", 2, byEnv, "", "")
	c.healthy("Deployment", "orders")
	c.Kubelet.Become(c.namespace, testenv.PodPending)
	req := c.deliver(canary)
	r := c.reloader(connection)
	ctx, cancel := context.WithCancel(t.Context())
	faults.Instead(providertest.Matching(http.MethodGet, "/pods"), func(http.ResponseWriter, *http.Request, http.Handler) { cancel() }) // Rota is stopped
	if err := r.Reload(ctx, req); err == nil {
		t.Fatal("it's done")
	}
	r.Timeout = time.Second
	wantError(t, r.Reload(t.Context(), req), rota.ClassWait, context.DeadlineExceeded, "roll out "+c.namespace+"/Deployment orders", "it wasn't done within", "of 2 pods, 1 are new", "kubectl describe deployment orders", "raise the reloader's timeout")
	c.Kubelet.Become(c.namespace, testenv.PodReady)
	r.Timeout = 20 * time.Second
	if err := r.Reload(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if n := restarts(faults); n != 1 {
		t.Errorf("%d restarts", n)
	}
}

func TestAFailingRolloutSaysWhy(t *testing.T) {
	for name, test := range map[string]struct {
		become testenv.PodState
		extra  string // of the workload's spec
		quota  bool
		says   []string
	}{
		"the image can't be pulled": {testenv.PodImage, "", false, []string{"container app of pod orders-", "ImagePullBackOff", "Back-off pulling image", "the login for its registry"}},
		"the container crashes":     {testenv.PodCrashes, "", false, []string{"CrashLoopBackOff", "ended 3 times, with code 1", "panic: cannot log in with password", "mend what makes the container end"}},
		"a quota refuses the pods":  {testenv.PodReady, "", true, []string{"its pods can't be made", "exceeded quota", "ResourceQuota"}},
		"its deadline is over":      {testenv.PodPending, "progressDeadlineSeconds: 1, minReadySeconds: 0,", false, []string{"its progress deadline is over", "progressDeadlineSeconds"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			c.deliver("the-first-one")
			c.workload("Deployment", "orders", 1, byEnv, test.extra, "")
			c.healthy("Deployment", "orders")
			c.Kubelet.Become(c.namespace, test.become)
			c.Kubelet.Print(c.namespace, "starting\npanic: cannot log in with password "+canary+"\n")
			quota := pathOf("", c.namespace, "resourcequotas", "none")
			if test.quota {
				c.Do(t, http.MethodPost, pathOf("", c.namespace, "resourcequotas", ""), map[string]any{"metadata": map[string]any{"name": "none"}, "spec": map[string]any{"hard": map[string]any{"pods": "1"}}}, nil)
				until(t, "the quota to be counted", func() bool {
					var q struct {
						Status struct{ Used map[string]string }
					}
					c.Do(t, http.MethodGet, quota, nil, &q)
					return q.Status.Used["pods"] == "1"
				})
			}
			req := c.deliver(canary)
			r := c.reloader(c.admin())
			err := r.Reload(t.Context(), req)
			wantError(t, err, rota.ClassWait, nil, append(test.says, "roll out "+c.namespace+"/Deployment orders", "Rota goes on once it's healthy")...)
			// Once it's mended, the same reload ends well, without another restart.
			generation := c.get("Deployment", "orders").Metadata.Generation
			c.Kubelet.Become(c.namespace, testenv.PodReady)
			if test.quota {
				c.Do(t, http.MethodDelete, quota, nil, nil)
			}
			c.healthy("Deployment", "orders")
			if err := r.Reload(t.Context(), req); err != nil || c.get("Deployment", "orders").Metadata.Generation != generation {
				t.Errorf("once it's mended: %v", err)
			}
		})
	}
}

func TestWhatWouldKeepOldPodsIsHeldBeforehand(t *testing.T) {
	for name, test := range map[string]struct{ kind, extra, says string }{
		"paused":    {"Deployment", "paused: true,", "its rollouts are paused"},
		"on delete": {"DaemonSet", "updateStrategy: {type: OnDelete},", "its updateStrategy is OnDelete"},
		"partition": {"StatefulSet", "updateStrategy: {rollingUpdate: {partition: 1}},", "below its partition 1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			req := c.deliver(canary)
			c.workload(test.kind, "orders", 2, byEnv, test.extra, "")
			r := c.reloader(c.admin())
			if f := testenv.FindingOf(t, r, test.kind+" orders"); f.OK || f.Warning || !strings.Contains(f.Detail, test.says) || len(f.Remedies) == 0 {
				t.Errorf("preflight: %+v", f)
			}
			wantError(t, r.Reload(t.Context(), req), rota.ClassStop, nil, test.says)
			if c.restarted(test.kind, "orders") {
				t.Error("it was restarted")
			}
		})
	}
	t.Run("scaled to 0", func(t *testing.T) {
		c := start(t)
		req := c.deliver(canary)
		c.workload("Deployment", "orders", 0, byEnv, "", "")
		if err := c.reloader(c.admin()).Reload(t.Context(), req); err != nil || c.restarted("Deployment", "orders") {
			t.Errorf("it was restarted, or: %v", err)
		}
	})
}

// A stand-in for Stakater's Reloader, which can't be had: it puts an environment
// variable into the pod template.
func (c *cluster) stakater(name string) {
	c.Do(c.t, http.MethodPatch, pathOf(groupApps, c.namespace, "deployments", name), json.RawMessage(fmt.Sprintf(
		`{"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app", "env": [{"name": "STAKATER_ORDERS_SECRET", "value": "%d"}, {"name": "P", "valueFrom": {"secretKeyRef": {"name": "orders", "key": "password"}}}]}]}}}}`,
		time.Now().UnixNano())), nil)
}

func TestWhatReloaderRestartsIsOnlyWaitedFor(t *testing.T) {
	for _, annotation := range []string{`reloader.stakater.com/auto: "true"`, `secret.reloader.stakater.com/auto: "true"`, `secret.reloader.stakater.com/reload: "other, orders"`} {
		t.Run(annotation, func(t *testing.T) {
			c := start(t)
			c.deliver("the-first-one")
			c.workload("Deployment", "orders", 1, byEnv, "", annotation)
			c.healthy("Deployment", "orders")
			req := c.deliver(canary)
			connection, faults := c.faulty()
			r := c.reloader(connection)
			if f := testenv.FindingOf(t, r, "Deployment orders"); !f.OK || !strings.Contains(f.Detail, "Reloader restarts it") {
				t.Errorf("preflight: %+v", f)
			}
			r.Timeout = time.Second
			wantError(t, r.Reload(t.Context(), req), rota.ClassWait, context.DeadlineExceeded, "Reloader hasn't replaced pod orders-")
			written := c.secret("orders").writtenAt()
			until(t, "the next second", func() bool { return time.Since(written) > time.Second })
			c.stakater("orders")
			r.Timeout = 20 * time.Second
			if err := r.Reload(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			if n := restarts(faults); n != 0 || c.restarted("Deployment", "orders") {
				t.Errorf("%d restarts of Rota's own", n)
			}
		})
	}
}

func TestAMountedValueIsWaitedFor(t *testing.T) {
	c := start(t)
	c.workload("Deployment", "orders", 1, byMount, "", "")
	c.healthy("Deployment", "orders")
	req := c.deliver(canary)
	r := c.reloader(c.admin())
	r.Propagation, r.Timeout = 10*time.Minute, time.Second
	wantError(t, r.Reload(t.Context(), req), rota.ClassWait, context.DeadlineExceeded, "its kubelets have 9m", "more to put the value into its volumes")
	if n := c.secret("orders").writtenAt(); time.Since(n) > time.Minute {
		t.Errorf("written %s", n)
	}
	r.Propagation, r.Timeout = time.Second, 20*time.Second
	if err := r.Reload(t.Context(), req); err != nil || c.restarted("Deployment", "orders") {
		t.Errorf("it was restarted, or: %v", err)
	}
	if since := time.Since(c.secret("orders").writtenAt()); since < time.Second {
		t.Errorf("it waited %s", since)
	}
}

// Whatever request goes wrong, and however, a reload that's made again ends well, and
// there's one restart.
func TestAReloadThroughEveryFault(t *testing.T) {
	c := start(t)
	c.deliver("the-first-one")
	for k, kind := range []providertest.FaultKind{providertest.FailBefore, providertest.LoseReply, providertest.Repeat, providertest.Hang} {
		for n := range 9 { // the Secret, three lists, the workload, the restart, and what's looked at then
			name := fmt.Sprintf("orders-%d-%d", k, n)
			c.workload("Deployment", name, 1, byEnv, "", "")
			c.healthy("Deployment", name)
			connection, faults := c.faulty()
			connection.cfg.Timeout = 200 * time.Millisecond // for what hangs
			r := c.reloader(connection)
			r.Workloads = []Workload{{"deployment", name}}
			if n < 4 { // by way of the lists
				r.Workloads, r.Labels = nil, "app="+name
			}
			req := c.deliver(fmt.Sprintf("value-%d-%s", n, kind))
			faults.Nth(n, "", "/", kind)
			first := r.Reload(t.Context(), req)
			faults.Heal()
			if err := r.Reload(t.Context(), req); err != nil {
				t.Errorf("%s at request %d: %v, after %v", kind, n, err, first)
			}
			w := c.get("Deployment", name)
			if w.Metadata.Generation != 2 || w.missing() != "" || w.lastRestart().For["orders"] != c.secret("orders").Metadata.ResourceVersion {
				t.Errorf("%s at request %d (%v): generation %d, %q, restarted for %v", kind, n, first, w.Metadata.Generation, w.missing(), w.lastRestart())
			}
			c.Do(t, http.MethodDelete, pathOf(groupApps, c.namespace, "deployments", name), nil, nil)
		}
	}
}
