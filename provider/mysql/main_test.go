package mysql

import (
	"crypto/rand"
	"database/sql"
	"os"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// shared logs every statement, and no test may leave a password in its logs.
var shared testenv.SharedMariaDB

func TestMain(m *testing.M) {
	code := m.Run()
	shared.Stop()
	sharedMySQL.Stop()
	os.Exit(code)
}

const adminPassword = "admin-canary-5Rz8"

// admin makes an account as Rota should have it, and a connection that uses it.
func admin(t testing.TB, s *testenv.MariaDBServer) *Connection {
	t.Helper()
	return connect(t, Config{Host: s.Host, Port: s.Port, Username: adminUser(t, s), Password: adminPassword})
}

// adminUser makes an account with what rota policy mysql prints for a pair.
func adminUser(t testing.TB, s *testenv.MariaDBServer) string {
	t.Helper()
	name := unique("admin")
	s.Exec(t, "CREATE USER "+name+" IDENTIFIED VIA mysql_native_password USING '"+must(stored(pluginNative, "", adminPassword))+"'")
	c := must(New("app-db", Config{Host: s.Host, Port: s.Port, Username: name}))
	defer c.Close()
	i := must(c.Alternating(AlternatingConfig{Users: [2]string{"a", "b"}}))
	for _, p := range i.(*alternating).Permissions() {
		s.Exec(t, strings.TrimSuffix(p.Detail.(string), ";"))
	}
	return name
}

func connect(t testing.TB, cfg Config) *Connection {
	t.Helper()
	c, err := New("app-db", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func unique(prefix string) string { return prefix + "_" + strings.ToLower(rand.Text()[:10]) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// user makes an account without a password, whose plugin is as given.
func user(t testing.TB, s *testenv.MariaDBServer, plugin string) string {
	t.Helper()
	name := unique("app")
	s.Exec(t, "CREATE USER "+name+" ACCOUNT LOCK")
	if plugin != pluginNative {
		s.Exec(t, "ALTER USER "+name+" IDENTIFIED VIA "+plugin+" USING '"+must(stored(plugin, "", rand.Text()))+"' PASSWORD EXPIRE")
	}
	return name
}

// pair makes two accounts.
func pair(t testing.TB, s *testenv.MariaDBServer) AlternatingConfig {
	t.Helper()
	return AlternatingConfig{Users: [2]string{user(t, s, pluginNative), user(t, s, pluginEd25519)}}
}

// rotate creates, sets and tests a credential.
func rotate(t testing.TB, i rota.Issuer, taken ...string) rota.Credential {
	t.Helper()
	c, err := i.Create(t.Context(), rota.CreateRequest{Taken: taken})
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Set(t.Context(), rota.SetRequest{Credential: c}); err != nil {
		t.Fatal(err)
	}
	if err := i.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
		t.Fatal(err)
	}
	return c
}

// session logs in with the credential and stays until the test ends.
func session(t testing.TB, c rota.Credential) *sql.Conn {
	t.Helper()
	cfg := driver.NewConfig()
	cfg.User, cfg.Passwd = c.Field(rota.FieldUsername), c.Field(rota.FieldPassword)
	cfg.Net, cfg.Addr = "tcp", c.Field(FieldHost)+":"+c.Field(FieldPort)
	db := sql.OpenDB(must(driver.NewConnector(cfg)))
	t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// wantError checks an error's class, sentinel (nil for any) and words.
func wantError(t testing.TB, err error, class rota.Class, sentinel error, words ...string) {
	t.Helper()
	testenv.WantError(t, err, class, sentinel, adminPassword, words...)
}
