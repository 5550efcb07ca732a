package cli

import (
	"cmp"
	"context"
	"os"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
)

// serverURL is the running Rota to use; "" for this machine.
func (a *app) serverURL() string { return cmp.Or(a.serverFlag, a.environment["ROTA_SERVER"]) }

// client is for that server. That there is a token is seen here, before
// anything is asked.
func (a *app) client(ctx context.Context) (*api.Client, error) {
	o := api.Options{URL: a.serverURL(), Token: a.token(), UserAgent: "rota/" + Version}
	if o.Token == nil {
		return nil, rota.WithRemedies(usage("the server needs a token"), append(rota.Outside("set ROTA_TOKEN to a key's token"), rota.Command("--token-file FILE")...))
	}
	if _, err := o.Token(ctx); err != nil {
		return nil, refused(err)
	}
	if path := cmp.Or(a.serverCAFlag, a.environment["ROTA_SERVER_CA"]); path != "" {
		var err error
		if o.CA, err = os.ReadFile(path); err != nil {
			return nil, refused(err)
		}
	}
	c, err := api.New(o)
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
