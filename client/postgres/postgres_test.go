package postgres_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/client/postgres"
	"github.com/rota-dev/rota/client/sqldb"
	"github.com/rota-dev/rota/internal/testenv"
)

const name = "prod/orders-db"

var shared testenv.SharedPostgres

func TestMain(m *testing.M) {
	code := m.Run()
	shared.Stop()
	os.Exit(code)
}

// world is a PostgreSQL server with two roles of which one is current, as Rota's
// alternating issuer has them.
type world struct {
	t      testing.TB
	roles  [2]string
	round  int
	source *clienttest.Source
	secret *client.Secret
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, source: clienttest.NewSource()}
	for i := range w.roles {
		w.roles[i] = fmt.Sprintf("%s_%d_%d", "orders", time.Now().UnixNano(), i)
		shared.Get(t).Exec(t, "CREATE ROLE "+w.roles[i]+" LOGIN PASSWORD 'first'")
	}
	w.rotate()
	c, err := client.Open(client.Options{Source: w.source, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w.secret = c.Secret(name)
	return w
}

// rotate gives the role that isn't current a new password, and makes it current.
func (w *world) rotate() {
	w.t.Helper()
	w.round++
	w.set(w.roles[w.round%2], "password-"+strconv.Itoa(w.round))
}

// set sets a role's password and makes it current.
func (w *world) set(role, password string) {
	w.t.Helper()
	shared.Get(w.t).Exec(w.t, "ALTER ROLE "+role+" PASSWORD '"+password+"'")
	w.source.Set(name, map[string]string{"username": role, "password": password})
}

func (w *world) config() *pgxpool.Config {
	w.t.Helper()
	c, err := pgxpool.ParseConfig(shared.Get(w.t).DSN())
	if err != nil {
		w.t.Fatal(err)
	}
	c.ConnConfig.User, c.ConnConfig.Password = "nobody", "wrong"
	return c
}

func (w *world) pool(o postgres.Options) *postgres.Pool {
	w.t.Helper()
	p, err := postgres.NewPool(w.t.Context(), w.config(), w.secret, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(p.Close)
	return p
}

func user(t testing.TB, p *postgres.Pool) string {
	t.Helper()
	var user string
	if err := p.QueryRow(t.Context(), "SELECT current_user").Scan(&user); err != nil {
		t.Fatal(err)
	}
	return user
}

// sessions counts a role's connections.
func (w *world) sessions(role string) int {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), shared.Get(w.t).DSN())
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(w.t.Context())) }()
	var n int
	if err := conn.QueryRow(w.t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", role).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestAPoolUnderLoadSurvivesRotations(t *testing.T) {
	w := newWorld(t)
	config := w.config()
	config.MaxConns = 10
	config.MaxConnLifetime = 50 * time.Millisecond // so that it connects all the time
	pool, err := postgres.NewPool(t.Context(), config, w.secret, postgres.Options{Grace: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	stop := testenv.Load(t, 10, func(ctx context.Context) error {
		_, err := pool.Exec(ctx, "SELECT 1")
		return err
	})
	for range 30 {
		w.rotate()
		role := w.roles[w.round%2]
		testenv.Eventually(t, "the pool uses the new login", func() bool { return user(t, pool) == role })
		testenv.Eventually(t, "the old login is gone", func() bool { return w.sessions(w.roles[(w.round+1)%2]) == 0 })
	}
	t.Logf("%d queries through 30 rotations", stop())
}

func TestIdleConnectionsOfTheOldLoginAreClosed(t *testing.T) {
	w := newWorld(t)
	pool := w.pool(postgres.Options{Grace: 50 * time.Millisecond})
	old := user(t, pool)
	held, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	user(t, pool) // a second one, which is idle
	w.rotate()
	testenv.Eventually(t, "the idle one is closed", func() bool { return w.sessions(old) == 1 })
	if _, err := held.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("the one in use: %v", err)
	}
	held.Release()
	testenv.Eventually(t, "the one that was given back is closed", func() bool { return w.sessions(old) == 0 })
}

func TestARefusedLoginIsTriedWithTheNewVersion(t *testing.T) {
	for _, pushed := range []string{"the client knows no version", "the client has an old one"} {
		t.Run(pushed, func(t *testing.T) {
			w := newWorld(t)
			w.source.DisablePush()
			c, err := client.Open(client.Options{Source: w.source, Every: time.Hour, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			w.secret = c.Secret(name)
			if pushed == "the client has an old one" {
				if _, err := w.secret.Get(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			w.set(w.roles[w.round%2], "the next password of one role")
			if got := user(t, w.pool(postgres.Options{})); got != w.roles[w.round%2] {
				t.Errorf("logged in as %s", got)
			}
		})
	}
}

func TestAVersionThatIsRefusedLaterIsReplaced(t *testing.T) {
	w := newWorld(t)
	source := clienttest.NewSource()
	source.DisablePush()
	role := w.roles[w.round%2]
	source.Set(name, map[string]string{"username": role, "password": "password-1"})
	c, err := client.Open(client.Options{Source: source, Every: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w.secret = c.Secret(name)
	pool := w.pool(postgres.Options{})
	user(t, pool)
	w.set(role, "the next password")
	source.Set(name, map[string]string{"username": role, "password": "the next password"})
	pool.Reset()
	failed := 0
	testenv.Eventually(t, "it logs in again", func() bool {
		if _, err := pool.Exec(t.Context(), "SELECT 1"); err != nil {
			failed++
			return false
		}
		return true
	})
	if failed > 1 {
		t.Errorf("%d queries failed, and one is enough to notice", failed)
	}
}

func TestASecretWithoutAPassword(t *testing.T) {
	w := newWorld(t)
	_, err := w.pool(postgres.Options{Password: "passwort"}).Exec(t.Context(), "SELECT 1")
	if err == nil || fmt.Sprint(err) == "" || postgres.Refused(err) {
		t.Errorf("%v", err)
	}
}

func TestDatabaseSQLFollowsTheSecret(t *testing.T) {
	w := newWorld(t)
	config := w.config().ConnConfig
	db := sqldb.Open(w.secret, sqldb.Options{
		Connect: func(v client.Value) (driver.Connector, error) {
			c := config.Copy()
			c.User, c.Password = v.Field("username"), v.Field("password")
			return stdlib.GetConnector(*c), nil
		},
		Refused: postgres.Refused, Grace: 50 * time.Millisecond,
	})
	t.Cleanup(func() { _ = db.Close() })
	for range 20 {
		role := w.roles[w.round%2]
		testenv.Eventually(t, "the current role", func() bool {
			var user string
			if err := db.QueryRowContext(t.Context(), "SELECT current_user").Scan(&user); err != nil {
				t.Fatal(err)
			}
			return user == role
		})
		w.rotate()
	}
	old := w.roles[(w.round+1)%2]
	testenv.Eventually(t, "the old login's connections are gone", func() bool { return w.sessions(old) == 0 })
}

// A pool that is still open doesn't hold up the end of the client, and its first
// version is no reason to open its connections anew.
func TestAnOpenPoolDoesNotHoldUpTheClient(t *testing.T) {
	w := newWorld(t)
	c, err := client.Open(client.Options{Source: w.source, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.secret = c.Secret(name)
	p := w.pool(postgres.Options{})
	user(t, p)
	w.rotate()
	for deadline := time.Now().Add(10 * time.Second); w.secret.Status().Version != "v2" && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	closed := make(chan struct{})
	go func() { c.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("Close waits for the pool's grace period")
		p.Close()
	}
}

func TestTheFirstVersionKeepsItsConnections(t *testing.T) {
	w := newWorld(t)
	p := w.pool(postgres.Options{Grace: 50 * time.Millisecond})
	pid := func() (pid int) {
		if err := p.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
			t.Fatal(err)
		}
		return pid
	}
	before := pid()
	time.Sleep(300 * time.Millisecond)
	if after := pid(); after != before {
		t.Error("the connection was replaced, although the secret didn't change")
	}
}
