package httpauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/httpauth"
)

// A client of an API whose token is rotated.
func ExampleNew() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Authorization") == "Bearer correct horse")
	}))
	defer service.Close()
	secrets, err := client.Open(client.Options{Source: client.Static{
		"prod/parcels-api": client.NewValue("v1", map[string]string{"token": "correct horse"}),
	}})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()

	transport, err := httpauth.New(service.URL, secrets.Secret("prod/parcels-api"), httpauth.Bearer("token"), httpauth.Options{})
	if err != nil {
		panic(err)
	}
	parcels := &http.Client{Transport: transport}
	answer, err := parcels.Get(service.URL + "/v1/parcels")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	var known bool
	_, _ = fmt.Fscan(answer.Body, &known)
	fmt.Println(known)
	// Output: true
}
