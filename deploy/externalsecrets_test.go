package deploy

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/daemon"
	"github.com/rota-dev/rota/internal/providers"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
)

var kubernetes testenv.SharedKubernetes

func TestMain(m *testing.M) {
	code := m.Run()
	kubernetes.Stop()
	os.Exit(code)
}

// manifest is one of deploy/external-secrets, with the namespaces of a test.
func manifest(t *testing.T, path, namespace string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("external-secrets", path))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("namespace: shop", "namespace: "+namespace, "[shop]", "["+namespace+"]", "namespace: external-secrets", "namespace: "+namespace).Replace(string(text))
}

// The manifests differ in nothing but the version, and neither has a field that the
// custom resources don't have.
func TestTheManifestsFitBothVersions(t *testing.T) {
	s := kubernetes.Get(t)
	s.ExternalSecretsCRDs(t)
	namespace := s.Namespace(t)
	for _, name := range []string{"store-rota.yaml", "store-aws.yaml", "external-secret.yaml"} {
		old := manifest(t, "v1beta1/"+name, namespace)
		if want := strings.ReplaceAll(manifest(t, "v1/"+name, namespace), "external-secrets.io/v1\n", "external-secrets.io/v1beta1\n"); old != want {
			t.Errorf("%s: v1beta1 isn't v1 with another version", name)
		}
		for _, version := range []string{"v1beta1", "v1"} {
			for document := range strings.SplitSeq(manifest(t, version+"/"+name, namespace), "---\n") {
				path := testenv.PathForYAML(document) + "?dryRun=All&fieldValidation=Strict"
				if err := s.Try(t.Context(), http.MethodPost, path, document, nil); err != nil {
					t.Errorf("%s/%s: %v", version, name, err)
				}
			}
		}
	}
}

// The whole way of a password: PostgreSQL, Rota's own store, its endpoint, External
// Secrets with the manifests of this folder, and a Deployment that reads the Secret. The
// refresh interval is an hour; Rota has it synced at once.
func TestAPasswordGoesThroughExternalSecretsIntoADeployment(t *testing.T) {
	s := kubernetes.Get(t)
	namespace := s.Namespace(t)
	pg := testenv.Postgres(t, testenv.PostgresOptions{})
	pg.Exec(t, "CREATE ROLE orders LOGIN")
	login, err := pgx.ParseConfig(pg.DSN())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"kubeconfig": s.Kubeconfig(s.AdminToken),
		"rota.yaml": fmt.Sprintf(`
connections:
  db: {postgres: {host: "127.0.0.1", port: %d, username: %s, sslmode: disable}}
  cluster: {kubernetes: {kubeconfig: %s}}
secrets:
  - name: prod/orders-db
    issuer: {connection: db, password: {role: orders}}
    reload:
      - {name: shop, kubernetes_restart: {connection: cluster, namespace: %s, secret: orders-db, external_secret: orders-db, gather: 0s}}
    policy: {rotate_every: 30d, jitter: 0s}
`, login.Port, pg.Superuser(), filepath.Join(dir, "kubeconfig"), namespace),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(dir, "data"), Actor: "rota serve"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := access.NewAdministration(db.Directory(), db.Audit(), nil).Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	// The operator runs, and has nothing to read yet.
	s.StartExternalSecrets(t, "http://"+address)
	s.Do(t, http.MethodPost, "/api/v1/namespaces/"+namespace+"/secrets", map[string]any{"metadata": map[string]any{"name": "rota-key"},
		"stringData": map[string]string{"access-key-id": key.Key.ID, "secret-access-key": key.Secret.Reveal()}}, nil)
	s.Apply(t, manifest(t, "v1/store-rota.yaml", namespace))
	s.Apply(t, manifest(t, "v1/external-secret.yaml", namespace))
	s.Apply(t, fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {namespace: %s, name: shop}
spec: {replicas: 2, selector: {matchLabels: {app: shop}}, template: {metadata: {labels: {app: shop}}, spec: {nodeName: fake-0, terminationGracePeriodSeconds: 0, containers: [{name: app, image: app, envFrom: [{secretRef: {name: orders-db}}]}]}}}
`, namespace))
	serve(t, dir, db, address)
	t.Cleanup(func() { // what's in the way, if something is
		if t.Failed() {
			r, _ := http.NewRequest(http.MethodGet, "http://"+address+"/v1/secrets", http.NoBody)
			r.Header.Set("Authorization", "Bearer "+key.Token())
			if a, err := http.DefaultClient.Do(r); err == nil {
				text, _ := io.ReadAll(a.Body)
				_ = a.Body.Close()
				t.Logf("%s", text)
			}
		}
	})
	held := func() string {
		var secret struct{ Data map[string]string }
		_ = s.Try(t.Context(), http.MethodGet, "/api/v1/namespaces/"+namespace+"/secrets/orders-db", nil, &secret)
		password, _ := base64.StdEncoding.DecodeString(secret.Data["password"])
		return string(password)
	}
	works := func(password string) bool {
		c := login.Copy()
		c.User, c.Password = "orders", password
		conn, err := pgx.ConnectConfig(t.Context(), c)
		if err != nil {
			return false
		}
		return conn.Close(t.Context()) == nil
	}
	restarts := func() string {
		var d struct {
			Spec struct {
				Template struct {
					Metadata struct{ Annotations map[string]string }
				}
			}
		}
		s.Do(t, http.MethodGet, "/apis/apps/v1/namespaces/"+namespace+"/deployments/shop", nil, &d)
		return d.Spec.Template.Metadata.Annotations["rota.dev/restart"]
	}
	client := secretsmanager.New(secretsmanager.Options{BaseEndpoint: aws.String("http://" + address), Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(key.Key.ID, key.Secret.Reveal(), "")})
	until(t, "the first password to be in the Secret", func() bool { return held() != "" && works(held()) && restarts() != "" })
	first, restart := held(), restarts()
	if _, err := client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: aws.String("prod/orders-db")}); err != nil {
		t.Fatal(err)
	}
	until(t, "the second password to be in the Secret, and the pods to have it", func() bool { return held() != first && works(held()) && restarts() != restart })
	if works(first) {
		t.Error("the first password still works")
	}
	// What somebody writes by hand is put back by the operator, not by Rota.
	second := held()
	s.Do(t, http.MethodPatch, "/api/v1/namespaces/"+namespace+"/secrets/orders-db?fieldManager=kubectl-edit", map[string]any{"stringData": map[string]string{"password": "edited"}}, nil)
	until(t, "the operator to put the password back", func() bool { return held() == second })
}

// serve runs rota serve until the test's end.
func serve(t *testing.T, dir string, db *store.DB, address string) {
	t.Helper()
	catalog := config.MustCatalog(providers.List()...)
	ready := make(chan net.Addr, 1)
	d, err := daemon.New(t.Context(), daemon.Options{
		Load: func(ctx context.Context) (*config.File, error) {
			return catalog.Load(ctx, filepath.Join(dir, "rota.yaml"))
		}, DB: db,
		Listen: address, Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Ready: func(a net.Addr) { ready <- a },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the daemon ended with %v", err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	<-ready
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
