package gitlab_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/providertest"
)

// A page for developers, or a proxy, repeats a request that it refuses, headers and
// all. Its text is cut short, so nothing secret may be in it before.
func TestARefusalThatRepeatsTheRequestShowsNoValue(t *testing.T) {
	const own, value = "glpat-own-canary-7Hq2Lx9Zt4", "value+canary/3Mk8<Vb>5Rw"
	for _, padding := range []int{0, 300, 350, 380} { // so that the text ends within a value
		said := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			token := r.Header.Get("Private-Token")
			if _, password, ok := r.BasicAuth(); ok {
				token = password
			}
			text, _ := json.Marshal(map[string]string{"message": fmt.Sprintf("%s%s %s: %s: %s", strings.Repeat("x", padding),
				token, base64.StdEncoding.EncodeToString([]byte(token)), body, base64.StdEncoding.EncodeToString(body))})
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write(text)
			said++
		}))
		t.Cleanup(server.Close)
		connection, err := gitlab.New("test", gitlab.Config{URL: server.URL, Token: own, Budget: providertest.Unlimited{}})
		if err != nil {
			t.Fatal(err)
		}
		token := rota.NewCredential(map[string]string{gitlab.FieldTokenID: "7", gitlab.FieldToken: value})
		tokens := &gitlab.Tokens{Connection: connection, Kind: gitlab.ProjectToken, Owner: "shop/api", TokenName: "deployer"}
		trigger := &gitlab.Tokens{Connection: connection, Kind: gitlab.TriggerToken, Owner: "shop/api", TokenName: "deployer"}
		target := &gitlab.Variables{Target: "ci", Connection: connection, Place: gitlab.Place{Level: gitlab.LevelProject, ID: "shop/api"}, Fields: fields(t, map[string]string{"TOKEN": gitlab.FieldToken})}
		pipeline := gitlab.Pipeline{Connection: connection, Project: "shop/api", Ref: "main", TriggerToken: value, Variables: map[string]string{"KEY": value}}
		deploy := &gitlab.DeployTokens{Connection: connection, Level: gitlab.LevelProject, Owner: "shop/api", TokenName: "puller"}
		pair := rota.NewCredential(map[string]string{gitlab.FieldTokenID: "7", gitlab.FieldUsername: "puller", gitlab.FieldToken: value})
		_, deployed := deploy.Create(t.Context(), rota.CreateRequest{})
		_, created := tokens.Create(t.Context(), rota.CreateRequest{})
		_, listed := trigger.List(t.Context())
		for what, err := range map[string]error{
			"create": created, "list": listed, "test": tokens.Test(t.Context(), rota.TestRequest{Credential: token}),
			"test a trigger": trigger.Test(t.Context(), rota.TestRequest{Credential: token}), "delete": tokens.Delete(t.Context(), rota.RetireRequest{CredentialID: "7"}),
			"create a deploy token": deployed, "test a deploy token": deploy.Test(t.Context(), rota.TestRequest{Credential: pair}),
			"deliver": deliver(t.Context(), target, token), "reload": pipeline.Reload(t.Context(), rota.ReloadRequest{Version: "v"}),
		} {
			if what == "test a trigger" && err == nil {
				continue // what 400 says to that is that the token is good
			}
			if err == nil {
				t.Errorf("%s succeeded", what)
				continue
			}
			text := hint.Text(err)
			for _, secret := range []string{own, value} {
				for n := 8; n <= len(secret); n++ { // not even a part
					if strings.Contains(text, secret[:n]) || strings.Contains(text, base64.RawStdEncoding.EncodeToString([]byte(secret))[:n]) {
						t.Errorf("%s, after %d characters: %s", what, padding, text)
						break
					}
				}
			}
		}
		if said < 9 {
			t.Errorf("%d requests were refused", said)
		}
	}
}
