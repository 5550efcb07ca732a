package clienttest_test

import (
	"context"
	"fmt"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/client/rotaserver"
)

// A test of a program rotates under it, and cuts it off.
func ExampleNewSource() {
	source := clienttest.NewSource()
	source.Set("prod/orders-db", map[string]string{"username": "orders_a", "password": "one"})
	secrets, err := client.Open(client.Options{Source: source})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()
	db := secrets.Secret("prod/orders-db")
	arrived := make(chan string, 1)
	defer db.Watch(func(v client.Value) { arrived <- v.Field("username") })()
	if _, err := db.Get(context.Background()); err != nil {
		fmt.Println(err)
		return
	}

	source.Set("prod/orders-db", map[string]string{"username": "orders_b", "password": "two"})
	fmt.Println(<-arrived)
	// Output: orders_b
}

// The same over HTTP, for a program that's pointed at a server.
func ExampleNewServer() {
	server := clienttest.NewServer()
	defer server.Close()
	server.Set("prod/orders-db", map[string]string{"username": "orders_a", "password": "one"})

	// What the program does.
	rota, err := api.New(api.Options{URL: server.URL, Token: api.StaticToken("any")})
	if err != nil {
		panic(err)
	}
	secrets, err := client.Open(client.Options{Source: rotaserver.New(rota)})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()
	db := secrets.Secret("prod/orders-db")
	arrived := make(chan string, 1)
	defer db.Watch(func(v client.Value) { arrived <- v.Field("username") })()
	if _, err := db.Get(context.Background()); err != nil {
		fmt.Println(err)
		return
	}

	server.Set("prod/orders-db", map[string]string{"username": "orders_b", "password": "two"})
	fmt.Println(<-arrived)
	server.Stop()
	v, err := db.Get(context.Background())
	fmt.Println(v.Field("username"), err)
	// Output:
	// orders_b
	// orders_b <nil>
}
