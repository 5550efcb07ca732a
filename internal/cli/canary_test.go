package cli_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/cli"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

const canaryConfig = `
connections:
  prod: {aws: {endpoint: "${env:ENDPOINT}", region: eu-central-1, access_key_id: "${env:ADMIN_ID}", secret_access_key: "${env:ADMIN_SECRET}"}}
  ops: {sns: {connection: prod, topic_arn: "${env:TOPIC}"}}
defaults:
  policy: {rotate_every: 90d, deactivate_previous_after: 10d, delete_previous_after: 20d, unused_for: 1d}
  notify: [ops]
secrets:
  - name: cms
    issuer: {connection: prod, iam_access_key: {user: cms}}
    targets:
      - {name: env, file: {path: "${env:DIR}/cms.env", format: dotenv, fields: {SECRET: secret_access_key}}}
  - name: shop
    issuer: {connection: prod, iam_access_key: {user: shop}}
    store: {connection: prod, secrets_manager: {name: shop}}
  - name: gone
    issuer: {connection: prod, iam_access_key: {user: gone}}
`

// TestNoCommandButGetShowsAValue plays a life with every command, in both
// outputs and with the most talkative log, and then looks for every secret key
// that there ever was in all that was printed, published and stored.
func TestNoCommandButGetShowsAValue(t *testing.T) {
	now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	cloud, err := awstest.New(awstest.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cloud.Close)
	cloud.CreateUser("cms")
	cloud.CreateUser("shop")
	id, secret := cloud.RootCredentials()
	dir := t.TempDir()
	env := []string{
		"HOME=" + dir, "DIR=" + dir, "ROTA_DATA_DIR=" + filepath.Join(dir, "data"), "ROTA_CONFIG=" + filepath.Join(dir, "rota.yaml"),
		"ENDPOINT=" + cloud.URL(), "ADMIN_ID=" + id, "ADMIN_SECRET=" + secret, "TOPIC=" + cloud.CreateTopic("ops"),
	}
	if err := os.WriteFile(filepath.Join(dir, "rota.yaml"), []byte(canaryConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	var printed, shown bytes.Buffer // by all commands but get, and by get
	values := map[string]bool{secret: true}
	rota := func(args ...string) {
		t.Helper()
		for _, output := range []string{"table", "json"} {
			p := cli.Program{Env: env, Stdin: strings.NewReader(""), Stdout: &printed, Stderr: &printed, Now: clock}
			p.Run(t.Context(), append(args, "-o", output, "--log-level", "debug", "--yes"))
		}
	}
	look := func() {
		t.Helper()
		for _, name := range []string{"cms", "shop"} {
			var out bytes.Buffer
			p := cli.Program{Env: env, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &printed, Now: clock}
			if code := p.Run(t.Context(), []string{"get", name}); code != 0 {
				t.Fatalf("get %s exits with %d", name, code)
			}
			var fields map[string]string
			if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
				t.Fatal(err)
			}
			values[fields["secret_access_key"]] = true
			shown.Write(out.Bytes())
		}
	}
	for _, turn := range []struct {
		days     int
		commands [][]string
	}{
		{0, [][]string{{"check"}, {"plan"}, {"run"}, {"status"}}},
		{90, [][]string{{"run"}, {"versions", "cms"}, {"versions", "shop"}, {"deliver", "cms"}}},
		{2, [][]string{{"rollback", "cms"}, {"rotate", "shop"}, {"rotate", "cms"}, {"deactivate", "shop"}}},
		{100, [][]string{{"run"}, {"delete", "shop"}, {"alert"}, {"run"}}},
		{30, [][]string{{"adopt", "cms"}, {"run"}, {"key", "rotate"}, {"backup", filepath.Join(dir, "b.db")}, {"check"}, {"plan", "--for", "400d"},
			{"history", "cms"}, {"history", "shop"}, {"audit", "--limit", "1000"}, {"audit", "--verify"}, {"status"}, {"validate"}, {"schema"}, {"rotate", "gone"}}},
	} {
		now = now.Add(time.Duration(turn.days) * 24 * time.Hour)
		for _, command := range turn.commands {
			rota(command...)
		}
		look()
	}
	if len(values) < 5 {
		t.Fatalf("only %d keys were seen: too few rotations to prove anything", len(values))
	}
	texts := map[string]string{"the output": printed.String()}
	for _, m := range cloud.Published(env[len(env)-1][len("TOPIC="):]) {
		texts["the notifications"] += m.Subject + m.Body
	}
	for _, name := range []string{"data/rota.db", "data/rota.db-wal", "data/rota.key", "b.db"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		texts[name] = string(content)
	}
	for value := range values {
		for place, text := range texts {
			for _, form := range []string{value, url.QueryEscape(value), base64.StdEncoding.EncodeToString([]byte(value))} {
				if strings.Contains(text, form) {
					t.Errorf("a secret key is in %s", place)
				}
			}
		}
		if value != secret && !strings.Contains(shown.String(), value) {
			t.Error("get did not show a value: the test looks for the wrong thing")
		}
	}
	if len(texts["the notifications"]) == 0 || len(texts["data/rota.db"]) == 0 || printed.Len() < 10_000 {
		t.Error("there was too little to look through")
	}
}
