package github_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/provider/github"
	"github.com/rota-dev/rota/provider/github/githubtest"
)

// The page's example runs as written, but for the addresses, with an App that has
// what rota policy github prints and no more.
func TestThePagesExampleRuns(t *testing.T) {
	server, _ := start(t)
	server.SetWorkflow("shop/api", "deploy.yml", githubtest.Workflow{RunName: "Deploy {version}", Inputs: []string{"version"}, Quick: true})
	a := server.AddApp(map[string]string{}, "shop/api", "shop/web")
	dir := t.TempDir()
	file := strings.NewReplacer("app_id: Iv23liAbCdEfGhIjKlMn", "url: "+server.API()+", app_id: "+a.ID, "/run/secrets", dir).Replace(github.Provider().Example)
	config := filepath.Join(dir, "rota.yaml")
	for path, text := range map[string]string{config: file, filepath.Join(dir, "rota.pem"): a.PrivateKey} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rota := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := app.Run(t.Context(), app.Options{}, append(args, "-c", config), []string{"ROTA_DATA_DIR=" + filepath.Join(dir, "data")}, strings.NewReader(""), &out, &out); code != want {
			t.Fatalf("rota %s: code %d\n%s", strings.Join(args, " "), code, out.String())
		}
		return out.String()
	}
	policy := rota(0, "policy", "github")
	page, err := os.ReadFile("../../docs/providers/github.md")
	if err != nil || !strings.Contains(string(page), "<!-- rota policy github -->\n```\n"+policy+"```\n") {
		t.Errorf("docs/providers/github.md doesn't hold what the command prints now (%v):\n%s", err, policy)
	}
	server.Grant(a, policy)
	rota(0, "check")
	rota(0, "run")
	first := server.Secrets("environment shop/api production")
	rota(0, "rotate", "prod/session-cookies", "prod/shop-mirror", "--yes")
	second := server.Secrets("environment shop/api production")
	if len(first) != 3 || len(second) != 3 || first[0].Value == second[0].Value || len(server.Variables("shop")) != 1 {
		t.Errorf("after the rotation, there are %d secrets and %d variables", len(second), len(server.Variables("shop")))
	}
	if n := len(server.Runs("shop/api")); n != 2 {
		t.Errorf("%d runs deployed two versions", n)
	}
	if keys := server.DeployKeys("shop/api"); len(keys) != 2 || keys[0].Title != "mirror" {
		t.Errorf("there are %+v, want the current and the previous one", keys)
	}
	rota(0, "delete", "prod/shop-mirror", "--yes")
	if keys := server.DeployKeys("shop/api"); len(keys) != 1 {
		t.Errorf("there are %+v, want the current one", keys)
	}
}
