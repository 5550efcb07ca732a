package client

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Options say where secrets come from. Only Source is required.
type Options struct {
	// Source is where values are read.
	Source Source
	// Cache keeps values for a start while the source is away. Defaults to none.
	Cache Cache
	// Every is how often the client asks a source that can't push. Defaults to a
	// minute.
	Every time.Duration
	// Check is how often it asks a source that pushes anyway, while the connection
	// stands. Defaults to ten minutes.
	Check time.Duration
	// FirstWait is how long the first Get of a secret waits for a source that is
	// away, if its context allows that long. Defaults to 30 seconds.
	FirstWait time.Duration
	// CallTimeout bounds one request to the source. Defaults to 10 seconds.
	CallTimeout time.Duration
	// Concurrency bounds how many requests to the source are made at once in the
	// background. Defaults to 8.
	Concurrency int
	// Instance is the name under which a source that takes reports (a [Reporter], such
	// as Rota's server) shows what this program holds. It must be unique among those
	// with the same login. Defaults to the host's name, which in Kubernetes is the
	// pod's, and a random part.
	Instance string
	// Logger hears of new versions, and of a source that is away. Defaults to
	// [slog.Default].
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	setDefault(&o.Every, time.Minute)
	setDefault(&o.Check, 10*time.Minute)
	setDefault(&o.FirstWait, 30*time.Second)
	setDefault(&o.CallTimeout, 10*time.Second)
	setDefault(&o.Concurrency, 8)
	if o.Instance == "" {
		o.Instance = instanceName()
	}
	setDefault(&o.Logger, slog.Default())
	return o
}

func setDefault[T comparable](option *T, value T) {
	var zero T
	if *option == zero {
		*option = value
	}
}

// Client keeps the secrets fresh that were asked for. It may be used from several
// goroutines.
type Client struct {
	o        Options
	ctx      context.Context // ends with the client
	cancel   context.CancelFunc
	running  sync.WaitGroup
	schedule *schedule
	report   chan struct{} // what's held has changed

	read atomic.Bool // something was read from the source

	mu      sync.Mutex
	secrets map[string]*Secret
	closed  bool
}

// Open returns a client. It sends no request yet. Close ends it.
func Open(o Options) (*Client, error) {
	if o.Source == nil {
		return nil, errors.New("client: Options has no Source")
	}
	c := &Client{o: o.withDefaults(), secrets: map[string]*Secret{}, schedule: newSchedule(), report: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.running.Go(c.refreshDue)
	if p, ok := o.Source.(Pusher); ok {
		c.running.Go(func() { c.follow(p) })
	}
	if r, ok := o.Source.(Reporter); ok {
		c.running.Go(func() { c.reports(r) })
	}
	return c, nil
}

// Close ends refreshing, and waits for the requests under way and for functions that
// [Secret.Watch] is calling, so don't call it from one of those. The secrets keep the
// values that they have. A source that takes reports is told that the program holds
// nothing any more.
func (c *Client) Close() {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.running.Wait()
	if r, ok := c.o.Source.(Reporter); ok && !again && c.read.Load() {
		c.endReports(r)
	}
}

// Secret returns the handle of a secret. It's always the same one for a name.
// Nothing is read until the first [Secret.Get].
func (c *Client) Secret(name string) *Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.secrets[name]
	if !ok {
		s = &Secret{name: name, client: c}
		c.secrets[name] = s
	}
	return s
}

// Secrets returns the handles of all secrets that were asked for, in no order.
func (c *Client) Secrets() []*Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*Secret, 0, len(c.secrets))
	for _, s := range c.secrets {
		all = append(all, s)
	}
	return all
}

// spawn runs f in the background, unless the client is closed.
func (c *Client) spawn(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Go(f)
	}
	return !c.closed
}

// refreshDue refreshes secrets when they are due, a few at once.
func (c *Client) refreshDue() {
	places := make(chan struct{}, c.o.Concurrency)
	for {
		s, ok := c.schedule.next(c.ctx)
		if !ok {
			return
		}
		select {
		case places <- struct{}{}:
		case <-c.ctx.Done():
			return
		}
		c.spawn(func() {
			defer func() { <-places }()
			_ = s.refresh(c.ctx)
		})
	}
}

// follow has secrets refreshed when the source says that they have changed.
func (c *Client) follow(p Pusher) {
	pause, said := newBackoff(longPause), false // said that the source is away
	for {
		var connected atomic.Bool // a chain calls from several goroutines
		err := p.Push(c.ctx, func(name string) {
			connected.Store(true)
			c.schedule.setPushed(pushesAll(p), &c.o)
			c.changed(name)
		})
		c.schedule.setPushed(false, &c.o)
		if connected.Load() {
			pause.Reset()
			said = false
		}
		if c.ctx.Err() != nil || errors.Is(err, errors.ErrUnsupported) {
			return
		}
		if !said {
			said = true
			c.o.Logger.Warn("the source's changes can't be followed; its secrets are asked for at intervals until they can", "error", err)
		}
		if sleep(c.ctx, pause.NextBackOff()) != nil {
			return
		}
	}
}

// changed makes a secret due, or all of them for "".
func (c *Client) changed(name string) {
	if name == "" {
		for _, s := range c.Secrets() {
			c.schedule.hurry(s)
		}
		return
	}
	c.mu.Lock()
	s := c.secrets[name]
	c.mu.Unlock()
	if s != nil {
		c.schedule.hurry(s)
	}
}

// The longest pauses between attempts: in the background, and while a caller waits.
const (
	longPause  = time.Minute
	shortPause = 2 * time.Second
)

// newBackoff is how long to wait between attempts.
func newBackoff(longest time.Duration) *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: 200 * time.Millisecond, Multiplier: 2, RandomizationFactor: 0.5, MaxInterval: longest}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
