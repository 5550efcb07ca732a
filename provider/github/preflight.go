package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	api "github.com/google/go-github/v93/github"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight implements [rota.Preflighter]. It reads what a delivery reads. For an
// App it also asks for the right to write, which GitHub grants or refuses; whether
// a token may write shows with the first delivery only.
func (t *Secrets) Preflight(ctx context.Context) []rota.Finding {
	p := t.place()
	check := "read and write secrets of " + p.String()
	var key api.PublicKey
	resp, err := t.Connection.call(ctx, p.access(write), "read the public key of "+p.String(), http.MethodGet, p.secrets()+"/public-key", nil, &key)
	if err != nil {
		return []rota.Finding{provider.Found(check, "", missing(t.Place, err))}
	}
	findings := t.Connection.expiry(resp.TokenExpiration.Time)
	had, err := t.Connection.count(ctx, p)
	lacking := 0
	for _, name := range t.names() {
		if err != nil {
			break
		}
		var exists bool
		if _, exists, err = t.Connection.getSecret(ctx, p, name); err == nil && !exists {
			lacking++
		}
	}
	most := maxOfRepository
	if p.Repository == "" {
		most = maxOfOrganization
	}
	if err == nil {
		err = room("secrets", had, lacking, most)
	}
	return append(findings, provider.Found(check, t.mixing(), err))
}

// room is the error if a place has none for more.
func room(what string, had, lacking, most int) error {
	if had+lacking <= most {
		return nil
	}
	return rota.WithRemedies(fmt.Errorf("it has %d %s, and GitHub allows %d: there's no room for %d more", had, what, most, lacking), rota.Outside("delete "+what+" that nobody needs"))
}

// mixing says, for people, that GitHub writes one secret at a time.
func (t *Secrets) mixing() string {
	if len(t.Fields.Names()) < 2 || t.Document != "" {
		return ""
	}
	return "one after the other: a run that's queued in between gets some old values with some new ones, which a document avoids"
}

// warnExpiry is how far ahead preflight warns that Rota's own token expires.
const warnExpiry = 14 * rota.Day

// expiry is the finding about the end of the connection's token, if it has one.
func (c *Connection) expiry(end time.Time) []rota.Finding {
	if end.IsZero() || c.app != nil {
		return nil
	}
	check, day := "the token of connection "+c.name, end.UTC().Format(time.DateOnly)
	if end.Sub(c.now()) >= warnExpiry {
		return []rota.Finding{provider.Found(check, "expires on "+day, nil)}
	}
	f := provider.Found(check, "", rota.WithRemedies(errors.New("it expires on "+day), rota.Outside("make a new token for connection "+c.name+" before that day")))
	f.Warning = true
	return []rota.Finding{f}
}
