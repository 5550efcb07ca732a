package grafana_test

import (
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/grafana"
	"github.com/rota-dev/rota/provider/grafana/grafanatest"
	"github.com/rota-dev/rota/provider/httpapi"
	"github.com/rota-dev/rota/provider/providertest"
)

func TestServiceAccountTokens(t *testing.T) {
	providertest.TokenIssuer(t, providertest.TokenFixture{
		System: "grafana main", Serve: grafanatest.New, Account: grafanatest.Account, Needs: "serviceaccounts:",
		Issuer: func(t *testing.T, url string) rota.Issuer {
			c, err := grafana.Connect("main", httpapi.Config{URL: url, Authorization: httpapi.Bearer(providertest.AdminToken)})
			if err != nil {
				t.Fatal(err)
			}
			return grafana.Tokens(grafanatest.Account, httpapi.Tokens{Connection: c, Names: "orders", ExpiresAfter: 90 * rota.Day})
		},
		Requests: map[string]string{"create": "POST /tokens", "list": "GET /tokens", "test": "GET /api/user", "delete": "DELETE /tokens/"},
	})
}
