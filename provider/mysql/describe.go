package mysql

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// kindMySQL is the key of this package's connections.
const kindMySQL = "mysql"

// Provider describes what rota.yaml can name of MariaDB and MySQL.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "mysql",
		System:  "MariaDB and MySQL",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindMySQL, Remote: true, Summary: "A MariaDB or MySQL server, and an account that can change other accounts' passwords.",
				Example: `{host: db.internal, username: rota, password: "${file:/run/secrets/db}"}`,
			},
			New:    func() provider.ConnectionConfig { return new(connectionConfig) },
			Policy: policy,
		}},
		Issuers: []provider.Issuer{
			{
				Kind: provider.Kind{
					Key: "mysql_password", Summary: "The password of one MariaDB or MySQL account (connection: mysql). The old one stops working as soon as the new one is set.",
					Example: "{user: orders}",
				},
				Connection: kindMySQL, Evidence: rota.EvidenceSampled,
				New: func() provider.IssuerConfig { return new(passwordConfig) },
			},
			{
				Kind: provider.Kind{
					Key: "mysql_dual_password", Summary: "The password of one MySQL account (connection: mysql). MySQL keeps the old one valid beside the new one until it's deleted.",
					Example: "{user: orders}",
				},
				Connection: kindMySQL, Evidence: rota.EvidenceSampled,
				New: func() provider.IssuerConfig { return new(dualConfig) },
			},
			{
				Kind: provider.Kind{
					Key: "mysql_alternating", Summary: "The passwords of two MariaDB or MySQL accounts in turn (connection: mysql), so that one always stays valid.",
					Example: "{users: [orders_a, orders_b]}",
				},
				Connection: kindMySQL, Evidence: rota.EvidenceSampled, Reversible: true,
				New: func() provider.IssuerConfig { return new(alternatingConfig) },
			},
		},
		Checks: []provider.Check{{
			Kind: provider.Kind{
				Key: "mysql_query", Summary: "A statement that must run with the new MariaDB or MySQL password, such as SELECT 1.",
				Example: `"SELECT 1"`,
			},
			Connection: kindMySQL, Needs: "a MariaDB or MySQL password",
			New: func() provider.CheckConfig { return new(queryConfig) },
		}},
		Targets: []provider.Target{{
			Kind: provider.Kind{
				Key: "mysql_row", Summary: "A row of a MariaDB or MySQL table, which a statement of yours writes.",
				Example: "{connection: shop-db, statement: \"UPDATE shop.api_keys SET secret = :secret_access_key WHERE name = 'mail'\"}",
			},
			New: func() provider.TargetConfig { return new(rowConfig) },
		}},
	}
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  app-db:
    mysql: {host: db.internal, database: shop, username: rota_admin, password: "${file:/run/secrets/db}"}
  shop-db:
    mysql: {host: shop.internal, username: rota_settings, password: "${file:/run/secrets/shop-db}"}
  crm-db: # a MySQL
    mysql: {host: crm.internal, database: crm, username: rota_admin, password: "${file:/run/secrets/crm-db}"}
secrets:
  - name: prod/reports-db
    issuer: {connection: app-db, mysql_password: {user: reports}}
    test: {mysql_query: "SELECT 1"}
    policy: {rotate_every: 30d}
  - name: prod/orders-db
    issuer: {connection: app-db, mysql_alternating: {users: [orders_a, orders_b]}}
    test: {mysql_query: "SELECT COUNT(*) FROM orders"}
    targets:
      - name: settings
        mysql_row:
          connection: shop-db
          statement: "UPDATE shop.settings SET db_user = :username, db_password = :password WHERE service = 'orders'"
          read: "SELECT db_user AS username, db_password AS password FROM shop.settings WHERE service = 'orders'"
    policy: {rotate_every: 30d, deactivate_previous_after: 7d, delete_previous_after: 14d}
  - name: prod/crm-db
    issuer: {connection: crm-db, mysql_dual_password: {user: crm}}
    test: {mysql_query: "SELECT COUNT(*) FROM customers"}
    policy: {rotate_every: 30d, delete_previous_after: 14d}
`
