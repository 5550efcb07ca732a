//go:build unix

package controller_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

// The manifests are applied as they are, but for their addresses and names, and the
// controller logs in with the rights that they give and no more.
func TestTheExamplesWorkAsTheyAreWritten(t *testing.T) {
	w := newWorld(t)
	w.secret("orders-db-admin", "of the admin")
	for _, file := range []string{"rbac.yaml", "cluster.yaml", "orders.yaml"} {
		text, err := os.ReadFile("../../deploy/kubernetes/examples/" + file)
		if err != nil {
			t.Fatal(err)
		}
		w.Apply(t, replaced(string(text), map[string]string{
			"namespace: shop":             "namespace: " + w.ns,
			"namespace: rota":             "namespace: " + w.ns,
			"{in_cluster: true}":          fmt.Sprintf("{kubeconfig: %q}", w.kubeconfig),
			"host: db.internal":           fmt.Sprintf("host: 127.0.0.1\n    port: %d\n    sslmode: disable", w.login.Port),
			"database: orders":            "database: postgres",
			"username: rota_admin":        "username: admin_" + w.role,
			"password: {role: orders}":    "password: {role: " + w.role + "}",
			"    spec:\n      containers": "    spec:\n      nodeName: fake-0\n      containers",
		}))
	}
	t.Cleanup(func() {
		for _, path := range []string{apis + "/clusterconnections/cluster", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/rota-controller", "/apis/rbac.authorization.k8s.io/v1/clusterroles/rota-controller"} {
			if err := w.Try(context.Background(), http.MethodDelete, path, nil, nil); err != nil {
				t.Error(err)
			}
		}
	})
	w.Do(t, http.MethodPatch, "/api/v1/namespaces/"+w.ns, map[string]any{"metadata": map[string]any{"labels": map[string]any{"rota": "enabled"}}}, nil)
	w.Do(t, http.MethodDelete, nsAPI+w.ns+"/connections/db", nil, nil) // rbac.yaml doesn't know it
	w.kubeconfig = w.write("restricted", w.Kubeconfig(w.ServiceAccountToken(t, w.ns, "rota")))
	p := w.start("data")

	w.wait("rotatingsecrets", "orders-db", "Ready", "True")
	w.wait("connections", "orders-db", "Ready", "True")
	w.wait("clusterconnections", "cluster", "Ready", "True")
	eventually(t, "its rotation has an event", func(context.Context) bool { return strings.Contains(w.eventsOf("orders-db"), "Normal Rotated ") })
	if !w.logsIn(w.password()) {
		t.Error("the Secret's password isn't the role's")
	}
	if strings.Contains(p.log.String(), "forbidden") {
		t.Errorf("the rights of rbac.yaml don't suffice:\n%s", p.log)
	}
	t.Logf("kubectl get:\n%s%s", w.table("rotatingsecrets"), w.table("connections"))
	t.Logf("events:\n%s", w.eventsOf("orders-db"))
}

// replaced puts other words in place of those of a text that has them.
func replaced(text string, words map[string]string) string {
	for from, to := range words {
		text = strings.ReplaceAll(text, from, to)
	}
	return text
}
