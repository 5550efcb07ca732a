//go:build unix

package controller_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// benchSecrets is how many RotatingSecrets the figures are about.
const benchSecrets = 1000

// BenchmarkControllerThousandResources starts a controller on an empty store beside 1,000
// RotatingSecrets of keys that Rota makes itself, each delivered to a Secret of its own,
// and then lets it idle for a minute.
func BenchmarkControllerThousandResources(b *testing.B) {
	for b.Loop() {
		measure(b)
	}
}

func measure(b *testing.B) {
	w := newWorld(b)
	var requests atomic.Int64
	to, err := url.Parse(w.URL)
	if err != nil {
		b.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport, proxy.FlushInterval = w.Client().Transport, -1
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		proxy.ServeHTTP(rw, r)
	}))
	pair, err := tls.LoadX509KeyPair(w.CA, w.Key)
	if err != nil {
		b.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	w.write("kubeconfig", strings.Replace(w.Kubeconfig(w.AdminToken), w.URL, server.URL, 1))
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := worker; i < benchSecrets; i += 8 {
				name := fmt.Sprintf("key-%04d", i)
				if err := w.Try(b.Context(), http.MethodPost, w.at("rotatingsecrets"), fmt.Sprintf(
					`{apiVersion: rota.dev/v1alpha1, kind: RotatingSecret, metadata: {name: %s}, spec: {issuer: {secret_key: {}}, targets: [{name: app, kubernetes_secret: {connection: %s, namespace: %s, secret: %s}}]}}`,
					name, w.ns, w.ns, name), nil); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	if b.Failed() {
		return
	}
	began := time.Now()
	p := w.start("data")
	var lastState map[string]int
	for deadline := began.Add(10 * time.Minute); ; time.Sleep(time.Second) {
		var list struct{ Items []resource }
		if w.Try(b.Context(), http.MethodGet, w.at("rotatingsecrets"), nil, &list) == nil {
			lastState = map[string]int{}
			for _, r := range list.Items {
				lastState[r.Status.State]++
			}
			if lastState["Ready"] == benchSecrets {
				break
			}
		}
		if time.Now().After(deadline) {
			b.Fatalf("after ten minutes: %v", lastState)
		}
	}
	b.ReportMetric(time.Since(began).Seconds(), "s-to-converge")
	settled := requests.Load()
	for { // until what follows a rotation is done, too
		before := requests.Load()
		time.Sleep(10 * time.Second)
		if requests.Load()-before < 10 {
			break
		}
	}
	b.ReportMetric(float64(max(settled, requests.Load()))/benchSecrets, "requests/rotation")
	idle := requests.Load()
	time.Sleep(time.Minute)
	b.ReportMetric(float64(requests.Load()-idle), "requests/idle-minute")
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, found := strings.CutPrefix(line, "VmRSS:"); found {
			kilobytes, _ := strconv.ParseFloat(strings.Fields(text)[0], 64)
			b.ReportMetric(kilobytes/1024, "MiB-resident")
		}
	}
	p.stop(b) // before the proxy, which waits for its connections
	if err := w.Try(context.Background(), http.MethodDelete, w.at("rotatingsecrets"), nil, nil); err != nil {
		b.Error(err)
	}
}
