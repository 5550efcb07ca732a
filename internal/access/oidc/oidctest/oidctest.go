// Package oidctest is an identity provider for tests: a real HTTPS server with
// discovery and keys, which signs whatever it is told to.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Provider is an identity provider. Fields set under Lock take effect
// immediately.
type Provider struct {
	URL    string
	CAFile string // its certificate, PEM

	sync.Mutex
	Down          bool   // answers 503
	ClaimedIssuer string // the issuer in the discovery document, if not URL
	JWKSURL       string // the keys' URL in the discovery document, if not its own
	Bearer        string // the bearer token that it requires, if any
	KeyRequests   int    // for keys
	ExtraKeys     []jose.JSONWebKey
	keys          []Key
}

// Key is a key that signs.
type Key struct {
	ID        string
	Algorithm jose.SignatureAlgorithm
	Private   crypto.Signer
}

// New starts a provider with one RSA key, until the test ends.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{}
	server := httptest.NewTLSServer(p)
	t.Cleanup(server.Close)
	p.URL = server.URL
	p.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(p.CAFile, block, 0o600); err != nil {
		t.Fatal(err)
	}
	p.SetKeys(NewKey(t, "first", jose.RS256))
	return p
}

// NewKey creates a key for an algorithm.
func NewKey(t testing.TB, id string, algorithm jose.SignatureAlgorithm) Key {
	t.Helper()
	var private crypto.Signer
	var err error
	switch algorithm {
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Key{ID: id, Algorithm: algorithm, Private: private}
}

// SetKeys replaces the provider's keys. The first one signs.
func (p *Provider) SetKeys(keys ...Key) {
	p.Lock()
	defer p.Unlock()
	p.keys = keys
}

// Keys returns the provider's keys.
func (p *Provider) Keys() []Key {
	p.Lock()
	defer p.Unlock()
	return p.keys
}

// Sign creates a token from the claims with the provider's first key. "iss"
// defaults to the provider.
func (p *Provider) Sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	return SignWith(t, p.Keys()[0], p.WithIssuer(claims))
}

// WithIssuer adds "iss" to the claims unless it is set.
func (p *Provider) WithIssuer(claims map[string]any) map[string]any {
	all := map[string]any{"iss": p.URL}
	maps.Copy(all, claims)
	return all
}

// SignWith creates a token with any key.
func SignWith(t testing.TB, k Key, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: k.Algorithm, Key: jose.JSONWebKey{Key: k.Private, KeyID: k.ID}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// ServeHTTP serves discovery at the well-known path and the keys at /keys.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.Lock()
	defer p.Unlock()
	if p.Down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	if p.Bearer != "" && r.Header.Get("Authorization") != "Bearer "+p.Bearer {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		document := map[string]string{"issuer": p.URL, "jwks_uri": p.URL + "/keys"}
		if p.ClaimedIssuer != "" {
			document["issuer"] = p.ClaimedIssuer
		}
		if p.JWKSURL != "" {
			document["jwks_uri"] = p.JWKSURL
		}
		answer = document
	case "/keys":
		p.KeyRequests++
		set := jose.JSONWebKeySet{Keys: p.ExtraKeys}
		for _, k := range p.keys {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Private.Public(), KeyID: k.ID, Algorithm: string(k.Algorithm), Use: "sig"})
		}
		answer = set
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(fmt.Sprintf("oidctest: %v", err))
	}
}
