package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

// client-go runs a login's plugin without any bound of time.
func TestALoginsPluginThatHangsIsGivenUp(t *testing.T) {
	c := start(t)
	pid := filepath.Join(t.TempDir(), "pid")
	connection := c.exec(plugin(t, "echo $$ >"+pid+"\nexec sleep 60"))
	connection.cfg.Timeout = 200 * time.Millisecond
	began := time.Now()
	_, err := connection.Identity(t.Context())
	wantError(t, err, rota.ClassWait, context.DeadlineExceeded, "the login's plugin", "run kubectl with context test of")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	var process int
	if text, err := os.ReadFile(pid); err != nil {
		t.Error(err)
	} else if _, err := fmt.Sscan(string(text), &process); err == nil {
		if p, err := os.FindProcess(process); err == nil {
			_ = p.Kill()
		}
	}
}

// A plugin that doesn't say when its token expires is asked again only once the token
// was refused.
func TestATokenThatsRefusedIsAskedForOnceMore(t *testing.T) {
	c := start(t)
	count := filepath.Join(t.TempDir(), "count")
	connection := c.exec(plugin(t, fmt.Sprintf(`echo x >>%s
token=expired; [ $(wc -l <%[1]s) -gt 1 ] && token=%s
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "'$token'"}}'`, count, c.AdminToken)))
	if _, err := connection.Identity(t.Context()); err != nil {
		t.Error(err)
	}
	// So does what has replaced the kubeconfig since it was read.
	path := write(t, "k", c.Kubeconfig(c.AdminToken))
	connection = dial(t, Config{Kubeconfig: path})
	if _, err := connection.Identity(t.Context()); err != nil {
		t.Fatal(err)
	}
	connection.opened.url.Host = "127.0.0.1:1" // moved
	if _, err := connection.Identity(t.Context()); err == nil {
		t.Fatal("it answered")
	}
	if _, err := connection.Identity(t.Context()); err != nil {
		t.Errorf("the kubeconfig wasn't read again: %v", err)
	}
}

// patience is a budget that lets a request wait.
type patience time.Duration

func (p patience) Take(ctx context.Context, _ string, _ rota.Rate) error {
	return rota.Sleep(ctx, time.Duration(p))
}

func TestWaitingForTheRateIsntWaitingForAnAnswer(t *testing.T) {
	c := start(t)
	connection := c.admin()
	connection.cfg.Timeout, connection.budget = 2*time.Second, patience(2500*time.Millisecond)
	if _, err := connection.Identity(t.Context()); err != nil {
		t.Error(err)
	}
}

// A proxy's JSON isn't an empty list: nobody would hold the old value any longer.
func TestAnAnswerOfAnotherKindIsNone(t *testing.T) {
	c := start(t)
	c.deliver(canary)
	connection, faults := c.faulty()
	target := c.target(connection)
	for what, call := range map[string]func() error{
		"/pods":        func() error { _, err := target.Holders(t.Context(), rota.HoldersRequest{}); return err },
		"/secrets/":    func() error { return target.Deliver(t.Context(), delivery("another")) },
		"/namespaces/": func() error { _, err := connection.Identity(t.Context()); return err },
		"/deployments": func() error { return c.reloader(connection).Reload(t.Context(), rota.ReloadRequest{}) },
	} {
		for _, body := range []string{`{}`, `{"kind": "Login", "url": "https://` + canary + `"}`, `[]`} {
			faults.Answer(http.MethodGet, what, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, body) })
			wantError(t, call(), rota.ClassWait, nil, "could not be read", "an API server and not a proxy")
		}
	}
}

func TestAListWithoutEndIsGivenUp(t *testing.T) {
	c := start(t)
	connection, faults := c.faulty()
	for range maxPages + 10 {
		faults.Answer(http.MethodGet, "/pods", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, `{"kind": "PodList", "metadata": {"continue": "more"}, "items": []}`)
		})
	}
	_, err := connection.listPods(t.Context(), c.namespace, "")
	wantError(t, err, rota.ClassWait, nil, "pages")
	if n := len(faults.Requests()); n != maxPages {
		t.Errorf("%d requests", n)
	}
}

func TestNoWaitThatsAskedForIsEndless(t *testing.T) {
	c := start(t)
	connection, faults := c.faulty()
	for _, seconds := range []int{1 << 40, 9223372037} { // the second overflows
		faults.Answer(http.MethodPatch, "/secrets/", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTooManyRequests)
			_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "details": map[string]any{"retryAfterSeconds": seconds}})
		})
		err := c.target(connection).Deliver(t.Context(), delivery(canary))
		if e, ok := errors.AsType[*rota.Error](err); !ok || e.RetryAfter <= 0 || e.RetryAfter > 366*rota.Day {
			t.Errorf("it's to wait for: %+v", e)
		}
	}
}

// What an admission webhook makes of a value isn't what was delivered.
func TestAValueThatAdmissionChangesIsntDelivered(t *testing.T) {
	c := start(t)
	c.mutate(`[{"op": "add", "path": "/data/password", "value": "Y2hhbmdlZA=="}]`)
	n := 0
	until(t, "the webhook to be known", func() bool {
		n++
		_ = c.target(c.admin()).Deliver(t.Context(), delivery(fmt.Sprint("an-earlier-value-", n)))
		return c.values("orders")["password"] == "changed"
	})
	err := c.target(c.admin()).Deliver(t.Context(), delivery(canary))
	wantError(t, err, rota.ClassStop, nil, "its key password isn't what was written", "admission webhook")
	if strings.Contains(err.Error(), "Y2hhbmdlZA") {
		t.Errorf("it shows what's there: %v", err)
	}
}

// mutate registers a webhook that changes the namespace's Secrets.
func (c *cluster) mutate(patch string) {
	c.t.Helper()
	pair := testenvPair(c.t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			Request struct {
				UID string `json:"uid"`
			} `json:"request"`
		}
		_ = json.NewDecoder(r.Body).Decode(&review)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
			"response": map[string]any{"uid": review.Request.UID, "allowed": true, "patchType": "JSONPatch", "patch": []byte(patch)}})
	}))
	server.TLS = pair.config
	server.StartTLS()
	c.t.Cleanup(server.Close)
	authority, err := os.ReadFile(pair.authority)
	if err != nil {
		c.t.Fatal(err)
	}
	at := "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
	c.Do(c.t, http.MethodPost, at, map[string]any{"metadata": map[string]any{"name": c.namespace}, "webhooks": []map[string]any{{
		"name": "secrets.example.org", "admissionReviewVersions": []string{"v1"}, "sideEffects": "None",
		"clientConfig":      map[string]any{"url": server.URL, "caBundle": authority},
		"namespaceSelector": map[string]any{"matchLabels": map[string]string{"kubernetes.io/metadata.name": c.namespace}},
		"rules":             []map[string]any{{"apiGroups": []string{""}, "apiVersions": []string{"v1"}, "operations": []string{"CREATE", "UPDATE"}, "resources": []string{"secrets"}}},
	}}}, nil)
	c.t.Cleanup(func() { _ = c.Try(context.Background(), http.MethodDelete, at+"/"+c.namespace, nil, nil) })
}
