//go:build unix

package testenv

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// KubernetesServer is a private control plane on 127.0.0.1: etcd, kube-apiserver and the
// controllers that make pods of workloads. It has no scheduler and no kubelet: pods name
// their node, which a [Kubelet] plays.
type KubernetesServer struct {
	URL string // https://127.0.0.1:1234
	// CA and Key are the paths of the API server's certificate, which is its own
	// authority, and of its key, in PEM.
	CA, Key string
	// AdminToken is a login that may do everything.
	AdminToken string
	Kubelet    *Kubelet

	etcd, api, controllers child
	dir                    string
	http                   *http.Client
}

// SharedKubernetes is one control plane for all tests of a package, because it takes
// seconds to start: started by the first test that needs it. TestMain stops it. Tests
// keep out of each other's way by namespaces.
type SharedKubernetes struct {
	once   sync.Once
	server *KubernetesServer
	err    error
}

// Get returns the control plane, starting it if necessary.
func (s *SharedKubernetes) Get(t testing.TB) *KubernetesServer {
	t.Helper()
	programs, err := controlPlane()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(programs, "kube-apiserver")); err != nil {
		Missing(t, "a Kubernetes control plane", "hack/controlplane.sh, which builds it once")
	}
	s.once.Do(func() { s.server, s.err = startKubernetes(programs) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.server
}

// Stop stops the control plane if it is running.
func (s *SharedKubernetes) Stop() {
	if s.server != nil {
		s.server.stop()
	}
}

// controlPlane is where hack/controlplane.sh puts the programs.
func controlPlane() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	sums, err := os.ReadFile(filepath.Join(root, "hack", "controlplane", "go.sum"))
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256(sums)
	return filepath.Join(cache, "rota-test", "controlplane-"+hex.EncodeToString(hash[:])[:16]), nil
}

// moduleRoot is the folder of go.mod: tests run in their package's.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "hack", "controlplane")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no hack/controlplane in any folder above")
		}
		dir = parent
	}
}

func startKubernetes(programs string) (*KubernetesServer, error) {
	s := &KubernetesServer{AdminToken: "admin-token-of-the-tests-alone"}
	var err error
	if s.dir, err = os.MkdirTemp("", "rota-kube-"); err != nil {
		return nil, err
	}
	if err = s.launch(programs); err == nil {
		s.Kubelet, err = startKubelet(s)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *KubernetesServer) launch(programs string) error {
	var ports [3]int
	if err := freePorts(ports[:]); err != nil {
		return err
	}
	in := func(name string) string { return filepath.Join(s.dir, name) }
	cert, key, err := Certificate(s.dir)
	if err != nil {
		return err
	}
	s.CA, s.Key, s.URL = cert, key, fmt.Sprintf("https://127.0.0.1:%d", ports[2])
	s.http = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if err := os.WriteFile(in("tokens"), []byte(s.AdminToken+",admin,admin,system:masters\n"), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(in("kubeconfig"), []byte(s.Kubeconfig(s.AdminToken)), 0o600); err != nil {
		return err
	}
	etcd, peer := fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	if err := s.etcd.start(launch{
		Name: "etcd", Program: filepath.Join(programs, "etcd"), Log: in("etcd.log"), Stop: "KILL",
		Args: []string{"--data-dir=" + in("etcd"), "--listen-client-urls=" + etcd, "--advertise-client-urls=" + etcd, "--unsafe-no-fsync",
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer},
		Ready: func(ctx context.Context) error { return s.answers(ctx, etcd+"/health") },
	}); err != nil {
		return err
	}
	if err := s.api.start(launch{
		Name: "kube-apiserver", Program: filepath.Join(programs, "kube-apiserver"), Log: in("kube-apiserver.log"), Stop: "KILL",
		Args: []string{"--etcd-servers=" + etcd, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[2]),
			"--tls-cert-file=" + cert, "--tls-private-key-file=" + key, "--token-auth-file=" + in("tokens"), "--authorization-mode=RBAC",
			"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + cert, "--service-account-signing-key-file=" + key,
			"--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount", "--kubelet-preferred-address-types=InternalIP"},
		Ready: func(ctx context.Context) error { return s.answers(ctx, s.URL+"/readyz") },
	}); err != nil {
		return err
	}
	return s.controllers.start(launch{
		Name: "kube-controller-manager", Program: filepath.Join(programs, "kube-controller-manager"), Log: in("kube-controller-manager.log"), Stop: "KILL",
		Args: []string{"--kubeconfig=" + in("kubeconfig"), "--leader-elect=false", "--secure-port=0", "--service-account-private-key-file=" + key, "--kube-api-qps=200", "--kube-api-burst=400",
			"--controllers=deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,job-controller,resourcequota-controller,namespace-controller,garbage-collector-controller,serviceaccount-controller"},
		Ready: func(ctx context.Context) error {
			return s.Try(ctx, http.MethodGet, "/api/v1/namespaces/default", nil, nil)
		},
	})
}

// answers asks whether a server says that it's well.
func (s *KubernetesServer) answers(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.AdminToken)
	resp, err := s.http.Do(r)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

func (s *KubernetesServer) stop() {
	if s.Kubelet != nil {
		s.Kubelet.stop()
	}
	s.controllers.end()
	s.api.end()
	s.etcd.end()
	_ = os.RemoveAll(s.dir)
}

// Kubeconfig is one with a token, whose context is called test.
func (s *KubernetesServer) Kubeconfig(token string) string {
	return s.KubeconfigOf("{token: " + token + "}")
}

// KubeconfigOf is one with a user, in YAML's flow style.
func (s *KubernetesServer) KubeconfigOf(user string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: test\nclusters: [{name: c, cluster: {server: %q, certificate-authority: %q}}]\n"+
		"users: [{name: u, user: %s}]\ncontexts: [{name: test, context: {cluster: c, user: u}}]\n", s.URL, s.CA, user)
}

