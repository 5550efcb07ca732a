package smtp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	server "github.com/emersion/go-smtp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/smtp"
)

const password = "hunter2-hunter2"

// backend is a mail server that keeps what it gets.
type backend struct {
	mu    sync.Mutex
	mails []string
	to    []string
	full  bool // it takes nothing for now
}

func (b *backend) NewSession(*server.Conn) (server.Session, error) { return &session{b: b}, nil }

type session struct {
	b      *backend
	logged bool
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, given string) error {
		if user != "rota" || given != password {
			return errors.New("no: " + given)
		}
		s.logged = true
		return nil
	}), nil
}

func (s *session) Mail(string, *server.MailOptions) error {
	if !s.logged {
		return server.ErrAuthRequired
	}
	if s.b.full {
		return &server.SMTPError{Code: 452, EnhancedCode: server.EnhancedCode{4, 2, 2}, Message: "full"}
	}
	return nil
}

func (s *session) Rcpt(to string, _ *server.RcptOptions) error {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.to = append(s.b.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.mails = append(s.b.mails, string(text))
	return err
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// certificate is one for localhost, and the pool that believes it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// start runs a mail server, and gives a config that fits.
func start(t *testing.T, security smtp.Security) (*backend, smtp.Config) {
	t.Helper()
	b := &backend{}
	pair, pool := certificate(t)
	s := server.NewServer(b)
	s.Domain, s.TLSConfig = "localhost", &tls.Config{Certificates: []tls.Certificate{pair}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if security == smtp.TLS {
		listener = tls.NewListener(listener, s.TLSConfig)
	}
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(func() { _ = s.Close() })
	return b, smtp.Config{
		Name: "ops", Host: "localhost", Port: port, Security: security, Username: "rota", Password: password,
		From: "Rota <rota@example.org>", To: []string{"ann@example.org", "bob@example.org"}, TLSConfig: &tls.Config{RootCAs: pool},
	}
}

var event = rota.Event{ID: "e1", Kind: rota.EventFailed, Secret: "prod/orders\r\nBcc: eve@example.org", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Reason: "set failed"}

func notifier(t *testing.T, c smtp.Config) rota.Notifier {
	t.Helper()
	n, err := smtp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAMailArrives(t *testing.T) {
	for _, security := range []smtp.Security{smtp.STARTTLS, smtp.TLS} {
		b, c := start(t, security)
		n := notifier(t, c)
		if f := n.(rota.Preflighter).Preflight(t.Context()); len(f) != 1 || !f[0].OK {
			t.Errorf("%s: check says %+v", security, f)
		}
		if err := n.Notify(t.Context(), event); err != nil {
			t.Fatalf("%s: %v", security, err)
		}
		if len(b.mails) != 1 || strings.Join(b.to, " ") != "ann@example.org bob@example.org" {
			t.Fatalf("%s: %d mails to %v", security, len(b.mails), b.to)
		}
		m, err := netmail.ReadMessage(strings.NewReader(b.mails[0]))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Header.Get("Subject"); !strings.HasPrefix(got, "Rota: prod/orders") || m.Header.Get("Bcc") != "" {
			t.Errorf("subject %q, headers %v", got, m.Header)
		}
		if got := m.Header.Get("Message-Id"); got != "<e1@rota>" {
			t.Errorf("its id is %s", got)
		}
		body, _ := io.ReadAll(m.Body)
		if !strings.Contains(string(body), "set failed") {
			t.Errorf("it says %s", body)
		}
	}
}

func TestFailures(t *testing.T) {
	b, c := start(t, smtp.STARTTLS)
	for name, step := range map[string]struct {
		change func(*smtp.Config)
		full   bool
		want   rota.Class
	}{
		"another password":           {func(c *smtp.Config) { c.Password = "hunter2-wrong" }, false, rota.ClassStop},
		"a certificate of another":   {func(c *smtp.Config) { c.TLSConfig = nil }, false, rota.ClassStop},
		"a server that is full":      {func(*smtp.Config) {}, true, rota.ClassWait},
		"a server that is not there": {func(c *smtp.Config) { c.Port = 1 }, false, rota.ClassWait},
	} {
		c := c
		step.change(&c)
		b.full = step.full
		err := notifier(t, c).Notify(t.Context(), event)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "a server that is full" && rota.ClassOf(err) != step.want {
			t.Errorf("%s is %q: %v", name, rota.ClassOf(err), err)
		}
		if f := notifier(t, c).(rota.Preflighter).Preflight(t.Context()); !step.full && (len(f) != 1 || f[0].OK || rota.Hint(f[0].Remedies) == "") {
			t.Errorf("%s: check says %+v", name, f)
		}
	}
}

func TestBadConfigs(t *testing.T) {
	good := smtp.Config{Name: "ops", Host: "mail", From: "rota@example.org", To: []string{"ops@example.org"}}
	for name, change := range map[string]func(*smtp.Config){
		"no host":                func(c *smtp.Config) { c.Host = "" },
		"no recipients":          func(c *smtp.Config) { c.To = nil },
		"no address":             func(c *smtp.Config) { c.To = []string{"ops"} },
		"a sender that is none":  func(c *smtp.Config) { c.From = "x\r\ny" },
		"a password without TLS": func(c *smtp.Config) { c.Security, c.Username, c.Password = smtp.Plain, "u", password },
	} {
		c := good
		change(&c)
		if _, err := smtp.New(c); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
