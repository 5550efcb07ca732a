package vaulttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rota-dev/rota/provider/vault"
)

// Backend is a Vault, real or not.
type Backend struct {
	URL, Token string // the root token
	Client     *http.Client
	// Database is what its database engine manages. A stand-in has none.
	Database *Database
}

// Database is a PostgreSQL server.
type Database struct {
	URL, Username, Password string // as Vault's plugin wants them
	Exec                    func(t testing.TB, statements ...string)
	// Login logs in as a consumer does.
	Login func(t testing.TB, username, password string) error
}

// Of is the stand-in as a backend.
func Of(s *Server) Backend { return Backend{URL: s.URL, Token: RootToken, Client: s.Client()} }

// Do makes one request as root and returns the answer's data. It fails the test
// unless that succeeds.
func (b Backend) Do(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	out, status := b.Ask(t, method, path, body)
	if status >= 300 && status != http.StatusNotFound {
		t.Fatalf("%s %s: status %d: %v", method, path, status, out["errors"])
	}
	inner, _ := out["data"].(map[string]any)
	if inner == nil {
		inner = out
	}
	return inner
}

// Ask makes one request as root.
func (b Backend) Ask(t testing.TB, method, path string, body any) (map[string]any, int) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, b.URL+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", b.Token)
	resp, err := b.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	_ = json.Unmarshal(answer, &out)
	return out, resp.StatusCode
}

// mounts counts the mounts of all tests.
var mounts atomic.Int64

// Mount mounts a new engine ("kv", with options) or auth method ("auth/approle") and
// returns where.
func (b Backend) Mount(t testing.TB, kind, version string) string {
	t.Helper()
	area, name := "mounts", fmt.Sprintf("%s-%d", strings.TrimPrefix(kind, "auth/"), mounts.Add(1))
	if strings.HasPrefix(kind, "auth/") {
		area = "auth"
	}
	body := map[string]any{"type": strings.TrimPrefix(kind, "auth/")}
	if version != "" {
		body["options"] = map[string]string{"version": version}
	}
	b.Do(t, http.MethodPost, "sys/"+area+"/"+name, body)
	return name
}

// Connect gives a connection by way of a proxy.
func (b Backend) Connect(t testing.TB, login vault.Login) (*vault.Connection, *Proxy) {
	t.Helper()
	p := NewProxy(t, b.URL, b.Client)
	c, err := vault.New("test", vault.Config{Address: p.URL, Login: login})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, p
}

// Policy writes a policy and returns a token that has it and the default one.
func (b Backend) Policy(t testing.TB, hcl string) string {
	t.Helper()
	name := fmt.Sprintf("rota-%d", mounts.Add(1))
	b.Do(t, http.MethodPost, "sys/policies/acl/"+name, map[string]any{"policy": hcl})
	out, _ := b.Ask(t, http.MethodPost, "auth/token/create", map[string]any{"policies": []string{name}, "ttl": "1h", "no_parent": true})
	auth, _ := out["auth"].(map[string]any)
	token, _ := auth["client_token"].(string)
	if token == "" {
		t.Fatalf("no token: %v", out)
	}
	return token
}
