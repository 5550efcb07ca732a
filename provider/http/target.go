package http

import (
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// target sends a credential with a request.
type target struct {
	c       *Connection
	name    string
	request Request
}

var _ rota.Target = (*target)(nil)

// Target returns a target that sends the credential with a request. The request
// has to be one that may be sent again, such as a PUT.
func (c *Connection) Target(name string, r Request) rota.Target {
	return &target{c: c, name: name, request: r}
}

// Name implements [rota.Target].
func (t *target) Name() string { return t.name }

// Deliver implements [rota.Target].
func (t *target) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	values := r.Credential.Fields()
	public := map[string]string{"secret": r.Secret, "version": r.Version}
	for name, value := range public {
		if _, taken := values[name]; !taken {
			values[name] = value
		}
	}
	_, _, err := t.c.send(ctx, call{op: "deliver to " + t.name, request: t.request, public: public, values: values, secrets: r.Credential, own: true})
	return err
}

// ReloadConfig describes how an API restarts consumers.
type ReloadConfig struct {
	// Request begins the reload.
	Request Request
	// Until is asked until its answer has the text Is at At. Zero if the request
	// answers once the consumers run with the version.
	Until  Request
	At, Is string
	// Timeout bounds it all. Defaults to 5 minutes.
	Timeout time.Duration
	// Every is how long to wait between two questions. Defaults to 2 s.
	Every time.Duration
}

// reloader begins a reload with a request and waits for it.
type reloader struct {
	c    *Connection
	name string
	cfg  ReloadConfig
}

var _ rota.Reloader = (*reloader)(nil)

const defaultReload = 5 * time.Minute

// Reloader returns a reloader made of requests.
func (c *Connection) Reloader(name string, cfg ReloadConfig) rota.Reloader {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultReload
	}
	if cfg.Every == 0 {
		cfg.Every = 2 * time.Second
	}
	return &reloader{c: c, name: name, cfg: cfg}
}

// Name implements [rota.Reloader].
func (l *reloader) Name() string { return l.name }

// Reload implements [rota.Reloader].
func (l *reloader) Reload(ctx context.Context, r rota.ReloadRequest) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	public := map[string]string{"secret": r.Secret, "version": r.Version}
	sent := call{op: "reload " + l.name, request: l.cfg.Request, public: public, values: public, own: true}
	if _, _, err := l.c.send(ctx, sent); err != nil || l.cfg.Until.Method == "" {
		return err
	}
	sent.request = l.cfg.Until
	want, err := expand(l.cfg.Is, public, nil)
	if err != nil {
		return l.c.odd(sent, "is: "+err.Error())
	}
	for {
		answer, _, err := l.c.send(ctx, sent)
		if err != nil && rota.ClassOf(err) != rota.ClassWait {
			return err
		}
		said, _ := textAt(answer, l.cfg.At)
		if err == nil && said == want {
			return nil
		}
		if rota.Sleep(ctx, l.cfg.Every) != nil {
			return l.c.fail(sent.op, rota.ClassWait, fmt.Errorf("%q is not %q yet: %w", l.cfg.At, want, ctx.Err()), rota.Outside("see at "+l.c.base.Host+" what the consumers wait for"))
		}
	}
}
