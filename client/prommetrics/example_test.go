package prommetrics_test

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/prommetrics"
)

// A program that has a registry of metrics registers its client there.
func ExampleNew() {
	secrets, err := client.Open(client.Options{Source: client.Static{
		"prod/orders-db": client.NewValue("v1", map[string]string{"password": "correct horse"}),
	}})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()

	registry := prometheus.NewRegistry() // or prometheus.DefaultRegisterer
	registry.MustRegister(prommetrics.New(secrets))

	if _, err := secrets.Secret("prod/orders-db").Get(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	families, err := registry.Gather()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range families {
		fmt.Println(f.GetName())
	}
	// Output:
	// rota_client_refreshes_total
	// rota_client_secret_confirmed_timestamp_seconds
	// rota_client_secret_failing_requests
	// rota_client_secret_version_timestamp_seconds
}
