package rotaserver_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	redisdriver "github.com/redis/go-redis/v9"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/mysql"
	"github.com/rota-dev/rota/client/postgres"
	"github.com/rota-dev/rota/client/redis"
	"github.com/rota-dev/rota/client/rotaserver"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/internal/testenv/served"
)

// Rota itself rotates logins of real servers, and rolls them back, while pools are using
// them. Two versions overlap, so that no request fails, also if the server restarts
// meanwhile.
func TestPoolsSurviveRotationsOfRealServers(t *testing.T) {
	const secretsEach = 3 // a previous login is kept for days, so each is rotated once
	db := testenv.Postgres(t, testenv.PostgresOptions{})
	maria := testenv.MariaDB(t, testenv.MariaDBOptions{})
	cache := testenv.Redis(t, testenv.RedisOptions{})
	config, err := pgx.ParseConfig(db.DSN())
	if err != nil {
		t.Fatal(err)
	}
	db.Exec(t, "CREATE ROLE orders NOLOGIN")
	maria.Exec(t, "CREATE USER rota IDENTIFIED BY 'administrator'", "GRANT ALL ON *.* TO rota WITH GRANT OPTION")
	cache.Do(t, "acl", "setuser", "rota", "on", "+@all", ">administrator")
	file := fmt.Sprintf(`
connections:
  db: {postgres: {host: "127.0.0.1", port: %d, username: %s, sslmode: disable}}
  maria: {mysql: {host: "127.0.0.1", port: %d, username: rota, password: administrator}}
  cache: {redis: {addresses: ["%s"], username: rota, password: administrator}}
secrets:
`, config.Port, db.Superuser(), maria.Port, cache.Addr)
	var names []string
	for i := range secretsEach {
		a, b := fmt.Sprintf("orders_%d_a", i), fmt.Sprintf("orders_%d_b", i)
		db.Exec(t, "CREATE ROLE "+a+" LOGIN IN ROLE orders", "CREATE ROLE "+b+" LOGIN IN ROLE orders")
		maria.Exec(t, "CREATE USER "+a+" ACCOUNT LOCK", "CREATE USER "+b+" ACCOUNT LOCK")
		cache.Do(t, "acl", "setuser", a, "on", "~*", "+get", "+set", "+ping")
		for kind, issuer := range map[string]string{
			"postgres": "{connection: db, alternating: {roles: [" + a + ", " + b + "], group: orders}}",
			"mysql":    "{connection: maria, mysql_alternating: {users: [" + a + ", " + b + "]}}",
			"redis":    "{connection: cache, redis_password: {user: " + a + "}}",
		} {
			name := fmt.Sprintf("%s/%d", kind, i)
			names = append(names, name)
			file += "  - {name: " + name + ", issuer: " + issuer + ", policy: {rotate_every: 30d}}\n"
		}
	}
	server := served.Start(t, file)
	for _, name := range names {
		eventually(t, name+" has a login", func() bool {
			current, err := server.API().Current(t.Context(), name)
			return err == nil && current.Version != ""
		})
	}
	secrets := open(t, client.Options{Source: rotaserver.New(server.API()), Every: time.Hour})
	var stop atomic.Bool
	var workers sync.WaitGroup
	counts := map[string]*atomic.Int64{}
	for _, name := range names {
		count, request := &atomic.Int64{}, pool(t, name, db.DSN(), maria.Port, cache.Addr, secrets.Secret(name))
		counts[name] = count
		workers.Go(func() {
			for !stop.Load() {
				if err := request(context.Background()); err != nil {
					t.Errorf("%s, after %d requests: %v", name, count.Load(), err)
					return
				}
				count.Add(1)
			}
		})
	}
	defer workers.Wait()
	defer stop.Store(true)
	for i, op := range []api.Operation{api.OpRotate, api.OpRollback} {
		for _, name := range names {
			before := secrets.Secret(name).Status().Version
			done, err := server.API().Work(t.Context(), api.WorkRequest{Operation: op, Secrets: []string{name}})
			if err != nil || done.Secrets[0].State != api.WorkDone {
				t.Fatalf("%s %s: %+v, %v", op, name, done, err)
			}
			eventually(t, "the version arrives", func() bool { return secrets.Secret(name).Status().Version != before })
			asked := counts[name].Load()
			eventually(t, "requests go on", func() bool { return counts[name].Load() > asked+20 || t.Failed() })
		}
		if i == 0 {
			server.Stop()
			server.Start()
		}
	}
	for _, name := range names {
		t.Logf("%s: %d requests through a rotation and a rollback", name, counts[name].Load())
	}
}

// pool returns a request of a secret's own pool.
func pool(t *testing.T, name, dsn string, port int, addr string, s *client.Secret) func(context.Context) error {
	t.Helper()
	switch kind, _, _ := strings.Cut(name, "/"); kind {
	case "postgres":
		return pgPool(t, dsn, s)
	case "mysql":
		return mysqlPool(t, port, s)
	}
	return redisPool(t, addr, s)
}

func pgPool(t *testing.T, dsn string, s *client.Secret) func(context.Context) error {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConnLifetime = 20 * time.Millisecond // so that it logs in all the time
	pool, err := postgres.NewPool(t.Context(), config, s, postgres.Options{Grace: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return func(ctx context.Context) error { _, err := pool.Exec(ctx, "SELECT 1"); return err }
}

func mysqlPool(t *testing.T, port int, s *client.Secret) func(context.Context) error {
	t.Helper()
	config := mysqldriver.NewConfig()
	config.Net, config.Addr, config.Logger = "tcp", fmt.Sprintf("127.0.0.1:%d", port), &mysqldriver.NopLogger{}
	db, err := mysql.Open(config, s, mysql.Options{Grace: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return func(ctx context.Context) error { _, err := db.ExecContext(ctx, "DO 1"); return err }
}

func redisPool(t *testing.T, addr string, s *client.Secret) func(context.Context) error {
	t.Helper()
	c := redis.NewClient(&redisdriver.Options{Addr: addr}, s, redis.Options{Grace: 20 * time.Millisecond})
	t.Cleanup(func() { _ = c.Close() })
	return func(ctx context.Context) error { return c.Set(ctx, "key", "value", 0).Err() }
}
