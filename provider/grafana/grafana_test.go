package grafana_test

import (
	"context"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/grafana"
	"github.com/rota-dev/rota/provider/grafana/grafanatest"
	"github.com/rota-dev/rota/provider/httpapi"
	"github.com/rota-dev/rota/provider/providertest"
)

// start gives a service account's tokens at an address, over a connection called main.
func start(t *testing.T, url string) *httpapi.Tokens {
	t.Helper()
	c, err := grafana.Connect("main", httpapi.Config{URL: url, Authorization: httpapi.Bearer(providertest.AdminToken)})
	if err != nil {
		t.Fatal(err)
	}
	return grafana.Tokens(grafanatest.Account, httpapi.Tokens{Connection: c, Names: "orders", ExpiresAfter: 90 * rota.Day})
}

func TestTheIssuerConforms(t *testing.T) {
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		server := grafanatest.New()
		t.Cleanup(server.Close)
		return providertest.IssuerFixture{
			Issuer: start(t, server.URL), UnknownID: "4711",
			Inject: server.Inject(map[string]string{"create": "POST /tokens", "list": "GET /tokens", "test": "GET /api/user", "delete": "DELETE /tokens/"}),
		}
	})
}

func TestErrorsSayWhatToDo(t *testing.T) {
	providertest.HTTPErrors(t, providertest.HTTPFixture{
		System: "grafana main", Secret: providertest.AdminToken,
		Call: func(ctx context.Context, url string) error {
			_, err := start(t, url).List(ctx)
			return err
		},
	})
}
