// A program outside Rota's module that uses what is public of it.
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
	"github.com/rota-dev/rota/webhook"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	target := memory.NewTarget("app", memory.Options{})
	secret := &rotation.Secret{
		Name: "app", Issuer: memory.NewAccessKeys(memory.AccessKeysOptions{}), Store: memory.NewStore(memory.Options{}), Targets: []rota.Target{target},
		Policy: rotation.Policy{RotateEvery: 90 * rota.Day},
	}
	rotator := &rotation.Rotator{Journal: memory.NewJournal(memory.Options{})}
	result, err := rotator.Advance(ctx, secret, rotation.Options{})
	if err != nil {
		return err
	}
	for _, d := range result.Done {
		fmt.Println(d.Step)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"verified": true}`) }))
	defer server.Close()
	client, err := api.New(api.Options{URL: server.URL, Token: api.StaticToken("token")})
	if err != nil {
		return err
	}
	doc, err := client.Verify(ctx)
	if err != nil {
		return err
	}
	fmt.Println("verified:", doc.Verified)
	if _, err := webhook.NewReceiver("0123456789abcdef"); err != nil {
		return err
	}
	fmt.Println("providers:", len(app.Providers()) > 5)
	return nil
}
