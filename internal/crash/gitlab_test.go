package crash

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/rotation"
)

func TestGitLabTokensThroughEveryFault(t *testing.T) {
	t.Parallel()
	matrix(t, "GitLab tokens", 32,
		lifeOf("project access token", "project shop/api", projectTokens),
		lifeOf("group access token", "group shop", gitlab.Tokens{Kind: gitlab.GroupToken, Owner: "shop", Scopes: []string{"read_repository"}, Role: "reporter"}),
		lifeOf("personal access token", "user 77", gitlab.Tokens{Kind: gitlab.PersonalToken, Owner: "77", Scopes: []string{"api"}}),
		lifeOf("pipeline trigger token", "", gitlab.Tokens{Kind: gitlab.TriggerToken, Owner: "shop/api"}),
	)
}

func TestGitLabDeployTokensThroughEveryFault(t *testing.T) {
	t.Parallel()
	var lives []life
	for _, tokens := range []gitlab.DeployTokens{
		{Level: gitlab.LevelProject, Owner: "shop/api", TokenName: "puller", Scopes: []string{"read_repository", "read_registry"}},
		{Level: gitlab.LevelGroup, Owner: "shop", TokenName: "puller", Username: "shop-puller", Scopes: []string{"read_package_registry"}},
	} {
		lives = append(lives, life{name: "a " + string(tokens.Level) + "'s deploy token", kinds: fewKinds, steps: lifeOfUnseen, build: inOwnStore(func(t testing.TB, s *scene) fixture {
			return deployTokens(t, s, tokens)
		})})
	}
	matrix(t, "GitLab deploy tokens", 16, lives...)
}

// deployTokens are those of a project or group at a stand-in for GitLab, where somebody
// else has one too.
func deployTokens(t testing.TB, s *scene, tokens gitlab.DeployTokens) fixture {
	server := gitlabtest.New()
	server.SetNow(s.w.clock)
	place := string(tokens.Level) + " " + tokens.Owner
	other := server.AddDeployToken(gitlabtest.DeployToken{Name: "other", Place: place, Scopes: []string{"read_registry"}})
	front := s.w.before(server.Config.Handler, "gitlab", gitlabOp)
	tokens.Now = s.w.clock
	return fixture{
		connect: func(_ *process, secret *rotation.Secret) (err error) {
			mine := tokens
			mine.Connection, err = gitlab.New("main", gitlab.Config{URL: front.URL, Token: gitlabtest.AdminToken, Budget: providertest.Unlimited{}, Now: s.w.clock})
			secret.Issuer = &mine
			return err
		},
		traits: tokens.Traits(), id: tokens.CredentialID, marks: true,
		works: func(c rota.Credential) (bool, error) {
			return server.AcceptsDeployToken(c.Field(gitlab.FieldUsername), c.Field(gitlab.FieldToken)), nil
		},
		exists: func() (map[string]bool, error) {
			exist := map[string]bool{}
			for _, x := range server.DeployTokens(place) {
				if strings.HasPrefix(x.Name, tokens.TokenName) {
					exist[strconv.FormatInt(x.ID, 10)] = true
				}
			}
			return exist, nil
		},
		intact: func() error {
			if !server.AcceptsDeployToken(other.Username, other.Value) {
				return errors.New("somebody else's token was deleted")
			}
			return nil
		},
		close: func() {
			front.Close()
			server.Close()
		},
	}
}

var projectTokens = gitlab.Tokens{Kind: gitlab.ProjectToken, Owner: "shop/api", Scopes: []string{"read_api"}, Role: "developer"}

// lifeOf is the life of one kind of token, where the stand-in keeps those.
func lifeOf(name, place string, tokens gitlab.Tokens) life {
	tokens.TokenName = "deployer"
	return life{name: "a " + name, kinds: fewKinds, steps: lifeOfToken, build: inOwnStore(func(t testing.TB, s *scene) fixture {
		return gitlabTokens(t, s, place, tokens)
	})}
}

// gitlabTokens are tokens of one kind at a stand-in for GitLab, where somebody else
// has one too.
func gitlabTokens(t testing.TB, s *scene, place string, tokens gitlab.Tokens) fixture {
	server := gitlabtest.New()
	server.SetNow(s.w.clock)
	other := server.AddToken(gitlabtest.Token{Name: "other", Place: place, UserID: 77, Scopes: []string{"api"}, Level: gitlabtest.Maintainer})
	otherTrigger := server.AddTrigger("shop/api", "other")
	front := s.w.before(server.Config.Handler, "gitlab", gitlabOp)
	tokens.Now = s.w.clock
	return fixture{
		connect: func(_ *process, secret *rotation.Secret) (err error) {
			mine := tokens
			mine.Connection, err = gitlab.New("main", gitlab.Config{URL: front.URL, Token: gitlabtest.AdminToken, Budget: providertest.Unlimited{}, Now: s.w.clock})
			secret.Issuer = &mine
			return err
		},
		traits: tokens.Traits(), id: tokens.CredentialID,
		works: func(c rota.Credential) (bool, error) { return server.Accepts(c.Field(gitlab.FieldToken)), nil },
		exists: func() (map[string]bool, error) {
			exist := map[string]bool{}
			for _, x := range server.Tokens(place) {
				if x.Name == tokens.TokenName && !x.Revoked {
					exist[strconv.FormatInt(x.ID, 10)] = true
				}
			}
			for _, x := range server.Triggers("shop/api") {
				if x.Description == tokens.TokenName {
					exist[strconv.FormatInt(x.ID, 10)] = true
				}
			}
			return exist, nil
		},
		intact: func() error {
			if !server.Accepts(other) || !server.Accepts(otherTrigger) {
				return errors.New("somebody else's token was revoked")
			}
			return nil
		},
		close: func() {
			front.Close()
			server.Close()
		},
	}
}

var numbered = regexp.MustCompile(`/\d+$`)

// gitlabOp is what a request to GitLab does.
func gitlabOp(r *http.Request) string {
	one := numbered.MatchString(r.URL.Path)
	switch {
	case strings.HasSuffix(r.URL.Path, "/self"), strings.HasSuffix(r.URL.Path, "/trigger/pipeline"), strings.HasSuffix(r.URL.Path, "/jwt/auth"), strings.HasSuffix(r.URL.Path, "/info/refs"):
		return "test"
	case r.Method == http.MethodPost:
		return "create"
	case r.Method == http.MethodDelete:
		return "delete"
	case one:
		return "look"
	}
	return "list"
}
