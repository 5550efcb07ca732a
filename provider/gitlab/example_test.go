package gitlab_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/provider/aws/awstest"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
)

// The page's example runs as written, but for the addresses and logins, with tokens
// that may do no more than the page says.
func TestThePagesExampleRuns(t *testing.T) {
	server, _ := start(t)
	server.BeQuick()
	server.SetJobs("shop/api", gitlabtest.Job{Name: "deploy", Environment: "production"})
	server.AddProject("shop/docs", gitlabtest.Job{Name: "publish", Manual: true})
	server.Finish(server.Start("shop/docs", "main"))
	first := server.AddToken(gitlabtest.Token{Name: "cli", Scopes: []string{"read_api"}, UserID: 7, Level: gitlabtest.Developer})
	cli := server.Tokens("user 7")[0].ID
	aws, err := awstest.New(awstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(aws.Close)
	aws.CreateUser("shop")
	id, secret := aws.RootCredentials()

	dir := t.TempDir()
	config := filepath.Join(dir, "rota.yaml")
	text := strings.NewReplacer(
		"https://gitlab.example.com", server.URL, "/run/secrets", dir,
		"region: eu-central-1", fmt.Sprintf(`region: eu-central-1, endpoint: "%s", access_key_id: "%s", secret_access_key: "${file:%s/aws}"`, aws.URL(), id, dir),
	).Replace(gitlab.Provider().Example)
	for path, text := range map[string]string{
		config: text, filepath.Join(dir, "aws"): secret,
		filepath.Join(dir, "gitlab"):     gitlabtest.AdminToken, // it rotates a user's token, too
		filepath.Join(dir, "gitlab-ann"): server.AddToken(gitlabtest.Token{Name: "rota", Scopes: []string{"api"}, UserID: 7, Expires: time.Now().AddDate(0, 3, 0)}),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rota := func(in string, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := app.Run(t.Context(), app.Options{}, append(args, "-c", config), []string{"ROTA_DATA_DIR=" + filepath.Join(dir, "data")}, strings.NewReader(in), &out, &out); code != 0 {
			t.Fatalf("rota %s: code %d\n%s", strings.Join(args, " "), code, out.String())
		}
		return out.String()
	}
	rota(fmt.Sprintf(`{"token_id": "%d", "token": "%s"}`, cli, first), "adopt", "prod/ann-cli", "--from", "-")
	if out := rota("", "check"); !strings.Contains(out, "no overlap: from create until") {
		t.Errorf("rota check doesn't say that a rotated token has no overlap:\n%s", out)
	}
	rota("", "run")
	keys := server.JobVariables("shop/api", "production")["AWS_ACCESS_KEY_ID"]
	if out := rota("", "plan", "prod/ann-cli"); !strings.Contains(out, "can't be put back") {
		t.Errorf("the plan:\n%s", out)
	}
	rota("", "rotate", "--yes", "prod/shop-s3", "prod/shop-registry", "prod/shop-reporter", "prod/shop-mirror", "prod/shop-bot", "prod/shop-nightly", "prod/ann-cli")
	for place, want := range map[string]int{"project shop/api": 2, "group shop": 2, "user 42": 2, "user 7": 3} {
		if got := len(server.Tokens(place)); got != want {
			t.Errorf("%s has %d tokens, want %d", place, got, want)
		}
	}
	variables := server.JobVariables("shop/api", "production")
	if n := len(server.DeployTokens("project shop/api")); n != 2 || len(server.Triggers("shop/api")) != 2 || len(aws.Keys("shop")) != 2 {
		t.Errorf("there are %d deploy tokens, %d triggers, %d keys", n, len(server.Triggers("shop/api")), len(aws.Keys("shop")))
	}
	if now := variables["AWS_ACCESS_KEY_ID"]; now == "" || now == keys {
		t.Errorf("jobs get key %q, after %q", now, keys)
	}
	if now := variables["ANN_TOKEN"]; server.Accepts(first) || !server.Accepts(now) || server.Reuses() > 0 {
		t.Errorf("the rotated token: old works %v, new works %v, %d families revoked", server.Accepts(first), server.Accepts(now), server.Reuses())
	}
	if n := len(server.Pipelines("shop/api")); n != 2 {
		t.Errorf("%d pipelines deployed two keys", n)
	}
}
