package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// login is how to log in to a host.
type login struct {
	user     string
	signers  []ssh.Signer
	agent    string // its socket
	password string
	// only is how the password is given: [methodPassword] or [methodQuestions]. ""
	// means in any way, one after the other.
	only string
}

// The methods of a login with a password, as SSH calls them.
const (
	methodPassword  = "password"
	methodQuestions = "keyboard-interactive"
)

// methods are those that the login can use. They end with close.
func (l login) methods(ctx context.Context) (all []ssh.AuthMethod, done func(), err error) {
	done = func() {}
	signers := slices.Clone(l.signers)
	if l.agent != "" {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", l.agent)
		if err != nil {
			return nil, done, &agentError{err}
		}
		done = func() { _ = conn.Close() }
		held, err := agent.NewClient(conn).Signers()
		if err != nil {
			done()
			return nil, func() {}, &agentError{err}
		}
		signers = append(signers, held...)
	}
	// One method for all keys: a client tries each method once.
	if len(signers) > 0 {
		all = append(all, ssh.PublicKeys(signers...))
	}
	if l.password != "" && l.only != methodQuestions {
		all = append(all, ssh.Password(l.password))
	}
	if l.password != "" && l.only != methodPassword {
		all = append(all, ssh.KeyboardInteractive(func(_, _ string, questions []string, echos []bool) ([]string, error) {
			if len(questions) == 0 {
				return nil, nil
			}
			if len(questions) > 1 || echos[0] {
				return nil, errors.New("the host asks for more than the password")
			}
			return []string{l.password}, nil
		}))
	}
	return all, done, nil
}

// connectWithPassword logs in with a password, which is given once: a host that
// takes it as a password and as an answer to questions would count two failures for
// a wrong one, and may lock the user out after three (pam_faillock, fail2ban).
func (c *Connection) connectWithPassword(ctx context.Context, addr, user, password string) (*ssh.Client, error) {
	client, err := c.connect(ctx, addr, login{user: user, password: password, only: methodPassword})
	if !rejected(err) || tried(err, methodPassword) {
		return client, err
	}
	return c.connect(ctx, addr, login{user: user, password: password, only: methodQuestions})
}

// tried reports whether a host that refused a login was asked with a method.
func tried(err error, method string) bool {
	_, methods, _ := strings.Cut(err.Error(), "attempted methods [")
	methods, _, _ = strings.Cut(methods, "]")
	return slices.Contains(strings.Fields(methods), method)
}

// agentError is an agent that can't be asked.
type agentError struct{ err error }

func (e *agentError) Error() string { return "ask the agent for its keys: " + e.err.Error() }
func (e *agentError) Unwrap() error { return e.err }

// connect reaches a host, verifies its key and logs in.
func (c *Connection) connect(ctx context.Context, addr string, l login) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	methods, done, err := l.methods(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	conn, err := c.reach(ctx, addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	var shown hostCheck
	banner := newOutput("", true)
	sshConn, channels, requests, err := ssh.NewClientConn(conn, addr, &ssh.ClientConfig{
		User: l.user, Auth: methods, HostKeyCallback: c.known.check(addr, &shown), HostKeyAlgorithms: c.known.algorithms(addr),
		ClientVersion:  "SSH-2.0-Rota",
		BannerCallback: func(text string) error { _, err := banner.Write([]byte(text)); return err },
	})
	if !stop() || err != nil {
		_ = conn.Close()
		switch {
		case shown.rejected != nil:
			return nil, shown.rejected
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case shown.verified && hungUp(err):
			said, _ := banner.all()
			return nil, &hungUpError{user: l.user, said: lastLines(string(said))}
		}
		return nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	return ssh.NewClient(sshConn, channels, requests), nil
}

// errHandshake: a host was reached, and the login failed.
var errHandshake = errors.New("handshake")

// hungUp reports whether a host just closed the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || strings.Contains(err.Error(), "connection reset")
}

// hungUpError is a host that closed the connection while somebody logged in. sshd
// does that without a reason if PAM doesn't let an account in that has expired.
type hungUpError struct{ user, said string }

func (e *hungUpError) Error() string {
	text := "the host closed the connection while " + e.user + " logged in"
	if e.said != "" {
		text += ", after it said: " + e.said
	}
	return text
}

// reach opens a connection to an address, through the jump host if there's one.
func (c *Connection) reach(ctx context.Context, addr string) (net.Conn, error) {
	if c.cfg.Via == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	return c.cfg.Via.tunnel(ctx, addr)
}

// tunnel reaches an address from the first of the hosts that can.
func (c *Connection) tunnel(ctx context.Context, addr string) (net.Conn, error) {
	var errs []error
	for _, n := range c.nodes {
		link, err := n.take(ctx)
		if err != nil {
			errs = append(errs, c.failed(ctx, "jump over "+shown(n.addr), err))
			continue
		}
		conn, err := link.client.DialContext(ctx, "tcp", addr)
		if err != nil {
			link.release(ctx.Err() != nil)
			errs = append(errs, c.failed(ctx, "reach "+shown(addr)+" from "+shown(n.addr), err))
			continue
		}
		return &tunneled{Conn: conn, link: link}, nil
	}
	return nil, errors.Join(errs...)
}

// tunneled is a connection that goes over a jump host.
type tunneled struct {
	net.Conn
	link *link
	once sync.Once // it may be closed twice
}

// Close closes the tunnel, and lets go of the jump host.
func (t *tunneled) Close() error {
	err := t.Conn.Close()
	t.once.Do(func() { t.link.release(false) })
	return err
}
