package cloudflare_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/cloudflare"
	"github.com/rota-dev/rota/provider/cloudflare/cloudflaretest"
	"github.com/rota-dev/rota/provider/httpapi"
	"github.com/rota-dev/rota/provider/providertest"
)

// start gives an account's tokens at an address, over a connection called main.
func start(t *testing.T, url string) *cloudflare.Tokens {
	t.Helper()
	c, err := cloudflare.Connect("main", httpapi.Config{URL: url, Authorization: httpapi.Bearer(providertest.AdminToken), Budget: providertest.Unlimited{}})
	if err != nil {
		t.Fatal(err)
	}
	policy := cloudflare.Policy{Effect: "allow", Groups: []cloudflare.Group{{ID: "4755a26e"}}, Resources: map[string]string{"com.cloudflare.api.account.zone.0da42c8d": "*"}}
	grant := cloudflare.Grant{Account: cloudflaretest.Account, Policies: []cloudflare.Policy{policy}, AllowedIPs: []string{"192.0.2.0/24"}}
	return cloudflare.New(grant, httpapi.Tokens{Connection: c, Names: "dns", ExpiresAfter: 90 * rota.Day})
}

func TestTheIssuerConforms(t *testing.T) {
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		server := cloudflaretest.New()
		t.Cleanup(server.Close)
		return providertest.IssuerFixture{
			Issuer: start(t, server.URL), UnknownID: "no-such-token",
			Inject: server.Inject(map[string]string{
				"create": "POST /tokens", "list": "GET /tokens$", "test": "GET /verify", "deactivate": "PUT /tokens/", "reactivate": "PUT /tokens/",
				"delete": "DELETE /tokens/", "delete hangs": "GET /tokens$", // an active one isn't deleted
			}),
			Use: func(t *testing.T, c rota.Credential) {
				if err := start(t, server.URL).Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

func TestErrorsSayWhatToDo(t *testing.T) {
	providertest.HTTPErrors(t, providertest.HTTPFixture{
		System: "cloudflare main", Secret: providertest.AdminToken,
		Call: func(ctx context.Context, url string) error {
			_, err := start(t, url).List(ctx)
			return err
		},
	})
}

// Cloudflare takes what a change leaves out from the token, so that one would have no
// limits anymore.
func TestATokenKeepsItsLimitsWhenItsSwitchedOffAndOn(t *testing.T) {
	server := cloudflaretest.New()
	t.Cleanup(server.Close)
	tokens := start(t, server.URL)
	c, err := tokens.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	before, r := server.Tokens(cloudflaretest.Account)[0], rota.RetireRequest{CredentialID: tokens.CredentialID(c)}
	if err := tokens.Deactivate(t.Context(), r); err != nil || server.Accepts(before.Value) {
		t.Fatalf("the token is still let in: %v", err)
	}
	if err := tokens.Reactivate(t.Context(), r); err != nil || !server.Accepts(before.Value) {
		t.Fatalf("the token isn't let in again: %v", err)
	}
	var was, is map[string]any
	after := server.Tokens(cloudflaretest.Account)[0]
	if json.Unmarshal(before.Details, &was) != nil || json.Unmarshal(after.Details, &is) != nil {
		t.Fatal("what the token is isn't JSON")
	}
	delete(is, "status")
	if diff := cmp.Diff(was, is); diff != "" || was["condition"] == nil || before.Expires.IsZero() {
		t.Errorf("the token has changed (or never had limits):\n%s", diff)
	}
}
