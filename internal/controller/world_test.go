//go:build unix

package controller_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota/internal/testenv"
)

// world is a namespace with a database's administrator, and what rota controller needs
// to run beside it.
type world struct {
	*testenv.KubernetesServer
	t          testing.TB
	ns         string
	role       string // that gets rotated
	dir        string
	kubeconfig string
	login      *pgx.ConnConfig
}

const baseConfig = "defaults: {policy: {rotate_every: 30d, jitter: 0s}}\ncontroller: {networks: [127.0.0.0/8, \"::1/128\"]}\n"

func newWorld(t testing.TB) *world {
	t.Helper()
	s := cluster(t)
	w := &world{KubernetesServer: s, t: t, ns: s.Namespace(t), dir: t.TempDir()}
	w.role = strings.ReplaceAll(w.ns, "-", "_")
	w.kubeconfig = w.write("kubeconfig", s.Kubeconfig(s.AdminToken))
	w.write("rota.yaml", baseConfig)
	pg := postgres.Get(t)
	pg.Exec(t, "CREATE ROLE "+w.role+" LOGIN PASSWORD 'first'", "CREATE ROLE admin_"+w.role+" LOGIN SUPERUSER PASSWORD 'of the admin'")
	var err error
	if w.login, err = pgx.ParseConfig(pg.DSN()); err != nil {
		t.Fatal(err)
	}
	w.secret("db-admin", "of the admin")
	w.apply("connections", fmt.Sprintf(`{metadata: {name: db}, spec: {postgres: {host: "127.0.0.1", port: %d, database: postgres, username: admin_%s, password: "${kubernetes:db-admin#password}", sslmode: disable}}}`, w.login.Port, w.role))
	w.apply("clusterconnections", fmt.Sprintf(`{metadata: {name: %s}, spec: {kubernetes: {kubeconfig: %q}, namespaces: [%s]}}`, w.ns, w.kubeconfig, w.ns))
	t.Cleanup(func() {
		ctx := context.Background()
		for _, path := range []string{apis + "/clusterconnections/" + w.ns, nsAPI + w.ns + "/rotatingsecrets", nsAPI + w.ns + "/connections"} {
			if err := s.Try(ctx, http.MethodDelete, path, nil, nil); err != nil && !strings.Contains(err.Error(), "404") {
				t.Error(err)
			}
		}
	})
	return w
}

