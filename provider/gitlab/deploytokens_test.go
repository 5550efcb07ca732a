package gitlab_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
	"github.com/rota-dev/rota/provider/providertest"
)

// deployers are deploy tokens of each level, with where the stand-in keeps them.
var deployers = map[string]gitlab.DeployTokens{
	"project shop/api": {Level: gitlab.LevelProject, Owner: "shop/api", TokenName: "puller", Scopes: []string{"read_repository", "read_registry"}},
	"group shop":       {Level: gitlab.LevelGroup, Owner: "shop", TokenName: "puller", Username: "shop-puller", Scopes: []string{"read_package_registry"}},
}

const version = "11111111-2222-3333-4444-555555555555"

func TestDeployTokensConform(t *testing.T) {
	for place, kind := range deployers {
		t.Run(place, func(t *testing.T) {
			providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
				server, connection := start(t)
				issuer := kind
				issuer.Connection = connection
				return providertest.IssuerFixture{
					Issuer: &issuer, UnknownID: "4711", PublicFields: []string{gitlab.FieldUsername},
					Inject: server.Inject(map[string]string{"create": "POST /deploy_tokens", "test": "GET /jwt/auth", "list": "GET /deploy_tokens", "delete": "DELETE /deploy_tokens"}),
				}
			})
		})
	}
}

// Whatever request of a deploy token's life goes wrong, and however: at most one token
// more than before exists, the other ones stay valid, and the life goes on.
func TestAFaultAtAnyRequestOfADeployTokensLife(t *testing.T) {
	for place, kind := range deployers {
		for _, fault := range []providertest.FaultKind{providertest.FailBefore, providertest.LoseReply} {
			for n := 0; ; n++ {
				server, connection := start(t)
				issuer := kind
				issuer.Connection = connection
				old, err := issuer.Create(t.Context(), rota.CreateRequest{})
				if err != nil {
					t.Fatal(err)
				}
				begun := len(server.Requests())
				server.Nth(n, "", "/", fault)
				what := fmt.Sprintf("%s, %s at request %d", place, fault, n)
				fresh, err := issuer.Create(t.Context(), rota.CreateRequest{Version: version})
				if had := len(server.DeployTokens(place)); had > 2 || err == nil && had != 2 {
					t.Errorf("%s: %d tokens after %v", what, had, err)
				}
				if err != nil {
					list, listErr := issuer.List(t.Context())
					made := slices.ContainsFunc(list, func(i rota.Issued) bool { return i.Mark == version })
					if listErr != nil || made != (fault == providertest.LoseReply) {
						t.Errorf("%s: the list shows the version's token: %v (%v)", what, made, listErr)
					}
					if fresh, err = issuer.Create(t.Context(), rota.CreateRequest{}); err != nil {
						t.Fatalf("%s: create, asked for again: %v", what, err)
					}
				}
				try := func(step string, f func() error) {
					if err := f(); err != nil {
						if errors.Is(err, rota.ErrRefused) {
							t.Errorf("%s: %s: a good token is refused", what, step)
						}
						if err := f(); err != nil {
							t.Errorf("%s: %s, made again: %v", what, step, err)
						}
					}
				}
				for _, c := range []rota.Credential{fresh, old} {
					try("test", func() error { return issuer.Test(t.Context(), rota.TestRequest{Credential: c}) })
				}
				try("list", func() error { _, err := issuer.List(t.Context()); return err })
				try("delete", func() error {
					return issuer.Delete(t.Context(), rota.RetireRequest{CredentialID: issuer.CredentialID(old)})
				})
				server.Heal()
				if err := issuer.Test(t.Context(), rota.TestRequest{Credential: fresh}); err != nil {
					t.Errorf("%s: afterwards the new one is refused: %v", what, err)
				}
				if err := issuer.Test(t.Context(), rota.TestRequest{Credential: old}); !errors.Is(err, rota.ErrRefused) {
					t.Errorf("%s: afterwards the old one gets %v", what, err)
				}
				if n >= len(server.Requests())-begun {
					break
				}
			}
		}
	}
}

// What the login is answered depends on the scopes and on the instance. Only a wrong
// pair is a refusal.
func TestADeployTokenProvesItself(t *testing.T) {
	for _, c := range []struct {
		name, place string
		registry    bool
		scopes, has []string // in rota.yaml, and at GitLab
		text        string   // of the error
	}{
		{"the registry's", "project shop/api", true, []string{"read_registry"}, nil, ""},
		{"the registry's, where there is none", "project shop/api", false, []string{"read_registry"}, nil, ""},
		{"packages'", "project shop/api", true, []string{"read_package_registry"}, nil, ""},
		{"a repository's", "project shop/api", true, []string{"read_repository"}, nil, ""},
		{"a group's repositories'", "group shop", true, []string{"read_repository"}, nil, ""},
		{"one made for less: the registry", "project shop/api", true, []string{"read_registry"}, []string{"read_repository"}, "its scopes aren't for the registry"},
		{"one made for less: the repository", "project shop/api", true, []string{"read_repository"}, []string{"read_registry"}, "it can't read the repository"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, connection := start(t)
			server.SetRegistry(c.registry)
			level, owner, _ := strings.Cut(c.place, " ")
			made := server.AddDeployToken(gitlabtest.DeployToken{Name: "puller", Place: c.place, Scopes: slices.Concat(c.has, map[bool][]string{true: c.scopes}[c.has == nil])})
			for _, owner := range []string{owner, map[string]string{"shop/api": "1", "shop": "shop"}[owner]} {
				issuer := &gitlab.DeployTokens{Connection: connection, Level: gitlab.Level(level), Owner: owner, TokenName: "puller", Scopes: c.scopes}
				whole := issuer.Complete(rota.NewCredential(map[string]string{gitlab.FieldTokenID: fmt.Sprint(made.ID), gitlab.FieldToken: made.Value}))
				err := issuer.Test(t.Context(), rota.TestRequest{Credential: whole})
				if c.text == "" && err != nil || c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text) || errors.Is(err, rota.ErrRefused) || len(rota.RemediesOf(err)) == 0) {
					t.Errorf("of %s: got %v", owner, err)
				}
				for field, value := range map[string]string{gitlab.FieldUsername: "somebody-else", gitlab.FieldToken: "gldt-wrong-token-0000"} {
					wrong := whole.Fields()
					wrong[field] = value
					if err := issuer.Test(t.Context(), rota.TestRequest{Credential: rota.NewCredential(wrong)}); !errors.Is(err, rota.ErrRefused) {
						t.Errorf("with a wrong %s: %v", field, err)
					}
				}
			}
		})
	}
}

