package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

const adminPassword = "admin-canary-7Kq2"

var users atomic.Int64

// admin makes Rota's user as rota policy redis prints it, and a connection.
func admin(t testing.TB, servers ...*testenv.RedisServer) *Connection {
	t.Helper()
	cfg := Config{Username: "rota", Password: adminPassword, Timeout: 5 * time.Second}
	for _, s := range servers {
		grantRota(t, s)
		cfg.Addresses = append(cfg.Addresses, s.Addr)
	}
	return connect(t, cfg)
}

// grantRota gives Rota's user exactly what the policy asks for.
func grantRota(t testing.TB, s *testenv.RedisServer) {
	t.Helper()
	c := connect(t, Config{Addresses: []string{"localhost"}, Username: "rota"})
	u := &user{conn: c, name: "app"}
	var rules []any
	for _, p := range u.Permissions() {
		rules = append(rules, p.Action)
	}
	s.Do(t, slices.Concat([]any{"acl", "setuser", "rota", "on", "resetkeys", "resetchannels", "-@all", ">" + adminPassword}, rules)...)
}

func connect(t testing.TB, cfg Config) *Connection {
	t.Helper()
	c, err := New("cache", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// app makes a user of an application's, without a password, on all servers.
func app(t testing.TB, servers ...*testenv.RedisServer) string {
	t.Helper()
	name := fmt.Sprintf("app%d", users.Add(1))
	for _, s := range servers {
		s.Do(t, "acl", "setuser", name, "on", "~app:*", "&news", "+get", "+set", "+client|setname")
	}
	return name
}

func issuerOf(t testing.TB, c *Connection, name string) *user {
	t.Helper()
	i, err := c.User(UserConfig{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return i.(*user)
}

// rotate creates, sets and tests a password.
func rotate(t testing.TB, u *user) rota.Credential {
	t.Helper()
	c, err := u.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Set(t.Context(), rota.SetRequest{Credential: c}); err != nil {
		t.Fatal(err)
	}
	if err := u.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
		t.Fatal(err)
	}
	return c
}

// logsIn is a login that doesn't go through the provider.
func logsIn(t testing.TB, s *testenv.RedisServer, c rota.Credential) bool {
	t.Helper()
	client := consumer(s, c)
	defer func() { _ = client.Close() }()
	err := client.Get(t.Context(), "app:1").Err()
	if err != nil && !errors.Is(err, redis.Nil) && !strings.Contains(err.Error(), "WRONGPASS") {
		t.Fatal(err)
	}
	return err == nil || errors.Is(err, redis.Nil)
}

func consumer(s *testenv.RedisServer, c rota.Credential) *redis.Client {
	return redis.NewClient(&redis.Options{Network: "unix", Addr: s.Socket, Protocol: 2, DisableIdentity: true, MaxRetries: -1, PoolSize: 1,
		ClientName: "shop", Username: c.Field(rota.FieldUsername), Password: c.Field(rota.FieldPassword)})
}

// use keeps a connection open until the test ends.
func use(t testing.TB, s *testenv.RedisServer, c rota.Credential) *redis.Client {
	t.Helper()
	client := consumer(s, c)
	if err := client.Get(t.Context(), "app:1").Err(); err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// wantError checks an error's class, sentinel (nil for any) and words, and that it
// names the system and a remedy and holds no password.
func wantError(t testing.TB, err error, class rota.Class, sentinel error, words ...string) {
	t.Helper()
	testenv.WantError(t, err, class, sentinel, adminPassword, append(words, "redis cache: ")...)
}
