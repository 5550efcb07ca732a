package gitlab_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
	"github.com/rota-dev/rota/provider/providertest"
)

// start gives a GitLab, which is a stand-in, and an administrator's connection to
// it.
func start(t *testing.T) (*gitlabtest.Server, *gitlab.Connection) {
	t.Helper()
	server := gitlabtest.New()
	t.Cleanup(server.Close)
	return server, connect(t, server, gitlabtest.AdminToken)
}

func connect(t *testing.T, server *gitlabtest.Server, token string) *gitlab.Connection {
	t.Helper()
	return dial(t, gitlab.Config{URL: server.URL, Token: token})
}

// connectAt is the administrator's connection by another clock.
func connectAt(t *testing.T, server *gitlabtest.Server, now func() time.Time) *gitlab.Connection {
	t.Helper()
	return dial(t, gitlab.Config{URL: server.URL, Token: gitlabtest.AdminToken, Now: now})
}

func dial(t *testing.T, cfg gitlab.Config) *gitlab.Connection {
	t.Helper()
	cfg.Budget = providertest.Unlimited{}
	c, err := gitlab.New("test", cfg)
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

// pair are the variables of an access key.
var pair = map[string]string{"AWS_ACCESS_KEY_ID": rota.FieldAccessKeyID, "AWS_SECRET_ACCESS_KEY": rota.FieldSecretAccessKey}

func TestTheTargetConforms(t *testing.T) {
	project := gitlab.Place{Level: gitlab.LevelProject, ID: "shop/api", Environment: "*"}
	for _, c := range []struct {
		name  string
		place string // in the stand-in
		make  func(*testing.T) *gitlab.Variables
	}{
		{"a file of a project", "project shop/api", func(*testing.T) *gitlab.Variables {
			return &gitlab.Variables{Place: project, File: "KEY"}
		}},
		{"a hidden file", "project shop/api", func(*testing.T) *gitlab.Variables {
			return &gitlab.Variables{Place: project, File: "KEY", Visibility: gitlab.Hidden}
		}},
		{"a pair of a project", "project shop/api", func(t *testing.T) *gitlab.Variables {
			return &gitlab.Variables{Place: project, Fields: fields(t, pair)}
		}},
		{"a pair of a group's environment", "group shop", func(t *testing.T) *gitlab.Variables {
			return &gitlab.Variables{Place: gitlab.Place{Level: gitlab.LevelGroup, ID: "shop", Environment: "production"}, Fields: fields(t, pair)}
		}},
		{"a pair of the instance", "instance", func(t *testing.T) *gitlab.Variables {
			return &gitlab.Variables{Place: gitlab.Place{Level: gitlab.LevelInstance}, Fields: fields(t, pair)}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
				server, connection := start(t)
				target := c.make(t)
				target.Target, target.Connection = "ci", connection
				between := &between{Variables: target}
				f := providertest.TargetFixture{Target: between, Inject: server.Inject(map[string]string{"deliver": http.MethodPut + " /variables/"}), Writes: server.Writes}
				if c.place == "instance" {
					target.NoWait = true
				}
				if target.Visibility == gitlab.Hidden {
					f.Writes = nil // what GitLab doesn't show is written again
				}
				f.Read = func() (rota.Credential, bool, error) {
					if target.File == "" {
						between.mu.Lock()
						defer between.mu.Unlock()
					}
					return whole(server, c.place)
				}
				return f
			})
		})
	}
}

// between keeps readers out of a delivery: GitLab writes one variable at a time. It
// shows that what a delivery leaves behind is whole, however it ended.
type between struct {
	*gitlab.Variables
	mu sync.Mutex
}

func (b *between) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Variables.Deliver(ctx, r)
}

// whole is the credential in a place's variables.
func whole(server *gitlabtest.Server, place string) (rota.Credential, bool, error) {
	values := map[string]string{}
	for _, v := range server.Variables(place) {
		values[v.Key] = *v.Value
	}
	if text, ok := values["KEY"]; ok {
		var m map[string]string
		err := json.Unmarshal([]byte(text), &m)
		return rota.NewCredential(m), true, err
	}
	f, err := rota.ParseFieldMap(pair, nil)
	return f.Read(values), len(values) > 0, err
}
