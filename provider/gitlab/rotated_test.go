package gitlab_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
	"github.com/rota-dev/rota/provider/providertest"
)

// rotated are one of each kind that the next one replaces, with where the stand-in
// keeps it, and the token of a connection that may rotate it and create none.
var rotated = map[string]struct {
	gitlab.Tokens
	place, owner string
	user         int64
}{
	"project":  {gitlab.Tokens{Kind: gitlab.ProjectToken, Owner: "shop/api", TokenName: "deployer", Rotated: true}, "project shop/api", "maintainer", 0},
	"group":    {gitlab.Tokens{Kind: gitlab.GroupToken, Owner: "shop", TokenName: "deployer", Rotated: true}, "group shop", "owner", 0},
	"personal": {gitlab.Tokens{Kind: gitlab.PersonalToken, Owner: "77", TokenName: "deployer", Rotated: true}, "user 77", "the user's other one", 77},
}

// first makes the first token of a kind, as a person would.
func first(server *gitlabtest.Server, place string, user int64) rota.Credential {
	value := server.AddToken(gitlabtest.Token{Name: "deployer", Scopes: []string{"read_api", "self_rotate"}, Place: placeOf(place), UserID: user, Level: gitlabtest.Developer})
	list := server.Tokens(place)
	return rota.NewCredential(map[string]string{gitlab.FieldTokenID: fmt.Sprint(list[len(list)-1].ID), gitlab.FieldToken: value})
}

// rotates is an issuer of a kind, over a connection of its own.
func rotates(t *testing.T, name string) (*gitlabtest.Server, *gitlab.Tokens) {
	t.Helper()
	kind := rotated[name]
	server, _ := start(t)
	issuer := kind.Tokens
	issuer.Connection = connect(t, server, server.AddToken(gitlabtest.Token{Name: kind.owner, Scopes: []string{"api"}, UserID: kind.user, Level: gitlabtest.Owner}))
	return server, &issuer
}

func TestRotatedTokensConform(t *testing.T) {
	for name, kind := range rotated {
		t.Run(name, func(t *testing.T) {
			providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
				server, issuer := rotates(t, name)
				t.Cleanup(func() {
					if n := server.Reuses(); n > 0 {
						t.Errorf("%d families of tokens were revoked", n)
					}
				})
				unknown, list := "4711", "GET /access_tokens"
				if name == "personal" { // GitLab doesn't say whether others have such a token
					unknown, list = "", "GET /personal_access_tokens"
				}
				return providertest.IssuerFixture{
					Issuer: issuer, UnknownID: unknown, First: func() rota.Credential { return first(server, kind.place, kind.user) },
					Inject: server.Inject(map[string]string{"create": "POST /rotate", "list": list, "delete": "DELETE /"}),
				}
			})
		})
	}
}

// Whatever request of a rotation goes wrong, and however: no family of tokens is ever
// revoked, and one token is valid. The next attempt replaces that one, whether or not
// anybody knows its value.
func TestALostRotationIsRotatedAgain(t *testing.T) {
	for name, kind := range rotated {
		for _, fault := range []providertest.FaultKind{providertest.FailBefore, providertest.LoseReply, providertest.Repeat} {
			for n := 0; ; n++ {
				server, issuer := rotates(t, name)
				old := first(server, kind.place, kind.user)
				begun := len(server.Requests())
				server.Nth(n, "", "/", fault)
				what := fmt.Sprintf("%s, %s at request %d", name, fault, n)
				fresh, err := issuer.Create(t.Context(), rota.CreateRequest{Replaces: issuer.CredentialID(old)})
				if n >= len(server.Requests())-begun {
					break
				}
				server.Heal()
				list, listErr := issuer.List(t.Context())
				if listErr != nil || len(list) != 1 {
					t.Fatalf("%s: %+v are valid (%v)", what, list, listErr)
				}
				if err != nil {
					if c := rota.ClassOf(err); c != rota.ClassWait || errors.Is(err, rota.ErrRefused) {
						t.Errorf("%s: class %s, %v", what, c, err)
					}
					if lost := list[0].ID != issuer.CredentialID(old); lost != !server.Accepts(old.Field(gitlab.FieldToken)) || fault == providertest.FailBefore && lost {
						t.Errorf("%s: lost %v", what, lost)
					}
					if fresh, err = issuer.Create(t.Context(), rota.CreateRequest{Replaces: list[0].ID}); err != nil {
						t.Fatalf("%s: once more: %v", what, err)
					}
				}
				if err := issuer.Test(t.Context(), rota.TestRequest{Credential: fresh}); err != nil {
					t.Errorf("%s: the new one: %v", what, err)
				}
				if err := issuer.Test(t.Context(), rota.TestRequest{Credential: old}); !errors.Is(err, rota.ErrRefused) || server.Reuses() > 0 {
					t.Errorf("%s: the old one: %v, and %d families were revoked", what, err, server.Reuses())
				}
			}
		}
	}
}

