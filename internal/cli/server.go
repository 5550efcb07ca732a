package cli

import (
	"cmp"
	"context"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/agent"
)

// serverURL is the running Rota to use; "" for this machine.
func (a *app) serverURL() string { return cmp.Or(a.serverFlag, a.environment["ROTA_SERVER"]) }

// client is for that server. That there is a token is seen here, before
// anything is asked.
func (a *app) client(ctx context.Context) (*api.Client, error) {
	l := agent.Login{
		Server: a.serverURL(), Token: a.token(), CAFile: cmp.Or(a.serverCAFlag, a.environment["ROTA_SERVER_CA"]), UserAgent: "rota/" + Version,
		CertFile: cmp.Or(a.clientCertFlag, a.environment["ROTA_CLIENT_CERT"]), KeyFile: cmp.Or(a.clientKeyFlag, a.environment["ROTA_CLIENT_KEY"]),
	}
	switch {
	case l.CertFile != "" && l.KeyFile == "":
		return nil, rota.WithRemedies(usage("the client certificate needs its key"), append(rota.Command("--client-key FILE"), rota.Outside("set ROTA_CLIENT_KEY")...))
	case l.Token == nil && l.CertFile == "":
		return nil, rota.WithRemedies(usage("the server needs a token"), append(rota.Outside("set ROTA_TOKEN to a key's token"), rota.Command("--token-file FILE")...))
	case l.Token != nil:
		if _, err := l.Token(ctx); err != nil {
			return nil, refused(err)
		}
	}
	c, err := l.Client()
	return c, refused(err)
}

// token is what says who asks, nil if nothing does. It is never an argument:
// others of this machine can read those.
func (a *app) token() api.TokenSource {
	if token := a.environment["ROTA_TOKEN"]; token != "" && a.tokenFileFlag == "" {
		return api.StaticToken(token)
	}
	if path := cmp.Or(a.tokenFileFlag, a.environment["ROTA_TOKEN_FILE"]); path != "" {
		return api.TokenFromFile(path)
	}
	return nil
}
