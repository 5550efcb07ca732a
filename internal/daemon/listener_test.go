package daemon

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"testing"
	"time"
)

func listening(t *testing.T, l *guardedListener) *guardedListener {
	t.Helper()
	var network net.ListenConfig
	inner, err := network.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Listener = inner
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func (l *guardedListener) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// TestAClientThatDoesNotReadIsLeft asks for more than fits into buffers, and
// never reads it.
func TestAClientThatDoesNotReadIsLeft(t *testing.T) {
	l := listening(t, &guardedListener{each: func() int { return 10 }, most: 10, within: 200 * time.Millisecond})
	failed := make(chan error, 1)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				failed <- err
				return
			}
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	if _, err := io.WriteString(l.dial(t), "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the response failed with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("it's still being written")
	}
}

// TestConnectionsAreLimited opens more than there may be, then closes one.
func TestConnectionsAreLimited(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for name, c := range map[string]struct {
		each, most int
		exempt     []netip.Prefix
		want       int
	}{
		"from one address":            {each: 2, most: 10, want: 2},
		"from one address, of few":    {each: 100, most: 6, want: 3},
		"from a proxy, altogether":    {each: 2, most: 4, exempt: loopback, want: 4},
		"from one address, of hardly": {each: 100, most: 1, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := listening(t, &guardedListener{each: func() int { return c.each }, most: c.most, exempt: c.exempt, within: time.Minute})
			accepted := make(chan net.Conn, 10)
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					accepted <- conn
				}
			}()
			var first net.Conn
			for range c.want {
				l.dial(t)
				conn := <-accepted
				t.Cleanup(func() { _ = conn.Close() })
				if first == nil {
					first = conn
				}
			}
			if _, err := l.dial(t).Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("one more than %d connections: %v", c.want, err)
			}
			for range 2 { // counted once
				_ = first.Close()
			}
			l.dial(t)
			_ = (<-accepted).Close()
		})
	}
}

// TestAnHTTP2ClientThatDoesNotReadIsLeft keeps its connection, but takes no more
// of the response than fits into its window.
func TestAnHTTP2ClientThatDoesNotReadIsLeft(t *testing.T) {
	failed := make(chan error, 1)
	server := httptest.NewUnstartedServer(endSlow(200*time.Millisecond, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			failed <- errors.New("it isn't HTTP/2")
			return
		}
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				failed <- nil
				return
			}
		}
	})))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	select {
	case err := <-failed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it's still being written")
	}
}
