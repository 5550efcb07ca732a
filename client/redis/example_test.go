package redis_test

import (
	"fmt"

	driver "github.com/redis/go-redis/v9"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/redis"
)

// A client whose connections follow a secret. They're made when they're needed.
func ExampleNewClient() {
	secrets, err := client.Open(client.Options{Source: client.Static{
		"prod/orders-cache": client.NewValue("v1", map[string]string{"username": "orders", "password": "correct horse"}),
	}})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()

	cache := redis.NewClient(&driver.Options{Addr: "cache.example.com:6379"}, secrets.Secret("prod/orders-cache"), redis.Options{})
	defer func() { _ = cache.Close() }()
	fmt.Println(cache.Options().ConnMaxLifetime)
	// Output: 5m0s
}
