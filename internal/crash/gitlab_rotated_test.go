package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/rotation"
)

func TestGitLabRotatedTokensThroughEveryFault(t *testing.T) {
	t.Parallel()
	var lives []life
	for _, tokens := range []gitlab.Tokens{
		{Kind: gitlab.ProjectToken, Owner: "shop/api"},
		{Kind: gitlab.PersonalToken, Owner: "77"},
	} {
		tokens.TokenName, tokens.Rotated = "deployer", true
		lives = append(lives, life{name: "a rotated " + string(tokens.Kind), kinds: fewKinds, steps: lifeOfRotated, build: inOwnStore(func(t testing.TB, s *scene) fixture {
			return rotatedTokens(t, s, tokens)
		})})
	}
	matrix(t, "GitLab rotated tokens", 16, lives...)
}

// firstToken is what a person made and hands in.
const firstToken = "glpat-first-0000000000000"

// lifeOfRotated is the life of a credential that the next one replaces as it's made.
var lifeOfRotated = []step{
	{name: "day 0, handed in", done: isIssued, ask: func(ctx context.Context, r *rotation.Rotator, s *rotation.Secret) (rotation.Result, error) {
		list, err := s.Issuer.(rota.Lister).List(ctx)
		if err != nil || len(list) != 1 {
			return rotation.Result{}, fmt.Errorf("the person sees %d tokens: %w", len(list), err)
		}
		return r.Adopt(ctx, s, rotation.AdoptOptions{Credential: rota.NewCredential(map[string]string{gitlab.FieldTokenID: list[0].ID, gitlab.FieldToken: firstToken})})
	}},
	{name: "day 90", after: 90 * rota.Day, done: isRotated},
	{name: "day 180, asked for", after: 90 * rota.Day, ask: rotateNow, done: isRotated},
}

// rotatedTokens are a token at a stand-in for GitLab, and the connection's own, which
// may rotate it. Whatever happens, no family of tokens is revoked.
func rotatedTokens(t testing.TB, s *scene, tokens gitlab.Tokens) fixture {
	server := gitlabtest.New()
	server.SetNow(s.w.clock)
	mine := gitlabtest.Token{Name: "deployer", Value: firstToken, Scopes: []string{"read_api"}, UserID: 77, Level: gitlabtest.Developer}
	own := gitlabtest.Token{Name: "rota", Scopes: []string{"api"}, UserID: 77, Level: gitlabtest.Maintainer}
	place := "user 77"
	if tokens.Kind == gitlab.ProjectToken {
		place = "project shop/api"
		mine.Place = place
	}
	server.AddToken(mine)
	inUse, err := json.Marshal(map[string]string{gitlab.FieldTokenID: strconv.FormatInt(server.Tokens(place)[0].ID, 10), gitlab.FieldToken: firstToken})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(s.consumers.path, inUse, 0o600), s.consumers.reload()); err != nil {
		t.Fatal(err)
	}
	login := server.AddToken(own)
	front := s.w.before(server.Config.Handler, "gitlab", gitlabOp)
	tokens.Now = s.w.clock
	return fixture{
		connect: func(p *process, secret *rotation.Secret) (err error) {
			issuer := tokens
			issuer.Connection, err = gitlab.New("main", gitlab.Config{URL: front.URL, Token: login, Budget: providertest.Unlimited{}, Now: s.w.clock})
			secret.Issuer = &endsAtCreate{&issuer, p.w.scene}
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
			return exist, nil
		},
		intact: func() error {
			if n := server.Reuses(); n > 0 {
				return errors.New("a family of tokens was revoked")
			}
			if !server.Accepts(login) {
				return errors.New("the connection's own token was revoked")
			}
			return nil
		},
		close: func() {
			front.Close()
			server.Close()
		},
	}
}

// endsAtCreate notes that consumers can't log in from a creation on.
type endsAtCreate struct {
	*gitlab.Tokens
	scene *scene
}

func (i *endsAtCreate) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	i.scene.consumers.mayGap()
	return i.Tokens.Create(ctx, r)
}
