package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rota-dev/rota/client"
)

// logins chooses the version that a new connection logs in with.
type logins struct {
	secret *client.Secret
	o      Options

	mu     sync.Mutex
	proven client.Value // its last login worked
}

// choose sets the connection's login. The pool can't try a connection again, so a
// version whose login hasn't worked yet is tried before.
func (l *logins) choose(ctx context.Context, c *pgx.ConnConfig) error {
	v, err := l.secret.Get(ctx)
	if err != nil {
		return err
	}
	if !l.isProven(v) {
		if v, err = l.try(ctx, c); err != nil {
			return err
		}
	}
	if err := l.set(&c.Config, v); err != nil {
		return err
	}
	watch := &connectTracer{refused: func() { l.prove(client.Value{}) }}
	if c.Tracer == nil {
		c.Tracer = watch
	} else {
		c.Tracer = multitracer.New(c.Tracer, watch)
	}
	return nil
}

// try logs in, with the other version if necessary, and returns the one that worked.
func (l *logins) try(ctx context.Context, c *pgx.ConnConfig) (worked client.Value, err error) {
	err = l.secret.Try(ctx, func(ctx context.Context, v client.Value) error {
		config := c.Config.Copy()
		if err := l.set(config, v); err != nil {
			return err
		}
		conn, err := pgconn.ConnectConfig(ctx, config)
		if err != nil {
			return err
		}
		worked = v
		return conn.Close(ctx)
	}, Refused)
	if err == nil {
		l.prove(worked)
	}
	return worked, err
}

func (l *logins) set(c *pgconn.Config, v client.Value) error {
	password := v.Field(l.o.Password)
	if password == "" {
		return fmt.Errorf("secret %q has no field %q: its fields are %q", l.secret.Name(), l.o.Password, v.Names())
	}
	c.Password = password
	if username := v.Field(l.o.Username); username != "" {
		c.User = username
	}
	return nil
}

func (l *logins) isProven(v client.Value) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.proven == v
}

func (l *logins) prove(v client.Value) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proven = v
}

// connectTracer notices a refused login. It traces nothing else.
type connectTracer struct{ refused func() }

func (*connectTracer) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return ctx
}

func (t *connectTracer) TraceConnectEnd(_ context.Context, data pgx.TraceConnectEndData) {
	if Refused(data.Err) {
		t.refused()
	}
}

func (*connectTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (*connectTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
