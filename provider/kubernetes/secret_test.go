package kubernetes

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/providertest"
)

// canary is a value that no error may show.
const canary = "s3cret-canary-9Vn2Qx"

func credential(password string) rota.Credential {
	return rota.NewCredential(map[string]string{rota.FieldUsername: "orders", rota.FieldPassword: password})
}

func delivery(password string) rota.DeliverRequest {
	return rota.DeliverRequest{Secret: "prod/orders", Version: "version-of-" + password, Credential: credential(password)}
}

func (c *cluster) target(connection *Connection) *Secret {
	return &Secret{Target: "cluster", Connection: connection, Namespace: c.namespace, Object: "orders"}
}

// make makes a Secret by somebody else's hand.
func (c *cluster) make(extra string) {
	c.t.Helper()
	c.Apply(c.t, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {namespace: %s, name: orders, labels: {team: shop}}\n%s\n", c.namespace, extra))
}

// wantError checks an error's class, sentinel (nil for any) and words, and that it names
// the system and holds no value.
func wantError(t testing.TB, err error, class rota.Class, sentinel error, words ...string) {
	t.Helper()
	testenv.WantError(t, err, class, sentinel, canary, append(words, "kubernetes main: ")...)
}

func TestEachTypeOfSecretIsWhatTheAPIServerWants(t *testing.T) {
	c := start(t)
	for name, test := range map[string]struct {
		content Content
		want    map[string]string
	}{
		"opaque with a template": {Content{Fields: fields(t, map[string]string{"url": "postgres://{username}:{password|url}@db/orders"})},
			map[string]string{"url": "postgres://orders:" + canary + "@db/orders"}},
		"basic-auth": {Content{Type: TypeBasicAuth}, map[string]string{"username": "orders", "password": canary}},
		"ssh-auth":   {Content{Type: TypeSSHAuth, Fields: fields(t, map[string]string{"ssh-privatekey": "password"})}, map[string]string{"ssh-privatekey": canary}},
		"tls":        {Content{Type: TypeTLS, Fields: fields(t, map[string]string{"tls.crt": "username", "tls.key": "password"})}, map[string]string{"tls.crt": "orders", "tls.key": canary}},
		"dockerconfigjson": {Content{Type: TypeDockerConfig, Registry: "registry.example.org"}, map[string]string{
			".dockerconfigjson": `{"auths":{"registry.example.org":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("orders:"+canary)) + `"}}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			target := c.target(c.admin())
			target.Object, target.Content = strings.ReplaceAll(name, " ", "-"), test.content
			if f := testenv.FindingOf(t, target, "write Secret"); !f.OK || f.Detail != "it's created by the first delivery" {
				t.Errorf("before: %+v", f)
			}
			if err := target.Deliver(t.Context(), delivery(canary)); err != nil {
				t.Fatal(err)
			}
			if f := testenv.FindingOf(t, target, "write Secret"); !f.OK || f.Detail != "" {
				t.Errorf("after: %+v", f)
			}
			s, got := c.secret(target.Object), c.values(target.Object)
			for key, value := range got {
				if key == dockerConfigKey {
					var v any
					if err := json.Unmarshal([]byte(value), &v); err != nil {
						t.Fatal(err)
					}
					text, _ := json.Marshal(v)
					got[key] = string(text)
				}
			}
			if !maps.Equal(got, test.want) || s.Type != test.content.kind() {
				t.Errorf("it holds %v, type %s", got, s.Type)
			}
			if s.Metadata.Labels[labelManaged] != "true" || s.Metadata.Annotations[annotationSecret] != "prod/orders" || s.Metadata.Annotations[annotationVersion] != "version-of-"+canary {
				t.Errorf("it's marked %v %v", s.Metadata.Labels, s.Metadata.Annotations)
			}
		})
	}
}

func TestASecretOfOthersIsLeftAloneUnlessItsAdopted(t *testing.T) {
	c := start(t)
	c.make("stringData: {password: theirs, other: stays}")
	target := c.target(c.admin())
	if f := testenv.FindingOf(t, target, "write Secret"); f.OK || f.Warning || !strings.Contains(rota.Hint(f.Remedies), "adopt: true") {
		t.Errorf("preflight: %+v", f)
	}
	wantError(t, target.Deliver(t.Context(), delivery(canary)), rota.ClassStop, nil, "Rota didn't create it", "adopt: true")
	if got := c.values("orders"); got["password"] != "theirs" {
		t.Fatalf("it was overwritten: %v", got)
	}
	target.Adopt, target.Content.Fields = true, fields(t, map[string]string{"username": "username", "password": "password"})
	if f := testenv.FindingOf(t, target, "write Secret"); !f.OK || f.Detail != "it's taken over, and keeps 1 keys of others" {
		t.Errorf("preflight, adopting: %+v", f)
	}
	if got := c.values("orders"); got["password"] != "theirs" {
		t.Fatalf("preflight has written: %v", got)
	}
	if err := target.Deliver(t.Context(), delivery(canary)); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"username": "orders", "password": canary, "other": "stays"}
	if got := c.values("orders"); !maps.Equal(got, want) || c.secret("orders").Metadata.Labels["team"] != "shop" {
		t.Errorf("adopted, it holds %v", got)
	}
	target.Adopt = false // it's Rota's now
	if err := target.Deliver(t.Context(), delivery("another-one")); err != nil {
		t.Error(err)
	}
	r := delivery("a-third-one")
	r.Secret = "prod/else"
	wantError(t, target.Deliver(t.Context(), r), rota.ClassStop, nil, "it belongs to Rota's secret prod/orders", "renamed")
}

