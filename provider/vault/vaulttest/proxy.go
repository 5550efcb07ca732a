package vaulttest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rota-dev/rota/provider/providertest"
)

// Proxy stands between Rota and a Vault, and lets requests go wrong. Vault takes POST
// and PUT for a write; to a proxy both are POST, and a list is LIST.
type Proxy struct {
	providertest.HTTPFaults
	URL string

	to     string
	client *http.Client
	writes atomic.Int64
	last   atomic.Value // the path of the latest request that was passed on
}

// NewProxy starts a proxy in front of a Vault.
func NewProxy(t testing.TB, to string, client *http.Client) *Proxy {
	t.Helper()
	p := &Proxy{to: to, client: client}
	faulty := p.Wrap(http.HandlerFunc(p.pass))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("list") == "true":
			r.Method = methodList
		case r.Method == http.MethodPut:
			r.Method = http.MethodPost
		}
		if r.Method != http.MethodGet && r.Method != methodList && !strings.HasSuffix(r.URL.Path, "/login") && !strings.Contains(r.URL.Path, "-self") {
			p.writes.Add(1)
		}
		r = r.WithContext(context.WithValue(r.Context(), beforeKey{}, p.last.Load()))
		faulty.ServeHTTP(w, r)
	}))
	p.URL = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections() // of requests that hang
		server.Close()
	})
	return p
}

const methodList = "LIST"

type beforeKey struct{}

// follows reports whether the last request that got through was for a path with
// that part.
func follows(r *http.Request, part string) bool {
	path, _ := r.Context().Value(beforeKey{}).(string)
	return strings.Contains(path, part)
}

// Before runs something right before the next request with a method and a part of a
// path is passed on.
func (p *Proxy) Before(method, part string, do func()) {
	p.Instead(providertest.Matching(method, part), func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		do()
		next.ServeHTTP(w, r)
	})
}

// Writes is how many requests changed something, logins aside.
func (p *Proxy) Writes() int { return int(p.writes.Load()) }

// pass sends a request on.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request) {
	p.last.Store(r.URL.Path)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	method := r.Method
	if method == methodList {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(r.Context(), method, p.to+r.URL.RequestURI(), bytes.NewReader(body)) //nolint:gosec // to the test's own Vault
	if err != nil {
		return
	}
	req.Header = r.Header.Clone()
	resp, err := p.client.Do(req) //nolint:gosec // the same
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	answer, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	for name, list := range resp.Header {
		w.Header()[name] = list
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer)
}