// A page for people, a proxy, or GitLab's ban of an address for failed logins says
// nothing about the token.
func TestWhatIsNoRegistryLoginIsNoRefusal(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a login page":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>log in</html>")) },
		"a proxy's 401": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who are you?", http.StatusUnauthorized) },
		"a ban":         func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Forbidden", http.StatusForbidden) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/users/sign_in", http.StatusFound)
		},
		"trouble": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "502", http.StatusBadGateway) },
	} {
		server := httptest.NewServer(answer)
		t.Cleanup(server.Close)
		issuer := deployers["group shop"]
		var err error
		if issuer.Connection, err = gitlab.New("test", gitlab.Config{URL: server.URL, Token: "glpat-0", Budget: providertest.Unlimited{}}); err != nil {
			t.Fatal(err)
		}
		err = issuer.Test(t.Context(), rota.TestRequest{Credential: rota.NewCredential(map[string]string{gitlab.FieldTokenID: "7", gitlab.FieldUsername: "shop-puller", gitlab.FieldToken: "gldt-secret-value-1"})})
		if err == nil || errors.Is(err, rota.ErrRefused) || rota.ClassOf(err) != rota.ClassWait || !strings.HasPrefix(err.Error(), "gitlab test: ") || len(rota.RemediesOf(err)) == 0 || strings.Contains(err.Error(), "gldt-secret") {
			t.Errorf("%s: %v (%s)", name, err, rota.Hint(rota.RemediesOf(err)))
		}
	}
}

func TestDeployTokensAlwaysExpireAndExpiredOnesAreNotListed(t *testing.T) {
	server, connection := start(t)
	now := time.Date(2026, 3, 1, 15, 0, 0, 0, time.UTC)
	server.SetNow(func() time.Time { return now })
	issuer := deployers["project shop/api"]
	issuer.Connection, issuer.ExpiresAfter, issuer.Now = connection, 30*rota.Day, func() time.Time { return now }
	if _, err := issuer.Create(t.Context(), rota.CreateRequest{Version: version}); err != nil {
		t.Fatal(err)
	}
	server.AddDeployToken(gitlabtest.DeployToken{Name: "puller-of-another", Place: "project shop/api", Scopes: issuer.Scopes})
	server.AddDeployToken(gitlabtest.DeployToken{Name: "puller", Place: "project shop/api", Scopes: issuer.Scopes, Revoked: true})
	list, err := issuer.List(t.Context())
	if err != nil || len(list) != 1 || list[0].ExpiresAt.Format(time.DateOnly) != "2026-03-31" || list[0].Mark != version || !list[0].Active {
		t.Errorf("it lists %+v (%v)", list, err)
	}
	now = now.AddDate(0, 2, 0)
	if list, err := issuer.List(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("once it has expired: %+v (%v)", list, err)
	}
}

// After its name was changed in rota.yaml, a token isn't in the list anymore. It isn't
// gone, and nothing says that it's unused.
func TestADeployTokenOfAnotherNameIsNotDeleted(t *testing.T) {
	for place, kind := range deployers {
		server, connection := start(t)
		issuer := kind
		issuer.Connection = connection
		c, err := issuer.Create(t.Context(), rota.CreateRequest{Version: version})
		if err != nil {
			t.Fatal(err)
		}
		issuer.TokenName = "another"
		if err := issuer.Delete(t.Context(), rota.RetireRequest{CredentialID: issuer.CredentialID(c)}); rota.ClassOf(err) != rota.ClassStop || len(rota.RemediesOf(err)) == 0 || len(server.DeployTokens(place)) != 1 {
			t.Errorf("%s: %v", place, err)
		}
	}
}

func TestADeployTokenInAProjectThatCantBeSeenIsNotTakenForGone(t *testing.T) {
	const place = "project shop/api"
	server, connection := start(t)
	issuer := deployers[place]
	issuer.Connection = connection
	c, err := issuer.Create(t.Context(), rota.CreateRequest{Version: version})
	if err != nil {
		t.Fatal(err)
	}
	issuer.Owner = "shop/moved"
	if err := issuer.Delete(t.Context(), rota.RetireRequest{CredentialID: issuer.CredentialID(c)}); err == nil || len(server.DeployTokens(place)) != 1 {
		t.Errorf("the token is still there, and deleting it says %v", err)
	}
}