func TestWhatCantBeWrittenIsHeldBeforehand(t *testing.T) {
	for name, test := range map[string]struct{ extra, says, remedy string }{
		"an immutable Secret":     {"immutable: true\nstringData: {password: theirs}", "it's immutable", "set secret to a new name"},
		"one of another type":     {"type: kubernetes.io/basic-auth\nstringData: {username: a, password: theirs}", "its type is kubernetes.io/basic-auth, and rota.yaml says Opaque", "type: kubernetes.io/basic-auth"},
		"one that's kept in sync": {"stringData: {password: theirs}", "ExternalSecret orders made it", "let Rota write to what ExternalSecret reads"},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			c.make(test.extra)
			if strings.Contains(name, "sync") {
				c.Do(t, http.MethodPatch, pathOf("", c.namespace, "secrets", "orders"), map[string]any{"metadata": map[string]any{"ownerReferences": []map[string]any{
					{"apiVersion": "v1", "kind": "ExternalSecret", "name": "orders", "uid": "b4b6c6f0-0000-4000-8000-000000000000", "controller": true}}}}, nil)
			}
			target := c.target(c.admin())
			target.Adopt = true
			if f := testenv.FindingOf(t, target, "write Secret"); f.OK || f.Warning || !strings.Contains(f.Detail, test.says) || !strings.Contains(rota.Hint(f.Remedies), test.remedy) {
				t.Errorf("preflight: %+v", f)
			}
			wantError(t, target.Deliver(t.Context(), delivery(canary)), rota.ClassStop, nil, test.says, test.remedy)
			if got := c.values("orders"); got["password"] != "theirs" {
				t.Errorf("it was overwritten: %v", got)
			}
		})
	}
	t.Run("in a namespace that isn't there", func(t *testing.T) {
		c := start(t)
		target := c.target(c.admin())
		target.Namespace = "nowhere"
		if f := testenv.FindingOf(t, target, "write Secret"); f.OK || f.Warning || !strings.Contains(rota.Hint(f.Remedies), "create the namespace") {
			t.Errorf("preflight: %+v", f)
		}
		wantError(t, target.Deliver(t.Context(), delivery(canary)), rota.ClassStop, rota.ErrNotFound, "create the namespace")
	})
}

