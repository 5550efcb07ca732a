package ssh

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
)

const (
	// maxSessions is how many scripts run at once over one connection. sshd's own
	// limit (MaxSessions) is 10 by default; a lower one is found out.
	maxSessions = 4
	// maxIdle is how long a connection is kept that nobody uses.
	maxIdle = time.Minute
	// maxMissed is how many times in a row a host may not answer.
	maxMissed = 3
)

// node is one host. All that works there shares one connection, which is opened
// when it's needed: hosts limit how many logins are in progress (MaxStartups).
type node struct {
	c    *Connection
	addr string
	turn chan struct{} // holds a token while nobody is opening the connection

	mu   sync.Mutex
	link *link // nil if there's none
}

func newNode(c *Connection, addr string) *node {
	n := &node{c: c, addr: addr, turn: make(chan struct{}, 1)}
	n.turn <- struct{}{}
	return n
}

// link is an open connection to a host.
type link struct {
	node   *node
	client *ssh.Client
	slots  slots
	closed chan struct{}

	// These are the node's mutex's.
	uses    int
	retired bool
	idle    *time.Timer
}

// take returns the host's connection. Whoever takes it has to release it.
func (n *node) take(ctx context.Context) (*link, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-n.turn:
		defer func() { n.turn <- struct{}{} }()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n.mu.Lock()
	if l := n.link; l != nil {
		defer n.mu.Unlock()
		l.uses++
		if l.idle != nil {
			l.idle.Stop()
			l.idle = nil
		}
		return l, nil
	}
	n.mu.Unlock()
	client, err := n.c.connect(ctx, n.addr, n.c.login)
	if err != nil {
		return nil, err
	}
	return n.share(client), nil
}

// share has others take a connection as well, until it ends.
func (n *node) share(client *ssh.Client) *link {
	l := &link{node: n, client: client, uses: 1, closed: make(chan struct{}), slots: slots{limit: maxSessions, free: make(chan struct{})}}
	go func() { // however it ends, nobody takes it afterwards
		_ = client.Wait()
		close(l.closed)
		n.mu.Lock()
		defer n.mu.Unlock()
		l.drop()
	}()
	go l.keepAlive(n.c.cfg.Keepalive)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link = l
	return l
}

// drop keeps others from taking the connection.
func (l *link) drop() {
	l.retired = true
	if l.node.link == l {
		l.node.link = nil
	}
}

// release gives the connection back. A suspect one isn't taken again, and is
// closed once nobody uses it.
func (l *link) release(suspect bool) {
	l.node.mu.Lock()
	defer l.node.mu.Unlock()
	l.uses--
	if suspect {
		l.drop()
	}
	switch {
	case l.uses > 0:
	case l.retired:
		_ = l.client.Close()
	default:
		l.idle = time.AfterFunc(maxIdle, func() {
			l.node.mu.Lock()
			defer l.node.mu.Unlock()
			if l.uses == 0 {
				l.drop()
				_ = l.client.Close()
			}
		})
	}
}

// close ends the host's connection.
func (n *node) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.link; l != nil {
		l.drop()
		if l.idle != nil {
			l.idle.Stop()
		}
		_ = l.client.Close()
	}
}

// keepAlive closes the connection once the host doesn't answer any more.
func (l *link) keepAlive(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	answers := make(chan struct{}, 1)
	asking, missed := false, 0
	for {
		select {
		case <-l.closed:
			return
		case <-answers:
			asking, missed = false, 0
		case <-tick.C:
			if asking {
				if missed++; missed >= maxMissed {
					_ = l.client.Close()
					return
				}
				continue
			}
			asking = true
			go func() {
				if _, _, err := l.client.SendRequest("keepalive@openssh.com", true, nil); err == nil {
					answers <- struct{}{}
				}
			}()
		}
	}
}

// open opens a session. If the connection that there is has broken, which nobody
// may have noticed, it opens another one: nothing was sent yet. Whoever opens it has
// to release the link.
func (n *node) open(ctx context.Context) (*link, *ssh.Session, error) {
	for again := true; ; again = false {
		l, err := n.take(ctx)
		if err != nil {
			return nil, nil, err
		}
		session, err := l.session(ctx)
		if err == nil {
			return l, session, nil
		}
		refused, _ := errors.AsType[*sessionError](err)
		broken := refused == nil
		l.release(broken)
		if !broken || !again || ctx.Err() != nil {
			return nil, nil, err
		}
	}
}

// sessionError is a host that opens no session.
type sessionError struct{ err error }

func (e *sessionError) Error() string { return "open a session: " + e.err.Error() }
func (e *sessionError) Unwrap() error { return e.err }

// session opens a session, and waits for a free one if there are too many. A host
// may count one a moment longer than Rota.
func (l *link) session(ctx context.Context) (*ssh.Session, error) {
	const first, most = 20 * time.Millisecond, time.Second
	for wait := first; ; {
		if err := l.slots.take(ctx); err != nil {
			return nil, err
		}
		type opened struct {
			session *ssh.Session
			err     error
		}
		answer := make(chan opened, 1)
		go func() {
			s, err := l.client.NewSession()
			answer <- opened{s, err}
		}()
		select {
		case <-ctx.Done():
			go func() {
				if o := <-answer; o.err == nil {
					_ = o.session.Close()
				}
				l.slots.give()
			}()
			return nil, ctx.Err()
		case <-l.closed:
			// The library waits for ever if it asks just when the connection ends:
			// after it has told all who wait, and before a write fails.
			return nil, io.EOF
		case o := <-answer:
			if o.err == nil {
				return o.session, nil
			}
			_, refused := errors.AsType[*ssh.OpenChannelError](o.err)
			others := l.slots.refused()
			switch {
			case !refused:
				return nil, o.err
			case others:
			case wait < most:
				if err := rota.Sleep(ctx, wait); err != nil {
					return nil, err
				}
				wait *= 2
			default:
				return nil, &sessionError{o.err}
			}
		}
	}
}

// slots count a connection's sessions.
type slots struct {
	mu    sync.Mutex
	open  int
	limit int
	free  chan struct{} // closed when one ends
}

func (s *slots) take(ctx context.Context) error {
	for {
		s.mu.Lock()
		if s.open < s.limit {
			s.open++
			s.mu.Unlock()
			return nil
		}
		free := s.free
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-free:
		}
	}
}

func (s *slots) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

func (s *slots) end() {
	s.open--
	close(s.free)
	s.free = make(chan struct{})
}

// refused gives back a slot that the host had no session for. It reports whether
// others are open: then that's the host's limit, and one of them will end.
func (s *slots) refused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
	if s.open > 0 {
		s.limit = min(s.limit, s.open)
	}
	return s.open > 0
}
