package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

func TestThePasswordIsOnlySentInCleartextToAKnownServer(t *testing.T) {
	for _, test := range []struct{ dsn, want string }{
		{"postgres://rota@db.example.org/rota", "!password"}, // libpq's default: TLS if the server has it, with any certificate
		{"postgres://rota@db.example.org/rota?sslmode=require", "!password"},
		{"postgres://rota@127.0.0.1/rota?sslmode=disable", "!password"},
		{"postgres://rota@db.example.org/rota?sslmode=verify-full", ""},
		{"postgres://rota@db.example.org/rota?sslmode=verify-ca", ""},
		{"host=/var/run/postgresql user=rota", ""},
		{"host=/var/run/postgresql,db.example.org user=rota sslmode=disable", "!password"},
		{"host=db.example.org,/var/run/postgresql user=rota sslmode=require", "!password"},
		{"postgres://rota@db.example.org/rota?sslmode=disable&require_auth=password", "password"},
		{"postgres://rota@db.example.org/rota?sslmode=verify-full&require_auth=scram-sha-256", "scram-sha-256"},
	} {
		config, err := parseDSN(test.dsn)
		must(t, err)
		pool, err := PoolConfig(test.dsn)
		must(t, err)
		if config.RequireAuth != test.want || pool.ConnConfig.RequireAuth != test.want {
			t.Errorf("%s: %q, the queue %q, want %q", test.dsn, config.RequireAuth, pool.ConnConfig.RequireAuth, test.want)
		}
	}
	t.Setenv("PGREQUIREAUTH", "md5")
	config, err := parseDSN("host=db.example.org user=rota")
	must(t, err)
	if config.RequireAuth != "md5" {
		t.Errorf("the environment asks for md5, and it is %q", config.RequireAuth)
	}
}

// The server is no PostgreSQL: it only asks for the password and counts what it
// gets.
func TestAnImpostorDoesNotGetTheStoresPassword(t *testing.T) {
	addr, got := testenv.PostgresImpostor(t, "tcp", "127.0.0.1:0", &pgproto3.AuthenticationCleartextPassword{})
	dsn := fmt.Sprintf("postgres://rota:store-canary@%s/rota?sslmode=disable", addr)
	_, err := Open(t.Context(), Options{Dir: filepath.Join(t.TempDir(), "data"), DSN: dsn})
	if err == nil || !strings.Contains(err.Error(), "in cleartext") || strings.Contains(err.Error(), "canary") || !strings.Contains(rota.Hint(rota.RemediesOf(err)), "require_auth=password") {
		t.Errorf("%v, try: %s", err, rota.Hint(rota.RemediesOf(err)))
	}
	if n := got.Load(); n != 0 {
		t.Errorf("it got the password %d times", n)
	}
}
