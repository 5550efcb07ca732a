//go:build unix

package replicas

import (
	"fmt"
	"net"
	"sync"
	"testing"
)

// proxy forwards connections until it is cut: then it accepts and holds
// everything, and forwards nothing, like a network that drops packets.
type proxy struct {
	port int

	mu      sync.Mutex
	open    chan struct{} // closed while the link is up
	conns   []net.Conn
	stopped bool
}

func newProxy(t testing.TB, target int) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{port: l.Addr().(*net.TCPAddr).Port, open: make(chan struct{})}
	close(p.open)
	t.Cleanup(func() {
		_ = l.Close()
		p.stop()
	})
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", target))
			if err != nil {
				_ = client.Close()
				continue
			}
			p.keep(client, server)
			go p.forward(client, server)
			go p.forward(server, client)
		}
	}()
	return p
}

func (p *proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conns...)
	if p.stopped {
		for _, c := range conns {
			_ = c.Close()
		}
	}
}

func (p *proxy) line() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

func (p *proxy) forward(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		<-p.line()
		if _, writeErr := to.Write(buffer[:n]); err != nil || writeErr != nil {
			return
		}
	}
}

// cut holds back everything sent from now on.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

// mend lets through what was held back, and everything that follows.
func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.open)
}

func (p *proxy) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	select {
	case <-p.open:
	default:
		close(p.open)
	}
	for _, c := range p.conns {
		_ = c.Close()
	}
}
