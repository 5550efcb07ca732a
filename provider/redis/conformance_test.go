package redis

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

// proxy stands between Rota and a server, and lets the next call of a kind go wrong.
type proxy struct {
	addr, server string

	mu   sync.Mutex
	kind providertest.FaultKind
	word []byte // of the command that the fault is for
	ends []net.Conn
	sent bytes.Buffer
}

// heard is all that was sent so far.
func (p *proxy) heard() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent.String()
}

func newProxy(t testing.TB, s *testenv.RedisServer) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), server: s.Addr}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
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
	return p
}

// words are what the commands that a method is about hold.
var words = map[string]string{
	"set": "setuser", "delete": "setuser", "test": "hello", "list": "getuser", "check": "hello",
}

// inject is a [providertest.Inject] for each method's own command.
func (p *proxy) inject(op string, kind providertest.FaultKind) bool {
	word, ok := words[op]
	if !ok || kind == providertest.Repeat && op != "set" && op != "delete" {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kind, p.word = kind, []byte(word)
	return true
}

func (p *proxy) fault(sent []byte) (kind providertest.FaultKind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent.Write(sent)
	if p.kind == "" || !bytes.Contains(sent, p.word) {
		return ""
	}
	kind, p.kind = p.kind, ""
	return kind
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.ends = append(p.ends, client, server)
	p.mu.Unlock()
	buffer, answer := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		kind := p.fault(buffer[:n])
		switch kind {
		case providertest.FailBefore:
			return
		case providertest.Hang:
			_, _ = io.Copy(io.Discard, client)
			return
		}
		sends := 1
		if kind == providertest.Repeat {
			sends = 2
		}
		for ; sends > 0; sends-- {
			if _, err := server.Write(buffer[:n]); err != nil {
				return
			}
			// A command's answer comes in one piece: it's short.
			m, err := server.Read(answer)
			if err != nil || kind == providertest.LoseReply {
				return
			}
			if sends > 1 {
				continue
			}
			if _, err := client.Write(answer[:m]); err != nil {
				return
			}
		}
	}
}

// through is a connection by way of a proxy.
func through(t testing.TB, s *testenv.RedisServer) (*Connection, *proxy) {
	t.Helper()
	p := newProxy(t, s)
	cfg := admin(t, s).cfg
	cfg.Addresses = []string{p.addr}
	return connect(t, cfg), p
}

func TestTheIssuerKeepsTheContract(t *testing.T) {
	for name, o := range map[string]testenv.RedisOptions{"with an ACL file": {}, "with a configuration file": {NoACLFile: true}} {
		t.Run(name, func(t *testing.T) {
			s := testenv.Redis(t, o)
			providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
				c, p := through(t, s)
				return providertest.IssuerFixture{
					Issuer: issuerOf(t, c, app(t, s)), Inject: p.inject, UnknownID: "nobody:00000000", PublicFields: []string{rota.FieldUsername},
					Use: func(t *testing.T, c rota.Credential) { use(t, s, c) },
				}
			})
		})
	}
}

func TestTheCheckKeepsTheContract(t *testing.T) {
	s := testenv.Redis(t, testenv.RedisOptions{})
	providertest.Check(t, func(t *testing.T) providertest.CheckFixture {
		c, p := through(t, s)
		good, unfit := rotate(t, issuerOf(t, c, app(t, s))), rotate(t, issuerOf(t, c, app(t, s)))
		s.Do(t, "acl", "setuser", unfit.Field(rota.FieldUsername), "-get")
		k, err := c.Command("orders", "GET app:1")
		if err != nil {
			t.Fatal(err)
		}
		return providertest.CheckFixture{Check: k, Good: good, Unfit: unfit, Wrong: testenv.With(good, rota.FieldPassword, "wr0ng-value"), Inject: p.inject}
	})
}