// The stand-in does what GitLab's documentation warns of.
func TestWhoUsesARevokedTokenAtTheRotateEndpointLosesAll(t *testing.T) {
	server, issuer := rotates(t, "personal")
	old := first(server, "user 77", 77)
	fresh, err := issuer.Create(t.Context(), rota.CreateRequest{Replaces: issuer.CredentialID(old)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path string
		reuses       int
	}{{"GET", "/self", 0}, {"POST", "/self/rotate", 1}} {
		r, _ := http.NewRequestWithContext(t.Context(), c.method, server.URL+"/api/v4/personal_access_tokens"+c.path, nil)
		r.Header.Set("Private-Token", old.Field(gitlab.FieldToken))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized || server.Reuses() != c.reuses || server.Accepts(fresh.Field(gitlab.FieldToken)) != (c.reuses == 0) {
			t.Errorf("%s %s: %d, %d reuses", c.method, c.path, resp.StatusCode, server.Reuses())
		}
	}
}

func TestWhatCanNotBeRotated(t *testing.T) {
	for _, c := range []struct {
		name, text, hint string
		prepare          func(*testing.T, *gitlabtest.Server, *gitlab.Tokens) (replaces string)
		found            bool // before a rotation too
	}{
		{"nothing yet", "there's none yet", "rota adopt", func(*testing.T, *gitlabtest.Server, *gitlab.Tokens) string { return "" }, true},
		{"a token that's revoked", "is locked out", "rota adopt", func(t *testing.T, s *gitlabtest.Server, i *gitlab.Tokens) string {
			id := i.CredentialID(first(s, "user 77", 77))
			if err := i.Delete(t.Context(), rota.RetireRequest{CredentialID: id}); err != nil {
				t.Fatal(err)
			}
			return id
		}, true},
		{"a token of another name", "has another name", "set name back to deployer", func(_ *testing.T, s *gitlabtest.Server, i *gitlab.Tokens) string {
			id := i.CredentialID(first(s, "user 77", 77))
			i.TokenName = "renamed"
			return id
		}, true},
		{"the connection's own token", "the connection itself", "another token", func(t *testing.T, s *gitlabtest.Server, i *gitlab.Tokens) string {
			own := s.AddToken(gitlabtest.Token{Name: "deployer", Scopes: []string{"api"}, UserID: 77})
			i.Connection = connect(t, s, own)
			list := s.Tokens("user 77")
			return fmt.Sprint(list[len(list)-1].ID)
		}, true},
		{"another user's token", "401", "another one of that user", func(t *testing.T, s *gitlabtest.Server, i *gitlab.Tokens) string {
			id := i.CredentialID(first(s, "user 77", 77))
			i.Connection = connect(t, s, s.AddToken(gitlabtest.Token{Name: "stranger", Scopes: []string{"api"}, UserID: 78}))
			return id
		}, true},
		{"a token of an older GitLab", "lets a rotated token last a week only", "16.6 or later", func(_ *testing.T, s *gitlabtest.Server, i *gitlab.Tokens) string {
			s.BeOlder()
			return i.CredentialID(first(s, "user 77", 77))
		}, true},
		{"a token that would be valid for too long", "Expiration date", "expires_after", func(_ *testing.T, s *gitlabtest.Server, i *gitlab.Tokens) string {
			i.ExpiresAfter = 390 * rota.Day
			return i.CredentialID(first(s, "user 77", 77))
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, issuer := rotates(t, "personal")
			id := c.prepare(t, server, issuer)
			before := fmt.Sprint(server.Tokens("user 77"))
			_, err := issuer.Create(t.Context(), rota.CreateRequest{Replaces: id})
			if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), c.text) || !strings.Contains(rota.Hint(rota.RemediesOf(err)), c.hint) {
				t.Errorf("got %v (%s)", err, rota.Hint(rota.RemediesOf(err)))
			}
			bad := false
			for _, f := range issuer.Preflight(t.Context()) {
				bad = bad || !f.OK && !f.Warning && len(f.Remedies) > 0
			}
			if bad != c.found {
				t.Errorf("before a rotation: %+v", issuer.Preflight(t.Context()))
			}
			if after := fmt.Sprint(server.Tokens("user 77")); strings.Count(after, "deployer") != strings.Count(before, "deployer") {
				t.Errorf("something was rotated: %s", after)
			}
		})
	}
}
