package kubernetes

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

// Shared is the control plane of all tests of the package.
var Shared testenv.SharedKubernetes

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	defer Shared.Stop()
	return m.Run()
}

// cluster is the control plane, and a namespace for one test.
type cluster struct {
	*testenv.KubernetesServer
	t         testing.TB
	namespace string
}

func start(t testing.TB) *cluster {
	t.Helper()
	s := Shared.Get(t)
	return &cluster{s, t, s.Namespace(t)}
}

// connect is a connection with a kubeconfig.
func (c *cluster) connect(kubeconfig string) *Connection {
	c.t.Helper()
	return dial(c.t, Config{Kubeconfig: write(c.t, "kubeconfig", kubeconfig)})
}

// admin is a connection that may do everything.
func (c *cluster) admin() *Connection { return c.connect(c.Kubeconfig(c.AdminToken)) }

// faulty is admin's, through a proxy whose requests can go wrong.
func (c *cluster) faulty() (*Connection, *providertest.HTTPFaults) {
	c.t.Helper()
	faults := &providertest.HTTPFaults{}
	to, err := url.Parse(c.URL)
	if err != nil {
		c.t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	server := httptest.NewUnstartedServer(faults.Wrap(proxy))
	certificate, err := tls.LoadX509KeyPair(c.CA, c.Key)
	if err != nil {
		c.t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}} // without it, client-go sends no token
	server.StartTLS()
	c.t.Cleanup(server.Close)
	return c.connect(strings.Replace(c.Kubeconfig(c.AdminToken), c.URL, server.URL, 1)), faults
}

// restricted is a connection with the rights that rota policy kubernetes prints for
// these parts, and no more.
func (c *cluster) restricted(parts ...any) *Connection {
	c.t.Helper()
	token := c.ServiceAccountToken(c.t, c.namespace, "rota")
	c.Apply(c.t, c.policy(parts...))
	connection := c.connect(c.Kubeconfig(token))
	until(c.t, "the roles to be known", func() bool {
		_, err := connection.Identity(c.t.Context())
		return err == nil
	})
	return connection
}

func dial(t testing.TB, cfg Config) *Connection {
	t.Helper()
	cfg.Budget = providertest.Unlimited{}
	c, err := New("main", cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func fields(t testing.TB, m map[string]string) rota.FieldMap {
	t.Helper()
	f, err := rota.ParseFieldMap(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// secret reads a Secret as it is.
func (c *cluster) secret(name string) secret {
	c.t.Helper()
	var s secret
	c.Do(c.t, http.MethodGet, pathOf("", c.namespace, "secrets", name), nil, &s)
	return s
}

func (c *cluster) values(name string) map[string]string {
	c.t.Helper()
	values := map[string]string{}
	for key, value := range c.secret(name).Data {
		values[key] = string(value)
	}
	return values
}

// template is the pods of a workload that reads the Secret orders in one way.
type template string

const (
	byEnv     template = `{name: app, image: app, env: [{name: P, valueFrom: {secretKeyRef: {name: orders, key: password}}}]}`
	byEnvFrom template = `{name: app, image: app, envFrom: [{secretRef: {name: orders}}]}`
	byMount   template = `{name: app, image: app, volumeMounts: [{name: orders, mountPath: /o}]}`
	bySubPath template = `{name: app, image: app, volumeMounts: [{name: orders, mountPath: /o, subPath: password}]}`
	byProject template = `{name: app, image: app, volumeMounts: [{name: projected, mountPath: /o}]}`
	byNothing template = `{name: app, image: app}`
)

// workload makes a workload of a kind, such as Deployment. extra goes into its spec and
// annotations into its metadata.
func (c *cluster) workload(kind, name string, replicas int, p template, extra, annotations string) {
	c.t.Helper()
	if kind != "DaemonSet" {
		extra = fmt.Sprintf("replicas: %d, %s", replicas, extra)
	}
	c.Apply(c.t, fmt.Sprintf(`apiVersion: apps/v1
kind: %s
metadata: {namespace: %s, name: %s, labels: {app: %[3]s}, annotations: {%[6]s}}
spec: {%[5]s selector: {matchLabels: {app: %[3]s}}, template: {metadata: {labels: {app: %[3]s}}, spec: {nodeName: fake-0, terminationGracePeriodSeconds: 0, containers: [%[4]s], volumes: [
  {name: orders, secret: {secretName: orders}}, {name: projected, projected: {sources: [{secret: {name: orders}}]}}]}}}
`, kind, c.namespace, name, p, extra, annotations))
}

// get reads a workload as it is.
func (c *cluster) get(kind, name string) *workload {
	c.t.Helper()
	w := &workload{}
	for _, k := range kinds {
		if k.title == kind {
			w.kind = k
		}
	}
	c.Do(c.t, http.MethodGet, w.kind.path(c.namespace, name), nil, w)
	return w
}

// healthy waits until a workload's rollout is complete.
func (c *cluster) healthy(kind, name string) {
	c.t.Helper()
	until(c.t, kind+" "+name+" to be healthy", func() bool { return c.get(kind, name).missing() == "" })
}

func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// pair is a server's certificate, and the path of its authority.
type pair struct {
	config    *tls.Config
	authority string
}

func testenvPair(t testing.TB) pair {
	t.Helper()
	cert, key, err := testenv.Certificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{&tls.Config{Certificates: []tls.Certificate{loaded}}, cert}
}
