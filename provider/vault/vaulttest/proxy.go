package vaulttest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/rota-dev/rota/provider/providertest"
)

// Proxy stands between Rota and a Vault, and lets the next request of a kind go
// wrong.
type Proxy struct {
	URL string

	to     string
	client *http.Client
	mu     sync.Mutex
	kind   providertest.FaultKind
	method string
	part   string // of the path of the request that the fault is for
	writes int
	hung   chan struct{}
	// between runs once before the next matching request is passed on.
	between func()
}

// NewProxy starts a proxy in front of a Vault.
func NewProxy(t testing.TB, to string, client *http.Client) *Proxy {
	t.Helper()
	p := &Proxy{to: to, client: client, hung: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(p.serve))
	p.URL = server.URL
	t.Cleanup(func() {
		close(p.hung)
		server.Close()
	})
	return p
}

// Next lets the next request with a method whose path holds a text, or ends with it
// if that ends with $, go wrong.
func (p *Proxy) Next(method, part string, kind providertest.FaultKind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kind, p.method, p.part, p.between = kind, method, part, nil
}

// Before runs something right before the next such request is passed on.
func (p *Proxy) Before(method, part string, do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kind, p.method, p.part, p.between = "", method, part, do
}

// Inject plants faults for the requests of each operation, which are a method and a
// part of a path: "POST /data/".
func (p *Proxy) Inject(requests map[string]string) providertest.Inject {
	return func(op string, kind providertest.FaultKind) bool {
		request, ok := requests[op]
		if ok {
			method, part, _ := strings.Cut(request, " ")
			p.Next(method, part, kind)
		}
		return ok
	}
}

// Writes is how many requests changed something, logins aside.
func (p *Proxy) Writes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writes
}

func (p *Proxy) fault(r *http.Request) (providertest.FaultKind, func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	method := r.Method
	if r.URL.Query().Get("list") == "true" {
		method = "LIST"
	}
	if method != http.MethodGet && method != "LIST" && !strings.HasSuffix(r.URL.Path, "/login") && !strings.Contains(r.URL.Path, "-self") {
		p.writes++
	}
	if method == http.MethodPut {
		method = http.MethodPost // Vault takes either for a write
	}
	if p.kind == "" && p.between == nil || method != p.method || !holds(r.URL.Path, p.part) {
		return "", nil
	}
	kind, between := p.kind, p.between
	p.kind, p.between = "", nil
	return kind, between
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	kind, between := p.fault(r)
	if between != nil {
		between()
	}
	sends := 1
	switch kind {
	case providertest.FailBefore:
		w.WriteHeader(http.StatusBadGateway)
		return
	case providertest.Hang:
		select {
		case <-r.Context().Done():
		case <-p.hung:
		}
		return
	case providertest.Repeat:
		sends = 2
	}
	for n := range sends {
		req, err := http.NewRequestWithContext(r.Context(), r.Method, p.to+r.URL.RequestURI(), bytes.NewReader(body)) //nolint:gosec // to the test's own Vault
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
		if n < sends-1 {
			continue
		}
		if kind == providertest.LoseReply {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		for name, list := range resp.Header {
			w.Header()[name] = list
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(answer)
	}
}

// holds reports whether a path holds a text, or ends with it if that ends with $.
func holds(path, part string) bool {
	if end, ok := strings.CutSuffix(part, "$"); ok {
		return strings.HasSuffix(path, end)
	}
	return strings.Contains(path, part)
}
