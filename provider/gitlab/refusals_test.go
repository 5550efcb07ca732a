package gitlab_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
)

// GitLab answers 400 to many things. Its own words say which, and each has a remedy.
func TestEachRefusalHasItsRemedy(t *testing.T) {
	says := func(body any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(body)
		}
	}
	message := func(m any) http.HandlerFunc { return says(map[string]any{"message": m}) }
	for _, c := range []struct {
		variable bool
		answer   http.HandlerFunc
		hint     string
	}{
		{false, message(map[string][]string{"expires_at": {"must be before 2026-06-01"}}), "set expires_after to less"},
		{false, message("Expiration date must be before 2026-06-01"), "set expires_after to less"},
		{false, message("User does not have permission to create project access token"), "give connection test a user's personal access token"},
		{false, message("Access level of the token can't be greater the access level of the user who created the token"), "choose a role that isn't above"},
		{false, message("Scopes can only contain available scopes"), "correct scopes"},
		{false, says(map[string]string{"error": "scopes does not have a valid value"}), "correct scopes"},
		{false, message(map[string][]string{"name": {"is too long (maximum is 255 characters)"}}), "correct name"},
		{false, message("something new"), "correct the issuer's name, scopes, role and expires_after"},
		{true, message(map[string][]string{"base": {"Maximum number of project ci variables (8000) exceeded"}}), "delete variables that nobody needs"},
		{true, message(map[string][]string{"key": {"(KEY) has already been taken"}}), "look for another variable of this name"},
		{true, message(map[string][]string{"value": {"is invalid"}}), "under unmasked"},
		{true, message(map[string][]string{"environment_scope": {"can contain only letters, digits"}}), "correct environment"},
		{true, message(map[string][]string{"base": {"The visibility setting cannot be changed for masked and hidden variables."}}), "visibility: masked"},
		{true, message("something new"), "correct the target's variables"},
	} {
		server, connection := start(t)
		server.Answer("POST", "/", c.answer)
		issuer := issuers["project"].Tokens
		issuer.Connection = connection
		var err error
		if c.variable {
			err = deliver(t.Context(), &gitlab.Variables{Target: "ci", Connection: connection, Place: shopAPI, Fields: fields(t, pair)}, key(1))
		} else {
			_, err = issuer.Create(t.Context(), rota.CreateRequest{})
		}
		if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.HasPrefix(err.Error(), "gitlab test: ") || !strings.Contains(rota.Hint(rota.RemediesOf(err)), c.hint) {
			t.Errorf("want %q: got %v (%s)", c.hint, err, rota.Hint(rota.RemediesOf(err)))
		}
	}
}

func TestAnIssuersOwnRefusalsComeFromTheStandInToo(t *testing.T) {
	server, connection := start(t)
	issuer := issuers["project"].Tokens
	issuer.Connection, issuer.ExpiresAfter = connection, 380*rota.Day
	if _, err := issuer.Create(t.Context(), rota.CreateRequest{}); err == nil || !strings.Contains(rota.Hint(rota.RemediesOf(err)), "expires_after") {
		t.Errorf("a token that's valid for too long: %v (%s)", err, rota.Hint(rota.RemediesOf(err)))
	}
	reader := server.AddToken(gitlabtest.Token{Name: "reader", Scopes: []string{"read_api"}, Level: gitlabtest.Maintainer})
	issuer.Connection, issuer.ExpiresAfter = connect(t, server, reader), 30*rota.Day
	if _, err := issuer.Create(t.Context(), rota.CreateRequest{}); err == nil || !strings.Contains(rota.Hint(rota.RemediesOf(err)), "a token with the scope api: a token's scopes can't be changed") {
		t.Errorf("a connection's token without the scope: %v (%s)", err, rota.Hint(rota.RemediesOf(err)))
	}
}

// What answers in GitLab's place, and what a fine-grained token lacks, is named for each
// kind of list.
func TestAListThatIsNoAnswerOrRefused(t *testing.T) {
	for _, c := range []struct {
		status     int
		body       string
		text, hint string
	}{
		{200, "<html>sign in</html>", "the answer could not be read", "not to a proxy or a login page"},
		{200, `{"token": "glpat-value"}`, "the answer could not be read", "not to a proxy or a login page"},
		{403, `{"error":"insufficient_granular_scope","error_description":"the permission Read Token is missing"}`, "Read Token", "the permission that GitLab names"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		connection := dial(t, gitlab.Config{URL: server.URL, Token: gitlabtest.AdminToken})
		for name, kind := range issuers {
			issuer := kind.Tokens
			issuer.Connection = connection
			_, err := issuer.List(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(rota.Hint(rota.RemediesOf(err)), c.hint) || strings.Contains(err.Error(), "glpat") {
				t.Errorf("%s: %v (%s)", name, err, rota.Hint(rota.RemediesOf(err)))
			}
		}
		_, err := (&gitlab.DeployTokens{Connection: connection, Level: gitlab.LevelProject, Owner: "shop/api", TokenName: "puller"}).List(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(rota.Hint(rota.RemediesOf(err)), c.hint) {
			t.Errorf("deploy tokens: %v (%s)", err, rota.Hint(rota.RemediesOf(err)))
		}
		server.Close()
	}
}

// Only valid tokens of the name are asked for, so that old ones don't add up to more
// than Rota reads. An older GitLab lists all, and Rota picks.
func TestListsAskForWhatIsValid(t *testing.T) {
	for _, older := range []bool{false, true} {
		for name, kind := range issuers {
			server, connection := start(t)
			if older {
				server.BeOlder()
			}
			for n := range 120 {
				server.AddToken(gitlabtest.Token{Name: "deployer", Scopes: []string{"api"}, Place: placeOf(kind.place), UserID: 77, Revoked: n%2 == 0, Expires: time.Now().AddDate(0, 0, 3*(n%2)-1)})
				server.AddToken(gitlabtest.Token{Name: "other", Scopes: []string{"api"}, Place: placeOf(kind.place), UserID: 77})
			}
			issuer := kind.Tokens
			issuer.Connection = connection
			begun := len(server.Requests())
			list, err := issuer.List(t.Context())
			if calls := len(server.Requests()) - begun; name != "trigger" && (err != nil || len(list) != 60 || !older && calls != 1) {
				t.Errorf("%s, older %v: %d tokens by %d requests (%v)", name, older, len(list), calls, err)
			}
		}
	}
}

func placeOf(place string) string {
	if strings.HasPrefix(place, "user ") {
		return ""
	}
	return place
}
