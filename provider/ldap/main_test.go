package ldap

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

const (
	rotaDN        = "cn=rota,dc=example,dc=com"
	adminPassword = "admin-canary-7Kq2Vn4X"
)

var names atomic.Int64

// start starts a directory with Rota's entry.
func start(t testing.TB, o testenv.SlapdOptions) *testenv.Slapd {
	t.Helper()
	s := testenv.StartSlapd(t, o)
	s.Add(t, rotaDN, map[string]string{"objectClass": "applicationProcess", "cn": "rota"})
	class := ldap.NewModifyRequest(rotaDN, nil)
	class.Add("objectClass", []string{"simpleSecurityObject"})
	class.Replace("userPassword", []string{adminPassword})
	s.Do(t, func(conn *ldap.Conn) error { return conn.Modify(class) })
	return s
}

func admin(s *testenv.Slapd) Config {
	return Config{URL: s.URL, BindDN: rotaDN, Password: adminPassword, Plain: true}
}

func connect(t testing.TB, cfg Config) *Connection {
	t.Helper()
	c, err := New("directory", cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// app makes an application's entry without a password.
func app(t testing.TB, s *testenv.Slapd) string {
	t.Helper()
	name := fmt.Sprintf("Orders %d, Inc.", names.Add(1))
	dn := "cn=" + strings.ReplaceAll(name, ",", `\,`) + ",ou=apps,dc=example,dc=com"
	r := ldap.NewAddRequest(dn, nil)
	r.Attribute("objectClass", []string{"organizationalRole", "simpleSecurityObject"})
	r.Attribute("cn", []string{name})
	r.Attribute("userPassword", []string{"{SSHA}none"})
	s.Do(t, func(conn *ldap.Conn) error { return conn.Add(r) })
	return dn
}

// bare makes one whose class doesn't ask for a password, and that has none.
func bare(t testing.TB, s *testenv.Slapd) string {
	t.Helper()
	name := fmt.Sprintf("bare %d", names.Add(1))
	dn := "cn=" + name + ",ou=apps,dc=example,dc=com"
	r := ldap.NewAddRequest(dn, nil)
	r.Attribute("objectClass", []string{"person"})
	r.Attribute("cn", []string{name})
	r.Attribute("sn", []string{name})
	s.Do(t, func(conn *ldap.Conn) error { return conn.Add(r) })
	return dn
}

func issuerOf(t testing.TB, c *Connection, cfg EntryConfig) rota.Issuer {
	t.Helper()
	i, err := c.Entry(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// rotate creates, sets and tests a password.
func rotate(t testing.TB, i rota.Issuer) rota.Credential {
	t.Helper()
	c, err := i.Create(t.Context(), rota.CreateRequest{})
	if err == nil {
		err = i.Set(t.Context(), rota.SetRequest{Credential: c})
	}
	if err == nil {
		err = i.Test(t.Context(), rota.TestRequest{Credential: c})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// logsIn is a login that doesn't go through the provider.
func logsIn(t testing.TB, s *testenv.Slapd, c rota.Credential) bool {
	t.Helper()
	conn, err := ldap.DialURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	err = conn.Bind(c.Field(rota.FieldUsername), c.Field(rota.FieldPassword))
	if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
		t.Fatal(err)
	}
	return err == nil
}

// wantError checks an error's class, sentinel (nil for any) and words, and that it
// names the system and holds no password.
func wantError(t testing.TB, err error, class rota.Class, sentinel error, words ...string) {
	t.Helper()
	testenv.WantError(t, err, class, sentinel, adminPassword, append(words, "ldap directory: ")...)
}

// proxy stands between Rota and a server, and lets the next request of a kind go wrong.
type proxy struct {
	listener net.Listener
	server   string

	mu   sync.Mutex
	ends []net.Conn
	op   string
	kind providertest.FaultKind
}

// The tags of requests, from RFC 4511.
const (
	tagBind     = 0x60
	tagSearch   = 0x63
	tagModify   = 0x66
	tagExtended = 0x77
)

// through is a connection by way of a proxy.
func through(t testing.TB, s *testenv.Slapd) (*Connection, *proxy) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, server: strings.TrimPrefix(s.URL, "ldap://")}
	var running sync.WaitGroup
	running.Go(func() {
		for client, err := l.Accept(); err == nil; client, err = l.Accept() {
			running.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, end := range p.ends {
			_ = end.Close()
		}
		p.mu.Unlock()
		running.Wait()
	})
	cfg := admin(s)
	cfg.URL = "ldap://" + l.Addr().String()
	return connect(t, cfg), p
}

// inject is a [providertest.Inject].
func (p *proxy) inject(op string, kind providertest.FaultKind) bool {
	if !slices.Contains([]string{"set", "test", "list", "delete"}, op) || kind == providertest.Repeat && op != "set" && op != "delete" {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.op, p.kind = op, kind
	return true
}

// fault is what's to happen to a request, once.
func (p *proxy) fault(request []byte) (kind providertest.FaultKind) {
	at := 2 // the tag and length of the message, and the id, come first
	if request[1] >= 0x80 {
		at += int(request[1] & 0x7f)
	}
	tag := request[at+2+int(request[at+1])]
	p.mu.Lock()
	defer p.mu.Unlock()
	hit := false
	switch p.op {
	case "set", "delete":
		hit = tag == tagModify || tag == tagExtended || p.kind == providertest.Hang && tag == tagSearch
	case "list":
		hit = tag == tagSearch
	case "test":
		hit = tag == tagBind && !strings.Contains(string(request), rotaDN)
	}
	if hit {
		kind, p.kind, p.op = p.kind, "", ""
	}
	return kind
}

func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.ends = append(p.ends, client, server)
	p.mu.Unlock()
	var mute atomic.Bool
	var answers sync.WaitGroup
	answers.Go(func() {
		defer func() { _ = client.Close() }()
		answer := make([]byte, 64<<10)
		for {
			n, err := server.Read(answer)
			if err != nil || mute.Load() {
				return
			}
			if _, err := client.Write(answer[:n]); err != nil {
				return
			}
		}
	})
	defer answers.Wait()
	defer func() { _ = server.Close() }()
	request := make([]byte, 64<<10)
	for {
		n, err := client.Read(request)
		if err != nil || n < 7 {
			return
		}
		times := 1
		switch p.fault(request[:n]) {
		case providertest.FailBefore:
			return
		case providertest.Hang:
			_, _ = io.Copy(io.Discard, client)
			return
		case providertest.LoseReply:
			mute.Store(true)
		case providertest.Repeat:
			times = 2
		}
		for range times {
			if _, err := server.Write(request[:n]); err != nil {
				return
			}
		}
	}
}

// police sets the directory's password policy.
func police(t testing.TB, s *testenv.Slapd, policy map[string]string) *testenv.Slapd {
	t.Helper()
	r := ldap.NewModifyRequest("cn=policy,dc=example,dc=com", nil)
	r.Replace("objectClass", []string{"device", "pwdPolicy"})
	r.Replace("pwdAttribute", []string{"userPassword"})
	for name, value := range policy {
		r.Replace(name, []string{value})
	}
	s.Do(t, func(conn *ldap.Conn) error { return conn.Modify(r) })
	return s
}
