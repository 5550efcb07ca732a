package story

import (
	"io"
	"net"
	"sync"
	"testing"
)

// cable is the network between Rota and a host, which can be cut.
type cable struct {
	addr string
	to   string
	mu   sync.Mutex
	l    net.Listener
	ends []net.Conn
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	c := &cable{addr: "127.0.0.1:0", to: to}
	c.join(t)
	c.addr = c.l.Addr().String()
	t.Cleanup(c.cut)
	return c
}

// join lets connections through.
func (c *cable) join(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.l = l
	c.mu.Unlock()
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			host, err := net.Dial("tcp", c.to)
			if err != nil {
				_ = client.Close()
				continue
			}
			c.mu.Lock()
			c.ends = append(c.ends, client, host)
			c.mu.Unlock()
			for _, way := range [][2]net.Conn{{client, host}, {host, client}} {
				go func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
				}()
			}
		}
	}()
}

// cut ends all connections and refuses new ones.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.l.Close()
	for _, end := range c.ends {
		_ = end.Close()
	}
	c.ends = nil
}
