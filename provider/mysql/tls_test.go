package mysql

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
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
	s := testenv.MariaDB(t, testenv.MariaDBOptions{CertFile: cert, KeyFile: key})
	login := admin(t, s).cfg
	for _, test := range []struct{ name, host, mode, ca, refused string }{
		{"the right authority and host", "127.0.0.1", sslVerifyIdentity, right.file, ""},
		{"another authority", "127.0.0.1", sslVerifyIdentity, other.file, "certificate"},
		{"the system's authorities", "127.0.0.1", sslVerifyIdentity, "", "certificate"},
		{"another host name", "localhost", sslVerifyIdentity, right.file, "localhost"},
		{"another host name that isn't looked at", "localhost", sslVerifyCA, right.file, ""},
		{"another authority without a look at the host", "localhost", sslVerifyCA, other.file, "certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := login
			cfg.Host, cfg.SSLMode, cfg.SSLCA = test.host, test.mode, test.ca
			name := user(t, s, pluginEd25519)
			s.Exec(t, "ALTER USER "+name+" REQUIRE SSL")
			i := must(connect(t, cfg).Password(PasswordConfig{User: name}))
			if test.refused == "" {
				rotate(t, i)
				wantFinding(t, i, "over TLS", true, "certificate is checked")
				return
			}
			err := i.Set(t.Context(), rota.SetRequest{Credential: must(i.Create(t.Context(), rota.CreateRequest{}))})
			wantError(t, err, rota.ClassStop, nil, test.refused, "mysql app-db", "try: ssl_ca with the authority")
		})
	}
}

// impostor is no MariaDB: it asks whoever connects for the password, by a plugin
// and, if that asks, with a key of its own. It counts the passwords it gets.
func impostor(t *testing.T, plugin string) (port int, got *atomic.Int32) {
	t.Helper()
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(key.Public()))})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	got = new(atomic.Int32)
	packet := func(n byte, payload ...[]byte) []byte {
		all := bytes.Join(payload, nil)
		return append([]byte{byte(len(all)), byte(len(all) >> 8), 0, n}, all...)
	}
	serve := func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		seed := bytes.Repeat([]byte{7}, 20)
		next := func() (n byte, payload []byte) {
			head := make([]byte, 4)
			if _, err := io.ReadFull(conn, head); err != nil {
				return 0, nil
			}
			payload = make([]byte, int(head[0])|int(head[1])<<8)
			_, _ = io.ReadFull(conn, payload)
			return head[3], payload
		}
		// The greeting, with CLIENT_PROTOCOL_41, SECURE_CONNECTION and PLUGIN_AUTH.
		_, _ = conn.Write(packet(0, []byte{10}, []byte("8.0.40\x00"), []byte{1, 0, 0, 0}, seed[:8], []byte{0, 0, 0x82, 45, 2, 0, 8, 0, 21}, make([]byte, 10), seed[8:], []byte{0}, []byte("mysql_native_password\x00")))
		n, _ := next()
		_, _ = conn.Write(packet(n+1, []byte{0xfe}, []byte(plugin+"\x00"), seed, []byte{0}))
		n, answer := next()
		if plugin == "caching_sha2_password" {
			_, _ = conn.Write(packet(n+1, []byte{1, 4})) // log in in full, please
			n, answer = next()
		}
		if len(answer) == 1 { // it asks for the key
			_, _ = conn.Write(packet(n+1, []byte{1}, public))
			_, answer = next()
			if len(answer) > 0 {
				got.Add(1)
			}
			return
		}
		if bytes.Contains(answer, []byte(adminPassword)) {
			got.Add(1)
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, got
}

// Whoever answers in the server's place gets nothing to log in with.
func TestNobodyElseGetsThePassword(t *testing.T) {
	for _, plugin := range []string{"mysql_clear_password", "caching_sha2_password", "sha256_password"} {
		t.Run(plugin, func(t *testing.T) {
			port, got := impostor(t, plugin)
			c := connect(t, Config{Host: "127.0.0.1", Port: port, Username: "rota", Password: adminPassword, ConnectTimeout: 3 * time.Second})
			i := must(c.Password(PasswordConfig{User: "app"}))
			made := testenv.With(must(i.Create(t.Context(), rota.CreateRequest{})), rota.FieldPassword, adminPassword)
			for op, call := range calls(i, made) {
				wantError(t, call(t.Context()), rota.ClassStop, nil, "mysql app-db", "try: ssl_mode: verify_identity")
				if n := got.Load(); n > 0 {
					t.Fatalf("%s gave it the password", op)
				}
			}
		})
	}
}

func TestAHostThatHoldsALoginIsRefusedUnseen(t *testing.T) {
	for _, host := range []string{"mysql://u:hunter2secret@db.example.org/app", "u:hunter2secret@tcp(db.example.org)"} {
		_, err := New("db", Config{Host: host, Username: "rota"})
		if err == nil || !strings.Contains(err.Error(), "has a login in it") || strings.Contains(err.Error()+rota.Hint(rota.RemediesOf(err)), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}
