package postgres

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// identity is what a connection says it reaches.
func identity(t *testing.T, c *Connection) string {
	t.Helper()
	id, err := c.Identity(t.Context())
	if err != nil || id == "" {
		t.Fatalf("identity %q, %v", id, err)
	}
	return id
}

// databaseOf is the database that a URL names.
func databaseOf(dsn string) string { return must(pgx.ParseConfig(dsn)).Database }

func TestEveryWayToAServerGivesTheSameIdentity(t *testing.T) {
	s := shared.Get(t)
	direct := admin(t, s)
	want := identity(t, direct)
	for name, change := range map[string]func(*Config){
		"by another name":    func(c *Config) { c.Host = "localhost" },
		"by the Unix socket": func(c *Config) { c.Host = s.Socket },
		"another database":   func(c *Config) { c.Database = databaseOf(s.NewDatabase(t)) },
		"as the superuser":   func(c *Config) { c.Username, c.Password = s.Superuser(), "" },
		"template1":          func(c *Config) { c.Database = "template1" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := direct.cfg
			change(&cfg)
			if got := identity(t, connect(t, cfg)); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

func TestACopyOfAServerIsAnotherOne(t *testing.T) {
	s := shared.Get(t)
	restored := testenv.Postgres(t, testenv.PostgresOptions{}) // of the same files
	one, other := identity(t, admin(t, s)), identity(t, admin(t, restored))
	if system(one) != system(other) || system(one) == "" {
		t.Fatalf("they are no copies of each other: %q and %q", one, other)
	}
	if one == other {
		t.Errorf("both are %q", one)
	}
}

// system is the system identifier in an identity.
func system(identity string) string { return strings.Split(identity, "\x00")[1] }

func TestAServerThatKeepsItsControlDataToItselfIsIdentifiedAllTheSame(t *testing.T) {
	s := testenv.Postgres(t, testenv.PostgresOptions{})
	s.Exec(t, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
	one, other := identity(t, admin(t, s)), identity(t, admin(t, s))
	if one != other || system(one) != "" {
		t.Errorf("%q and %q", one, other)
	}
}

func TestAServerThatIsNotThereGivesNoIdentity(t *testing.T) {
	c := connect(t, Config{Host: "127.0.0.1", Port: testenv.FreePort(t), Username: "rota", Password: adminPassword})
	id, err := c.Identity(t.Context())
	if id != "" {
		t.Errorf("identity %q", id)
	}
	wantError(t, err, rota.ClassWait, nil, "postgres app-db", "identify the server", "connection refused")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := connect(t, Config{Host: "127.0.0.1", Port: 1, Username: "rota"}).Identity(ctx); err == nil {
		t.Error("no error although its context has ended")
	}
}
