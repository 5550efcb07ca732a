package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota/internal/cli"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/github"
	"github.com/rota-dev/rota/provider/mongodb"
	"github.com/rota-dev/rota/provider/mysql"
	"github.com/rota-dev/rota/provider/postgres"
	"github.com/rota-dev/rota/provider/redis"
	"github.com/rota-dev/rota/provider/vault"
)

// printPolicy is rota policy NAME for a rota.yaml, with no variable set.
func printPolicy(t *testing.T, name, rotaYAML string) (code int, stdout, stderr string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rota.yaml")
	if err := os.WriteFile(path, []byte(rotaYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	code = cli.Run(t.Context(), []string{"policy", name, "-c", path}, nil, strings.NewReader(""), &out, &said)
	return code, out.String(), said.String()
}

// Who makes Rota's login needs the policy first.
func TestAPolicyIsPrintedBeforeThereIsALogin(t *testing.T) {
	for _, p := range []provider.Provider{github.Provider(), mongodb.Provider(), mysql.Provider(), postgres.Provider(), redis.Provider(), vault.Provider()} {
		if code, out, said := printPolicy(t, p.Name, p.Example); code != 0 || out == "" || said != "" {
			t.Errorf("%s: exit code %d, %s%s", p.Name, code, out, said)
		}
	}
}

// What says who or where is part of the policy, so it has to be known.
func TestAPolicyNamesNobodyItDoesNotKnow(t *testing.T) {
	const rotaYAML = `
connections:
  db: {postgres: {host: 127.0.0.1, database: app, username: "${env:DB_USER}", password: "${env:DB_PASSWORD}"}}
secrets:
  - {name: app, issuer: {connection: db, password: {role: app}}, policy: {rotate_every: 30d}}
`
	if code, out, said := printPolicy(t, "postgres", rotaYAML); code == 0 || out != "" || !strings.Contains(said, "DB_USER") || strings.Contains(said, "DB_PASSWORD") {
		t.Errorf("exit code %d, %s%s", code, out, said)
	}
}
