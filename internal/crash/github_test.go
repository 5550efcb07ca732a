package crash

import (
	"errors"
	"net/http"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/github"
	"github.com/rota-dev/rota/provider/github/githubtest"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/rotation"
)

func TestGitHubDeployKeysThroughEveryFault(t *testing.T) {
	t.Parallel()
	matrix(t, "GitHub deploy keys", 16, life{name: "a deploy key", build: inOwnStore(deployKeys), kinds: fewKinds, steps: lifeOfToken})
}

// deployKeys are those of one title at a stand-in for GitHub, where somebody else has
// one too.
func deployKeys(t testing.TB, s *scene) fixture {
	const path, others = "shop/api", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8ZqzKqyWSZb6Eo0FtJ2gXjK9iGmY9oGZpVvK1H1bLr"
	server := githubtest.New()
	server.SetNow(s.w.clock)
	server.AddDeployKey(path, githubtest.DeployKey{Title: "other", Key: others})
	front := s.w.before(server.Config.Handler, "github", githubOp)
	keys := github.DeployKeys{Owner: "shop", Repository: "api", Title: "deployer"}
	// of are the keys of a title, by their public halves.
	of := func(title string) []string {
		var all []string
		for _, k := range server.DeployKeys(path) {
			if k.Title == title {
				all = append(all, k.Key)
			}
		}
		return all
	}
	id := func(public string) string {
		return keys.CredentialID(rota.NewCredential(map[string]string{github.FieldPublicKey: public}))
	}
	return fixture{
		connect: func(_ *process, secret *rotation.Secret) (err error) {
			mine := keys
			mine.Connection, err = github.New("main", github.Config{URL: front.URL + "/api/v3", Token: githubtest.AdminToken, Budget: providertest.Unlimited{}})
			secret.Issuer = &mine
			return err
		},
		traits: keys.Traits(), id: keys.CredentialID,
		works: func(c rota.Credential) (bool, error) {
			for _, public := range of(keys.Title) {
				if id(public) == keys.CredentialID(c) {
					return true, nil
				}
			}
			return false, nil
		},
		exists: func() (map[string]bool, error) {
			exist := map[string]bool{}
			for _, public := range of(keys.Title) {
				exist[id(public)] = true
			}
			return exist, nil
		},
		intact: func() error {
			if len(of("other")) != 1 {
				return errors.New("somebody else's key was deleted")
			}
			return nil
		},
		close: func() {
			front.Close()
			server.Close()
		},
	}
}

// githubOp is what a request to GitHub does.
func githubOp(r *http.Request) string {
	switch r.Method {
	case http.MethodPost:
		return "set"
	case http.MethodDelete:
		return "delete"
	}
	return "list"
}
