package vaultkv_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/openbao/openbao/api/v2"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/vaultkv"
)

// An entry of a KV engine, version 2.
func ExampleNew() {
	// In place of a Vault.
	vault := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"data": {"data": {"username": "orders", "password": "correct horse"}, "metadata": {"version": 7, "created_time": "2026-11-02T09:30:00Z"}}}`)
	}))
	defer vault.Close()

	config := api.NewConfig()
	config.Address = vault.URL // without it, VAULT_ADDR and BAO_ADDR say where it is
	login, err := api.NewClient(config)
	if err != nil {
		panic(err)
	}
	secrets, err := client.Open(client.Options{Source: vaultkv.New(login, vaultkv.Options{Mount: "secret"})})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()
	v, err := secrets.Secret("prod/orders-db").Get(context.Background())
	fmt.Println(v.Field("username"), v.Version(), err)
	// Output: orders 7@2026-11-02T09:30:00Z <nil>
}
