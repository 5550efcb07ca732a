// Package redis keeps go-redis's connections to Redis or Valkey on a secret's current
// version.
//
//	cache := redis.NewClient(&driver.Options{Addr: "cache.example.com:6379"}, secrets.Secret("prod/orders-cache"), redis.Options{})
//	…
//	defer cache.Close()
//
// A cluster's or a failover client's options take [Credentials] instead.
package redis

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/internal/logins"
)

// Options say which fields of the secret are the login.
type Options struct {
	// Username and Password are the names of the fields. They default to "username"
	// and "password". A secret without a username leaves the one of the client's
	// options.
	Username, Password string
	// Grace is how long a connection lives at most, and so how long after a rotation
	// the last one of the old login is gone. Let it be shorter than the policy's
	// grace period. Defaults to 5 minutes.
	Grace time.Duration
}

func (o Options) withDefaults() Options {
	if o.Grace == 0 {
		o.Grace = 5 * time.Minute
	}
	return o
}

// login reads a version's user and password.
func (o Options) login(s *client.Secret, v client.Value, username string) (user, password string, err error) {
	return logins.FieldsOf(o.Username, o.Password).Read(s, v, username)
}

// NewClient returns a client whose connections log in with the secret's current
// version. Nothing is connected yet.
//
// The first login with each version is tried apart from the pool: if it's refused, the
// secret is refreshed, and the other version is used. A command that fails because its
// connection's login was refused is sent once more; the server hasn't seen it. A
// connection lives as long as [Options].Grace, unless it's a subscription, which Redis
// doesn't end when its user's password changes.
func NewClient(options *redis.Options, s *client.Secret, o Options) *redis.Client {
	o = o.withDefaults()
	config := *options
	once := config // for trials: one connection and no retries
	once.PoolSize, once.MinIdleConns, once.MaxRetries, once.OnConnect = 1, 0, -1, nil
	l, username := &login{proven: logins.New(s, Refused)}, options.Username
	config.StreamingCredentialsProvider, config.CredentialsProvider = nil, nil
	config.CredentialsProviderContext = func(ctx context.Context) (string, string, error) {
		v, err := l.proven.Choose(ctx, func(ctx context.Context, v client.Value) error {
			user, password, err := o.login(s, v, username)
			if err != nil {
				return err
			}
			return try(ctx, once, user, password)
		})
		if err != nil {
			return "", "", &refusedTrial{err}
		}
		time.AfterFunc(o.Grace, s.Hold(v)) // a connection lives no longer
		return o.login(s, v, username)
	}
	if config.ConnMaxLifetime <= 0 || config.ConnMaxLifetime > o.Grace {
		config.ConnMaxLifetime = o.Grace
	}
	c := redis.NewClient(&config)
	c.AddHook(l)
	return c
}

// try logs in once.
func try(ctx context.Context, config redis.Options, user, password string) error {
	config.StreamingCredentialsProvider, config.CredentialsProvider, config.CredentialsProviderContext = nil, nil, nil
	config.Username, config.Password = user, password
	c := redis.NewClient(&config)
	defer func() { _ = c.Close() }()
	err := c.Ping(ctx).Err()
	if answered, ok := errors.AsType[redis.Error](err); ok && strings.HasPrefix(answered.Error(), "NOPERM") {
		return nil // it's logged in, and may not ping
	}
	return err
}

// Credentials returns a function for CredentialsProviderContext of any client's
// options. It only gives the secret's current version: set ConnMaxLifetime, too, to a
// time shorter than the policy's grace period.
func Credentials(s *client.Secret, o Options) func(context.Context) (username, password string, err error) {
	o = o.withDefaults()
	return func(ctx context.Context) (string, string, error) {
		v, err := s.Get(ctx)
		if err != nil {
			return "", "", err
		}
		return o.login(s, v, "")
	}
}

// Refused reports whether Redis refused a login: a wrong password, or a user that's gone
// or switched off.
func Refused(err error) bool {
	answered, ok := errors.AsType[redis.Error](err)
	if !ok || errors.Is(err, redis.Nil) {
		return false
	}
	text := answered.Error()
	return strings.HasPrefix(text, "WRONGPASS") || strings.HasPrefix(text, "NOAUTH") || strings.HasPrefix(text, "ERR invalid password")
}
