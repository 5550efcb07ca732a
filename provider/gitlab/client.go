package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

const (
	// DefaultURL is GitLab's own instance.
	DefaultURL = "https://gitlab.com"

	requestTimeout = 30 * time.Second // the context's deadline can be earlier

	exampleURL = "https://gitlab.example.com"
)

// calls is well below the least that GitLab.com allows an authenticated user.
var calls = rota.Rate{PerSecond: 10, Burst: 20}

// Config is a GitLab instance, and Rota's token for it.
type Config struct {
	// URL is the instance's, such as "https://gitlab.example.com". Defaults to
	// [DefaultURL].
	URL string
	// Token is a personal, project or group access token with the scope api.
	Token string
	// Certificates are the authorities to trust, and the client's own certificate.
	Certificates provider.Certificates
	// Budget rate-limits the calls to the instance. Defaults to a budget for this
	// connection alone.
	Budget rota.Budget
	// Now is Rota's clock. Defaults to time.Now.
	Now func() time.Time
	// Reach decides which addresses may be reached; nil for all.
	Reach provider.Reach
}

// Connection is one login at a GitLab instance. It's safe for concurrent use.
type Connection struct {
	name   string
	url    *url.URL
	http   *http.Client
	clock  *provider.Clock
	budget rota.Budget
	api    *api.Client
}

// New returns a connection. Errors show its name as "gitlab <name>". It makes no
// calls.
func New(name string, cfg Config) (*Connection, error) {
	u, err := provider.ParseAddress(strings.TrimSuffix(cmp.Or(cfg.URL, DefaultURL), "/"), exampleURL)
	if err != nil {
		return nil, fmt.Errorf("gitlab %s: url: %w", name, err)
	}
	if cfg.Token == "" {
		return nil, rota.WithRemedies(fmt.Errorf("gitlab %s: the token is empty", name), rota.Outside("give the connection an access token with the scope api"))
	}
	c := &Connection{name: name, url: u, budget: cfg.Budget}
	if c.http, err = provider.NewHTTPClient(cfg.Certificates, cfg.Reach, requestTimeout, sent); err != nil {
		return nil, fmt.Errorf("gitlab %s: %w", name, err)
	}
	c.clock = &provider.Clock{RoundTripper: c.http.Transport, Now: cfg.Now}
	c.http.Transport = c.clock
	if c.budget == nil {
		c.budget = rota.NewLocalBudget()
	}
	c.api, err = c.as(cfg.Token)
	return c, err
}

// as returns a client that logs in with a token.
func (c *Connection) as(token string) (*api.Client, error) {
	client, err := api.NewClient(token,
		api.WithBaseURL(c.url.String()), api.WithHTTPClient(c.http), api.WithoutRetries(), api.WithCustomRetryMax(0),
		api.WithCustomLimiter(limiter{c}), api.WithUserAgent("rota"), api.WithURLWarningLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, c.refuse("make a client", "correct the connection's url", errors.New("the address can't be used"))
	}
	return client, nil
}

// limiter makes the client wait for the instance's budget. Without one, the client
// would configure its own from the first answer, which isn't safe for concurrent
// use.
type limiter struct{ c *Connection }

func (l limiter) Wait(ctx context.Context) error {
	return l.c.budget.Take(ctx, "gitlab "+strings.ToLower(l.c.url.Host), calls)
}

// system is the connection's name in errors.
func (c *Connection) system() string { return "gitlab " + c.name }

// with makes a request end with its context.
func with(ctx context.Context) api.RequestOptionFunc { return api.WithContext(ctx) }

// pages calls list for each page until there is none.
func pages[T any](list func(page int64) ([]T, *api.Response, error)) ([]T, error) {
	return httpapi.Pages(func(page int) ([]T, int, error) {
		part, resp, err := list(int64(page))
		if err != nil {
			return nil, 0, err
		}
		return part, int(resp.NextPage), nil
	})
}

const perPage = 100 // entries of a list

// DefaultBranch is that of a project, given by its path or number.
func (c *Connection) DefaultBranch(ctx context.Context, project string) (string, error) {
	one, resp, err := c.api.Projects.GetProject(project, nil, with(ctx))
	if err := c.fail("find the default branch of project "+project, needPipeline, resp, err); err != nil {
		return "", err
	}
	if one.DefaultBranch == "" {
		return "", c.refuse("find the default branch of project "+project, "push a branch with a .gitlab-ci.yml that deploys", errors.New("it has none"))
	}
	return one.DefaultBranch, nil
}