func TestKeysOfOthersStayAndRotasOwnGo(t *testing.T) {
	c := start(t)
	target := c.target(c.admin())
	target.Content.Fields = fields(t, map[string]string{"old": "password", "user": "username"})
	if err := target.Deliver(t.Context(), delivery(canary)); err != nil {
		t.Fatal(err)
	}
	c.Do(t, http.MethodPatch, pathOf("", c.namespace, "secrets", "orders"), map[string]any{"stringData": map[string]string{"other": "stays"}, "metadata": map[string]any{"labels": map[string]string{"team": "shop"}}}, nil)
	target.Content.Fields = fields(t, map[string]string{"new": "password", "user": "username"})
	if err := target.Deliver(t.Context(), delivery(canary)); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"new": canary, "user": "orders", "other": "stays"}
	if got := c.values("orders"); !maps.Equal(got, want) || c.secret("orders").Metadata.Labels["team"] != "shop" {
		t.Errorf("it holds %v", got)
	}
}

func TestDriftIsReportedAndRepaired(t *testing.T) {
	for name, patch := range map[string]map[string]any{
		"a value is overwritten": {"stringData": map[string]string{"password": "theirs"}},
		"a key is removed":       {"data": map[string]any{"password": nil}},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			target := c.target(c.admin())
			target.Content.Fields = fields(t, map[string]string{"password": "password", "username": "username"})
			if err := target.Deliver(t.Context(), delivery(canary)); err != nil {
				t.Fatal(err)
			}
			c.Do(t, http.MethodPatch, pathOf("", c.namespace, "secrets", "orders")+"?fieldManager=kubectl-edit", patch, nil)
			f := testenv.FindingOf(t, target, "the values of Secret")
			by := map[bool]string{true: "nobody", false: "kubectl-edit"}[strings.Contains(name, "removed")]
			if !f.Warning || !strings.HasSuffix(f.Detail, "password ("+by+")") {
				t.Errorf("preflight: %+v", f)
			}
			if err := target.Deliver(t.Context(), delivery(canary)); err != nil {
				t.Fatal(err)
			}
			if got := c.values("orders"); got["password"] != canary {
				t.Errorf("it holds %v", got)
			}
			if n := len(target.Preflight(t.Context())); n != 1 {
				t.Errorf("%d findings once it's repaired", n)
			}
		})
	}
}

// What others do between Rota's look at the Secret and its write.
func TestARaceIsNeverLost(t *testing.T) {
	path := func(c *cluster) string { return pathOf("", c.namespace, "secrets", "orders") }
	for name, test := range map[string]struct {
		meanwhile func(*cluster)
		exists    bool
		want      map[string]string // nil if it's refused
	}{
		"somebody adds a key": {func(c *cluster) {
			c.Do(c.t, http.MethodPatch, path(c), map[string]any{"stringData": map[string]string{"other": "stays"}}, nil)
		}, true, map[string]string{"username": "orders", "password": canary, "other": "stays"}},
		"somebody makes it immutable": {func(c *cluster) { c.Do(c.t, http.MethodPatch, path(c), map[string]any{"immutable": true}, nil) }, true, nil},
		"somebody replaces it by their own": {func(c *cluster) {
			c.Do(c.t, http.MethodDelete, path(c), nil, nil)
			c.make("stringData: {password: theirs}")
		}, true, nil},
		"somebody deletes it": {func(c *cluster) { c.Do(c.t, http.MethodDelete, path(c), nil, nil) }, true, map[string]string{"username": "orders", "password": canary}},
		"somebody creates it": {func(c *cluster) { c.make("stringData: {password: theirs}") }, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			connection, faults := c.faulty()
			target := c.target(connection)
			before := map[string]string{"password": "theirs"}
			if test.exists {
				if err := target.Deliver(t.Context(), delivery("the-first-one")); err != nil {
					t.Fatal(err)
				}
			}
			faults.Instead(providertest.Matching(http.MethodPatch, "/secrets/"), func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				test.meanwhile(c)
				next.ServeHTTP(w, r)
			})
			err := target.Deliver(t.Context(), delivery(canary))
			got := c.values("orders")
			switch {
			case test.want != nil && (err != nil || !maps.Equal(got, test.want)):
				t.Errorf("it holds %v: %v", got, err)
			case test.want == nil && (err == nil || rota.ClassOf(err) != rota.ClassStop || got["password"] == canary):
				t.Errorf("it holds %v, before %v: %v", got, before, err)
			}
		})
	}
}

