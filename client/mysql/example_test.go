package mysql_test

import (
	"fmt"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/mysql"
)

// A database whose connections follow a secret. They're made when they're needed.
func ExampleOpen() {
	secrets, err := client.Open(client.Options{Source: client.Static{
		"prod/orders-db": client.NewValue("v1", map[string]string{"username": "orders", "password": "correct horse"}),
	}})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()

	config, err := driver.ParseDSN("tcp(db.example.com:3306)/orders?tls=true")
	if err != nil {
		panic(err)
	}
	db, err := mysql.Open(config, secrets.Secret("prod/orders-db"), mysql.Options{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = db.Close() }() // before the client is closed
	fmt.Println(db.Stats().OpenConnections)
	// Output: 0
}
