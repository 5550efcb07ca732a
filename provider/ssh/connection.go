package ssh

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Connection is some hosts, and the user that Rota logs in as. Creating it doesn't
// touch the network. It's safe for concurrent use.
type Connection struct {
	name  string
	cfg   Config
	known *hostKeys
	login login
	nodes []*node
	files sync.Map // of chan struct{} by host and path: one writer at a time
}

// New checks the settings. name is the connection's, for errors. It doesn't
// connect.
func New(name string, cfg Config) (*Connection, error) {
	c := &Connection{name: name, cfg: cfg.withDefaults()}
	fail := func(err error) (*Connection, error) { return nil, fmt.Errorf("%s: %w", c.system(), err) }
	if err := cfg.validate(); err != nil {
		return fail(err)
	}
	signers, err := cfg.signers()
	if err != nil {
		return fail(err)
	}
	if c.known, err = readKnownHosts(cfg.KnownHosts); err != nil {
		return fail(err)
	}
	c.login = login{user: cfg.User, signers: signers, agent: cfg.AgentSocket, password: cfg.Password}
	for _, host := range cfg.Hosts {
		addr, _ := endpoint(host) // validate has read it
		c.nodes = append(c.nodes, newNode(c, addr))
	}
	return c, nil
}

// Close ends Rota's connections. Call nothing afterwards.
func (c *Connection) Close() {
	for _, n := range c.nodes {
		n.close()
	}
}

func (c *Connection) system() string { return "ssh " + c.name }

// at names the host, if there are several.
func (n *node) at(op string) string {
	if len(n.c.nodes) == 1 {
		return op
	}
	return op + " on " + shown(n.addr)
}

// atOnce is how many hosts are worked on at once.
const atOnce = 8

// each runs do for every host. One that fails keeps it from no other.
func (c *Connection) each(ctx context.Context, op string, do func(context.Context, *node) error) error {
	if err := ctx.Err(); err != nil {
		return c.failed(ctx, op, err)
	}
	errs := make([]error, len(c.nodes))
	room := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, n := range c.nodes {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			errs[i] = do(ctx, n)
		})
	}
	all.Wait()
	return c.join(op, errs)
}

// reaches reports whether two connections have a host in common.
func (c *Connection) reaches(other *Connection) bool {
	return slices.ContainsFunc(c.nodes, func(n *node) bool {
		return slices.ContainsFunc(other.nodes, func(o *node) bool { return o.addr == n.addr })
	})
}

// logsInWith reports whether Rota itself logs in to one of the hosts as this user
// with the key: over this connection, or over a jump host's.
func (c *Connection) logsInWith(user, id string) bool {
	for at := c; at != nil; at = at.cfg.Via {
		if at.cfg.User == user && at.reaches(c) && slices.ContainsFunc(at.login.signers, func(s ssh.Signer) bool { return ssh.FingerprintSHA256(s.PublicKey()) == id }) {
			return true
		}
	}
	return false
}

// limited gives a call its own deadline.
func (c *Connection) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.cfg.Timeout)
}

// lock keeps others of this process from a file of a host.
func (n *node) lock(ctx context.Context, path string) (unlock func(), err error) {
	lock, _ := n.c.files.LoadOrStore(n.addr+"\x00"+path, make(chan struct{}, 1))
	held := lock.(chan struct{})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case held <- struct{}{}:
		return func() { <-held }, nil
	}
}

// reachable checks, for a preflight, that Rota can log in and run a script.
func (n *node) reachable(ctx context.Context, as string) rota.Finding {
	f := rota.Finding{OK: true, Check: fmt.Sprintf("run sh on %s as %s", shown(n.addr), n.c.cfg.User)}
	if as != "" {
		f.Check = fmt.Sprintf("run sh on %s as %s, through %s's sudo", shown(n.addr), as, n.c.cfg.User)
	}
	ctx, cancel := n.c.limited(ctx)
	defer cancel()
	if _, err := n.run(ctx, script{op: "look whether sh runs", as: as, text: ":"}); err != nil {
		f := provider.Failed(f.Check, n.c.failed(ctx, f.Check, err))
		if as != "" && needsRule(f.Detail) {
			f.Remedies = rota.Outside(fmt.Sprintf("in sudoers: %s ALL=(%s) NOPASSWD: /bin/sh", n.c.cfg.User, as))
		}
		return f
	}
	return f
}
