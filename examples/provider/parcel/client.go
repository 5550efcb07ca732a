package parcel

import (
	"context"
	"net/http"

	"github.com/rota-dev/rota/provider/httpapi"
)

// system is what package httpapi needs to know of Parcel: it logs in with a token, and
// turns refusals into classified errors that say what to do and never hold a value.
var system = httpapi.System{
	Key: "parcel", Name: "Parcel", ExampleURL: "https://parcel.example.com", Login: "administrator's token",
	Identity: identity,
}

// Connect opens a connection without touching the network.
func Connect(name, address, token string) (*httpapi.Connection, error) {
	return httpapi.New(name, system, httpapi.Config{URL: address, Authorization: httpapi.Bearer(token)})
}

// identity is Parcel's own name for itself, by whichever address it's reached.
func identity(ctx context.Context, c *httpapi.Connection) (string, error) {
	var service struct{ ID string }
	err := c.Do(ctx, httpapi.Request{Op: "ask for its id", Method: http.MethodGet, Path: "/service"}, &service)
	return service.ID, err
}
