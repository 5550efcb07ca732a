//go:build unix

package controller_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// holder is who holds the controllers' Lease.
func (w *world) holder() string {
	var lease struct {
		Spec struct {
			HolderIdentity   string `json:"holderIdentity"`
			LeaseTransitions int    `json:"leaseTransitions"`
		}
	}
	if w.Try(w.t.Context(), http.MethodGet, "/apis/coordination.k8s.io/v1/namespaces/"+w.ns+"/leases/rota", nil, &lease) != nil {
		return ""
	}
	return lease.Spec.HolderIdentity
}

// rotate asks for a rotation and waits for it. It returns the new version.
func (w *world) rotate(request, before string) resource {
	w.t.Helper()
	w.Do(w.t, http.MethodPatch, w.at("rotatingsecrets")+"/orders", map[string]any{"metadata": map[string]any{"annotations": map[string]any{"rota.dev/rotate": request}}}, nil)
	var now resource
	eventually(w.t, "rotation "+request+" is done", func(ctx context.Context) bool {
		now = resource{}
		return w.Try(ctx, http.MethodGet, w.at("rotatingsecrets")+"/orders", nil, &now) == nil &&
			now.Status.Version != before && now.Status.Requested == request && strings.HasPrefix(now.condition("Ready"), "True") && strings.HasPrefix(now.condition("Rotating"), "False")
	})
	return now
}

// versions is how many versions of the secret were ever created.
func (w *world) versions() int { return strings.Count(w.eventsOf("orders"), "Normal Rotated ") }

func TestAnotherReplicaTakesOverFromOneThatWasKilled(t *testing.T) {
	w := newWorld(t)
	database := postgres.Get(t).NewDatabase(t)
	w.rotating("orders", w.delivered())
	a := w.start("a", "--database", database)
	first := w.wait("rotatingsecrets", "orders", "Ready", "True")
	leader := w.holder()
	w.copyKey("a", "b")
	b := w.start("b", "--database", database)
	eventually(t, "the other replica is up", func(context.Context) bool { return strings.Contains(b.log.String(), "listening") })

	a.kill(t)
	second := w.rotate("2", first.Status.Version)
	if now := w.holder(); now == leader || now == "" {
		t.Errorf("the Lease is held by %q, and was by %q", now, leader)
	}
	if !w.logsIn(w.password()) {
		t.Error("the password delivered isn't the role's")
	}
	eventually(t, "both rotations have their event", func(context.Context) bool { return w.versions() == 2 })
	// It has come to rest: neither replica rotates again.
	if third := w.wait("rotatingsecrets", "orders", "Rotating", "False"); third.Status.Version != second.Status.Version || w.versions() != 2 {
		t.Errorf("%d rotations were asked for and %d done", 2, w.versions())
	}
}

func TestTheAPIServerIsCutOffMidway(t *testing.T) {
	w := newWorld(t)
	// A proxy that can be cut, for the controller and for its deliveries alike.
	var cut atomic.Bool
	to, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = w.Client().Transport
	proxy.FlushInterval = -1
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if cut.Load() {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(rw, r)
	}))
	pair, err := tls.LoadX509KeyPair(w.CA, w.Key)
	if err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	w.write("kubeconfig", strings.Replace(w.Kubeconfig(w.AdminToken), w.URL, server.URL, 1))

	w.rotating("orders", w.delivered())
	p := w.start("data")
	first := w.wait("rotatingsecrets", "orders", "Ready", "True")
	before := w.password()

	cut.Store(true)
	server.CloseClientConnections()
	w.Do(t, http.MethodPatch, w.at("rotatingsecrets")+"/orders", map[string]any{"metadata": map[string]any{"annotations": map[string]any{"rota.dev/rotate": "2"}}}, nil)
	eventually(t, "the controller notices", func(context.Context) bool { return strings.Contains(p.log.String(), "no longer reports") })
	if !w.logsIn(before) {
		t.Error("the consumers' password died while nothing could be delivered")
	}
	cut.Store(false)
	w.rotate("2", first.Status.Version)
	if after := w.password(); after == before || !w.logsIn(after) {
		t.Error("it didn't go on once the API server was back")
	}
}

func TestANamespaceWithRotatingSecretsCanBeDeleted(t *testing.T) {
	w := newWorld(t)
	w.rotating("orders", "")
	p := w.start("data")
	w.wait("rotatingsecrets", "orders", "Ready", "True")
	p.kill(t) // nothing is there to remove a finalizer
	w.Do(t, http.MethodDelete, "/api/v1/namespaces/"+w.ns, nil, nil)
	eventually(t, "the namespace is gone", func(ctx context.Context) bool {
		err := w.Try(ctx, http.MethodGet, "/api/v1/namespaces/"+w.ns, nil, nil)
		return err != nil && strings.Contains(err.Error(), "404")
	})
}

func TestARevokedGrantCountsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.rotating("orders", w.delivered())
	w.start("data")
	w.wait("rotatingsecrets", "orders", "Ready", "True")
	w.Do(t, http.MethodPatch, apis+"/clusterconnections/"+w.ns, map[string]any{"spec": map[string]any{"namespaces": []string{"elsewhere"}}}, nil)
	grant := func(status, want string) {
		t.Helper()
		eventually(t, "the RotatingSecret is Ready="+status, func(ctx context.Context) bool {
			var now resource
			return w.Try(ctx, http.MethodGet, w.at("rotatingsecrets")+"/orders", nil, &now) == nil && strings.HasPrefix(now.condition("Ready"), status+" "+want)
		})
	}
	grant("False", "Invalid: spec.reload[app].kubernetes_restart.connection: no connection ")
	// A label of the namespace grants it again.
	w.Do(t, http.MethodPatch, apis+"/clusterconnections/"+w.ns, map[string]any{"spec": map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"team": w.ns}}}}, nil)
	w.Do(t, http.MethodPatch, "/api/v1/namespaces/"+w.ns, map[string]any{"metadata": map[string]any{"labels": map[string]any{"team": w.ns}}}, nil)
	grant("True", "InUse")
}
