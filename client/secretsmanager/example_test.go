package secretsmanager_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/client/secretsmanager"
)

// A secret of AWS Secrets Manager.
func ExampleNew() {
	amazon := clienttest.NewServer() // in place of AWS
	defer amazon.Close()
	amazon.Set("prod/orders-db", map[string]string{"username": "orders", "password": "correct horse"})

	service := awssm.New(awssm.Options{ // usually from config.LoadDefaultConfig
		BaseEndpoint: aws.String(amazon.URL), Region: "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "…", ""),
	})
	secrets, err := client.Open(client.Options{Source: secretsmanager.New(service)})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()
	v, err := secrets.Secret("prod/orders-db").Get(context.Background())
	fmt.Println(v.Field("username"), err)
	// Output: orders <nil>
}
