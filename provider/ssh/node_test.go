package ssh

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

func TestAHostThatHasFewSessionsGetsNoMore(t *testing.T) {
	for _, most := range []string{"1", "2"} {
		t.Run(most, func(t *testing.T) {
			c := to(t, testenv.SSHD(t, testenv.SSHOptions{Config: []string{"MaxSessions " + most}}))
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					if err := runs(t, c); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
	}
	t.Run("none", func(t *testing.T) {
		c := to(t, testenv.SSHD(t, testenv.SSHOptions{Config: []string{"MaxSessions 0"}}))
		wantError(t, runs(t, c), rota.ClassWait, "MaxSessions")
	})
}

func TestAConnectionThatBrokeIsOpenedAgain(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{})
	c := to(t, s)
	if err := runs(t, c); err != nil {
		t.Fatal(err)
	}
	l := c.nodes[0].link
	_ = l.client.Close()
	<-l.closed
	if err := runs(t, c); err != nil {
		t.Error(err)
	}
}

// silentConn is a connection that ends just when a session is asked for, which the
// library doesn't notice.
type silentConn struct {
	ssh.Conn
	asked, ended chan struct{}
}

func (c *silentConn) OpenChannel(string, []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	close(c.asked)
	select {}
}

func (c *silentConn) Wait() error  { <-c.ended; return io.EOF }
func (c *silentConn) Close() error { return nil }

func TestAConnectionThatBreaksWhileASessionOpensIsOpenedAgain(t *testing.T) {
	c := to(t, testenv.SSHD(t, testenv.SSHOptions{}))
	silent := &silentConn{asked: make(chan struct{}), ended: make(chan struct{})}
	n := c.nodes[0]
	n.share(ssh.NewClient(silent, nil, nil)).release(false)
	go func() {
		<-silent.asked
		close(silent.ended)
	}()
	if _, err := n.run(testenv.Soon(t, 10*time.Second), script{text: ":"}); err != nil {
		t.Error(err)
	}
}

func TestAHostThatNoLongerAnswersIsGivenUp(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{})
	w := newWire(t, s.Addr)
	cfg := settings(s)
	cfg.Hosts, cfg.KnownHosts = []string{w.addr}, knownHost(w.addr, s)
	cfg.Keepalive = 20 * time.Millisecond
	c := connectWith(t, cfg)
	if err := runs(t, c); err != nil {
		t.Fatal(err)
	}
	l := c.nodes[0].link
	w.cut()
	select {
	case <-l.closed:
	case <-time.After(10 * time.Second):
		t.Fatal("the connection is still held open")
	}
	wantError(t, c.failed(t.Context(), "run sh", func() error {
		_, err := c.nodes[0].run(testenv.Soon(t, 200*time.Millisecond), script{text: ":"})
		return err
	}()), rota.ClassWait, "no response in time")
}

// knownHost is a line for a server by another address.
func knownHost(addr string, s *testenv.SSHServer) string {
	return knownhosts.Line([]string{knownhosts.Normalize(addr)}, s.HostKey)
}

// wire is the way to a server, which can be cut: then nothing arrives any more, and
// nobody is told.
type wire struct {
	addr    string
	dead    chan struct{}
	refuses atomic.Bool
}

func (w *wire) cut() { close(w.dead) }

// refuse closes the next connection at once.
func (w *wire) refuse() { w.refuses.Store(true) }

func newWire(t testing.TB, server string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: l.Addr().String(), dead: make(chan struct{})}
	var mu sync.Mutex
	var ends []net.Conn
	copyTo := func(to, from net.Conn) {
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			select {
			case <-w.dead:
				if err != nil {
					return
				}
				continue
			default:
			}
			if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
				_ = to.Close()
				return
			}
		}
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			if w.refuses.CompareAndSwap(true, false) {
				_ = client.Close()
				continue
			}
			server, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			mu.Lock()
			ends = append(ends, client, server)
			mu.Unlock()
			running.Go(func() { copyTo(server, client) })
			running.Go(func() { copyTo(client, server) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, end := range ends {
			_ = end.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return w
}
