package gitlab_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
	"github.com/rota-dev/rota/provider/providertest"
)

// issuers are one of each kind, with where the stand-in keeps its tokens.
var issuers = map[string]struct {
	gitlab.Tokens
	place string
}{
	"project": {gitlab.Tokens{Kind: gitlab.ProjectToken, Owner: "shop/api", TokenName: "deployer", Scopes: []string{"read_api"}, Role: "developer"}, "project shop/api"},
	"group":   {gitlab.Tokens{Kind: gitlab.GroupToken, Owner: "shop", TokenName: "deployer", Scopes: []string{"read_repository"}, Role: "reporter"}, "group shop"},
	"user":    {gitlab.Tokens{Kind: gitlab.PersonalToken, Owner: "77", TokenName: "deployer", Scopes: []string{"api"}}, "user 77"},
	"trigger": {gitlab.Tokens{Kind: gitlab.TriggerToken, Owner: "shop/api", TokenName: "deployer"}, ""},
}

// count is how many tokens an issuer's place has, valid or not.
func count(server *gitlabtest.Server, place string) int {
	if place == "" {
		return len(server.Triggers("shop/api"))
	}
	return len(server.Tokens(place))
}

func TestTheIssuersConform(t *testing.T) {
	for name, kind := range issuers {
		t.Run(name, func(t *testing.T) {
			providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
				server, connection := start(t)
				issuer := kind.Tokens
				issuer.Connection = connection
				route := map[string]string{"project": "/projects/", "group": "/groups/", "user": "personal_access_tokens", "trigger": "/triggers"}[name]
				test := "GET /self"
				if name == "trigger" {
					test = "POST /trigger/pipeline"
				}
				return providertest.IssuerFixture{
					Issuer: &issuer, UnknownID: "4711",
					Inject: server.Inject(map[string]string{"create": "POST " + route, "test": test, "list": "GET " + route, "delete": "DELETE " + route}),
					Use: func(t *testing.T, c rota.Credential) {
						if name != "trigger" {
							if err := issuer.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
								t.Fatal(err)
							}
							return
						}
						p := gitlab.Pipeline{Connection: connection, Project: "shop/api", Ref: "main", TriggerToken: c.Field(gitlab.FieldToken), Poll: time.Millisecond}
						if err := p.Reload(t.Context(), rota.ReloadRequest{}); err != nil {
							t.Fatal(err)
						}
					},
				}
			})
		})
	}
}

