package authn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/authn"
	"github.com/rota-dev/rota/internal/access/memory"
)

// authority signs client certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func certificate(t *testing.T, template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if by == nil {
		by = &authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func newAuthority(t *testing.T) *authority {
	cert, key := certificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	return &authority{cert, key}
}

func (a *authority) client(t *testing.T, template *x509.Certificate) *tls.Certificate {
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	cert, key := certificate(t, template, a)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	rule := []access.Rule{{Action: access.Read, Pattern: "*"}}
	ours, theirs := newAuthority(t), newAuthority(t)
	a, err := authn.New(authn.Options{
		Directory: &memory.Directory{}, Log: slog.New(slog.DiscardHandler),
		Certs: []authn.CertBinding{
			{URI: "spiffe://shop/ns/*", Rules: rule},
			{DNS: "*.shop.internal", Principal: "host-{dns}", Rules: []access.Rule{{Action: access.Read, Pattern: "host/{dns}"}}},
			{CommonName: "ops-*", Organization: "Shop", Rules: rule},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := a.Authenticate(r, nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, caller.Method+" "+caller.Principal+" "+caller.Rules[0].String())
	}))
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	server.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)

	spiffe := &url.URL{Scheme: "spiffe", Host: "shop", Path: "/ns/orders"}
	for _, c := range []struct {
		name          string
		cert          *tls.Certificate
		authorization string
		want          string // "" for not accepted
	}{
		{"a URI", ours.client(t, &x509.Certificate{URIs: []*url.URL{spiffe}}), "", "mtls mtls:spiffe://shop/ns/orders read:*"},
		{"a DNS name, in templates", ours.client(t, &x509.Certificate{DNSNames: []string{"x.example.com", "db.shop.internal"}}), "", "mtls mtls:host-db.shop.internal read:host/db.shop.internal"},
		{"a subject", ours.client(t, &x509.Certificate{Subject: pkix.Name{CommonName: "ops-1", Organization: []string{"Shop"}}}), "", "mtls mtls:ops-1 read:*"},
		{"half of what is asked for", ours.client(t, &x509.Certificate{Subject: pkix.Name{CommonName: "ops-1"}}), "", ""},
		{"an organization inside the name", ours.client(t, &x509.Certificate{Subject: pkix.Name{CommonName: "ops-1,O=Shop"}}), "", ""},
		{"a DNS name with a star", ours.client(t, &x509.Certificate{DNSNames: []string{"*.shop.internal"}}), "", ""},
		{"nothing that matches", ours.client(t, &x509.Certificate{DNSNames: []string{"shop.internal"}}), "", ""},
		{"none", nil, "", ""},
		{"another authority's", theirs.client(t, &x509.Certificate{URIs: []*url.URL{spiffe}}), "", ""},
		{"a good one beside a wrong token", ours.client(t, &x509.Certificate{URIs: []*url.URL{spiffe}}), "Bearer rota_x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			transport := server.Client().Transport.(*http.Transport).Clone()
			if c.cert != nil {
				// Sent whatever authorities the server asks for.
				transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.cert, nil }
			}
			t.Cleanup(transport.CloseIdleConnections)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if c.authorization != "" {
				r.Header.Set("Authorization", c.authorization)
			}
			res, err := transport.RoundTrip(r)
			if err != nil {
				if c.want != "" {
					t.Errorf("want %q: %v", c.want, err)
				}
				return // the handshake refused it
			}
			defer res.Body.Close()
			text, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && res.StatusCode != http.StatusUnauthorized || c.want != "" && string(text) != c.want {
				t.Errorf("%s %s, want %q", res.Status, text, c.want)
			}
		})
	}
}

func TestUnverifiedAndExpiredCertificates(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	cert, _ := certificate(t, &x509.Certificate{DNSNames: []string{"a.shop.internal"}}, ours)
	now := time.Now()
	a, err := authn.New(authn.Options{
		Directory: &memory.Directory{}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
		Certs: []authn.CertBinding{{DNS: "*", Rules: []access.Rule{{Action: access.Read, Pattern: "*"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := request("")
	ask := func() error { _, err := a.Authenticate(r, nil); return err }
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	if err := ask(); !errors.Is(err, access.ErrUnauthenticated) {
		t.Errorf("not verified: %v", err)
	}
	r.TLS.VerifiedChains = [][]*x509.Certificate{{cert, ours.cert}}
	if err := ask(); err != nil {
		t.Errorf("verified: %v", err)
	}
	now = now.Add(2 * time.Hour)
	if err := ask(); !errors.Is(err, access.ErrUnauthenticated) {
		t.Errorf("over, on a connection that still stands: %v", err)
	}
}

func TestCertBindingValidate(t *testing.T) {
	t.Parallel()
	rules := []access.Rule{{Action: access.Read, Pattern: "*"}}
	for _, c := range []struct {
		name    string
		binding authn.CertBinding
		want    string
	}{
		{"as it should be", authn.CertBinding{DNS: "*.internal", Principal: "{dns}", Rules: rules}, ""},
		{"no pattern", authn.CertBinding{Rules: rules}, "matches no part of the certificate"},
		{"no rules", authn.CertBinding{DNS: "a"}, "no rule given"},
		{"a place that is not matched", authn.CertBinding{DNS: "a", Principal: "{uri}", Rules: rules}, "unknown placeholder {uri}"},
		{"a place that is not matched, in a rule", authn.CertBinding{DNS: "a", Rules: []access.Rule{{Action: access.Read, Pattern: "{cn}/*"}}}, "unknown placeholder {cn}"},
	} {
		if err := c.binding.Validate(); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
