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
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/daemon"
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
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
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

// writeAuthorities writes a file of authorities.
func writeAuthorities(t *testing.T, file string, all ...authority) {
	t.Helper()
	var text []byte
	for _, a := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})...)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// withCertificate is a client that shows a certificate, and resumes its sessions.
func withCertificate(trusts authority, pair tls.Certificate) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(trusts.cert)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: pool, Certificates: []tls.Certificate{pair}, ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}}}
}

func TestARemovedAuthorityEndsItsCertificates(t *testing.T) {
	ca, removed, dir := newAuthority(t), newAuthority(t), t.TempDir()
	_, certFile, keyFile := ca.issue(t, "rota.internal", dir)
	caFile := filepath.Join(dir, "ca.crt")
	writeAuthorities(t, caFile, ca, removed)
	said := &lines{}
	w := start(t, "", roleConfig(t, "removed", "30d")+fmt.Sprintf(`
server: {tls: {cert: %s, key: %s, client_ca: %s}}
access: {certificates: [{dns: "*.shop.internal", rules: ["list:app/*"]}]}
`, certFile, keyFile, caFile), func(o *daemon.Options) { o.Log = slog.New(slog.NewTextHandler(said, nil)) })
	old, _, _ := removed.issue(t, "orders.shop.internal", t.TempDir())
	current, _, _ := ca.issue(t, "orders.shop.internal", dir)
	url := strings.Replace(w.url, "http:", "https:", 1) + "/v1/secrets"
	open, again, good := withCertificate(ca, old), withCertificate(ca, old), withCertificate(ca, current)
	get := func(c *http.Client) int {
		a, err := c.Do(must(http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)))
		if err != nil {
			return 0
		}
		_, _ = io.Copy(io.Discard, a.Body)
		_ = a.Body.Close()
		return a.StatusCode
	}
	for _, c := range []*http.Client{open, again, good} {
		if got := get(c); got != http.StatusOK {
			t.Fatalf("before: %d", got)
		}
	}
	again.CloseIdleConnections() // the next request resumes the session
	writeAuthorities(t, caFile, ca)
	for deadline := time.Now().Add(15 * time.Second); get(open) == http.StatusOK; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the open connection still counts")
		}
	}
	if got := get(again); got == http.StatusOK {
		t.Error("a resumed session still counts")
	}
	if got := get(good); got != http.StatusOK {
		t.Errorf("a certificate of the authority that's left: %d", got)
	}
	// A file that's being written doesn't shut anyone out.
	writeAuthorities(t, caFile)
	eventually(t, "the empty file was read", func() bool { return get(good) != http.StatusOK || strings.Contains(said.String(), "can't be read") })
	if got := get(good); got != http.StatusOK {
		t.Errorf("while the file is empty: %d", got)
	}
}

// A browser adds a person's certificate to whatever a page asks for.
func TestAnotherWebsiteChangesNothing(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	_, certFile, keyFile := ca.issue(t, "rota.internal", dir)
	caFile := filepath.Join(dir, "ca.crt")
	writeAuthorities(t, caFile, ca)
	w := start(t, "", roleConfig(t, "framed", "30d")+fmt.Sprintf(`
server: {tls: {cert: %s, key: %s, client_ca: %s}}
access: {certificates: [{dns: "*.shop.internal", rules: ["admin:*"]}]}
`, certFile, keyFile, caFile))
	ann, _, _ := ca.issue(t, "ann.shop.internal", dir)
	browser, base := withCertificate(ca, ann), strings.Replace(w.url, "http:", "https:", 1)
	for _, c := range []struct {
		name, path string
		header     map[string]string
		want       int
	}{
		{"another website", "/v1/freeze", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, http.StatusForbidden},
		{"an older browser", "/v1/freeze", map[string]string{"Origin": "https://evil.example"}, http.StatusForbidden},
		{"another host of the site", "/v1/freeze", map[string]string{"Sec-Fetch-Site": "same-site"}, http.StatusForbidden},
		{"a page without an origin", "/v1/freeze", map[string]string{"Origin": "null"}, http.StatusForbidden},
		{"the endpoint for AWS's tools", "/", map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		{"no browser", "/v1/thaw", nil, http.StatusOK},
	} {
		r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, base+c.path, http.NoBody))
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		a, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if a.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", c.name, a.StatusCode, c.want)
		}
	}
}