func TestRefusalsAreClassifiedAndShowNoValue(t *testing.T) {
	c := start(t)
	echo := func(status int, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Retry-After", "9")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "message": message + ": " + canary + " " + base64.StdEncoding.EncodeToString([]byte(canary)) + " " + string(body) + r.Header.Get("Authorization"), "reason": "Test"})
		}
	}
	for name, test := range map[string]struct {
		status          int
		message, remedy string
		class           rota.Class
	}{
		"invalid":           {http.StatusUnprocessableEntity, "Secret is invalid", "objects to", rota.ClassStop},
		"admission":         {http.StatusForbidden, "admission webhook denied the request", "admission policy", rota.ClassStop},
		"quota":             {http.StatusForbidden, "exceeded quota: small", "ResourceQuota", rota.ClassStop},
		"terminating":       {http.StatusForbidden, "unable to create new content in namespace x because it is being terminated", "wait until the namespace is gone", rota.ClassStop},
		"too large":         {http.StatusRequestEntityTooLarge, "too large", "objects to", rota.ClassStop},
		"throttled":         {http.StatusTooManyRequests, "too many requests", "", rota.ClassWait},
		"down":              {http.StatusInternalServerError, "etcdserver: no leader", "", rota.ClassWait},
		"login has expired": {http.StatusUnauthorized, "Unauthorized", "valid login", rota.ClassStop},
	} {
		t.Run(name, func(t *testing.T) {
			connection, faults := c.faulty()
			faults.Answer(http.MethodPatch, "/secrets/", echo(test.status, test.message))
			if test.status == http.StatusUnauthorized { // the login is tried twice
				faults.Answer(http.MethodPatch, "/secrets/", echo(test.status, test.message))
			}
			err := c.target(connection).Deliver(t.Context(), delivery(canary))
			wantError(t, err, test.class, nil, test.remedy)
			e, _ := errors.AsType[*rota.Error](err)
			if text := fmt.Sprint(err, e.Remedies); strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(canary))) || strings.Contains(text, c.AdminToken) {
				t.Errorf("it shows the value in base64, or the login: %s", text)
			}
			if e.RetryAfter != 9*time.Second {
				t.Errorf("it waits %s", e.RetryAfter)
			}
		})
	}
	t.Run("always a conflict", func(t *testing.T) {
		connection, faults := c.faulty()
		for range maxRaces {
			faults.Answer(http.MethodPatch, "/secrets/", echo(http.StatusConflict, "conflict"))
		}
		wantError(t, c.target(connection).Deliver(t.Context(), delivery(canary)), rota.ClassWait, rota.ErrConflict, "what else changes it")
		if n := len(faults.Requests()); n != 2*maxRaces {
			t.Errorf("%d requests", n)
		}
	})
}

