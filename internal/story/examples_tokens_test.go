package story

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/cloudflare"
	"github.com/rota-dev/rota/provider/cloudflare/cloudflaretest"
	"github.com/rota-dev/rota/provider/grafana"
	"github.com/rota-dev/rota/provider/grafana/grafanatest"
	"github.com/rota-dev/rota/provider/providertest"
)

// The examples of systems whose tokens are made, listed and deleted: two rotations leave
// the current token and the previous one, and the file has the current one.
func TestTheExamplesOfTokens(t *testing.T) {
	for _, test := range []struct {
		of                    provider.Provider
		serve                 func() *providertest.TokenServer
		account, secret, file string
		address, at           string // what's replaced by the server's address, and how
	}{
		{grafana.Provider(), grafanatest.New, grafanatest.Account, "prod/orders-grafana", "grafana.env", "https://grafana.internal", "URL"},
		{cloudflare.Provider(), cloudflaretest.New, cloudflaretest.Account, "prod/orders-dns", "cloudflare.env", "{cloudflare: {", "{cloudflare: {url: URL, "},
	} {
		t.Run(test.of.Name, func(t *testing.T) {
			server := test.serve()
			t.Cleanup(server.Close)
			e := newExample(t, test.of, map[string]string{test.of.Name: providertest.AdminToken}, test.address, strings.Replace(test.at, "URL", server.URL, 1))
			e.rota("check")
			e.rota("run", "--all")
			e.rota("rotate", test.secret, "--yes")
			e.rota("check")
			all := server.Tokens(test.account)
			if len(all) != 2 || !server.Accepts(all[0].Value) || !server.Accepts(all[1].Value) {
				t.Fatalf("there are %d tokens, want two that are let in", len(all))
			}
			e.holds(test.file, all[1].Value)
		})
	}
}
