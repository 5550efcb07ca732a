package sqldb_test

import (
	"database/sql/driver"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/postgres"
	"github.com/rota-dev/rota/client/sqldb"
)

// A database of database/sql, with pgx as the driver.
func ExampleOpen() {
	secrets, err := client.Open(client.Options{Source: client.Static{
		"prod/orders-db": client.NewValue("v1", map[string]string{"username": "orders", "password": "correct horse"}),
	}})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()

	config, err := pgx.ParseConfig("postgres://db.example.com/orders?sslmode=verify-full")
	if err != nil {
		panic(err)
	}
	db := sqldb.Open(secrets.Secret("prod/orders-db"), sqldb.Options{
		Connect: func(v client.Value) (driver.Connector, error) {
			c := config.Copy()
			c.User, c.Password = v.Field("username"), v.Field("password")
			return stdlib.GetConnector(*c), nil
		},
		Refused: postgres.Refused,
	})
	defer func() { _ = db.Close() }() // before the client is closed
	fmt.Println(db.Stats().OpenConnections)
	// Output: 0
}
