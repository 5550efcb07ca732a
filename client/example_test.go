package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
)

// A secret is asked for its value whenever that's needed.
func Example() {
	secrets, err := client.Open(client.Options{Source: client.Static{
		"prod/orders-db": client.NewValue("v1", map[string]string{"username": "orders", "password": "correct horse"}),
	}})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()

	db := secrets.Secret("prod/orders-db")
	v, err := db.Get(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(v.Field("username"), len(v.Field("password")))
	fmt.Println(v) // never prints a password
	// Output:
	// orders 13
	// value[password username] of version "v1" [redacted]
}

// A refused login is tried once more, with the version that the source has by then.
func ExampleSecret_Try() {
	source := clienttest.NewSource()
	source.DisablePush()
	source.Set("prod/orders-db", map[string]string{"password": "old"})
	secrets, err := client.Open(client.Options{Source: source, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()
	db := secrets.Secret("prod/orders-db")
	if _, err := db.Get(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	source.Set("prod/orders-db", map[string]string{"password": "new"})

	wrong := errors.New("password authentication failed")
	err = db.Try(context.Background(), func(_ context.Context, v client.Value) error {
		fmt.Println("log in with the", v.Field("password"), "password")
		if v.Field("password") != "new" {
			return wrong
		}
		return nil
	}, func(err error) bool { return errors.Is(err, wrong) })
	fmt.Println(err)
	// Output:
	// log in with the old password
	// log in with the new password
	// <nil>
}

// A secret can be parsed into a type of your own.
func ExampleJSON() {
	secrets, err := client.Open(client.Options{Source: client.Static{
		"prod/mail": client.TextValue("v1", `{"host":"smtp.example.com","port":465}`),
	}})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()
	type mail struct {
		Host string
		Port int
	}
	settings := client.JSON[mail](secrets.Secret("prod/mail"))
	m, err := settings.Get(context.Background())
	fmt.Println(m.Host, m.Port, err)
	// Output: smtp.example.com 465 <nil>
}

// What is built from a secret is built again when the secret changes.
func ExampleUpdater() {
	secrets, err := client.Open(client.Options{Source: client.Static{
		"prod/api": client.NewValue("v1", map[string]string{"token": "abc"}),
	}})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()
	type session struct{ token string }
	sessions, err := client.NewUpdater(context.Background(), secrets.Secret("prod/api"), client.UpdaterOptions[*session]{
		Build: func(_ context.Context, v client.Value) (*session, error) { return &session{v.Field("token")}, nil },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sessions.Close()
	fmt.Println(len(sessions.Get().token))
	// Output: 3
}