func (w *world) write(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// secret makes or changes a Secret with a password.
func (w *world) secret(name, password string) {
	w.t.Helper()
	at := "/api/v1/namespaces/" + w.ns + "/secrets"
	if w.Try(w.t.Context(), http.MethodPost, at, map[string]any{"metadata": map[string]any{"name": name}, "stringData": map[string]any{"password": password}}, nil) != nil {
		w.Do(w.t, http.MethodPatch, at+"/"+name, map[string]any{"stringData": map[string]any{"password": password}}, nil)
	}
}

// at is the path of a kind of resources.
func (w *world) at(resource string) string {
	if resource == "clusterconnections" {
		return apis + "/" + resource
	}
	return nsAPI + w.ns + "/" + resource
}

var kinds = map[string]string{"rotatingsecrets": "RotatingSecret", "connections": "Connection", "clusterconnections": "ClusterConnection"}

// apply creates a resource, written in YAML's flow style without its kind.
func (w *world) apply(resource, text string) {
	w.t.Helper()
	w.Do(w.t, http.MethodPost, w.at(resource)+"?fieldValidation=Strict", "{apiVersion: rota.dev/v1alpha1, kind: "+kinds[resource]+", "+strings.TrimPrefix(text, "{"), nil)
}

// rotating is a RotatingSecret of the world's role, with more keys in its spec.
func (w *world) rotating(name, more string) {
	w.t.Helper()
	w.apply("rotatingsecrets", fmt.Sprintf(`{metadata: {name: %s, annotations: {rota.dev/rotate: "1"}}, spec: {issuer: {connection: db, password: {role: %s}}%s}}`, name, w.role, more))
}

// delivered are a target and a reloader for a Deployment.
func (w *world) delivered() string {
	return fmt.Sprintf(`, targets: [{name: app, kubernetes_secret: {connection: %[1]s, namespace: %[1]s, secret: orders}}]`+
		`, reload: [{name: app, kubernetes_restart: {connection: %[1]s, namespace: %[1]s, secret: orders, gather: 0s}}]`, w.ns)
}

// resource is what the tests read of a RotatingSecret or a connection.
type resource struct {
	Metadata struct {
		Generation int64
		UID        string `json:"uid"`
	}
	Status struct {
		ObservedGeneration                                                  int64 `json:"observedGeneration"`
		State, Why, Next, Version, Credential, RotatedAt, System, Requested string
		LastValid                                                           struct{ Spec map[string]any } `json:"lastValid"`
		Conditions                                                          []struct {
			Type, Status, Reason, Message string
			ObservedGeneration            int64 `json:"observedGeneration"`
		}
	}
}

// wait does what kubectl wait --for=condition=KIND=STATUS does: it watches the resource
// until the condition says so about its current generation.
func (w *world) wait(resources, name, kind, status string) resource {
	w.t.Helper()
	var got resource
	ctx, cancel := context.WithTimeout(w.t.Context(), 90*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var now resource
		err := w.Try(ctx, http.MethodGet, w.at(resources)+"/"+name, nil, &now)
		if err == nil {
			got = now
			for _, c := range got.Status.Conditions {
				if c.Type == kind && c.Status == status && c.ObservedGeneration == got.Metadata.Generation {
					return got
				}
			}
		}
		select {
		case <-ctx.Done():
			w.t.Fatalf("%s %s never became %s=%s: %+v, %v", resources, name, kind, status, got.Status, err)
		case <-tick.C:
		}
	}
}

func (r resource) condition(kind string) string {
	for _, c := range r.Status.Conditions {
		if c.Type == kind {
			return c.Status + " " + c.Reason + ": " + c.Message
		}
	}
	return ""
}

// password is the one in the Secret that consumers read.
func (w *world) password() string {
	w.t.Helper()
	var secret struct{ Data map[string]string }
	w.Do(w.t, http.MethodGet, "/api/v1/namespaces/"+w.ns+"/secrets/orders", nil, &secret)
	text, err := base64.StdEncoding.DecodeString(secret.Data["password"])
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// logsIn reports whether the role's password is good.
func (w *world) logsIn(password string) bool {
	cfg := w.login.Copy()
	cfg.User, cfg.Password = w.role, password
	conn, err := pgx.ConnectConfig(w.t.Context(), cfg)
	if err == nil {
		_ = conn.Close(w.t.Context())
	}
	return err == nil
}

// eventsOf are the reasons of the events about an object.
func (w *world) eventsOf(name string) string {
	w.t.Helper()
	var list struct {
		Items []struct{ Type, Reason, Message string }
	}
	w.Do(w.t, http.MethodGet, "/api/v1/namespaces/"+w.ns+"/events?fieldSelector=involvedObject.name="+name, nil, &list)
	var all []string
	for _, e := range list.Items {
		all = append(all, e.Type+" "+e.Reason+" "+e.Message)
	}
	return strings.Join(all, "\n")
}

// process is a running rota controller.
type process struct {
	cmd    *exec.Cmd
	log    *buffer
	ended  chan error
	killed bool
}

type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start runs rota controller with a data folder of its own, until the test ends.
func (w *world) start(data string, args ...string) *process {
	w.t.Helper()
	p := &process{log: &buffer{}, ended: make(chan error, 1)}
	p.cmd = exec.Command(program, append([]string{
		"controller", "--config", filepath.Join(w.dir, "rota.yaml"), "--data-dir", filepath.Join(w.dir, data),
		"--kubeconfig", w.kubeconfig, "--namespace", w.ns, "--listen", "127.0.0.1:0",
	}, args...)...)
	p.cmd.Env = []string{"HOME=" + w.dir, "PATH=" + os.Getenv("PATH")}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	w.t.Cleanup(func() {
		p.stop(w.t)
		if w.t.Failed() {
			w.t.Logf("rota controller on %s:\n%s", data, p.log)
		}
	})
	return p
}

// stop ends it as Kubernetes does.
func (p *process) stop(t testing.TB) {
	t.Helper()
	if p.killed {
		return
	}
	p.killed = true
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Errorf("rota controller had ended: %v\n%s", err, p.log)
	}
	if err := <-p.ended; err != nil {
		t.Errorf("rota controller ended with %v:\n%s", err, p.log)
	}
}

// kill ends it as a lost machine does.
func (p *process) kill(t testing.TB) {
	t.Helper()
	p.killed = true
	if err := p.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-p.ended
}

// copyKey gives a replica the master key of another.
func (w *world) copyKey(from, to string) {
	w.t.Helper()
	key, err := os.ReadFile(filepath.Join(w.dir, from, "rota.key"))
	if err == nil {
		err = os.MkdirAll(filepath.Join(w.dir, to), 0o700)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(filepath.Join(to, "rota.key"), string(key))
}
