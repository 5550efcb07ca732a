package realtest

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/vault/vaulttest"
)

// postgresServer is a PostgreSQL for Vault's database engine.
func postgresServer(t *testing.T) *vaulttest.Database {
	t.Helper()
	server := testenv.Postgres(t, testenv.PostgresOptions{})
	server.Exec(t, `CREATE ROLE vault_admin SUPERUSER LOGIN PASSWORD 'vault-admin-canary'`)
	u, err := url.Parse(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	return &vaulttest.Database{
		URL: fmt.Sprintf("postgresql://{{username}}:{{password}}@%s%s?sslmode=disable", u.Host, u.Path), Username: "vault_admin", Password: "vault-admin-canary",
		Exec: server.Exec,
		Login: func(t testing.TB, username, password string) error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			cfg, err := pgx.ParseConfig(server.DSN())
			if err != nil {
				return err
			}
			cfg.User, cfg.Password = username, password
			c, err := pgx.ConnectConfig(ctx, cfg)
			if err != nil {
				return err
			}
			return c.Close(ctx)
		},
	}
}
