package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
)

// A program asks a running Rota how a secret stands, and rotates it. The server
// here is a stand-in that gives two fixed answers.
func ExampleClient() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/secrets", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"secrets": [{"secret": "prod/orders-db", "state": "due", "reason": "rotated 90 days ago"}], "unknown": []}`)
	})
	mux.HandleFunc("POST /v1/work", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"secrets": [{"secret": "prod/orders-db", "state": "done", "done": [{"step": "create"}, {"step": "promote"}]}]}`)
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	c, err := api.New(api.Options{
		URL:   server.URL, // https://rota.example.com
		Token: api.TokenFromFile("testdata/token"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	status, err := c.Status(ctx, api.StatusRequest{Names: []string{"prod/orders-db"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range status.Secrets {
		fmt.Printf("%s is %s: %s\n", s.Secret, s.State, s.Reason)
	}
	work, err := c.Work(ctx, api.WorkRequest{Operation: api.OpRotate, Secrets: []string{"prod/orders-db"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range work.Secrets {
		for _, step := range s.Done {
			fmt.Println("took the step", step.Step)
		}
	}
	// Output:
	// prod/orders-db is due: rotated 90 days ago
	// took the step create
	// took the step promote
}

// What the server refuses says which kind of refusal it is.
func ExampleError() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, `{"type": %q, "status": 409, "detail": "prod/orders-db: another worker holds it"}`, api.TypeBusy)
	}))
	defer server.Close()
	c, err := api.New(api.Options{URL: server.URL, Token: api.StaticToken("example")})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.Run(context.Background(), api.RunRequest{})
	switch {
	case errors.Is(err, api.ErrDenied):
		fmt.Println("ask an administrator for a rule")
	case errors.Is(err, rota.ErrBusy):
		fmt.Println("try again later")
	}
	if e, ok := errors.AsType[*api.Error](err); ok {
		fmt.Println(e.Status, e.Detail)
	}
	// Output:
	// try again later
	// 409 prod/orders-db: another worker holds it
}
