package vault_test

import (
	"context"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/vault"
	"github.com/rota-dev/rota/provider/vault/vaulttest"
)

func start(t *testing.T) (*vaulttest.Server, vaulttest.Backend) {
	t.Helper()
	s := vaulttest.New()
	t.Cleanup(s.Close)
	return s, vaulttest.Of(s)
}

func connect(t *testing.T, cfg vault.Config) *vault.Connection {
	t.Helper()
	c, err := vault.New("main", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// entry is a target for an entry of a new KV engine.
func entry(t *testing.T, b vaulttest.Backend, c *vault.Connection) *vault.KV {
	t.Helper()
	return &vault.KV{Target: "kv", Connection: c, Entry: vault.Entry{Mount: b.Mount(t, "kv", "2"), Path: "app", Version: 2}}
}

func deliver(ctx context.Context, target *vault.KV) error {
	return target.Deliver(ctx, rota.DeliverRequest{Secret: "prod/app", Credential: rota.NewCredential(map[string]string{rota.FieldPassword: "value-canary"})})
}

func TestServersThatCantAnswerAreNamed(t *testing.T) {
	s, b := start(t)
	target := func(cfg vault.Config) *vault.KV {
		cfg.Login = vault.Token(vaulttest.RootToken)
		return entry(t, b, connect(t, cfg))
	}
	t.Run("sealed", func(t *testing.T) {
		x := target(vault.Config{Address: s.URL})
		s.Seal(true)
		defer s.Seal(false)
		vaulttest.Wrong(t, deliver(t.Context(), x), rota.ClassWait, "vault main", "it's sealed", "unseal")
		if f := x.Preflight(t.Context()); len(f) != 1 || f[0].OK || !strings.Contains(f[0].Detail, "sealed") {
			t.Errorf("preflight says %+v", f)
		}
	})
	t.Run("on standby, and not forwarding", func(t *testing.T) {
		x := target(vault.Config{Address: s.URL})
		s.Standby(true)
		defer s.Standby(false)
		vaulttest.Wrong(t, deliver(t.Context(), x), rota.ClassStop, "307", "standby", "address of connection main to the active server")
	})
	t.Run("not there", func(t *testing.T) {
		vaulttest.Wrong(t, deliver(t.Context(), target(vault.Config{Address: "http://127.0.0.1:1"})), rota.ClassWait, "refused", "127.0.0.1:1")
	})
	t.Run("slow", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		x := target(vault.Config{Address: "http://" + l.Addr().String(), Timeout: 50 * time.Millisecond})
		vaulttest.Wrong(t, deliver(t.Context(), x), rota.ClassWait, "no answer in time", "address of connection main")
	})
	t.Run("something else", func(t *testing.T) {
		page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>value-canary</html>")) }))
		defer page.Close()
		vaulttest.Wrong(t, deliver(t.Context(), target(vault.Config{Address: page.URL})), rota.ClassWait, "could not be read", "proxy")
	})
	secure := vaulttest.NewTLS()
	t.Cleanup(secure.Close)
	t.Run("with a certificate that nobody trusts", func(t *testing.T) {
		vaulttest.Wrong(t, deliver(t.Context(), target(vault.Config{Address: secure.URL})), rota.ClassStop, "certificate", "tls_ca on connection main")
	})
	t.Run("with a certificate for another host", func(t *testing.T) {
		x := target(vault.Config{Address: secure.URL, TLSServerName: "vault.elsewhere", Certificates: provider.Certificates{CA: authority(t, secure)}})
		vaulttest.Wrong(t, deliver(t.Context(), x), rota.ClassStop, "vault.elsewhere", "correct tls_server_name of connection main")
	})
	t.Run("without TLS where it's wanted", func(t *testing.T) {
		vaulttest.Wrong(t, deliver(t.Context(), target(vault.Config{Address: strings.Replace(s.URL, "http:", "https:", 1)})), rota.ClassStop, "doesn't speak TLS")
	})
	t.Run("and one with the right certificate works", func(t *testing.T) {
		c := connect(t, vault.Config{Address: secure.URL, Login: vault.Token(vaulttest.RootToken), Certificates: provider.Certificates{CA: authority(t, secure)}})
		if err := deliver(t.Context(), entry(t, vaulttest.Of(secure), c)); err != nil {
			t.Error(err)
		}
	})
}

func authority(t *testing.T, s *vaulttest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Rota's own machine may have variables for somebody's vault command.
func TestTheEnvironmentIsNotRead(t *testing.T) {
	s, b := start(t)
	for _, prefix := range []string{"VAULT_", "BAO_"} {
		for name, value := range map[string]string{"ADDR": "http://127.0.0.1:1", "AGENT_ADDR": "http://127.0.0.1:1", "TOKEN": "hvs.other", "NAMESPACE": "other", "CACERT": "/nowhere",
			"CAPATH": "/nowhere", "CLIENT_CERT": "/nowhere", "CLIENT_KEY": "/nowhere", "SKIP_VERIFY": "true", "CLIENT_TIMEOUT": "1ns", "MAX_RETRIES": "9", "WRAP_TTL": "1h",
			"RATE_LIMIT": "0.001:1", "HTTP_PROXY": "http://127.0.0.1:1", "PROXY_ADDR": "http://127.0.0.1:1", "TLS_SERVER_NAME": "other"} {
			t.Setenv(prefix+name, value)
		}
	}
	c := connect(t, vault.Config{Address: s.URL, Login: vault.Token(vaulttest.RootToken)})
	if err := deliver(t.Context(), entry(t, b, c)); err != nil {
		t.Error(err)
	}
}

func TestNamespaces(t *testing.T) {
	s, b := start(t)
	c := connect(t, vault.Config{Address: s.URL, Namespace: "team-a/prod/", Login: vault.Token(vaulttest.RootToken)})
	_ = deliver(t.Context(), entry(t, b, c)) // the stand-in knows no namespaces
	for _, request := range s.Requests() {
		_, path, _ := strings.Cut(request, " ")
		if !strings.HasPrefix(path, "team-a/prod/") && !strings.HasPrefix(path, "sys/mounts/") {
			t.Errorf("%s isn't in the namespace", request)
		}
	}
	if id, err := c.Identity(t.Context()); err != nil || id != s.URL {
		t.Errorf("identity %q, %v", id, err)
	}
}

func TestLogins(t *testing.T) {
	s, b := start(t)
	mount, approle := "secret", b.Mount(t, "auth/approle", "")
	b.Do(t, http.MethodPost, "sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	b.Do(t, http.MethodPost, "sys/auth/kubernetes", map[string]any{"type": "kubernetes"})
	b.Do(t, http.MethodPost, "sys/policies/acl/rota", map[string]any{"policy": `path "secret/data/app" { capabilities = ["create", "read", "update"] }`})
	b.Do(t, http.MethodPost, "auth/"+approle+"/role/rota", map[string]any{"token_policies": []string{"rota"}})
	roleID, _ := b.Do(t, http.MethodGet, "auth/"+approle+"/role/rota/role-id", nil)["role_id"].(string)
	secretID, _ := b.Do(t, http.MethodPost, "auth/"+approle+"/role/rota/secret-id", map[string]any{})["secret_id"].(string)
	jwt := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(jwt, []byte(vaulttest.GoodJWT+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ good, bad vault.Login }{
		"token":      {vault.Token(" " + vaulttest.RootToken + "\n"), vault.Token("hvs.wrong-canary")},
		"AppRole":    {vault.AppRoleLogin{Mount: approle, RoleID: roleID, SecretID: secretID}, vault.AppRoleLogin{Mount: approle, RoleID: roleID, SecretID: "wrong-canary"}},
		"Kubernetes": {vault.JWTLogin{Mount: "kubernetes", Role: "rota", File: jwt}, vault.JWTLogin{Mount: "kubernetes", Role: "nobody", File: jwt}},
	} {
		t.Run(name, func(t *testing.T) {
			target := func(l vault.Login) *vault.KV {
				return &vault.KV{Target: "kv", Connection: connect(t, vault.Config{Address: s.URL, Login: l}), Entry: vault.Entry{Mount: mount, Path: "app", Version: 2}}
			}
			x := target(test.good)
			if err := deliver(t.Context(), x); err != nil {
				t.Fatal(err)
			}
			for _, f := range x.Preflight(t.Context()) {
				if !f.OK {
					t.Errorf("preflight says %+v", f)
				}
			}
			vaulttest.Wrong(t, deliver(t.Context(), target(test.bad)), rota.ClassStop, "login is not valid", "connection main")
			if name == "token" {
				return
			}
			// A revoked token is replaced by a new login.
			s.RevokeTokens()
			if err := deliver(t.Context(), x); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("a JWT that isn't there", func(t *testing.T) {
		x := &vault.KV{Connection: connect(t, vault.Config{Address: s.URL, Login: vault.JWTLogin{Mount: "kubernetes", Role: "rota", File: jwt + "x"}}), Entry: vault.Entry{Mount: mount, Path: "app", Version: 2}}
		vaulttest.Wrong(t, deliver(t.Context(), x), rota.ClassWait, "read the JWT", "jwt_file")
	})
}

func TestAGivenTokenIsRenewed(t *testing.T) {
	s, b := start(t)
	renewals := func() (n int) {
		for _, request := range s.Requests() {
			if strings.HasSuffix(request, "/renew-self") {
				n++
			}
		}
		return n
	}
	x := entry(t, b, connect(t, vault.Config{Address: s.URL, Login: vault.Token(s.AddToken(3*time.Second, true, "service", "root"))}))
	if err := deliver(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); renewals() < 2; {
		if time.Now().After(deadline) {
			t.Fatal("it isn't renewed while nobody uses it")
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	if err := deliver(t.Context(), x); err != nil {
		t.Error(err)
	}
}

// Vault's community edition ignores the header with the namespace.
func TestANamespaceOfAServerWithoutAnyIsReported(t *testing.T) {
	s, b := start(t)
	s.Community()
	for namespace, want := range map[string]string{"": "", "team-a": "has no namespaces"} {
		f := entry(t, b, connect(t, vault.Config{Address: s.URL, Namespace: namespace, Login: vault.Token(vaulttest.RootToken)})).Preflight(t.Context())
		if len(f) == 0 || f[0].OK != (want == "") || !strings.Contains(f[0].Detail, want) || want != "" && rota.Hint(f[0].Remedies) == "" {
			t.Errorf("namespace %q: %+v", namespace, f)
		}
	}
}

func TestATokenThatCantBeRenewedIsReported(t *testing.T) {
	s, b := start(t)
	for name, test := range map[string]struct{ token, want string }{
		"batch":         {s.AddToken(time.Hour, false, "batch", "root"), "batch token"},
		"a child":       {s.AddChild(s.AddToken(time.Hour, false, "batch", "root")), "together with the token that made it"},
		"a batch child": {s.AddChild(s.AddToken(time.Hour, false, "batch", "root")), "batch token"},
		"not renewable": {s.AddToken(time.Hour, false, "service", "root"), "can't be renewed"},
	} {
		x := entry(t, b, connect(t, vault.Config{Address: s.URL, Login: vault.Token(test.token)}))
		if err := deliver(t.Context(), x); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.ContainsFunc(x.Preflight(t.Context()), func(f rota.Finding) bool {
			return f.Warning && strings.Contains(f.Detail, test.want) && len(f.Remedies) > 0
		}) {
			t.Errorf("%s: preflight doesn't say so: %+v", name, x.Preflight(t.Context()))
		}
	}
	now := time.Now()
	c := connect(t, vault.Config{Address: s.URL, Login: vault.Token(s.AddToken(time.Second, false, "service", "root")), Now: func() time.Time { return now }})
	x := entry(t, b, c)
	if err := deliver(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	s.RevokeTokens()
	now = now.Add(time.Hour)
	vaulttest.Wrong(t, deliver(t.Context(), x), rota.ClassStop, "login is not valid", "expired or revoked")
}
