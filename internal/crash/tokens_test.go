package crash

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/cloudflare"
	"github.com/rota-dev/rota/provider/cloudflare/cloudflaretest"
	"github.com/rota-dev/rota/provider/grafana"
	"github.com/rota-dev/rota/provider/grafana/grafanatest"
	"github.com/rota-dev/rota/provider/httpapi"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/rotation"
)

func TestAPITokensThroughEveryFault(t *testing.T) {
	t.Parallel()
	matrix(t, "Grafana tokens", 16, life{name: "a service account's token", kinds: fewKinds, steps: lifeOfToken, build: inOwnStore(apiTokens{
		serve: grafanatest.New, account: grafanatest.Account, login: "/api/user", connect: grafana.Connect,
		issuer: func(t httpapi.Tokens) rota.Issuer { return grafana.Tokens(grafanatest.Account, t) },
	}.fixture)})
	matrix(t, "Cloudflare tokens", 16, life{name: "an account's token", kinds: fewKinds, steps: lifeOfKey, build: inOwnStore(apiTokens{
		serve: cloudflaretest.New, account: cloudflaretest.Account, login: "/verify", connect: cloudflare.Connect,
		issuer: func(t httpapi.Tokens) rota.Issuer {
			return cloudflare.Tokens(cloudflare.Grant{Account: cloudflaretest.Account, Policies: `[{"effect": "allow"}]`}, t)
		},
	}.fixture)})
}

// apiTokens are the tokens of an account at a stand-in, where somebody else has one too.
type apiTokens struct {
	serve   func() *providertest.TokenServer
	account string
	login   string // the end of the path that a token is tried at
	connect func(string, httpapi.Config) (*httpapi.Connection, error)
	issuer  func(httpapi.Tokens) rota.Issuer
}

func (a apiTokens) fixture(t testing.TB, s *scene) fixture {
	server := a.serve()
	server.SetNow(s.w.clock)
	other, _ := server.Make(a.account, "orders-eu", "", s.w.clock().Add(4000*rota.Day), []byte(`{"name": "orders-eu", "status": "active"}`))
	front := s.w.before(server.Config.Handler, "api", a.op)
	connect := func() (rota.Issuer, error) {
		c, err := a.connect("main", httpapi.Config{URL: front.URL, Authorization: httpapi.Bearer(providertest.AdminToken), Budget: providertest.Unlimited{}, Now: s.w.clock})
		return a.issuer(httpapi.Tokens{Connection: c, Names: "orders", ExpiresAfter: 365 * rota.Day}), err
	}
	issuer, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	return fixture{
		connect: func(_ *process, secret *rotation.Secret) (err error) {
			secret.Issuer, err = connect()
			return err
		},
		traits: issuer.Traits(), id: issuer.CredentialID, marks: true,
		works: func(c rota.Credential) (bool, error) { return server.Accepts(c.Field(httpapi.FieldToken)), nil },
		exists: func() (map[string]bool, error) {
			exist := map[string]bool{}
			for _, x := range server.Tokens(a.account) {
				if x.ID != other.ID {
					exist[x.ID] = !x.Off
				}
			}
			return exist, nil
		},
		intact: func() error {
			if !server.Accepts(other.Value) {
				return errors.New("somebody else's token was switched off or deleted")
			}
			return nil
		},
		close: func() {
			front.Close()
			server.Close()
		},
	}
}

// op is what a request does.
func (a apiTokens) op(r *http.Request) string {
	switch {
	case strings.HasSuffix(r.URL.Path, a.login):
		return "test"
	case r.Method == http.MethodPost:
		return "create"
	case r.Method == http.MethodPut:
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), `"disabled"`) {
			return "deactivate"
		}
		return "reactivate"
	case r.Method == http.MethodDelete:
		return "delete"
	case strings.HasSuffix(r.URL.Path, "/tokens"):
		return "list"
	}
	return "look"
}
