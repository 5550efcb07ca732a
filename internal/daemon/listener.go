package daemon

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/rota-dev/rota/internal/access/authn"
)

// writeWithin is how long a client may take to accept what's written to it.
const writeWithin = 30 * time.Second

// guardedListener accepts connections within limits. Each connection takes a file
// descriptor, and Rota needs some itself: to read rota.yaml, and to reach the
// systems whose credentials it rotates.
type guardedListener struct {
	net.Listener
	each   func() int     // connections from one address
	most   int            // altogether
	exempt []netip.Prefix // proxies: whoever is behind them is limited by requests
	within time.Duration

	mu       sync.Mutex
	open     int
	networks map[netip.Prefix]int
}

// Accept closes connections beyond the limits at once, and returns the next one
// within.
func (l *guardedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if from, ok := l.admit(conn.RemoteAddr()); ok {
			return &guardedConn{Conn: conn, within: l.within, release: sync.OnceFunc(func() { l.release(from) })}, nil
		}
		_ = conn.Close() // nobody is served by an error here
	}
}

// admit counts a connection, unless there are too many.
func (l *guardedListener) admit(remote net.Addr) (netip.Prefix, bool) {
	address, _ := netip.ParseAddrPort(remote.String()) // zero for what has no address: one network too
	from := authn.Network(address.Addr().Unmap().WithZone(""))
	proxy := isProxy(remote.String(), l.exempt)
	each := min(l.each(), max(1, l.most/2)) // so that one address alone can't take all
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.most || !proxy && l.networks[from] >= each {
		return from, false
	}
	if l.networks == nil {
		l.networks = map[netip.Prefix]int{}
	}
	l.open++
	l.networks[from]++
	return from, true
}

func (l *guardedListener) release(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.networks[from]--; l.networks[from] == 0 {
		delete(l.networks, from)
	}
}

// guardedConn gives up on a client that doesn't read: every write must be taken
// within some time. Deadlines set by handlers are overridden by the next write,
// so a stream lives as long as its client reads.
type guardedConn struct {
	net.Conn
	within  time.Duration
	release func()
}

func (c *guardedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.within)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *guardedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// reserved is the share of the process's file descriptors that connections leave
// to everything else: a quarter.
const reserved = 4

// mostConnections is how many connections the process can have.
func mostConnections() int {
	files := maxOpenFiles()
	return max(1, files-files/reserved)
}

// responseWithin is how long a client may take to accept a whole response. A
// stream's handler extends it with each event.
const responseWithin = time.Minute

// endSlow gives up on HTTP/2 clients that let responses wait: their connection
// goes on, so that its own deadline isn't enough.
func endSlow(within time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor >= 2 {
			w = &timedWriter{ResponseWriter: w, within: within}
		}
		next.ServeHTTP(w, r)
	})
}

// timedWriter sets a deadline when the response begins: what it takes to answer
// isn't the client's fault.
type timedWriter struct {
	http.ResponseWriter
	within time.Duration
	begun  bool
}

func (w *timedWriter) begin() {
	if !w.begun {
		w.begun = true
		_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.within))
	}
}

func (w *timedWriter) WriteHeader(status int) {
	w.begin()
	w.ResponseWriter.WriteHeader(status)
}

func (w *timedWriter) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(b)
}

func (w *timedWriter) Flush()                      { _ = http.NewResponseController(w.ResponseWriter).Flush() }
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
