package sqldb_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/client/sqldb"
)

const name = "prod/orders-db"

// server accepts one password.
type server struct {
	accepts string
	logins  []string
}

var errRefused = errors.New("access denied")

func refused(err error) bool { return errors.Is(err, errRefused) }

// login is a connector with one password.
type login struct {
	server   *server
	password string
}

func (l login) Connect(context.Context) (driver.Conn, error) {
	l.server.logins = append(l.server.logins, l.password)
	if l.password != l.server.accepts {
		return nil, errRefused
	}
	return conn{}, nil
}

func (login) Driver() driver.Driver { return nil }

type conn struct{}

func (conn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }
func (conn) Close() error                        { return nil }
func (conn) Begin() (driver.Tx, error)           { return nil, errors.ErrUnsupported }

func (s *server) options() sqldb.Options {
	return sqldb.Options{
		Connect: func(v client.Value) (driver.Connector, error) { return login{s, v.Field("password")}, nil },
		Refused: refused,
	}
}

func secret(t *testing.T, source client.Source) *client.Secret {
	t.Helper()
	c, err := client.Open(client.Options{Source: source, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.Secret(name)
}

func TestARefusedLoginIsTriedWithTheNewVersion(t *testing.T) {
	source := clienttest.NewSource()
	source.DisablePush()
	source.Set(name, map[string]string{"password": "one"})
	s, server := secret(t, source), &server{accepts: "one"}
	o := server.options()
	o.Grace = time.Nanosecond // each use is a new connection
	db := sqldb.Open(s, o)
	defer func() { _ = db.Close() }()
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	source.Set(name, map[string]string{"password": "two"})
	server.accepts = "two"
	time.Sleep(time.Millisecond)
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(server.logins); got != "[one one two]" {
		t.Errorf("logins %s", got)
	}
}

// What's missing shows with the first connection, not with the first refused login.
func TestOptionsThatAreMissingAreNamed(t *testing.T) {
	s, server := secret(t, client.Static{name: client.NewValue("v1", map[string]string{"password": "one"})}), &server{accepts: "one"}
	for missing, o := range map[string]sqldb.Options{
		"Connect": {Refused: refused},
		"Refused": {Connect: server.options().Connect},
	} {
		db := sqldb.Open(s, o)
		if err := db.PingContext(t.Context()); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v", missing, err)
		}
		_ = db.Close()
	}
}
