package oidc

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rota-dev/rota"
)

const (
	fetchTimeout = 5 * time.Second // for discovery and keys together
	maxDocument  = 1 << 20
	minRSABits   = 2048
)

// fetcher gets a provider's keys over the network.
type fetcher struct {
	issuer Issuer
	client *http.Client
}

func newFetcher(i Issuer) (*fetcher, error) {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("the default HTTP transport has been replaced")
	}
	transport = transport.Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if i.CAFile != "" {
		pem, err := os.ReadFile(i.CAFile)
		if err != nil {
			return nil, fmt.Errorf("issuer %q: CA file: %w", i.Name, err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, rota.WithRemedies(fmt.Errorf("issuer %q: no certificate in CA file %s", i.Name, i.CAFile), rota.Configure("", "a file in PEM form"))
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return &fetcher{issuer: i, client: &http.Client{Transport: transport, CheckRedirect: redirect}}, nil
}

func redirect(r *http.Request, via []*http.Request) error {
	if len(via) >= 3 || !isSecure(r.URL) {
		return errors.New("redirected too often, or away from HTTPS")
	}
	return nil
}

// keys fetches the public keys that can verify tokens, and ignores all others.
func (f *fetcher) keys(ctx context.Context) ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	address := f.issuer.JWKS
	if address == "" {
		var err error
		if address, err = f.discover(ctx); err != nil {
			return nil, err
		}
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := f.get(ctx, address, &set); err != nil {
		return nil, err
	}
	var usable []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if err := k.UnmarshalJSON(raw); err == nil && isUsable(k) {
			usable = append(usable, k) // a key of an unknown kind doesn't affect the others
		}
	}
	if len(usable) == 0 {
		return nil, rota.WithRemedies(fmt.Errorf("%s has no key that can verify tokens", address), rota.Configure("", fmt.Sprintf("RSA of %d bits, P-256, P-384 or Ed25519", minRSABits)))
	}
	return usable, nil
}

func (f *fetcher) discover(ctx context.Context) (string, error) {
	var document struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	at := strings.TrimSuffix(f.issuer.URL, "/") + "/.well-known/openid-configuration"
	if err := f.get(ctx, at, &document); err != nil {
		return "", err
	}
	if document.Issuer != f.issuer.URL {
		return "", rota.WithRemedies(fmt.Errorf("%s names issuer %q, not %q", at, document.Issuer, f.issuer.URL), rota.Configure("", "exactly that url"))
	}
	u, err := url.Parse(document.JWKS)
	if err != nil || u.Host == "" || !isSecure(u) {
		return "", fmt.Errorf("%s: its jwks_uri is not an HTTPS URL", at)
	}
	return document.JWKS, nil
}

func (f *fetcher) get(ctx context.Context, address string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	// Kubernetes' API server answers 406 to whoever doesn't take keys as such.
	r.Header.Set("Accept", "application/json, application/jwk-set+json")
	if f.issuer.TokenFile != "" {
		token, err := os.ReadFile(f.issuer.TokenFile)
		if err != nil {
			return fmt.Errorf("token file: %w", err)
		}
		r.Header.Set("Authorization", "Bearer "+string(bytes.TrimSpace(token)))
	}
	res, err := f.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", address, res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	if len(body) > maxDocument {
		return fmt.Errorf("%s is larger than %d bytes", address, maxDocument)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: unexpected content: %w", address, err)
	}
	return nil
}

// isUsable accepts public keys that are strong enough and meant for signatures.
// Never a symmetric key: whoever can verify with it can sign with it.
func isUsable(k jose.JSONWebKey) bool {
	if k.Use != "" && k.Use != "sig" {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}
