package daemon_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority issues certificates for the tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key))))
	return a
}

// issue gives a certificate for a DNS name and 127.0.0.1, and writes it and its
// key to files.
func (a authority) issue(t *testing.T, dns, dir string) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: dns}, DNSNames: []string{dns}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key))
	certFile, keyFile = filepath.Join(dir, dns+".crt"), filepath.Join(dir, dns+".key")
	write := func(path, kind string, bytes []byte) {
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(certFile, "CERTIFICATE", der)
	write(keyFile, "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key)))
	return must(tls.LoadX509KeyPair(certFile, keyFile)), certFile, keyFile
}

func TestACertificateIsAKey(t *testing.T) {
	ca, stranger, dir := newAuthority(t), newAuthority(t), t.TempDir()
	_, certFile, keyFile := ca.issue(t, "rota.internal", dir)
	caFile := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	w := start(t, "", roleConfig(t, "certified", "30d")+fmt.Sprintf(`
server: {tls: {cert: %s, key: %s, client_ca: %s}}
access: {certificates: [{dns: "*.shop.internal", rules: ["list:app/*"]}]}
`, certFile, keyFile, caFile))
	orders, _, _ := ca.issue(t, "orders.shop.internal", dir)
	other, _, _ := ca.issue(t, "orders.bank.internal", dir)
	forged, _, _ := stranger.issue(t, "orders.shop.internal", t.TempDir())
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	for name, c := range map[string]struct {
		pair *tls.Certificate
		want int // 0: no connection
	}{
		"the right certificate":    {&orders, http.StatusOK},
		"a certificate of another": {&other, http.StatusUnauthorized},
		"a stranger's certificate": {&forged, 0},
		"no certificate":           {nil, http.StatusUnauthorized},
	} {
		config := &tls.Config{RootCAs: pool}
		if c.pair != nil {
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.pair, nil }
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
		r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(w.url, "http:", "https:", 1)+"/v1/secrets", http.NoBody))
		a, err := client.Do(r)
		got := 0
		if err == nil {
			got = a.StatusCode
			_ = a.Body.Close()
		}
		client.CloseIdleConnections()
		if got != c.want {
			t.Errorf("%s: %d, %v, want %d", name, got, err, c.want)
		}
	}
}
