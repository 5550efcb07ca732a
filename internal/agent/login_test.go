package agent_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/agent"
)

// logins is a server that notes who asks.
type logins struct {
	mu   sync.Mutex
	seen []string
}

func (l *logins) note(who string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, who)
}

func (l *logins) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who := r.Header.Get("Authorization")
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		who = r.TLS.PeerCertificates[0].Subject.CommonName
		w.Header().Set("Connection", "close") // the next request is another handshake
	}
	l.note(who)
	_ = json.NewEncoder(w).Encode(map[string]any{"secret": db, "version": "v1", "fields": password("one")})
}

func TestAnOIDCClientGetsATokenAndKeepsIt(t *testing.T) {
	seen := &logins{}
	server := httptest.NewServer(seen)
	defer server.Close()
	var asked []string
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		asked = append(asked, strings.Join([]string{id, secret, r.PostFormValue("grant_type"), r.PostFormValue("audience"), r.PostFormValue("scope")}, " "))
		w.Header().Set("Content-Type", "application/json")
		if secret != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error": "invalid_client", "error_description": "not ` + secret + `"}`))
			return
		}
		_, _ = w.Write([]byte(`{"access_token": "the-token", "token_type": "Bearer", "expires_in": 3600}`))
	}))
	defer issuer.Close()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("wr0ng\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := agent.Login{Server: server.URL, OIDC: &agent.OIDC{TokenURL: issuer.URL, ClientID: "orders", ClientSecretFile: file, Audience: "https://rota.example.com", Scopes: []string{"rota"}}}.Client()
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Get(t.Context(), api.GetRequest{Secret: db})
	if err == nil || !strings.Contains(err.Error(), "invalid_client") || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil { // read again for the next attempt
		t.Fatal(err)
	}
	asked = nil
	for range 3 {
		if _, err := c.Get(t.Context(), api.GetRequest{Secret: db}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"orders s3cret client_credentials https://rota.example.com rota"}; !slices.Equal(asked, want) {
		t.Errorf("the issuer was asked %q", asked)
	}
	if want := []string{"Bearer the-token", "Bearer the-token", "Bearer the-token"}; !slices.Equal(seen.seen, want) {
		t.Errorf("the server saw %q", seen.seen)
	}
}

// certificate writes a certificate and its key.
func certificate(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAClientCertificateIsReadAgain(t *testing.T) {
	seen, dir := &logins{}, t.TempDir()
	server := httptest.NewUnstartedServer(seen)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(dir, "ca")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	certificate(t, dir, "first")
	login := agent.Login{Server: server.URL, CAFile: ca, CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")}
	c, err := login.Client()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"first", "second"} {
		certificate(t, dir, name)
		if _, err := c.Get(t.Context(), api.GetRequest{Secret: db}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"first", "second"}; !slices.Equal(seen.seen, want) {
		t.Errorf("the server saw %q", seen.seen)
	}
	login.KeyFile = ca
	if _, err := login.Client(); err == nil {
		t.Error("a key that isn't one was taken")
	}
}
