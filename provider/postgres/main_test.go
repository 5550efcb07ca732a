package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// shared logs every statement, and no test may leave a password in its log.
var shared = testenv.SharedPostgres{Options: testenv.PostgresOptions{LogStatements: true}}

func TestMain(m *testing.M) {
	code := m.Run()
	shared.Stop()
	strict.Stop()
	os.Exit(code)
}

const adminPassword = "admin-canary-5Rz8"

// admin makes a role as Rota should have it, CREATEROLE and no superuser, and
// a connection that uses it. It may alter the roles that createRole makes.
func admin(t testing.TB, s *testenv.PostgresServer) *Connection {
	t.Helper()
	name := unique("admin")
	s.Exec(t, "CREATE ROLE "+quote(name)+" LOGIN CREATEROLE PASSWORD '"+must(verifier(adminPassword))+"'")
	if needsAdminOption(t, s) {
		s.Exec(t, makeAdmins, "GRANT admins TO "+quote(name))
	}
	return connect(t, Config{Host: s.Host, Port: s.Port, Username: name, Password: adminPassword})
}

// needsAdminOption reports whether CREATEROLE alone doesn't let a role alter
// others.
func needsAdminOption(t testing.TB, s *testenv.PostgresServer) bool {
	t.Helper()
	return s.Version(t) >= strictVersion
}

// inherits makes a member inherit a group's privileges, or not: an option of the
// membership from PostgreSQL 16 on, and of the member before.
func inherits(t testing.TB, s *testenv.PostgresServer, group, member string, yes bool) {
	t.Helper()
	statement := "ALTER ROLE " + quote(member) + map[bool]string{true: " INHERIT", false: " NOINHERIT"}[yes]
	if needsAdminOption(t, s) {
		statement = fmt.Sprintf("GRANT %s TO %s WITH INHERIT %t", quote(group), quote(member), yes)
	}
	s.Exec(t, statement)
}

// makeAdmins makes the group of all admins.
const makeAdmins = "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'admins') THEN CREATE ROLE admins; END IF; END $$"

// createRole makes a role that every admin may alter.
func createRole(t testing.TB, s *testenv.PostgresServer, name, options string) {
	t.Helper()
	s.Exec(t, "CREATE ROLE "+quote(name)+" "+options)
	if needsAdminOption(t, s) {
		s.Exec(t, makeAdmins, "GRANT "+quote(name)+" TO admins WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
	}
}

// superuser is a connection that may read pg_authid.
func superuser(t testing.TB, s *testenv.PostgresServer) *Connection {
	t.Helper()
	return connect(t, Config{Host: s.Host, Port: s.Port, Username: s.Superuser()})
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

// role makes a login role without a password.
func role(t testing.TB, s *testenv.PostgresServer) string {
	t.Helper()
	name := unique("app")
	createRole(t, s, name, "NOLOGIN")
	return name
}

// pair makes a group and two members.
func pair(t testing.TB, s *testenv.PostgresServer) AlternatingConfig {
	t.Helper()
	cfg := AlternatingConfig{Roles: [2]string{role(t, s), role(t, s)}, Group: role(t, s)}
	s.Exec(t, "GRANT "+quote(cfg.Group)+" TO "+quote(cfg.Roles[0])+", "+quote(cfg.Roles[1]))
	return cfg
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
func session(t testing.TB, c rota.Credential, application string) *pgx.Conn {
	t.Helper()
	url := "postgres://" + c.Field(FieldHost) + ":" + c.Field(FieldPort) + "/" + c.Field(FieldDatabase) + "?sslmode=disable&application_name=" + application
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.User, cfg.Password = c.Field(rota.FieldUsername), c.Field(rota.FieldPassword)
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// wantError checks an error's class, sentinel (nil for any) and words.
func wantError(t testing.TB, err error, class rota.Class, sentinel error, words ...string) {
	t.Helper()
	testenv.WantError(t, err, class, sentinel, adminPassword, words...)
}
