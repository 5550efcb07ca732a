package kubernetes

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
)

func TestAQuotaIsNamedWhateverTheWorkloadIs(t *testing.T) {
	for _, kind := range []string{"StatefulSet", "DaemonSet"} {
		t.Run(kind, func(t *testing.T) {
			c := start(t)
			c.deliver("the-first-one")
			if kind == "DaemonSet" { // the node is tainted: nobody removes what an API server puts on new ones
				c.Apply(t, fmt.Sprintf("apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {namespace: %s, name: orders}\nspec: {selector: {matchLabels: {app: orders}}, template: {metadata: {labels: {app: orders}}, spec: {nodeName: fake-0, tolerations: [{operator: Exists}], terminationGracePeriodSeconds: 0, containers: [%s]}}}\n", c.namespace, byEnv))
			} else {
				c.workload(kind, "orders", 1, byEnv, "", "")
			}
			until(t, "its pod", func() bool {
				pods, err := c.admin().listPods(t.Context(), c.namespace, "app=orders")
				return err == nil && len(pods) == 1
			})
			c.healthy(kind, "orders")
			c.Do(t, http.MethodPost, pathOf("", c.namespace, "resourcequotas", ""), map[string]any{"metadata": map[string]any{"name": "none"}, "spec": map[string]any{"hard": map[string]any{"pods": "0"}}}, nil)
			quota := pathOf("", c.namespace, "resourcequotas", "none")
			until(t, "the quota to be counted", func() bool {
				var q struct {
					Status struct{ Used map[string]string }
				}
				c.Do(t, http.MethodGet, quota, nil, &q)
				return q.Status.Used["pods"] == "1"
			})
			req := c.deliver(canary)
			r := c.reloader(c.admin())
			r.Connection = c.restricted(r)
			err := r.Reload(t.Context(), req)
			wantError(t, err, rota.ClassWait, nil, "its pods can't be made", "exceeded quota", "ResourceQuota", "roll out "+c.namespace+"/"+kind+" orders")
			c.Do(t, http.MethodDelete, quota, nil, nil)
			c.healthy(kind, "orders")
			if err := r.Reload(t.Context(), req); err != nil {
				t.Errorf("once it's mended: %v", err)
			}
		})
	}
}

func TestAServerThatIsntVerifiedIsWarnedOf(t *testing.T) {
	c := start(t)
	if f := c.admin().insecure(); len(f) != 0 {
		t.Errorf("a verified one: %+v", f)
	}
	kubeconfig := strings.Replace(c.Kubeconfig(c.AdminToken), `certificate-authority: "`+c.CA+`"`, "insecure-skip-tls-verify: true", 1)
	connection := c.connect(kubeconfig)
	for _, f := range [][]rota.Finding{c.target(connection).Preflight(t.Context()), c.tokens(connection).Preflight(t.Context())} {
		if len(f) < 2 || !f[0].Warning || !strings.Contains(f[0].Detail, "insecure-skip-tls-verify") {
			t.Errorf("it isn't warned of: %+v", f)
		}
	}
}
