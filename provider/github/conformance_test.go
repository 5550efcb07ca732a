package github_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/github"
	"github.com/rota-dev/rota/provider/github/githubtest"
	"github.com/rota-dev/rota/provider/providertest"
)

// start gives a GitHub, which is a stand-in, and a connection to it that may do
// everything.
func start(t *testing.T) (*githubtest.Server, *github.Connection) {
	t.Helper()
	server := githubtest.New()
	t.Cleanup(server.Close)
	return server, connect(t, server, github.Config{Token: githubtest.AdminToken})
}

func connect(t *testing.T, server *githubtest.Server, cfg github.Config) *github.Connection {
	t.Helper()
	cfg.URL, cfg.Budget = server.API(), providertest.Unlimited{}
	c, err := github.New("test", cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func fields(t *testing.T, m map[string]string) rota.FieldMap {
	t.Helper()
	f, err := rota.ParseFieldMap(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// pair are the secrets of an access key.
var pair = map[string]string{"AWS_ACCESS_KEY_ID": rota.FieldAccessKeyID, "AWS_SECRET_ACCESS_KEY": rota.FieldSecretAccessKey}

var (
	shopAPI    = github.Place{Owner: "shop", Repository: "api"}
	production = github.Place{Owner: "shop", Repository: "api", Environment: "production"}
	shop       = github.Place{Owner: "shop"}
)

func TestTheTargetConforms(t *testing.T) {
	for _, c := range []struct {
		name, place string // in the stand-in
		target      func(*testing.T) *github.Secrets
	}{
		{"a document of a repository", "actions shop/api", func(*testing.T) *github.Secrets { return &github.Secrets{Place: shopAPI, Document: "KEY"} }},
		{"a pair of an environment", "environment shop/api production", func(t *testing.T) *github.Secrets {
			return &github.Secrets{Place: production, Fields: fields(t, pair)}
		}},
		{"a pair of an organization", "actions shop", func(t *testing.T) *github.Secrets {
			return &github.Secrets{Place: shop, Fields: fields(t, pair)}
		}},
		{"a pair for Dependabot", "dependabot shop", func(t *testing.T) *github.Secrets {
			return &github.Secrets{Place: shop, UsedBy: github.Dependabot, Fields: fields(t, pair), Visibility: "selected"}
		}},
		{"a document for codespaces", "codespaces shop/api", func(*testing.T) *github.Secrets {
			return &github.Secrets{Place: shopAPI, UsedBy: github.Codespaces, Document: "KEY"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
				server, connection := start(t)
				target := c.target(t)
				target.Target, target.Connection, target.Pause = "ci", connection, time.Millisecond
				between := &between{Secrets: target}
				return providertest.TargetFixture{
					Target: between, Inject: server.Inject(map[string]string{"deliver": http.MethodPut + " /secrets/"}),
					Read: func() (rota.Credential, bool, error) {
						between.mu.Lock()
						defer between.mu.Unlock()
						return whole(server, c.place)
					},
				}
			})
		})
	}
}

// between keeps readers out of a delivery: GitHub writes one secret at a time. It
// shows that what a delivery leaves behind is whole, however it ended.
type between struct {
	*github.Secrets
	mu sync.Mutex
}

func (b *between) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Secrets.Deliver(ctx, r)
}

// whole is the credential in a place's secrets, as a job would get it.
func whole(server *githubtest.Server, place string) (rota.Credential, bool, error) {
	values := map[string]string{}
	for _, s := range server.Secrets(place) {
		values[s.Name] = s.Value
	}
	if text, ok := values["KEY"]; ok {
		var m map[string]string
		err := json.Unmarshal([]byte(text), &m)
		return rota.NewCredential(m), true, err
	}
	f, err := rota.ParseFieldMap(pair, nil)
	return f.Read(values), len(values) > 0, err
}
