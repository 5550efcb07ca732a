package mongodb

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// kindMongoDB is the key of this package's connections.
const kindMongoDB = "mongodb"

// Provider describes what rota.yaml can name of MongoDB.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "mongodb",
		System:  "MongoDB",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindMongoDB, Remote: true, Summary: "A MongoDB server, replica set or sharded cluster, and a user that can change other users' passwords.",
				Example: `{hosts: [db1.internal, db2.internal], username: rota, password: "${file:/run/secrets/mongodb}"}`,
			},
			New:    func() provider.ConnectionConfig { return new(connectionConfig) },
			Policy: policy,
		}},
		Issuers: []provider.Issuer{
			{
				Kind: provider.Kind{
					Key: "mongodb_password", Summary: "The password of one MongoDB user (connection: mongodb). The old one stops working as soon as the new one is set.",
					Example: "{user: reports}",
				},
				Connection: kindMongoDB, Evidence: rota.EvidenceSampled,
				New: func() provider.IssuerConfig { return new(passwordConfig) },
			},
			{
				Kind: provider.Kind{
					Key: "mongodb_alternating", Summary: "The passwords of two MongoDB users in turn (connection: mongodb), so that one always stays valid.",
					Example: "{users: [orders_a, orders_b]}",
				},
				Connection: kindMongoDB, Evidence: rota.EvidenceSampled, Reversible: true,
				New: func() provider.IssuerConfig { return new(alternatingConfig) },
			},
		},
		Checks: []provider.Check{{
			Kind: provider.Kind{
				Key: "mongodb_command", Summary: "A command that only reads and must run with the new MongoDB password.",
				Example: `{command: '{"count": "orders"}', database: shop}`,
			},
			Connection: kindMongoDB, Needs: "a MongoDB password",
			New: func() provider.CheckConfig { return new(commandConfig) },
		}},
	}
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  shop-db:
    mongodb: {hosts: [db1.internal, db2.internal], username: rota, password: "${file:/run/secrets/mongodb}"}
secrets:
  - name: prod/reports-db
    issuer: {connection: shop-db, mongodb_password: {user: reports}}
    test: {mongodb_command: {command: '{"ping": 1}'}}
    policy: {rotate_every: 30d}
  - name: prod/orders-db
    issuer: {connection: shop-db, mongodb_alternating: {users: [orders_a, orders_b]}}
    test: {mongodb_command: {command: '{"count": "orders"}', database: shop}}
    targets:
      - {name: orders, file: {path: /etc/orders/db.env, format: dotenv, fields: {DB_USERNAME: username, DB_PASSWORD: password}}}
    reload:
      - {name: orders, command: {run: [systemctl, restart, orders]}}
    policy: {rotate_every: 30d, deactivate_previous_after: 7d, delete_previous_after: 14d}
`
