//go:build linux

package canary

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
)

const clusterConfig = `
connections:
  cluster: {kubernetes: {kubeconfig: %[1]s/in/kubeconfig}}
  wrong: {kubernetes: {kubeconfig: %[1]s/in/wrong}}
  page: {command: {run: [%[1]s/in/spy.sh, page]}}
defaults:
  policy: {deactivate_previous_after: 0s, delete_previous_after: 0s, unused_for: 1ms, late_after: 1ms}
  notify: [page]
secrets:
  - name: ring
    issuer: {secret_key: {bytes: 32}}
    targets: [{name: pods, kubernetes_secret: {connection: cluster, namespace: %[2]s, secret: orders, no_wait: true}}]
    reload: [{name: pods, kubernetes_restart: {connection: cluster, namespace: %[2]s, secret: orders, gather: 0s, timeout: 5s, no_wait: true}}]
  - name: account
    issuer: {connection: cluster, kubernetes_service_account_token: {namespace: %[2]s, service_account: ci}}
    targets: [{name: copy, kubernetes_secret: {connection: cluster, namespace: %[2]s, secret: copy, no_wait: true}}]
  - name: wrong
    issuer: {secret_key: {bytes: 32}}
    targets: [{name: pods, kubernetes_secret: {connection: wrong, namespace: %[2]s, secret: others}}]
  - {name: wrong-account, issuer: {connection: wrong, kubernetes_service_account_token: {namespace: %[2]s, service_account: other}}}
`

// playCluster plays the life of a Secret in a real cluster, whose pods print what they
// read when they crash, and of a service account's tokens.
func playCluster(t *testing.T, l *ledger) {
	var shared testenv.SharedKubernetes
	s := shared.Get(t)
	t.Cleanup(shared.Stop)
	w := newWorld(t, l, "ring", "account")
	w.secret("the cluster's administrator's token", s.AdminToken)
	const wrong = "wrong-canary-7Zt4Qm8Vd"
	w.secret("a wrong token", wrong)
	namespace := s.Namespace(t)
	s.ServiceAccountToken(t, namespace, "ci")
	to, err := url.Parse(s.URL)
	w.must(err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	api := &line{next: proxy, done: func(*http.Request) {}}
	front := httptest.NewUnstartedServer(api)
	certificate, err := tls.LoadX509KeyPair(s.CA, s.Key)
	w.must(err)
	front.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	front.StartTLS()
	t.Cleanup(front.Close)
	for name, token := range map[string]string{"kubeconfig": s.AdminToken, "wrong": wrong} {
		w.file("in/"+name, strings.Replace(s.Kubeconfig(token), s.URL, front.URL, 1), 0o600)
	}
	w.file("rota.yaml", fmt.Sprintf(clusterConfig, w.dir, namespace), 0o600)
	s.Apply(t, fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {namespace: %s, name: orders}
spec: {replicas: 1, selector: {matchLabels: {app: orders}}, template: {metadata: {labels: {app: orders}}, spec: {nodeName: fake-0, terminationGracePeriodSeconds: 0, containers: [{name: app, image: app, envFrom: [{secretRef: {name: orders}}]}]}}}
`, namespace))

	w.step("013", "check")
	w.keepOpen()
	w.step("013", "rotate", "ring", "account")
	// The pods crash, and print the old and the new values, as they are and in base64.
	var secret struct {
		Data map[string][]byte
	}
	s.Kubelet.Become(namespace, testenv.PodCrashes)
	for range 2 {
		s.Do(t, http.MethodGet, "/api/v1/namespaces/"+namespace+"/secrets/orders", nil, &secret)
		printed := "panic: cannot verify"
		for name, value := range secret.Data {
			printed += fmt.Sprintf("\n%s=%s", name, value)
		}
		s.Kubelet.Print(namespace, printed+"\n")
		w.stepOnce("013", "rotate", "ring")
		w.stepOnce("013", "run", "--all")
	}
	s.Kubelet.Become(namespace, testenv.PodReady)
	w.stepOnce("013", "run", "--all")
	for _, fault := range []string{"PATCH /api/v1/namespaces/" + namespace + "/secrets/", "GET /api/v1/namespaces/" + namespace + "/secrets/", "PATCH /apis/apps", "/token?", "/token", "/tokenreviews", "DELETE "} {
		api.fail(fault)
		w.stepOnce("013", "rotate", "ring", "account")
		w.stepOnce("013", "check", "ring", "account")
		api.fail("")
	}
	for _, name := range []string{"ring", "account"} {
		w.stepOnce("013", "rotate", name)
		w.stepOnce("013", "rollback", name)
		w.stepOnce("013", "deliver", name)
		w.stepOnce("013", "rotate", name)
		w.stepOnce("013", "delete", name)
	}
	for _, name := range []string{"wrong", "wrong-account"} {
		w.step("013", "rotate", name)
		w.stepOnce("01", "check", name)
	}
	w.everyCommand()
	w.gather("")
	api.mu.Lock()
	defer api.mu.Unlock()
	w.wrote("the addresses at the API server", api.seen.Bytes())
	for _, want := range []string{"POST /api/v1/namespaces/" + namespace + "/serviceaccounts/ci/token", "POST /apis/authentication.k8s.io/v1/tokenreviews", "PATCH /api/v1/namespaces/" + namespace + "/secrets/orders", "PATCH /apis/apps/v1/namespaces/" + namespace + "/deployments/orders", "/log?"} {
		if !bytes.Contains(api.seen.Bytes(), []byte(want)) {
			t.Errorf("nothing has %q: too little was tried", want)
		}
	}
}
