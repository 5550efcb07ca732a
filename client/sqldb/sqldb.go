// Package sqldb opens a [sql.DB] whose connections always log in with a secret's
// current version. It works with every driver that has a [driver.Connector].
//
// For PostgreSQL with pgx:
//
//	config, err := pgx.ParseConfig("postgres://db.example.com/orders?sslmode=verify-full")
//	…
//	db := sqldb.Open(secrets.Secret("prod/orders-db"), sqldb.Options{
//		Connect: func(v client.Value) (driver.Connector, error) {
//			c := config.Copy()
//			c.User, c.Password = v.Field("username"), v.Field("password")
//			return stdlib.GetConnector(*c), nil
//		},
//		Refused: postgres.Refused,
//	})
//
// For MySQL and MariaDB with go-sql-driver, package mysql beside this one does that.
package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/rota-dev/rota/client"
)

// Options say how to log in. Connect and Refused are required.
type Options struct {
	// Connect returns a connector that logs in with the value.
	Connect func(client.Value) (driver.Connector, error)
	// Refused reports whether an error means that the server didn't accept the
	// credential, as opposed to being away.
	Refused func(error) bool
	// Grace is how long a connection lives at most, and so how long after a rotation
	// the last one of the old login is gone. Let it be shorter than the policy's
	// grace period. Defaults to 5 minutes.
	Grace time.Duration
}

// Open returns a database whose connections log in with the secret. A refused login
// has the secret refreshed and is tried once more. Nothing is connected yet.
func Open(s *client.Secret, o Options) *sql.DB {
	if o.Grace == 0 {
		o.Grace = 5 * time.Minute
	}
	db := sql.OpenDB(&connector{secret: s, o: o})
	db.SetConnMaxLifetime(o.Grace)
	return db
}

type connector struct {
	secret *client.Secret
	o      Options
}

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (conn driver.Conn, err error) {
	switch {
	case c.o.Connect == nil:
		return nil, errors.New("sqldb: Options has no Connect")
	case c.o.Refused == nil:
		return nil, errors.New("sqldb: Options has no Refused")
	}
	var with client.Value
	err = c.secret.Try(ctx, func(ctx context.Context, v client.Value) error {
		with = v
		return c.login(ctx, v, &conn)
	}, c.o.Refused)
	if err != nil {
		return nil, err
	}
	time.AfterFunc(c.o.Grace, c.secret.Hold(with)) // a connection lives no longer
	return conn, nil
}

func (c *connector) login(ctx context.Context, v client.Value, conn *driver.Conn) error {
	with, err := c.o.Connect(v)
	if err == nil {
		*conn, err = with.Connect(ctx)
	}
	return err
}

// Driver implements [driver.Connector].
func (c *connector) Driver() driver.Driver { return noDriver{} }

// noDriver stands in for the driver, which isn't known before the first value.
type noDriver struct{}

func (noDriver) Open(string) (driver.Conn, error) {
	return nil, errors.New("sqldb: connections come from the connector only")
}