// Whatever request of a token's life goes wrong, and however: at most one token more
// than before exists, the other ones stay valid, and the life goes on.
func TestAFaultAtAnyRequestOfATokensLife(t *testing.T) {
	for name, kind := range issuers {
		for _, fault := range []providertest.FaultKind{providertest.FailBefore, providertest.LoseReply} {
			for n := 0; ; n++ {
				server, connection := start(t)
				issuer := kind.Tokens
				issuer.Connection = connection
				old, err := issuer.Create(t.Context(), rota.CreateRequest{})
				if err != nil {
					t.Fatal(err)
				}
				begun := len(server.Requests())
				server.Nth(n, "", "/", fault)
				what := fmt.Sprintf("%s, %s at request %d", name, fault, n)
				fresh, err := issuer.Create(t.Context(), rota.CreateRequest{})
				if had := count(server, kind.place); had > 2 || err == nil && had != 2 {
					t.Errorf("%s: %d tokens after %v", what, had, err)
				}
				if err != nil {
					if fresh, err = issuer.Create(t.Context(), rota.CreateRequest{}); err != nil {
						t.Fatalf("%s: create, asked for again: %v", what, err)
					}
				}
				try := func(what string, f func() error) {
					if err := f(); err != nil {
						if errors.Is(err, rota.ErrRefused) {
							t.Errorf("%s: a good token is refused", what)
						}
						if err := f(); err != nil {
							t.Errorf("%s, made again: %v", what, err)
						}
					}
				}
				for _, c := range []rota.Credential{fresh, old} {
					try(what+": test", func() error { return issuer.Test(t.Context(), rota.TestRequest{Credential: c}) })
				}
				try(what+": list", func() error { _, err := issuer.List(t.Context()); return err })
				try(what+": look at its use", func() error { _, err := issuer.LastUsed(t.Context(), issuer.CredentialID(old)); return err })
				try(what+": delete", func() error {
					return issuer.Delete(t.Context(), rota.RetireRequest{CredentialID: issuer.CredentialID(old)})
				})
				if err := issuer.Test(t.Context(), rota.TestRequest{Credential: fresh}); err != nil && !strings.Contains(err.Error(), "50") {
					t.Errorf("%s: afterwards the new one is refused: %v", what, err)
				}
				server.Heal()
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

func TestATokenAlwaysExpires(t *testing.T) {
	server, connection := start(t)
	now := time.Date(2026, 3, 1, 15, 0, 0, 0, time.UTC)
	server.SetNow(func() time.Time { return now })
	for length, want := range map[time.Duration]string{0: "2027-02-28", 30 * rota.Day: "2026-03-31"} {
		issuer := issuers["project"].Tokens
		issuer.Connection, issuer.ExpiresAfter, issuer.Now = connection, length, func() time.Time { return now }
		c, err := issuer.Create(t.Context(), rota.CreateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		list, err := issuer.List(t.Context())
		at := slices.IndexFunc(list, func(i rota.Issued) bool { return i.ID == issuer.CredentialID(c) })
		if err != nil || at < 0 || list[at].ExpiresAt.Format(time.DateOnly) != want {
			t.Errorf("after %s: %+v, want %s (%v)", length, list, want, err)
		}
	}
	now = now.AddDate(0, 2, 0)
	issuer := issuers["project"].Tokens
	issuer.Connection = connection
	if list, err := issuer.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("once one has expired, %d are listed (%v)", len(list), err)
	}
}

func TestTokensOfOtherNamesAreNobodysBusiness(t *testing.T) {
	server, connection := start(t)
	server.AddToken(gitlabtest.Token{Name: "another", Scopes: []string{"api"}, Place: "project shop/api"})
	server.AddToken(gitlabtest.Token{Name: "deployer", Scopes: []string{"api"}, Place: "project shop/api", Revoked: true})
	issuer := issuers["project"].Tokens
	issuer.Connection = connection
	if list, err := issuer.List(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("it lists %+v (%v)", list, err)
	}
}

// The connection's own token may be bad while the secret's is good: nobody may take
// that for a refusal of the secret's.
func TestABadConnectionIsNoRefusal(t *testing.T) {
	server, _ := start(t)
	developer := server.AddToken(gitlabtest.Token{Name: "developer", Scopes: []string{"api"}, Level: gitlabtest.Developer})
	for name, kind := range issuers {
		for token, want := range map[string]string{"glpat-wrong-token": "the connection's token is not valid", developer: "403"} {
			issuer := kind.Tokens
			issuer.Connection = connect(t, server, token)
			_, createErr := issuer.Create(t.Context(), rota.CreateRequest{})
			_, listErr := issuer.List(t.Context())
			for op, err := range map[string]error{"create": createErr, "list": listErr, "delete": issuer.Delete(t.Context(), rota.RetireRequest{CredentialID: "1"})} {
				if err == nil || errors.Is(err, rota.ErrRefused) || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), want) || len(rota.RemediesOf(err)) == 0 || !strings.HasPrefix(err.Error(), "gitlab test: ") {
					t.Errorf("%s of a %s token: %v", op, name, err)
				}
			}
		}
	}
}

// After its name was changed in rota.yaml, a token isn't in the list anymore. It isn't
// gone, and nothing says that it's unused.
func TestATokenOfAnotherNameIsNotEnded(t *testing.T) {
	for name, kind := range issuers {
		server, connection := start(t)
		issuer := kind.Tokens
		issuer.Connection = connection
		c, err := issuer.Create(t.Context(), rota.CreateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		renamed := issuer
		renamed.TokenName = "another"
		if err := renamed.Delete(t.Context(), rota.RetireRequest{CredentialID: issuer.CredentialID(c)}); rota.ClassOf(err) != rota.ClassStop || !server.Accepts(c.Field(gitlab.FieldToken)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A project that was moved, or that Rota's token may not see any more, is answered like a
// token that's gone.
func TestATokenInAProjectThatCantBeSeenIsNotTakenForGone(t *testing.T) {
	for name, kind := range issuers {
		if kind.Kind != gitlab.ProjectToken && kind.Kind != gitlab.TriggerToken {
			continue
		}
		server, connection := start(t)
		issuer := kind.Tokens
		issuer.Connection = connection
		c, err := issuer.Create(t.Context(), rota.CreateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		moved := issuer
		moved.Owner = "shop/moved"
		if err := moved.Delete(t.Context(), rota.RetireRequest{CredentialID: issuer.CredentialID(c)}); err == nil || !server.Accepts(c.Field(gitlab.FieldToken)) {
			t.Errorf("%s: the token still works, and deleting it says %v", name, err)
		}
	}
}
