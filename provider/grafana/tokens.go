// Package grafana rotates the tokens of Grafana's service accounts.
package grafana

import (
	"context"
	"strconv"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

var system = httpapi.System{
	Key: "grafana", Name: "Grafana", ExampleURL: "https://grafana.internal",
	Refusals: []provider.Cause{
		{Words: []string{"seconds", "expir"}, Text: "set expires_after to less than the instance's token_expiration_day_limit"},
		{Words: []string{"already exists"}, Text: "see what else makes tokens of this name: it's taken in the organization"},
	},
}

// What Rota's service account must be allowed, on the one whose tokens it manages.
const (
	needRead  = "the permission serviceaccounts:read on this service account"
	needWrite = "the permission serviceaccounts:write on this service account"
)

var traits = rota.Traits{Kind: "Grafana token", IssuerChooses: true}

// Connect opens a connection. It makes no calls.
func Connect(name string, cfg httpapi.Config) (*httpapi.Connection, error) {
	return httpapi.New(name, system, cfg)
}

// notesUseEvery is twice what Grafana waits after it noted a use before it notes another:
// it writes them down after it has answered, and its replicas don't agree at once.
const notesUseEvery = 10 * time.Minute

// Tokens issues the tokens of a service account, given by its number. Each rotation makes
// a second one, so the previous one stays valid meanwhile.
func Tokens(account string, t httpapi.Tokens) *httpapi.Tokens {
	t.Properties, t.API, t.NotesUseEvery = traits, api{t.Connection, account}, notesUseEvery
	return &t
}

// api are the tokens of one service account.
type api struct {
	*httpapi.Connection
	account string
}

func (a api) path(more ...string) string {
	return httpapi.Path(append([]string{"api", "serviceaccounts", a.account, "tokens"}, more...)...)
}

// Create implements [httpapi.TokenAPI].
func (a api) Create(ctx context.Context, op, name string, life time.Duration) (httpapi.Token, error) {
	var made struct {
		ID  int64
		Key string
	}
	body := map[string]any{"name": name, "secondsToLive": int64(life / time.Second)}
	err := a.Do(ctx, httpapi.Request{Op: op, Method: "POST", Path: a.path(), Body: body, Needs: needWrite}, &made)
	return httpapi.Token{ID: number(made.ID), Value: made.Key}, err
}

// number is a token's id, "" for none.
func number(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

// List implements [httpapi.TokenAPI]. It has no pages.
func (a api) List(ctx context.Context, op string) ([]httpapi.Token, error) {
	var list []struct {
		ID                    int64
		Name                  string
		Created, Expiration   time.Time
		LastUsedAt            httpapi.LastUse
		HasExpired, IsRevoked bool
	}
	err := a.Do(ctx, httpapi.Request{Op: op, Method: "GET", Path: a.path(), Needs: needRead}, &list)
	var all []httpapi.Token
	for _, t := range list {
		all = append(all, httpapi.Token{ID: number(t.ID), Name: t.Name, Active: !t.HasExpired && !t.IsRevoked, Created: t.Created, Expires: t.Expiration, Used: t.LastUsedAt})
	}
	return all, err
}

// LogIn implements [httpapi.TokenAPI]. Grafana says whose token it is, but not which, and
// lets nobody in here without one.
func (a api) LogIn(ctx context.Context, op, value string) (string, error) {
	return "", a.Do(ctx, httpapi.Request{Op: op, Method: "GET", Path: "/api/user", As: httpapi.Bearer(value)}, nil)
}

// Delete implements [httpapi.TokenAPI].
func (a api) Delete(ctx context.Context, op, id string) error {
	return a.Do(ctx, httpapi.Request{Op: op, Method: "DELETE", Path: a.path(id), Needs: needWrite}, nil)
}
