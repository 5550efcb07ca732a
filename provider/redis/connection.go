package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Connection is the servers of one Redis or Valkey, and the user that Rota logs in
// as. Creating it doesn't touch the network. It's safe for concurrent use.
type Connection struct {
	name  string
	cfg   Config
	trust *tls.Config
	nodes []*node
	ids   ids
}

// node is one of the servers.
type node struct {
	c             *Connection
	network, addr string
	client        *redis.Client
}

// New checks the settings and reads the certificates they name. name is the
// connection's, for errors. It doesn't connect.
func New(name string, cfg Config) (*Connection, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	c := &Connection{name: name, cfg: cfg}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	var err error
	if c.trust, err = cfg.Certificates.TLS(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	logging.Disable() // go-redis's own log would repeat errors that are returned
	for _, address := range cfg.Addresses {
		n := &node{c: c}
		n.network, n.addr, _ = endpoint(address) // validate has read it
		n.client = redis.NewClient(cfg.options(n.network, n.addr, c.trust, cfg.Username, cfg.Password))
		c.nodes = append(c.nodes, n)
	}
	return c, nil
}

// Close ends Rota's connections. Call nothing afterwards.
func (c *Connection) Close() {
	for _, n := range c.nodes {
		_ = n.client.Close()
	}
}

func (c *Connection) system() string { return "redis " + c.name }

// deadline gives the context a deadline if it has none.
func (c *Connection) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, 3*c.cfg.Timeout)
}

// each runs do with every server in turn, until one fails.
func (c *Connection) each(ctx context.Context, do func(context.Context, *node) error) error {
	ctx, cancel := c.deadline(ctx)
	defer cancel()
	for _, n := range c.nodes {
		if err := do(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// at names the server, if there are several.
func (n *node) at(op string) string {
	if len(n.c.nodes) == 1 {
		return op
	}
	return op + " at " + n.addr
}

// login connects with a rotated credential, not with Rota's own user, and runs a
// command, or only asks whether the server is there. That the user may not ask so
// proves the login as well.
func (n *node) login(ctx context.Context, c rota.Credential, command ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o := n.c.cfg.options(n.network, n.addr, n.c.trust, c.Field(rota.FieldUsername), c.Field(rota.FieldPassword))
	o.PoolSize = 1
	client := redis.NewClient(o)
	defer func() { _ = client.Close() }()
	if len(command) > 0 {
		err := client.Do(ctx, command...).Err()
		if errors.Is(err, redis.Nil) { // an answer: there's no such key
			return nil
		}
		return err
	}
	err := client.Ping(ctx).Err()
	if strings.HasPrefix(answer(err), "NOPERM") {
		return nil
	}
	return err
}

// facts is what a server says about itself, by INFO's names.
type facts map[string]string

// info asks a server about itself.
func (n *node) info(ctx context.Context) (facts, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	text, err := n.client.Info(ctx).Result()
	if err != nil {
		return nil, err
	}
	f := facts{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			f[name] = value
		}
	}
	return f, nil
}

// shown is the server's product and version.
func (f facts) shown() string {
	if version := f["valkey_version"]; version != "" {
		return "Valkey " + version
	}
	return "Redis " + f["redis_version"]
}

var _ provider.Identifier = (*Connection)(nil)

// Identity implements [provider.Identifier]: the run id of the first server, which
// it chooses at random when it starts.
func (c *Connection) Identity(ctx context.Context) (string, error) {
	ctx, cancel := c.deadline(ctx)
	defer cancel()
	f, err := c.nodes[0].info(ctx)
	if err != nil {
		return "", c.failed(ctx, c.nodes[0].at("identify the server"), err)
	}
	return f["run_id"], nil
}

// account is a user as ACL GETUSER shows it.
type account struct {
	on, open bool // open: any password logs in
	hashes   []string
}

// account reads a user; nil if there's no such user.
func (n *node) account(ctx context.Context, user string) (*account, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	reply, err := n.client.Do(ctx, "acl", "getuser", user).Slice()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := &account{}
	for i := 0; i+1 < len(reply); i += 2 {
		values := texts(reply[i+1])
		switch reply[i] {
		case "flags":
			a.on, a.open = slices.Contains(values, "on"), slices.Contains(values, "nopass")
		case "passwords":
			a.hashes = values
		}
	}
	return a, nil
}

func texts(reply any) []string {
	list, _ := reply.([]any)
	var out []string
	for _, x := range list {
		if text, ok := x.(string); ok {
			out = append(out, text)
		}
	}
	return out
}
