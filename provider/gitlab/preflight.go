package gitlab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight implements [rota.Preflighter]. Whoever may read variables may write
// them, unless the token's scopes don't allow that.
func (t *Variables) Preflight(ctx context.Context) []rota.Finding {
	findings := t.Connection.preflightToken(ctx)
	check := "read and write variables of " + t.Place.String()
	// Reading a variable that isn't there looks the same whether it or the project is
	// missing; listing them doesn't.
	if err := t.Connection.listOne(ctx, t.Place); err != nil {
		return append(findings, provider.Found(check, "", err))
	}
	if err := t.unable(ctx); err != nil {
		return append(findings, provider.Found(check, "", err))
	}
	for _, key := range t.keys() {
		was, exists, err := t.Connection.getVariable(ctx, t.Place, key)
		if err == nil {
			err = t.clash(write{key: key, exists: exists, was: was, want: t.variable(key, "", key == t.File)})
		}
		if err != nil {
			return append(findings, provider.Found(check, "", err))
		}
	}
	return append(findings, provider.Found(check, t.mixing(), nil))
}

// mixing says, for people, that GitLab writes one variable at a time.
func (t *Variables) mixing() string {
	if len(t.Fields.Names()) < 2 || t.File != "" {
		return ""
	}
	return "one after the other: a job that starts in between gets some old values with some new ones, which a file avoids"
}

// warnExpiry is how far ahead preflight warns that Rota's own token expires.
const warnExpiry = 14 * rota.Day

// preflightToken looks at the connection's own token.
func (c *Connection) preflightToken(ctx context.Context) []rota.Finding {
	check := "the token of connection " + c.name
	self, resp, err := c.api.PersonalAccessTokens.GetSinglePersonalAccessToken(with(ctx))
	if err := c.fail("look at the connection's token", needProject, resp, err); err != nil {
		if provider.StatusOf(err) == 404 || provider.StatusOf(err) == 403 {
			return nil // a kind of token that GitLab shows nothing about
		}
		return []rota.Finding{provider.Found(check, "", err)}
	}
	if !slices.Contains(self.Scopes, "api") {
		return []rota.Finding{provider.Found(check, "", rota.WithRemedies(fmt.Errorf("its scopes are %v, which don't include api", self.Scopes), rota.Outside("give the connection a token with the scope api")))}
	}
	f := provider.Found(check, "", nil)
	if self.ExpiresAt != nil {
		end := time.Time(*self.ExpiresAt)
		f.Detail = "expires on " + end.Format(time.DateOnly)
		if time.Until(end) < warnExpiry {
			f = provider.Found(check, "", rota.WithRemedies(errors.New("it expires on "+end.Format(time.DateOnly)), rota.Outside("make a new token for connection "+c.name+" before that day")))
			f.Warning = true
		}
	}
	return []rota.Finding{f}
}
