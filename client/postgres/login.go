package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/internal/logins"
)

// login sets the login of new connections.
type login struct {
	secret *client.Secret
	proven *logins.Logins
	o      Options
}

// choose sets the connection's login. The pool can't try a connection again, so a
// version whose login hasn't worked yet is tried before.
func (l *login) choose(ctx context.Context, c *pgx.ConnConfig) error {
	v, err := l.proven.Choose(ctx, func(ctx context.Context, v client.Value) error { return l.try(ctx, c, v) })
	if err != nil {
		return err
	}
	if err := l.set(&c.Config, v); err != nil {
		return err
	}
	l.proven.Use(v)
	watch := &connectTracer{refused: func() { l.proven.Refused(v) }}
	if c.Tracer == nil {
		c.Tracer = watch
	} else {
		c.Tracer = multitracer.New(c.Tracer, watch)
	}
	return nil
}

// try logs in once.
func (l *login) try(ctx context.Context, c *pgx.ConnConfig, v client.Value) error {
	config := c.Config.Copy()
	if err := l.set(config, v); err != nil {
		return err
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

func (l *login) set(c *pgconn.Config, v client.Value) error {
	username, password, err := logins.FieldsOf(l.o.Username, l.o.Password).Read(l.secret, v, c.User)
	if err == nil {
		c.User, c.Password = username, password
	}
	return err
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
