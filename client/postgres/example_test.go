package postgres_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/postgres"
)

// A pool whose connections follow a secret. They're made when they're needed.
func ExampleNewPool() {
	secrets, err := client.Open(client.Options{Source: client.Static{
		"prod/orders-db": client.NewValue("v1", map[string]string{"username": "orders", "password": "correct horse"}),
	}})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()

	config, err := pgxpool.ParseConfig("postgres://127.0.0.1:1/orders?sslmode=verify-full")
	if err != nil {
		panic(err)
	}
	pool, err := postgres.NewPool(context.Background(), config, secrets.Secret("prod/orders-db"), postgres.Options{})
	if err != nil {
		panic(err)
	}
	defer pool.Close() // before the client is closed
	fmt.Println(pool.Stat().AcquiredConns())
	// Output: 0
}
