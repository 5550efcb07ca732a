package awscredentials_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/awscredentials"
)

// A client of AWS that signs each request with the current key.
func ExampleNew() {
	secrets, err := client.Open(client.Options{Source: client.Static{
		"prod/orders-aws": client.NewValue("v1", map[string]string{"access_key_id": "AKIDEXAMPLE", "secret_access_key": "correct horse"}),
	}})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()

	config := aws.Config{Region: "eu-central-1", Credentials: awscredentials.New(secrets.Secret("prod/orders-aws"), awscredentials.Options{})}
	service := sts.NewFromConfig(config)
	key, err := service.Options().Credentials.Retrieve(context.Background())
	fmt.Println(key.AccessKeyID, key.CanExpire, err)
	// Output: AKIDEXAMPLE true <nil>
}
