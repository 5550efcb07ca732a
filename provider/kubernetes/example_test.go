package kubernetes_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/aws/awstest"
	"github.com/rota-dev/rota/provider/kubernetes"
)

// program is Rota in a folder with its rota.yaml.
type program struct {
	t   testing.TB
	dir string
}

func (p *program) rota(args ...string) string {
	p.t.Helper()
	var out, errors bytes.Buffer
	if code := app.Run(p.t.Context(), app.Options{}, append(args, "-c", filepath.Join(p.dir, "rota.yaml")), []string{"ROTA_DATA_DIR=" + filepath.Join(p.dir, "data")}, strings.NewReader(""), &out, &errors); code != 0 {
		p.t.Fatalf("rota %s: code %d\n%s%s", strings.Join(args, " "), code, out.String(), errors.String())
	}
	return out.String()
}

func (p *program) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// The page's example runs as written, but for the addresses and logins, with the roles
// that rota policy kubernetes prints for it, and no others.
func TestThePagesExampleRuns(t *testing.T) {
	cluster := kubernetes.Shared.Get(t)
	db := testenv.Postgres(t, testenv.PostgresOptions{})
	db.Exec(t, "CREATE DATABASE orders", "CREATE ROLE rota_admin LOGIN CREATEROLE PASSWORD 'admin-canary-1'", "CREATE ROLE orders", "CREATE ROLE orders_a IN ROLE orders", "CREATE ROLE orders_b IN ROLE orders",
		"GRANT orders, orders_a, orders_b TO rota_admin WITH ADMIN OPTION")
	aws, err := awstest.New(awstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(aws.Close)
	aws.CreateUser("shop")
	id, secret := aws.RootCredentials()

	p := &program{t, t.TempDir()}
	p.write("rota.yaml", strings.NewReplacer(
		"/run/secrets", p.dir, "/etc/rota", p.dir, "host: db.internal,", fmt.Sprintf("host: %s, port: %d,", db.Host, db.Port), "in_cluster: true", "kubeconfig: "+p.dir+"/kubeconfig",
		"region: eu-central-1", fmt.Sprintf(`region: eu-central-1, endpoint: "%s", access_key_id: "%s", secret_access_key: "${file:%s/aws}"`, aws.URL(), id, p.dir),
	).Replace(kubernetes.Provider().Example))
	p.write("aws", secret)
	p.write("orders-db-admin", "admin-canary-1")
	for _, name := range []string{"rota", "shop", "reports"} {
		cluster.Do(t, http.MethodPost, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": name}}, nil)
	}
	policy := p.rota("policy", "kubernetes") // before there's a login
	cluster.Apply(t, policy)
	p.write("kubeconfig", strings.ReplaceAll(cluster.Kubeconfig(cluster.ServiceAccountToken(t, "rota", "rota")), "test", "prod"))
	for name, read := range map[string]string{
		"Deployment shop api":          "envFrom: [{secretRef: {name: orders-db, optional: true}}, {secretRef: {name: shop-s3, optional: true}}]",
		"StatefulSet reports reporter": "env: []",
	} {
		f := strings.Fields(name)
		cluster.Apply(t, fmt.Sprintf("apiVersion: apps/v1\nkind: %s\nmetadata: {namespace: %s, name: %s}\nspec: {replicas: 2, selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: {nodeName: fake-0, terminationGracePeriodSeconds: 0, containers: [{name: app, image: app, %s}]}}}\n", f[0], f[1], f[2], read))
	}

	cluster.ServiceAccountToken(t, "shop", "deployer")

	p.rota("check")
	p.rota("run")
	read := func(namespace, name, key string) string {
		var s struct {
			Data map[string][]byte `json:"data"`
		}
		cluster.Do(t, http.MethodGet, "/api/v1/namespaces/"+namespace+"/secrets/"+name, nil, &s)
		return string(s.Data[key])
	}
	user, key := read("shop", "orders-db", "username"), read("shop", "shop-s3", "access_key_id")
	generation := func() (n struct {
		Metadata struct{ Generation int64 }
		Status   struct{ ObservedGeneration, UpdatedReplicas, AvailableReplicas int64 }
	}) {
		cluster.Do(t, http.MethodGet, "/apis/apps/v1/namespaces/shop/deployments/api", nil, &n)
		return n
	}
	before := generation()
	p.rota("rotate", "--yes", "prod/orders-db", "prod/shop-s3")
	if now := read("shop", "orders-db", "username"); now == user || now != read("reports", "orders-db", "username") || !strings.HasPrefix(read("shop", "orders-db", "url"), "postgres://"+now+":") {
		t.Errorf("the database's user is %q, after %q", now, user)
	}
	if now := read("shop", "shop-s3", "access_key_id"); now == key || len(aws.Keys("shop")) != 2 {
		t.Errorf("the key is %q, after %q", now, key)
	}
	if now := generation(); now.Metadata.Generation == before.Metadata.Generation || now.Status.ObservedGeneration != now.Metadata.Generation || now.Status.UpdatedReplicas != 2 || now.Status.AvailableReplicas != 2 {
		t.Errorf("the workload is at %+v", now)
	}
	if out := p.rota("check"); !strings.Contains(out, "write Secret shop/orders-db") {
		t.Errorf("rota check:\n%s", out)
	}
}

func TestThePageShowsThePolicy(t *testing.T) {
	p := &program{t, t.TempDir()}
	p.write("rota.yaml", strings.ReplaceAll(kubernetes.Provider().Example, "/run/secrets", p.dir))
	p.write("orders-db-admin", "x")
	page, err := os.ReadFile("../../docs/providers/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "<!-- rota policy kubernetes --connection here -->\n```yaml\n" + p.rota("policy", "kubernetes", "--connection", "here") + "```\n"; !strings.Contains(string(page), want) {
		t.Errorf("docs/providers/kubernetes.md doesn't hold what the command prints now:\n%s", want)
	}
}
