// Package mongodb keeps a client of MongoDB on a secret's current version.
//
// MongoDB's driver takes a user and a password once, when a client is made. So this
// package makes a new client for each version, and disconnects the old one after a
// grace period:
//
//	orders, err := mongodb.Connect(ctx, options.Client().ApplyURI("mongodb://db.example.com/?tls=true"), secrets.Secret("prod/orders-db"), mongodb.Options{})
//	…
//	defer orders.Close()
//	…
//	err = orders.Get().Database("shop").Collection("orders").FindOne(ctx, filter).Decode(&order)
//
// Ask Get for each operation rather than keeping the client, or a database or
// collection of it.
package mongodb

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/internal/logins"
)

// Options say which fields of the secret are the login.
type Options struct {
	// Username and Password are the names of the fields. They default to "username"
	// and "password". A secret without a username leaves the one of the client's
	// options.
	Username, Password string
	// Grace is how long after a new version the old client stays, for the operations
	// and cursors that use it. Let it be shorter than the policy's grace period.
	// Defaults to a minute.
	Grace time.Duration
}

// Client holds a client of the driver for the secret's current version.
type Client struct {
	secret  *client.Secret
	base    *options.ClientOptions
	o       Options
	updater *client.Updater[*login]
}

// login is a client with the version that it logs in with.
type login struct {
	*mongo.Client
	of client.Value
}

// disconnectTimeout bounds the wait for operations of a client that's replaced.
const disconnectTimeout = 10 * time.Second

// Connect makes the first client, and proves with a ping that its login works. If the
// login is refused, the secret is refreshed, and the other version is used.
func Connect(ctx context.Context, base *options.ClientOptions, s *client.Secret, o Options) (*Client, error) {
	if o.Grace == 0 {
		o.Grace = time.Minute
	}
	c := &Client{secret: s, base: base, o: o}
	var err error
	c.updater, err = client.NewUpdater(ctx, s, client.UpdaterOptions[*login]{Build: c.build, Close: disconnect, Grace: o.Grace})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Get returns the current client. Use it right away rather than keeping it.
func (c *Client) Get() *mongo.Client { return c.updater.Get().Client }

// Close disconnects the current client and every old one.
func (c *Client) Close() { c.updater.Close() }

// Do calls f with the current client. If it fails because a login was refused, the
// secret is refreshed, and f is called once more with the new version's client. So let
// f be one operation, or something that can be repeated.
func (c *Client) Do(ctx context.Context, f func(context.Context, *mongo.Client) error) error {
	with := c.updater.Get()
	first := f(ctx, with.Client)
	if first == nil || !Refused(first) {
		return first
	}
	if c.updater.Get() == with && c.secret.Other(ctx, with.of).IsZero() {
		return first
	}
	next, ok := c.after(ctx, with)
	if !ok {
		return first
	}
	return f(ctx, next.Client)
}

// rebuildTimeout is how long Do waits for the new version's client.
const rebuildTimeout = 10 * time.Second

// after waits for the client that replaces another one.
func (c *Client) after(ctx context.Context, with *login) (*login, bool) {
	ctx, cancel := context.WithTimeout(ctx, rebuildTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if next := c.updater.Get(); next != with {
			return next, true
		}
		select {
		case <-ctx.Done():
			return nil, false
		case <-tick.C:
		}
	}
}

// build makes a client that has logged in: with v, or with the other version if v is
// refused.
func (c *Client) build(ctx context.Context, v client.Value) (*login, error) {
	made, err := c.login(ctx, v)
	if err == nil || !Refused(err) {
		return made, err
	}
	other := c.secret.Other(ctx, v)
	if other.IsZero() {
		return nil, err
	}
	return c.login(ctx, other)
}

// login makes a client and has it log in once.
func (c *Client) login(ctx context.Context, v client.Value) (*login, error) {
	auth := options.Credential{}
	if c.base.Auth != nil {
		auth = *c.base.Auth
	}
	username, password, err := logins.FieldsOf(c.o.Username, c.o.Password).Read(c.secret, v, auth.Username)
	if err != nil {
		return nil, err
	}
	auth.Username, auth.Password, auth.PasswordSet = username, password, true
	made, err := mongo.Connect(c.base, options.Client().SetAuth(auth))
	if err != nil {
		return nil, err
	}
	l := &login{Client: made, of: v}
	if err := made.Ping(ctx, nil); err != nil {
		disconnect(l)
		return nil, err
	}
	return l, nil
}

func disconnect(l *login) {
	ctx, cancel := context.WithTimeout(context.Background(), disconnectTimeout)
	defer cancel()
	_ = l.Disconnect(ctx)
}

// The error codes of a refused login.
const (
	authenticationFailed = 18
	atlasError           = 8000 // Atlas's own code for it, among other things
)

// Refused reports whether MongoDB refused a login: a wrong password, or a user that's
// gone.
func Refused(err error) bool {
	refusal, ok := errors.AsType[mongo.CommandError](err)
	return ok && (refusal.Code == authenticationFailed || refusal.Code == atlasError && refusal.Name == "AtlasError")
}
