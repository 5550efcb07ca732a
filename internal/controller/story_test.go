//go:build unix

package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestARotatingSecretReachesTheDeploymentThatReadsIt(t *testing.T) {
	w := newWorld(t)
	w.Apply(t, fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {namespace: %s, name: orders}
spec: {replicas: 1, selector: {matchLabels: {app: orders}}, template: {metadata: {labels: {app: orders}}, spec: {nodeName: fake-0, terminationGracePeriodSeconds: 0, containers: [{name: app, image: app, envFrom: [{secretRef: {name: orders}}]}]}}}
`, w.ns))
	w.rotating("orders", w.delivered())
	w.start("data")

	got := w.wait("rotatingsecrets", "orders", "Ready", "True")
	if password := w.password(); !w.logsIn(password) || w.logsIn("first") {
		t.Error("the Secret's password isn't the role's")
	}
	var deployment struct {
		Spec struct {
			Template struct {
				Metadata struct{ Annotations map[string]string }
			}
		}
	}
	w.Do(t, http.MethodGet, "/apis/apps/v1/namespaces/"+w.ns+"/deployments/orders", nil, &deployment)
	if deployment.Spec.Template.Metadata.Annotations["kubectl.kubernetes.io/restartedAt"] == "" {
		t.Error("the Deployment wasn't restarted")
	}
	if got.Status.State != "Ready" || got.Status.Version == "" || got.Status.RotatedAt == "" || !strings.HasPrefix(got.condition("Held"), "False None") || !strings.HasPrefix(got.condition("Rotating"), "False Idle") {
		t.Errorf("status: %+v", got.Status)
	}
	eventually(t, "there's an event of the rotation", func(context.Context) bool { return strings.Contains(w.eventsOf("orders"), "Normal Rotated ") })
	if db := w.wait("connections", "db", "Ready", "True"); db.Status.System != "postgres" {
		t.Errorf("the connection: %+v", db.Status)
	}

	// What kubectl get prints is what the API server makes of the columns.
	table := w.table("rotatingsecrets")
	t.Logf("kubectl get rotatingsecrets:\n%s", table)
	if !strings.HasPrefix(table, "NAME | STATE | ROTATED | NEXT | WHY | AGE\norders | Ready | ") {
		t.Errorf("kubectl get prints\n%s", table)
	}

	// An invalid edit is told, and changes nothing else.
	w.edit("orders", map[string]any{"issuer": map[string]any{"connection": "nowhere"}})
	got = w.wait("rotatingsecrets", "orders", "Ready", "False")
	want := `False Invalid: spec.issuer.connection: no connection "nowhere" is granted to the namespace ` + w.ns
	if !strings.HasPrefix(got.condition("Ready"), want) || !strings.Contains(got.condition("Ready"), "the last valid spec stays in force") || got.Status.LastValid.Spec == nil || got.Status.State != "Invalid" {
		t.Errorf("an invalid spec: %+v", got.Status)
	}
	eventually(t, "there's an event of it", func(context.Context) bool { return strings.Contains(w.eventsOf("orders"), "Warning Invalid ") })
	w.edit("orders", map[string]any{"issuer": map[string]any{"connection": "db"}})
	if got = w.wait("rotatingsecrets", "orders", "Ready", "True"); got.Status.LastValid.Spec != nil {
		t.Errorf("a mended spec: %+v", got.Status)
	}

	// The administrator's password is read again when its Secret changes.
	postgres.Get(t).Exec(t, "ALTER ROLE admin_"+w.role+" PASSWORD 'another'")
	w.secret("db-admin", "another")
	w.Do(t, http.MethodPatch, w.at("rotatingsecrets")+"/orders", map[string]any{"metadata": map[string]any{"annotations": map[string]any{"rota.dev/rotate": "2"}}}, nil)
	eventually(t, "a rotation is carried out with it", func(ctx context.Context) bool {
		var now resource
		return w.Try(ctx, http.MethodGet, w.at("rotatingsecrets")+"/orders", nil, &now) == nil && now.Status.Version != got.Status.Version && now.Status.State == "Ready"
	})
	before := w.password()

	// Deleting it deletes no credential, and waits for nothing.
	w.Do(t, http.MethodDelete, w.at("rotatingsecrets")+"/orders", nil, nil)
	if err := w.Try(t.Context(), http.MethodGet, w.at("rotatingsecrets")+"/orders", nil, nil); err == nil {
		t.Error("it's still there")
	}
	if !w.logsIn(before) || w.password() != before {
		t.Error("the credential went with its resource")
	}
}

// edit changes a RotatingSecret's spec, as kubectl patch does.
func (w *world) edit(name string, spec map[string]any) {
	w.t.Helper()
	w.Do(w.t, http.MethodPatch, w.at("rotatingsecrets")+"/"+name, map[string]any{"spec": spec}, nil)
}

// table is what the API server makes of resources for kubectl get.
func (w *world) table(resource string) string {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.URL+w.at(resource), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.AdminToken)
	r.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	resp, err := w.Client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var table struct {
		ColumnDefinitions []struct {
			Name     string
			Priority int
		} `json:"columnDefinitions"`
		Rows []struct{ Cells []any }
	}
	if err := json.Unmarshal(text, &table); err != nil {
		w.t.Fatal(err)
	}
	var out strings.Builder
	line := func(cells []string) { fmt.Fprintln(&out, strings.Join(cells, " | ")) }
	var names []string
	for _, c := range table.ColumnDefinitions {
		names = append(names, strings.ToUpper(c.Name))
	}
	line(names)
	for _, row := range table.Rows {
		var cells []string
		for _, c := range row.Cells {
			cells = append(cells, fmt.Sprint(c))
		}
		line(cells)
	}
	return out.String()
}
