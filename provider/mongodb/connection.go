package mongodb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Connection is a MongoDB deployment and the user that Rota logs in as. Creating it
// doesn't touch the network. It's safe for concurrent use.
type Connection struct {
	name string
	cfg  Config
	tls  *tls.Config

	mu  sync.Mutex
	own *session
}

// New checks the settings and reads the certificates they name. name is the
// connection's, for errors. It doesn't connect.
func New(name string, cfg Config) (*Connection, error) {
	c := &Connection{name: name, cfg: cfg.withDefaults()}
	if err := c.cfg.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	var err error
	if c.tls, err = c.cfg.Certificates.TLS(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	return c, nil
}

// Close ends Rota's connections. Call nothing afterwards.
func (c *Connection) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own != nil {
		c.own.close()
		c.own = nil
	}
}

func (c *Connection) system() string { return "mongodb " + c.name }

// deadline limits a call, even if its context doesn't.
func (c *Connection) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, 3*c.cfg.Timeout)
}

// session is a client of the driver, with one login.
type session struct {
	client *mongo.Client

	mu       sync.Mutex
	answered bool  // a server has
	broken   error // why the last look at a server failed; nil if it answered
}

func (s *session) close() {
	// The connections are closed, whatever a server says to that.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.client.Disconnect(ctx)
}

// why is what a failed selection of a server hides: the reason, nil if it's not known.
func (s *session) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answered && s.broken == nil {
		return errNoPrimary
	}
	return s.broken
}

var errNoPrimary = errors.New("none of the servers that answer there is the primary")

// connect makes a client. host is a single server to ask directly, "" for those of
// the configuration. Without a login nobody is logged in. Nothing is retried here:
// whoever calls decides about that.
func (c *Connection) connect(ctx context.Context, login *options.Credential, host string, conns uint64) (*session, error) {
	o := options.Client()
	if c.cfg.SRV != "" && host == "" {
		var err error
		if o, err = c.seeds(ctx); err != nil {
			return nil, fmt.Errorf("the DNS seed list %s: %w", c.cfg.SRV, err)
		}
	}
	s := &session{}
	switch {
	case host != "":
		o.SetHosts([]string{host}).SetDirect(true)
	case c.cfg.SRV == "":
		o.SetHosts(c.cfg.endpoints()).SetDirect(c.cfg.Direct)
	}
	if c.cfg.ReplicaSet != "" && host == "" {
		o.SetReplicaSet(c.cfg.ReplicaSet)
	}
	o.Auth = login
	if c.cfg.encrypted() {
		o.SetTLSConfig(c.tls.Clone())
	} else {
		o.SetTLSConfig(nil).SetDialer(nearby{c.cfg.Reach})
	}
	if c.cfg.Reach != nil && c.cfg.encrypted() {
		o.SetDialer(c.cfg.Reach.Dialer(c.cfg.Timeout))
	}
	o.SetAppName("rota").SetRetryReads(false).SetRetryWrites(false).SetMaxPoolSize(conns).
		SetConnectTimeout(c.cfg.Timeout).SetServerSelectionTimeout(c.cfg.Timeout).
		SetServerMonitoringMode("poll").
		SetServerMonitor(&event.ServerMonitor{
			ServerHeartbeatSucceeded: func(*event.ServerHeartbeatSucceededEvent) { s.heard(nil) },
			ServerHeartbeatFailed:    func(e *event.ServerHeartbeatFailedEvent) { s.heard(e.Failure) },
		})
	var err error
	s.client, err = mongo.Connect(o)
	return s, err
}

// nearby dials this machine alone. A replica set says where its members are, and
// nothing may be sent to another machine without TLS.
type nearby struct{ reach provider.Reach }

// DialContext implements [options.ContextDialer].
func (n nearby) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if !loopback(address) {
		return nil, errPlain
	}
	return n.reach.Dialer(0).DialContext(ctx, network, address)
}

var errPlain = errors.New("a member of the replica set is on another machine, and connections aren't encrypted")

// seeds asks DNS for the seed list. The driver asks without a deadline.
func (c *Connection) seeds(ctx context.Context) (*options.ClientOptions, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	found := make(chan *options.ClientOptions, 1)
	go func() { found <- options.Client().ApplyURI("mongodb+srv://" + c.cfg.SRV + "/") }()
	select {
	case o := <-found:
		return o, o.Validate()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *session) heard(err error) {
	s.mu.Lock()
	s.answered, s.broken = s.answered || err == nil, err
	s.mu.Unlock()
}

// credential is a login as the driver takes it.
func credential(username, password, source, mechanism string) *options.Credential {
	return &options.Credential{Username: username, Password: password, PasswordSet: true, AuthSource: source, AuthMechanism: mechanism}
}

// rotas is Rota's own login.
func (c *Connection) rotas() *options.Credential {
	return credential(c.cfg.Username, c.cfg.Password, c.cfg.AuthSource, c.cfg.AuthMechanism)
}

// shared is the client that Rota's own commands go through. It's made when it's first
// needed.
func (c *Connection) shared(ctx context.Context) (*session, error) {
	c.mu.Lock()
	own := c.own
	c.mu.Unlock()
	if own != nil {
		return own, nil
	}
	made, err := c.connect(ctx, c.rotas(), "", maxConns)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own != nil { // another call was quicker
		made.close()
		return c.own, nil
	}
	c.own = made
	return made, nil
}

// run runs a command with Rota's own login, on the primary. used are what no error
// may show.
func (c *Connection) run(ctx context.Context, op, database string, command bson.D, answer any, used ...rota.Credential) error {
	ctx, cancel := c.deadline(ctx)
	defer cancel()
	s, err := c.shared(ctx)
	if err != nil {
		return c.failed(ctx, op, err, nil, used...)
	}
	return c.failed(ctx, op, s.run(ctx, c.cfg, database, command, answer), s, used...)
}

// run runs a command once.
func (s *session) run(ctx context.Context, cfg Config, database string, command bson.D, answer any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Once for a server to be found, and once for its answer.
	ctx, cancel := context.WithTimeout(ctx, 2*cfg.Timeout)
	defer cancel()
	raw, err := s.client.Database(database).RunCommand(ctx, command).Raw()
	if err != nil {
		return err
	}
	if answer == nil {
		return nil
	}
	return bson.Unmarshal(raw, answer)
}

// as runs do in a session that logs in with a rotated credential.
func (c *Connection) as(ctx context.Context, op string, cred rota.Credential, source string, do func(context.Context, *session) error) error {
	ctx, cancel := c.deadline(ctx)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return c.refused(ctx, op, err, nil, cred)
	}
	s, err := c.connect(ctx, credential(cred.Field(rota.FieldUsername), cred.Field(rota.FieldPassword), source, ""), "", 1)
	if err != nil {
		return c.refused(ctx, op, err, nil, cred)
	}
	defer s.close()
	return c.refused(ctx, op, do(ctx, s), s, cred)
}
