package kubernetes

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// reconcile applies a manifest as Flux's kustomize-controller does, and Argo CD's with
// ServerSideApply=true: on the server's side, by force.
func (c *cluster) reconcile(by, path, manifest string) {
	c.t.Helper()
	var body any
	if err := yaml.Unmarshal([]byte(manifest), &body); err != nil {
		c.t.Fatal(err)
	}
	var answer []byte
	if err := c.admin().do(c.t.Context(), request{op: "reconcile", method: http.MethodPatch, path: path, form: applyPatch, body: body,
		query: url.Values{"fieldManager": {by}, "force": {"true"}}}, &answer); err != nil {
		c.t.Fatal(err)
	}
}

func TestAReconcileUndoesNeitherTheSecretNorTheRestart(t *testing.T) {
	for _, by := range []string{"kustomize-controller", "argocd-controller"} {
		t.Run(by, func(t *testing.T) { reconciled(t, by) })
	}
}

func reconciled(t *testing.T, by string) {
	c := start(t)
	secretPath, workloadPath := pathOf("", c.namespace, "secrets", "orders"), pathOf(groupApps, c.namespace, "deployments", "orders")
	reconcile := func() {
		c.reconcile(by, secretPath, "{apiVersion: v1, kind: Secret, metadata: {name: orders, labels: {team: shop}}, stringData: {host: db.internal}}")
		c.reconcile(by, workloadPath, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: orders}, spec: {replicas: 1, selector: {matchLabels: {app: orders}}, template: {metadata: {labels: {app: orders}, annotations: {team: shop}}, "+
			"spec: {nodeName: fake-0, terminationGracePeriodSeconds: 0, containers: [{name: app, image: app, envFrom: [{secretRef: {name: orders}}]}]}}}}")
	}
	reconcile()
	target := c.target(c.admin())
	target.Adopt = true // Git has the Secret's other keys
	r := delivery(canary)
	if err := target.Deliver(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	c.healthy("Deployment", "orders")
	req := c.deliver(canary)
	if err := c.reloader(c.admin()).Reload(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	generation := c.get("Deployment", "orders").Metadata.Generation
	reconcile()
	want := map[string]string{"host": "db.internal", "username": "orders", "password": canary}
	if got := c.values("orders"); !maps.Equal(got, want) || c.secret("orders").Metadata.Labels["team"] != "shop" {
		t.Errorf("after a reconcile, the Secret holds %v", got)
	}
	if w := c.get("Deployment", "orders"); w.Metadata.Generation != generation || !c.restarted("Deployment", "orders") || w.Spec.Template.Metadata.Annotations["team"] != "shop" {
		t.Errorf("after a reconcile, the workload is at generation %d, not %d: %v", w.Metadata.Generation, generation, w.Spec.Template.Metadata.Annotations)
	}
	if n := len(target.Preflight(t.Context())); n != 1 {
		t.Errorf("%d findings: the reconcile counts as drift", n)
	}
	// A manifest that names one of Rota's keys takes it away, and who did it is named, if
	// Rota knows its keys without a credential.
	target.Content.Fields = fields(t, map[string]string{"username": "username", "password": "password"})
	c.reconcile(by, secretPath, "{apiVersion: v1, kind: Secret, metadata: {name: orders}, data: {password: ZnJvbS1naXQ=}}")
	if f := target.Preflight(t.Context()); len(f) != 2 || !f[1].Warning || !strings.Contains(f[1].Detail, "password ("+by+")") {
		t.Errorf("after a reconcile of one of its keys: %+v", f)
	}
}
