package awstest_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

// This test loses the answer to CreateAccessKey, and finds the orphaned key.
func Example() {
	ctx := context.Background()
	server, err := awstest.New(awstest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	server.CreateUser("app")
	server.SetFaults(func(call awstest.Call) awstest.Fault {
		return awstest.Fault{DropReply: call.Action == "CreateAccessKey"}
	})

	id, secret := server.RootCredentials()
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(server.Region()),
		config.WithBaseEndpoint(server.URL()),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(id, secret, "")),
		config.WithRetryMaxAttempts(1),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = iam.NewFromConfig(cfg).CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("app")})
	fmt.Println("answered:", err == nil)
	fmt.Println("keys:", len(server.Keys("app")))
	for _, call := range server.Calls() {
		fmt.Println(call.N, call.Service, call.Action, call.Resource, call.Dropped)
	}
	// Output:
	// answered: false
	// keys: 1
	// 1 iam CreateAccessKey app true
}
