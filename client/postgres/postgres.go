// Package postgres keeps pgx's connections to PostgreSQL on a secret's current
// version.
//
//	config, err := pgxpool.ParseConfig("postgres://db.example.com/orders?sslmode=verify-full")
//	…
//	pool, err := postgres.NewPool(ctx, config, secrets.Secret("prod/orders-db"), postgres.Options{})
//	…
//	defer pool.Close()
//
// For database/sql, see package sqldb and [Refused].
package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/internal/logins"
)

// Options say which fields of the secret are the login.
type Options struct {
	// Username and Password are the names of the fields. They default to "username"
	// and "password". A secret without a username leaves the one of the
	// configuration.
	Username, Password string
	// Grace is how long after a new version the connections of the old login stay.
	// Let it be shorter than the policy's grace period. Defaults to a minute.
	Grace time.Duration
}

func (o Options) withDefaults() Options {
	if o.Grace == 0 {
		o.Grace = time.Minute
	}
	return o
}

// Refused reports whether PostgreSQL refused a login: a wrong password, a role that
// is gone or may not log in, or one whose password has expired.
func Refused(err error) bool {
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (refusal.Code == "28P01" || refusal.Code == "28000")
}

// Pool is a pool of connections that follow a secret.
type Pool struct {
	*pgxpool.Pool
	stop func()
}

// NewPool opens a pool whose connections log in with the secret's current version.
// Like pgxpool's, it connects in the background.
//
// The first login with each version is tried apart from the pool: if it's refused,
// the secret is refreshed, and the other version is used. When a new version
// arrives, the pool uses it for every connection from then on. After the grace
// period it closes the connections it has, as [pgxpool.Pool.Reset] does: idle ones at
// once, and others when they are given back.
//
// The configuration's own BeforeConnect, if there is one, runs first.
func NewPool(ctx context.Context, config *pgxpool.Config, s *client.Secret, o Options) (*Pool, error) {
	l := &login{secret: s, proven: logins.New(s, Refused), o: o.withDefaults()}
	config = config.Copy()
	first := config.BeforeConnect
	config.BeforeConnect = func(ctx context.Context, c *pgx.ConnConfig) error {
		if first != nil {
			if err := first(ctx, c); err != nil {
				return err
			}
		}
		return l.choose(ctx, c)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	// The wait isn't in the function itself, which the end of the client waits for.
	stop := s.Watch(func(v client.Value) {
		time.AfterFunc(l.o.Grace, func() {
			pool.Reset()
			l.proven.Release(v.Version())
		})
	})
	return &Pool{Pool: pool, stop: func() { stop(); l.proven.Release("") }}, nil
}

// Close closes all connections, as pgxpool's does.
func (p *Pool) Close() {
	p.stop()
	p.Pool.Close()
}
