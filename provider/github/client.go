package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	api "github.com/google/go-github/v93/github"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

const (
	// DefaultURL is the API of GitHub.com.
	DefaultURL = "https://api.github.com"

	requestTimeout = 30 * time.Second // the context's deadline can be earlier

	exampleURL = "https://github.example.com/api/v3"
)

// calls stays below the 5000 an hour that GitHub allows a token.
var calls = rota.Rate{PerSecond: 1.25, Burst: 60}

// Config is a GitHub, and how Rota logs in to it.
type Config struct {
	// URL is the API's, such as "https://github.example.com/api/v3". Defaults to
	// [DefaultURL].
	URL string
	// Token is a personal access token. It's empty if there's an App.
	Token string
	App   App
	// Certificates are the authorities to trust, and the client's own certificate.
	Certificates provider.Certificates
	// Budget rate-limits the calls. Defaults to a budget for this connection alone.
	Budget rota.Budget
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Reach decides which addresses may be reached; nil for all.
	Reach provider.Reach
}

// Connection is one login at GitHub. It's safe for concurrent use.
type Connection struct {
	name   string
	url    *url.URL
	token  string
	app    *app // nil if it logs in by token
	budget rota.Budget
	now    func() time.Time
	clock  *provider.Clock
	api    *api.Client

	mu            sync.Mutex
	installations map[string]int64 // by owner
	tokens        map[string]token // by what they're for
}

// New returns a connection. Errors show its name as "github <name>". It makes no
// calls.
func New(name string, cfg Config) (*Connection, error) {
	u, err := provider.ParseAddress(strings.TrimSuffix(cmp.Or(cfg.URL, DefaultURL), "/")+"/", exampleURL)
	if err != nil {
		return nil, fmt.Errorf("github %s: url: %w", name, err)
	}
	c := &Connection{name: name, url: u, token: cfg.Token, budget: cfg.Budget, now: cfg.Now, installations: map[string]int64{}, tokens: map[string]token{}}
	if (cfg.Token == "") == (cfg.App == App{}) {
		return nil, rota.WithRemedies(fmt.Errorf("github %s: neither a token nor an App, or both", name), rota.Outside("give the connection a token, or an App's id and private key"))
	}
	if cfg.Token == "" {
		if c.app, err = newApp(cfg.App); err != nil {
			return nil, fmt.Errorf("github %s: %w", name, err)
		}
	}
	if c.budget == nil {
		c.budget = rota.NewLocalBudget()
	}
	if c.now == nil {
		c.now = time.Now
	}
	client, err := provider.NewHTTPClient(cfg.Certificates, cfg.Reach, requestTimeout, sent)
	if err != nil {
		return nil, fmt.Errorf("github %s: %w", name, err)
	}
	c.clock = &provider.Clock{RoundTripper: client.Transport, Now: c.now}
	client.Transport = login{c, c.clock}
	address := u.String()
	c.api, err = api.NewClient(api.WithURLs(&address, &address), api.WithUserAgent("rota"), api.WithHTTPClient(client))
	if err != nil {
		return nil, c.refuse("make a client", "correct the connection's url", errors.New("the address can't be used"))
	}
	return c, nil
}

// system is the connection's name in errors.
func (c *Connection) system() string { return "github " + c.name }

// login takes every request from the budget and adds the authorization for what the
// context says it's for.
type login struct {
	c    *Connection
	next http.RoundTripper
}

func (l login) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := l.c.budget.Take(r.Context(), l.c.system()+" "+strings.ToLower(l.c.url.Host), calls); err != nil {
		return nil, err
	}
	bearer, cached, err := l.c.bearer(r.Context())
	if err != nil {
		return nil, err
	}
	resp, err := l.next.RoundTrip(authorized(r, bearer))
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !cached || r.Body != nil && r.GetBody == nil {
		return resp, err
	}
	// The App's token was revoked before its time. GitHub has done nothing for it.
	again := r.Clone(r.Context())
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return resp, nil //nolint:nilerr // the answer that there is
		}
	}
	_ = resp.Body.Close()
	l.c.forget(bearer)
	if bearer, _, err = l.c.bearer(r.Context()); err != nil {
		return nil, err
	}
	return l.next.RoundTrip(authorized(again, bearer))
}

func authorized(r *http.Request, bearer string) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+bearer)
	return r
}

// sent is what's secret in a request: what it logs in with, and the values of
// variables. Those of secrets are sealed.
func sent(r *http.Request, body []byte) rota.Credential {
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return provider.Sent(bearer, body, func(key string) bool { return key == "value" })
}

// call makes one request. A path is relative to the API's address; out is nil or
// takes the answer.
func (c *Connection) call(ctx context.Context, a access, op, method, path string, body, out any) (*api.Response, error) {
	r, err := c.api.NewRequest(a.in(ctx), method, path, body)
	if err != nil {
		return nil, c.refuse(op, "correct the names in rota.yaml", errors.New("they don't make an address"))
	}
	resp, err := c.api.Do(r, out)
	return resp, c.fail(op, a, resp, err)
}

// pages calls list for each page until there is none.
func pages[T any](list func(api.ListOptions) ([]T, *api.Response, error)) ([]T, error) {
	return httpapi.Pages(func(page int) ([]T, int, error) {
		part, resp, err := list(api.ListOptions{Page: page, PerPage: perPage})
		if err != nil {
			return nil, 0, err
		}
		return part, resp.NextPage, nil
	})
}

const perPage = 100 // entries of a list
