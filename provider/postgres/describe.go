package postgres

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// kindPostgres is the key of this package's connections.
const kindPostgres = "postgres"

// Provider describes what rota.yaml can name of PostgreSQL.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "postgres",
		System:  "PostgreSQL",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindPostgres, Remote: true, Summary: "A PostgreSQL database, and a role that can change other roles' passwords.",
				Example: `{host: db.internal, username: rota, password: "${file:/run/secrets/db}"}`,
			},
			New:    func() provider.ConnectionConfig { return new(connectionConfig) },
			Policy: policy,
		}},
		Issuers: []provider.Issuer{
			{
				Kind: provider.Kind{
					Key: "password", Summary: "The password of one database role (connection: postgres). The old one stops working as soon as the new one is set.",
					Example: "{role: orders}",
				},
				Connection: kindPostgres, Evidence: rota.EvidenceSampled,
				New: func() provider.IssuerConfig { return new(passwordConfig) },
			},
			{
				Kind: provider.Kind{
					Key: "alternating", Summary: "The passwords of two database roles in turn (connection: postgres), so that one always stays valid.",
					Example: "{roles: [orders_a, orders_b]}",
				},
				Connection: kindPostgres, Evidence: rota.EvidenceSampled, Reversible: true,
				New: func() provider.IssuerConfig { return new(alternatingConfig) },
			},
		},
		Checks: []provider.Check{{
			Kind: provider.Kind{
				Key: "query", Summary: "A statement that must run with the new password, such as SELECT 1.",
				Example: `"SELECT 1"`,
			},
			Connection: kindPostgres, Needs: "a database password",
			New: func() provider.CheckConfig { return new(queryConfig) },
		}},
		Targets: []provider.Target{{
			Kind: provider.Kind{
				Key: "postgres_row", Summary: "A row of a PostgreSQL table, which a statement of yours writes.",
				Example: "{connection: shop-db, statement: \"UPDATE public.api_keys SET secret = :secret_access_key WHERE name = 'mail'\"}",
			},
			New: func() provider.TargetConfig { return new(rowConfig) },
		}},
	}
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  app-db:
    postgres: {host: db.internal, database: app, username: rota_admin, password: "${file:/run/secrets/db}"}
  shop-db:
    postgres: {host: shop.internal, database: shop, username: rota_settings, password: "${file:/run/secrets/shop-db}"}
secrets:
  - name: prod/reports-db
    issuer: {connection: app-db, password: {role: reports}}
    test: {query: "SELECT 1"}
    policy: {rotate_every: 30d}
  - name: prod/orders-db
    issuer: {connection: app-db, alternating: {roles: [orders_a, orders_b], group: orders}}
    test: {query: "SELECT count(*) FROM orders"}
    targets:
      - name: settings
        postgres_row:
          connection: shop-db
          statement: "UPDATE public.settings SET db_user = :username, db_password = :password WHERE service = 'orders'"
          read: "SELECT db_user AS username, db_password AS password FROM public.settings WHERE service = 'orders'"
    policy: {rotate_every: 30d, deactivate_previous_after: 7d, delete_previous_after: 14d}
`
