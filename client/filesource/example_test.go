package filesource_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/filesource"
)

// A folder with a file for each field, as a mounted Kubernetes Secret has them.
func ExampleNew() {
	folder, err := os.MkdirTemp("", "secrets")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	mounted := filepath.Join(folder, "orders-db")
	if err := os.Mkdir(mounted, 0o700); err != nil {
		panic(err)
	}
	for name, text := range map[string]string{"username": "orders", "password": "correct horse"} {
		if err := os.WriteFile(filepath.Join(mounted, name), []byte(text), 0o600); err != nil {
			panic(err)
		}
	}

	secrets, err := client.Open(client.Options{Source: filesource.New(folder)})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()
	v, err := secrets.Secret("orders-db").Get(context.Background())
	fmt.Println(v.Names(), v.Field("username"), err)
	// Output: [password username] orders <nil>
}
