package postgres

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

// proxy stands between Rota and the server, and lets the next calls go wrong.
type proxy struct {
	port   int
	server string
	mu     sync.Mutex
	kind   providertest.FaultKind
	skip   int // calls that go well before one that doesn't
	left   int
	// about, if set, decides instead: it sees what a client sends before the server does.
	about func(sent []byte) providertest.FaultKind
	ends  []net.Conn
	close func() // may be called again
}

func newProxy(t testing.TB, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{port: l.Addr().(*net.TCPAddr).Port, server: server}
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
	p.close = func() {
		_ = l.Close()
		p.mu.Lock()
		for _, end := range p.ends {
			_ = end.Close()
		}
		p.mu.Unlock()
		running.Wait()
	}
	t.Cleanup(p.close)
	return p
}

// inject is a [providertest.Inject] by cutting and holding connections.
func (p *proxy) inject(op string, kind providertest.FaultKind) bool {
	if kind == providertest.Repeat {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kind, p.left = kind, 1
	if kind == providertest.FailBefore && op != "test" {
		p.left = 2 // a session that is found dead is replaced once
	}
	return true
}

// fault is what happens to what a client just sent.
func (p *proxy) fault(sent []byte) providertest.FaultKind {
	p.mu.Lock()
	defer p.mu.Unlock()
	terminate := bytes.HasPrefix(sent, []byte("X"))
	cancel := len(sent) >= 8 && bytes.Equal(sent[4:8], []byte{4, 210, 22, 46})
	if terminate || cancel { // neither is a call
		return ""
	}
	if p.about != nil {
		return p.about(sent)
	}
	if p.left == 0 {
		return ""
	}
	if p.skip > 0 {
		p.skip--
		return ""
	}
	p.left--
	return p.kind
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.ends = append(p.ends, client, server)
	p.mu.Unlock()
	defer client.Close()
	defer server.Close()
	var lost sync.Map // holds true once replies are to be lost
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if _, drop := lost.Load(true); drop || err != nil {
				_ = client.Close()
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		switch p.fault(buffer[:n]) {
		case providertest.FailBefore:
			return
		case providertest.Hang:
			_, _ = io.Copy(io.Discard, client)
			return
		case providertest.LoseReply:
			lost.Store(true, true)
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
		if _, drop := lost.Load(true); drop {
			<-answered
			return
		}
	}
}

// watch has a function see what clients send, and decide what becomes of it.
func (p *proxy) watch(about func(sent []byte) providertest.FaultKind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.about = about
}

// faultAt has whatever contains the text go wrong.
func (p *proxy) faultAt(text string, kind providertest.FaultKind) {
	p.watch(func(sent []byte) providertest.FaultKind {
		if bytes.Contains(sent, []byte(text)) {
			return kind
		}
		return ""
	})
}

// through is a connection by way of a proxy.
func through(t testing.TB, s *testenv.PostgresServer, cfg Config) (*Connection, *proxy) {
	t.Helper()
	p := newProxy(t, net.JoinHostPort(s.Host, itoa(s.Port)))
	cfg.Host, cfg.Port = "127.0.0.1", p.port
	c := connect(t, cfg)
	t.Cleanup(p.close) // before the connection, which would wait for those that hang
	return c, p
}
