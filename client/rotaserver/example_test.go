package rotaserver_test

import (
	"context"
	"fmt"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/client/rotaserver"
)

// A secret of a running rota.
func ExampleNew() {
	rota := clienttest.NewServer() // in place of a real one
	defer rota.Close()
	rota.Set("prod/orders-db", map[string]string{"username": "orders", "password": "correct horse"})

	server, err := api.New(api.Options{URL: rota.URL, Token: api.StaticToken("rota_example")}) // or api.TokenFromFile
	if err != nil {
		panic(err)
	}
	secrets, err := client.Open(client.Options{Source: rotaserver.New(server)})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()
	v, err := secrets.Secret("prod/orders-db").Get(context.Background())
	fmt.Println(v.Field("username"), err)
	// Output: orders <nil>
}
