package cloudflare_test

import (
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/cloudflare"
	"github.com/rota-dev/rota/provider/cloudflare/cloudflaretest"
	"github.com/rota-dev/rota/provider/httpapi"
	"github.com/rota-dev/rota/provider/providertest"
)

func TestAccountTokens(t *testing.T) {
	providertest.TokenIssuer(t, providertest.TokenFixture{
		System: "cloudflare main", Serve: cloudflaretest.New, Account: cloudflaretest.Account, Needs: "Account API Tokens Write",
		Issuer: func(t *testing.T, url string) rota.Issuer {
			c, err := cloudflare.Connect("main", httpapi.Config{URL: url, Authorization: httpapi.Bearer(providertest.AdminToken), Budget: providertest.Unlimited{}})
			if err != nil {
				t.Fatal(err)
			}
			grant := cloudflare.Grant{Account: cloudflaretest.Account, Policies: `[{"effect": "allow"}]`, Condition: `{"request_ip": {"in": ["192.0.2.0/24"]}}`}
			return cloudflare.Tokens(grant, httpapi.Tokens{Connection: c, Names: "orders", ExpiresAfter: 90 * rota.Day})
		},
		Requests: map[string]string{
			"create": "POST /tokens", "list": "GET /tokens$", "test": "GET /verify", "deactivate": "PUT /tokens/", "reactivate": "PUT /tokens/",
			"delete": "DELETE /tokens/", "delete hangs": "GET /tokens$", // an active one isn't deleted
		},
	})
}
