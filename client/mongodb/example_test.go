package mongodb_test

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/mongodb"
)

// A client proves its login when it's made. There's no server here.
func ExampleConnect() {
	secrets, err := client.Open(client.Options{Source: client.Static{
		"prod/orders-db": client.NewValue("v1", map[string]string{"username": "orders", "password": "correct horse"}),
	}})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()

	base := options.Client().ApplyURI("mongodb://127.0.0.1:1/?tls=true").SetServerSelectionTimeout(50 * time.Millisecond)
	orders, err := mongodb.Connect(context.Background(), base, secrets.Secret("prod/orders-db"), mongodb.Options{})
	if err != nil {
		fmt.Println("refused:", mongodb.Refused(err))
		return
	}
	defer orders.Close()
	fmt.Println(orders.Get().Database("shop").Name())
	// Output: refused: false
}
