package daemon_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rota-dev/rota/api"

	"github.com/jackc/pgx/v5"
)

// A connection logs in with a secret that Rota itself rotates. Nobody has to
// reload the configuration, neither when the secret gets its first credential
// nor when it gets the next.
func TestAConnectionFollowsTheSecretThatItLogsInWith(t *testing.T) {
	pg := server.Get(t)
	pg.Exec(t, "CREATE ROLE follows_admin LOGIN CREATEROLE PASSWORD 'first'")
	pg.Exec(t, "CREATE ROLE follows LOGIN PASSWORD 'first'")
	c, err := pgx.ParseConfig(pg.DSN())
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, "", fmt.Sprintf(`
connections:
  root: {postgres: {host: "127.0.0.1", port: %d, username: %s, sslmode: disable}}
  db: {postgres: {host: "127.0.0.1", port: %[1]d, database: postgres, username: follows_admin, password: "${secret:app/admin#password}", sslmode: disable}}
secrets:
  - {name: app/admin, issuer: {connection: root, password: {role: follows_admin}}}
  - {name: app/follows, issuer: {connection: db, password: {role: follows}}}
`, c.Port, pg.Superuser()))
	var status api.StatusSecretDoc
	w.do(http.MethodGet, "/v1/secrets/app%2Ffollows", &status)
	if status.State != api.StateFailed || !strings.Contains(status.Reason, "app/admin has no current version") {
		t.Errorf("before its connection can log in: %+v", status)
	}
	rotated := func(secret string) bool {
		var done api.WorkDoc
		w.do(http.MethodPost, "/v1/secrets/app%2F"+secret+"/rotate", &done)
		return len(done.Secrets) == 1 && done.Secrets[0].State == api.WorkDone
	}
	for n := range 2 {
		if !rotated("admin") {
			t.Fatalf("rotation %d of the login failed", n)
		}
		// Connections that the pool opened before the rotation must not mask
		// it.
		pg.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'follows_admin'")
		eventually(t, "the connection logs in with the new password", func() bool { return rotated("follows") })
	}
}