func TestACertificateIsAKey(t *testing.T) {
	ca, stranger, dir := newAuthority(t), newAuthority(t), t.TempDir()
	_, certFile, keyFile := ca.issue(t, "rota.internal", dir)
	caFile := filepath.Join(dir, "ca.crt")
	writeAuthorities(t, caFile, ca)
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

// revoke writes the revocation list of an authority.
func (a authority) revoke(t *testing.T, file string, until time.Time, pairs ...tls.Certificate) {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: until}
	for _, p := range pairs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: p.Leaf.SerialNumber, RevocationTime: time.Now()})
	}
	der := must(x509.CreateRevocationList(rand.Reader, list, a.cert, a.key))
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestARevokedCertificateIsOutWithinSeconds(t *testing.T) {
	ca, stranger, dir := newAuthority(t), newAuthority(t), t.TempDir()
	_, certFile, keyFile := ca.issue(t, "rota.internal", dir)
	caFile, crlFile := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.crl")
	writeAuthorities(t, caFile, ca)
	ca.revoke(t, crlFile, time.Now().Add(time.Hour))
	said := &lines{}
	w := start(t, "", "secrets: []\n"+fmt.Sprintf(`
server: {tls: {cert: %s, key: %s, client_ca: %s, client_crl: %s}}
access: {certificates: [{dns: "*.shop.internal", rules: ["list:*", "audit:*"]}]}
`, certFile, keyFile, caFile, crlFile), func(o *daemon.Options) { o.Log = slog.New(slog.NewTextHandler(said, nil)) })
	stolen, _, _ := ca.issue(t, "orders.shop.internal", t.TempDir())
	kept, _, _ := ca.issue(t, "orders.shop.internal", dir)
	url := strings.Replace(w.url, "http:", "https:", 1)
	get := func(c *http.Client) int {
		a, err := c.Do(must(http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/secrets", http.NoBody)))
		if err != nil {
			return 0
		}
		_, _ = io.Copy(io.Discard, a.Body)
		_ = a.Body.Close()
		return a.StatusCode
	}
	open, again, good := withCertificate(ca, stolen), withCertificate(ca, stolen), withCertificate(ca, kept)
	for _, c := range []*http.Client{open, again, good} {
		if got := get(c); got != http.StatusOK {
			t.Fatalf("before: %d", got)
		}
	}
	stream, err := withCertificate(ca, stolen).Do(must(http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/events", http.NoBody)))
	if err != nil || stream.StatusCode != http.StatusOK {
		t.Fatalf("a stream: %v", err)
	}
	again.CloseIdleConnections() // the next request resumes the session

	ca.revoke(t, crlFile, time.Now().Add(time.Hour), stolen)
	begin := time.Now()
	ended := make(chan time.Duration, 1)
	go func() {
		_, _ = io.Copy(io.Discard, stream.Body)
		_ = stream.Body.Close()
		ended <- time.Since(begin)
	}()
	eventually(t, "the open connection counts no more", func() bool { return get(open) != http.StatusOK })
	if got := get(again); got == http.StatusOK {
		t.Error("a resumed session still counts")
	}
	select {
	case took := <-ended:
		if took > 12*time.Second { // two looks and what a slow machine adds
			t.Errorf("a stream went on for %s", took)
		}
	case <-time.After(15 * time.Second):
		t.Error("a stream goes on")
	}
	if got := get(good); got != http.StatusOK {
		t.Errorf("a certificate that isn't revoked: %d", got)
	}
	for _, test := range []struct {
		name string
		list func()
		says string
	}{
		{"the list has expired", func() { ca.revoke(t, crlFile, time.Now().Add(-time.Second)) }, "expired at"},
		{"somebody else signed the list", func() { stranger.revoke(t, crlFile, time.Now().Add(time.Hour)) }, "no revocation list of CN=tests"},
		{"the file is gone", func() { _ = os.Remove(crlFile) }, "can't be read"},
		{"the file holds something else", func() { writeAuthorities(t, crlFile, ca) }, "can't be read"},
	} {
		test.list()
		eventually(t, test.name, func() bool { return get(good) != http.StatusOK })
		eventually(t, test.name+": the log says so", func() bool { return strings.Contains(said.String(), test.says) })
		ca.revoke(t, crlFile, time.Now().Add(time.Hour))
		eventually(t, test.name+" no more", func() bool { return get(good) == http.StatusOK })
	}
}