func TestWhatASecretCantHoldIsRefusedBeforeItsUsed(t *testing.T) {
	connection := dial(t, Config{Kubeconfig: "unused"})
	for name, test := range map[string]struct {
		content    Content
		credential rota.Credential
		says       string
	}{
		"more than a MiB":    {Content{}, credential(strings.Repeat(canary, 1<<16)), "1048576 at most"},
		"a key it can't":     {Content{}, rota.NewCredential(map[string]string{"pass word": canary}), "can't have a key"},
		"dots as a key":      {Content{}, rota.NewCredential(map[string]string{"..data": canary}), "can't have a key"},
		"no key of its type": {Content{Type: TypeTLS}, credential(canary), "needs the key tls.crt"},
		"nothing":            {Content{}, rota.Credential{}, "no fields"},
		"half a login":       {Content{Type: TypeDockerConfig, Registry: "r"}, rota.NewCredential(map[string]string{"password": canary}), "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			target := &Secret{Connection: connection, Namespace: "shop", Object: "orders", Content: test.content}
			wantError(t, target.Accept(test.credential), rota.ClassStop, nil, test.says)
		})
	}
	if err := (&Secret{Connection: connection}).Accept(credential(canary)); err != nil {
		t.Error(err)
	}
}

// Without one of the rules that the policy prints, an error names it; with them, all
// works.
func TestThePolicyIsEnoughAndAllOfItIsNeeded(t *testing.T) {
	c := start(t)
	target, restart := c.target(nil), &Restart{Reloader: "pods", Namespace: c.namespace, Secret: "orders", Gather: -1, Poll: 10 * time.Millisecond}
	token := c.ServiceAccountToken(t, c.namespace, "rota")
	target.Connection = c.connect(c.Kubeconfig(token))
	restart.Connection = target.Connection
	missing := func(err error, rule string) {
		t.Helper()
		wantError(t, err, rota.ClassStop, nil, "403", "allow the login of connection main to "+rule+" in namespace "+c.namespace, "rota policy kubernetes")
	}
	missing(target.Deliver(t.Context(), delivery(canary)), "get secrets orders")
	_, err := target.Connection.Identity(t.Context())
	wantError(t, err, rota.ClassStop, nil, "allow the login of connection main to get namespaces kube-system")
	c.Apply(t, c.policy(readOnly{c.namespace}))
	until(t, "the role to be known", func() bool {
		_, _, err := target.Connection.readSecret(t.Context(), c.namespace, "orders")
		return err == nil
	})
	missing(target.Deliver(t.Context(), delivery(canary)), "create, patch secrets orders")
	if f := testenv.FindingOf(t, target, "write Secret"); f.OK || f.Warning {
		t.Errorf("preflight: %+v", f)
	}
	restart.Secret, restart.Workloads = "", []Workload{{"deployment", "orders"}}
	missing(restart.Reload(t.Context(), rota.ReloadRequest{}), "get, patch deployments.apps orders")
	restart.Workloads, restart.Labels = nil, "app=orders"
	missing(restart.Reload(t.Context(), rota.ReloadRequest{}), "list, get, patch deployments.apps")

	c = start(t)
	target, restart = c.target(nil), &Restart{Reloader: "pods", Namespace: c.namespace, Secret: "orders", Gather: -1, Poll: 10 * time.Millisecond}
	target.Connection = c.restricted(target, restart)
	restart.Connection = target.Connection
	for _, password := range []string{"the-first-one", canary} {
		if f := testenv.FindingOf(t, target, "write Secret"); !f.OK {
			t.Errorf("preflight: %+v", f)
		}
		if err := target.Deliver(t.Context(), delivery(password)); err != nil {
			t.Fatal(err)
		}
		if password != canary {
			c.workload("Deployment", "orders", 1, byEnv, "", "")
			c.healthy("Deployment", "orders")
			continue
		}
		for _, f := range restart.Preflight(t.Context()) {
			if !f.OK {
				t.Errorf("preflight: %+v", f)
			}
		}
		if err := restart.Reload(t.Context(), rota.ReloadRequest{Secret: "prod/orders", Version: "2"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := target.Connection.Identity(t.Context()); err != nil {
		t.Error(err)
	}
	if got := c.values("orders")["password"]; got != canary {
		t.Errorf("it holds %q", got)
	}
}

// readOnly needs what reading a namespace's Secret takes.
type readOnly struct{ namespace string }

func (r readOnly) Permissions() []provider.Permission {
	return []provider.Permission{readNeed(r.namespace, "orders").permission()}
}
