package mysql

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

// proxy stands between Rota and the server, and lets the next calls go wrong.
type proxy struct {
	port   int    // 0 at a Unix socket
	server string // what it leads to, a Unix socket if it's a path
	mu     sync.Mutex
	kind   providertest.FaultKind
	skip   int // calls that go well before one that doesn't
	left   int
	ends   []net.Conn
	close  func() // may be called again
}

func newProxy(t testing.TB, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := proxyAt(t, l, server)
	p.port = l.Addr().(*net.TCPAddr).Port
	return p
}

func proxyAt(t testing.TB, l net.Listener, server string) *proxy {
	p := &proxy{server: server}
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
func (p *proxy) inject(_ string, kind providertest.FaultKind) bool {
	if kind == providertest.Repeat {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kind, p.left = kind, 1
	return true
}

// fault is what happens to what a client just sent.
func (p *proxy) fault(sent []byte) providertest.FaultKind {
	p.mu.Lock()
	defer p.mu.Unlock()
	quit := bytes.Equal(sent, []byte{1, 0, 0, 0, 1})
	closing := len(sent) == 9 && sent[4] == 25 // a prepared statement
	if p.left == 0 || quit || closing {        // neither has an answer
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
	network := "tcp"
	if filepath.IsAbs(p.server) {
		network = "unix"
	}
	server, err := net.Dial(network, p.server)
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

// through is a connection by way of a proxy.
func through(t testing.TB, s *testenv.MariaDBServer, cfg Config) (*Connection, *proxy) {
	t.Helper()
	p := newProxy(t, net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	cfg.Host, cfg.Port = "127.0.0.1", p.port
	c := connect(t, cfg)
	t.Cleanup(p.close) // before the connection, which would wait for those that hang
	return c, p
}

// throughSocket is a connection by way of a proxy at a Unix socket, where MySQL
// takes a password without TLS, which would hide calls from the proxy.
func throughSocket(t testing.TB, s *testenv.MySQLServer, cfg Config) (*Connection, *proxy) {
	t.Helper()
	dir, err := os.MkdirTemp("", "rota-proxy-") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cfg.Host = filepath.Join(dir, "socket")
	l, err := net.Listen("unix", cfg.Host)
	if err != nil {
		t.Fatal(err)
	}
	p := proxyAt(t, l, s.Socket)
	c := connect(t, cfg)
	t.Cleanup(p.close) // before the connection, which would wait for those that hang
	return c, p
}