var namespaces atomic.Int64

// Namespace makes a namespace for one test.
func (s *KubernetesServer) Namespace(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test-%d", namespaces.Add(1))
	s.Do(t, http.MethodPost, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": name}}, nil)
	return name
}

// Client is an HTTP client that trusts the API server.
func (s *KubernetesServer) Client() *http.Client { return s.http }

// Do sends a request to the API server as the administrator. body may be JSON or YAML as
// a text; answer may be nil. A PATCH is a merge patch.
func (s *KubernetesServer) Do(t testing.TB, method, path string, body, answer any) {
	t.Helper()
	if err := s.Try(t.Context(), method, path, body, answer); err != nil {
		t.Fatal(err)
	}
}

// Try is Do for where a failure isn't the end of the test.
func (s *KubernetesServer) Try(ctx context.Context, method, path string, body, answer any) error {
	text, form := []byte(nil), "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		text, form = []byte(b), "application/yaml"
	default:
		var err error
		if text, err = json.Marshal(b); err != nil {
			return err
		}
	}
	if method == http.MethodPatch {
		form = "application/merge-patch+json"
	}
	r, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.AdminToken)
	r.Header.Set("Content-Type", form)
	r.Header.Set("Accept", "application/json")
	resp, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, strings.TrimSpace(string(said)))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(said, answer)
}

// Apply makes the objects of a YAML text, which may be several documents.
func (s *KubernetesServer) Apply(t testing.TB, text string) {
	t.Helper()
	for document := range strings.SplitSeq(text, "---\n") {
		if strings.TrimSpace(document) == "" {
			continue
		}
		s.Do(t, http.MethodPost, PathForYAML(document), document, nil)
	}
}

// keyInYAML finds the first value of a key, in either of YAML's styles.
var keyInYAML = map[string]*regexp.Regexp{
	"apiVersion": regexp.MustCompile(`(?m)^apiVersion: (\S+)$`),
	"kind":       regexp.MustCompile(`(?m)^kind: (\S+)$`),
	"namespace":  regexp.MustCompile(`namespace: ([-a-z0-9]+)`),
}

// PathForYAML is where an object is posted to, as far as the tests need it.
func PathForYAML(document string) string {
	value := func(key string) string {
		if found := keyInYAML[key].FindStringSubmatch(document); found != nil {
			return found[1]
		}
		return ""
	}
	base := "/apis/" + value("apiVersion")
	if value("apiVersion") == "v1" {
		base = "/api/v1"
	}
	if namespace := value("namespace"); namespace != "" && !strings.HasPrefix(value("kind"), "Cluster") {
		base += "/namespaces/" + namespace
	}
	return base + "/" + strings.ToLower(value("kind")) + "s"
}

// ServiceAccountToken makes a service account, if it isn't there yet, and a token of it.
func (s *KubernetesServer) ServiceAccountToken(t testing.TB, namespace, name string) string {
	t.Helper()
	at := "/api/v1/namespaces/" + namespace + "/serviceaccounts"
	if s.Try(t.Context(), http.MethodGet, at+"/"+name, nil, nil) != nil {
		s.Do(t, http.MethodPost, at, map[string]any{"metadata": map[string]any{"name": name}}, nil)
	}
	var answer struct {
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	s.Do(t, http.MethodPost, at+"/"+name+"/token", map[string]any{"spec": map[string]any{"expirationSeconds": 3600}}, &answer)
	return answer.Status.Token
}
