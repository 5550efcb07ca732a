// Package cloudflare rotates the API tokens of Cloudflare accounts.
package cloudflare

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

var system = httpapi.System{
	Key: "cloudflare", Name: "Cloudflare", DefaultURL: "https://api.cloudflare.com/client/v4",
	Rate: rota.Rate{PerSecond: 2, Burst: 20}, // half of the 1200 in five minutes that a user may make
	Refusals: []provider.Cause{
		{Words: []string{"policy", "policies", "permission", "resource"}, Text: "correct policies: the ids of the permission groups, and resources of this account. The token of connection %s must be allowed all of it itself"},
		{Words: []string{"expires"}, Text: "set expires_after to a length that the account allows"},
	},
}

const needs = "the account permission Account API Tokens Write"

// A token may take a moment to be in the list.
var traits = rota.Traits{Kind: "Cloudflare token", IssuerChooses: true, ConsistencyDelay: 30 * time.Second}

// Connect opens a connection. It makes no calls.
func Connect(name string, cfg httpapi.Config) (*httpapi.Connection, error) {
	return httpapi.New(name, system, cfg)
}

// Grant is whose tokens they are, and what they may do.
type Grant struct {
	// Account is the account's id.
	Account string
	// Policies and Condition are a token's, in JSON as Cloudflare's API takes them.
	// Condition is "" for none.
	Policies, Condition string
}

// Tokens issues an account's tokens. Each rotation makes a second one, and the previous
// one is switched off before it's deleted.
func Tokens(g Grant, t httpapi.Tokens) *httpapi.SwitchableTokens {
	t.Properties = traits
	return t.Switchable(api{t.Connection, g})
}

// api are the tokens of one account.
type api struct {
	*httpapi.Connection
	Grant
}

// call makes a request whose answer is in Cloudflare's envelope.
func (a api) call(ctx context.Context, q httpapi.Request, result any, more ...string) (pages int, err error) {
	q.Path = httpapi.Path(append([]string{"accounts", a.Account, "tokens"}, more...)...)
	q.Needs = needs
	var answer struct {
		Success bool
		Result  json.RawMessage
		Info    struct {
			Pages int `json:"total_pages"`
		} `json:"result_info"`
	}
	if err := a.Do(ctx, q, &answer); err != nil {
		return 0, err
	}
	if !answer.Success || string(answer.Result) == "null" || json.Unmarshal(answer.Result, result) != nil {
		return 0, a.Unreadable(q.Op)
	}
	return answer.Info.Pages, nil
}

// token is one as Cloudflare shows it.
type token struct {
	ID, Name, Value, Status string
	Issued                  time.Time `json:"issued_on"`
	Expires                 time.Time `json:"expires_on"`
	Used                    time.Time `json:"last_used_on"`
}

func (t token) token() httpapi.Token {
	return httpapi.Token{ID: t.ID, Name: t.Name, Value: t.Value, Active: t.Status == "active", Created: t.Issued, Expires: t.Expires, Used: httpapi.LastUse{At: t.Used, Recorded: true}}
}

// Create implements [httpapi.TokenAPI].
func (a api) Create(ctx context.Context, op, name string, life time.Duration) (httpapi.Token, error) {
	expires := a.There(a.Now().Add(life)).UTC().Truncate(time.Second)
	body := map[string]any{"name": name, "policies": json.RawMessage(a.Policies), "expires_on": expires}
	if a.Condition != "" {
		body["condition"] = json.RawMessage(a.Condition)
	}
	var made token
	_, err := a.call(ctx, httpapi.Request{Op: op, Method: "POST", Body: body}, &made)
	return made.token(), err
}

// List implements [httpapi.TokenAPI].
func (a api) List(ctx context.Context, op string) ([]httpapi.Token, error) {
	return httpapi.Pages(func(page int) ([]httpapi.Token, int, error) {
		var list []token
		query := url.Values{"page": {strconv.Itoa(page)}, "per_page": {"50"}}
		pages, err := a.call(ctx, httpapi.Request{Op: op, Method: "GET", Query: query}, &list)
		var all []httpapi.Token
		for _, t := range list {
			all = append(all, t.token())
		}
		return all, min(page+1, pages), err
	})
}

// LogIn implements [httpapi.TokenAPI].
func (a api) LogIn(ctx context.Context, op, value string) (string, error) {
	var me token
	_, err := a.call(ctx, httpapi.Request{Op: op, Method: "GET", As: httpapi.Bearer(value)}, &me, "verify")
	switch {
	case provider.StatusOf(err) == 400: // what doesn't look like a token
		return "", a.Refused(op, "it isn't a token of Cloudflare's")
	case err == nil && me.Status != "active":
		return "", a.Refused(op, "it's "+provider.Said(me.Status))
	}
	return me.ID, err
}

// Delete implements [httpapi.TokenAPI].
func (a api) Delete(ctx context.Context, op, id string) error {
	var done struct{ ID string }
	_, err := a.call(ctx, httpapi.Request{Op: op, Method: "DELETE"}, &done, id)
	return err
}

// Switch implements [httpapi.SwitchableAPI]. A change takes the token's limits away unless
// it repeats them.
func (a api) Switch(ctx context.Context, op, id string, on bool) error {
	var has struct {
		Name      string          `json:"name"`
		Status    string          `json:"status"`
		Policies  json.RawMessage `json:"policies"`
		Condition json.RawMessage `json:"condition,omitempty"`
		Expires   json.RawMessage `json:"expires_on,omitempty"`
		NotBefore json.RawMessage `json:"not_before,omitempty"`
	}
	if _, err := a.call(ctx, httpapi.Request{Op: op, Method: "GET"}, &has, id); err != nil {
		return err
	}
	has.Status = map[bool]string{true: "active", false: "disabled"}[on]
	_, err := a.call(ctx, httpapi.Request{Op: op, Method: "PUT", Body: has}, &token{}, id)
	return err
}
