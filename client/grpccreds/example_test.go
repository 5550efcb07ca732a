package grpccreds_test

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/grpccreds"
)

// A connection whose calls each have the current token.
func ExampleNewToken() {
	secrets, err := client.Open(client.Options{Source: client.Static{
		"prod/parcels-api": client.NewValue("v1", map[string]string{"token": "correct horse"}),
	}})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()

	token := grpccreds.NewToken(secrets.Secret("prod/parcels-api"), grpccreds.TokenOptions{})
	conn, err := grpc.NewClient("parcels.example.com:443",
		grpc.WithTransportCredentials(credentials.NewTLS(nil)),
		grpc.WithPerRPCCredentials(token), grpc.WithUnaryInterceptor(token.Retry))
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()

	sent, err := token.GetRequestMetadata(context.Background())
	fmt.Println(sent["authorization"], err)
	// Output: Bearer correct horse <nil>
}
