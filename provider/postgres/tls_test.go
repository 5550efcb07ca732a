package postgres

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// authority makes certificates, and lies in a file of its own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), file: filepath.Join(t.TempDir(), "ca.crt")}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der := must(x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key))
	a.cert = must(x509.ParseCertificate(der))
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// server makes a server's certificate for 127.0.0.1 and db.test.
func (a authority) server(t *testing.T) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	own := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "db.test"}, DNSNames: []string{"db.test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	writePEM(t, cert, "CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, a.cert, own.Public(), a.key)))
	writePEM(t, key, "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(own)))
	return cert, key
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheServersCertificateIsChecked(t *testing.T) {
	right, other := newAuthority(t), newAuthority(t)
	cert, key := right.server(t)
	s := testenv.Postgres(t, testenv.PostgresOptions{CertFile: cert, KeyFile: key, LogStatements: true})
	login := admin(t, s).cfg
	for _, test := range []struct {
		name, host, mode, ca string
		refused              string // "" where it works
	}{
		{"verify-full with the right authority and host", "127.0.0.1", "verify-full", right.file, ""},
		{"verify-full with another authority", "127.0.0.1", "verify-full", other.file, "unknown authority"},
		{"verify-full with a host that the certificate is not for", "localhost", "verify-full", right.file, "localhost"},
		{"verify-full with the system's authorities", "127.0.0.1", "verify-full", "", "certificate"},
		{"verify-ca with the right authority does not look at the host", "localhost", "verify-ca", right.file, ""},
		{"verify-ca with another authority", "127.0.0.1", "verify-ca", other.file, "unknown authority"},
		{"require takes any certificate", "127.0.0.1", "require", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := login
			cfg.Host, cfg.SSLMode, cfg.SSLRootCert = test.host, test.mode, test.ca
			i := must(connect(t, cfg).Password(PasswordConfig{Role: role(t, s)}))
			if test.refused == "" {
				made := rotate(t, i)
				if made.Field(FieldHost) != test.host {
					t.Errorf("the credential is for host %s", made.Field(FieldHost))
				}
				return
			}
			made := must(i.Create(t.Context(), rota.CreateRequest{}))
			wantError(t, i.Set(t.Context(), rota.SetRequest{Credential: made}), rota.ClassStop, nil, test.refused, "try: ")
			wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassStop, nil, test.refused)
			wantFinding(t, i, "log in", false, test.refused)
		})
	}
	log := string(must(os.ReadFile(s.LogFile())))
	if !strings.Contains(log, "SSL enabled") {
		t.Error("the server saw no login over TLS: the test would prove nothing")
	}
}

func TestWithoutTLSAServerThatAsksForItIsNotTalkedTo(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.server(t)
	s := testenv.Postgres(t, testenv.PostgresOptions{CertFile: cert, KeyFile: key, HBA: []string{"hostnossl all app 127.0.0.1/32 reject"}})
	createRole(t, s, "app", "NOLOGIN")
	i := must(admin(t, s).Password(PasswordConfig{Role: "app"}))
	made := must(i.Create(t.Context(), rota.CreateRequest{}))
	err := i.Set(t.Context(), rota.SetRequest{Credential: made})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassStop, nil, "pg_hba.conf")
	wantFinding(t, i, "asks role app for its password", false, "pg_hba.conf")
}

func TestTLSIsTheDefaultAwayFromThisMachine(t *testing.T) {
	for host, want := range map[string]string{
		"127.0.0.1": "disable", "::1": "disable", "localhost": "disable", "/var/run/postgresql": "disable",
		"db.example.org": "verify-full", "10.0.0.1": "verify-full", "localhost.example.org": "verify-full",
	} {
		if got := connect(t, Config{Host: host, Username: "rota"}).cfg.SSLMode; got != want {
			t.Errorf("host %s: sslmode %s, want %s", host, got, want)
		}
	}
}
