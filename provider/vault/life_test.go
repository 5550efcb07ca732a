package vault_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/provider/vault"
)

// password is what a file of the example holds.
func password(t *testing.T, file string) string {
	t.Helper()
	var m map[string]string
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		t.Error(err)
	}
	return m["password"]
}

// The example on the provider's page runs as it stands there; only the address and
// the folders are the test's. The server is a stand-in.
func TestTheExampleRuns(t *testing.T) {
	s, b := start(t)
	dir := t.TempDir()
	b.Do(t, http.MethodPost, "sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	b.Do(t, http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	for _, role := range []string{"rota", "orders"} {
		b.Do(t, http.MethodPost, "auth/approle/role/"+role, map[string]any{"token_policies": []string{role}, "token_ttl": "24h"})
	}
	s.AddStaticRole("database", "orders", "orders_app")
	s.AddDynamicRole("database", "reports", time.Hour, 48*time.Hour)
	secretID, _ := b.Do(t, http.MethodPost, "auth/approle/role/rota/secret-id", map[string]any{})["secret_id"].(string)
	roleID, _ := b.Do(t, http.MethodGet, "auth/approle/role/rota/role-id", nil)["role_id"].(string)
	file := strings.NewReplacer("https://vault.internal:8200", s.URL, "/run/secrets", dir, "/etc/orders", dir, "/etc/reports", filepath.Join(dir, "reports")).Replace(vault.Provider().Example)
	config := filepath.Join(dir, "rota.yaml")
	if err := os.Mkdir(filepath.Join(dir, "reports"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{config: file, filepath.Join(dir, "vault-role-id"): roleID + "\n", filepath.Join(dir, "vault-secret-id"): secretID} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (string, int) {
		var out bytes.Buffer
		code := app.Run(t.Context(), app.Options{}, append(args, "-c", config), []string{"ROTA_DATA_DIR=" + filepath.Join(dir, "data")}, strings.NewReader(""), &out, &out)
		return out.String(), code
	}
	rota := func(args ...string) string {
		t.Helper()
		out, code := run(args...)
		if code != 0 {
			t.Fatalf("rota %s: code %d\n%s", strings.Join(args, " "), code, out)
		}
		return out
	}
	// rota policy vault prints what Rota's role needs, and no more.
	policy := rota("policy", "vault")
	page, err := os.ReadFile("../../docs/providers/vault.md")
	if err != nil || !strings.Contains(string(page), "<!-- rota policy vault -->\n```hcl\n"+policy+"```\n") {
		t.Errorf("docs/providers/vault.md doesn't hold what the command prints now (%v):\n%s", err, policy)
	}
	b.Do(t, http.MethodPost, "sys/policies/acl/rota", map[string]any{"policy": policy})
	rota("check")
	// Vault has a password for the static role, which someone may use: a person says
	// that it may go.
	rota("rotate", "prod/orders-db", "--yes")
	rota("run")
	login := func() (role, secret string) {
		text, err := os.ReadFile(filepath.Join(dir, "vault.json"))
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]string
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		return m["role_id"], m["secret_id"]
	}
	works := func(role, secret string) bool {
		_, status := b.Ask(t, http.MethodPost, "auth/approle/login", map[string]any{"role_id": role, "secret_id": secret})
		return status == http.StatusOK
	}
	role, first := login()
	rota("rotate", "prod/orders-login", "--yes")
	_, second := login()
	if first == second || !works(role, first) || !works(role, second) {
		t.Error("the previous secret id doesn't work beside the current one")
	}
	rota("rotate", "prod/orders-cookies", "--yes")
	content, _ := b.Do(t, http.MethodGet, "secret/data/apps/orders", nil)["data"].(map[string]any)
	if len(content) != 3 || fmt.Sprint(content["cookie_key"]) == "" {
		t.Errorf("the entry holds %d keys", len(content))
	}
	if got := password(t, filepath.Join(dir, "database.json")); got != s.StaticPassword("database", "orders") {
		t.Error("the file doesn't hold the static role's password")
	}
	if stored, _ := b.Do(t, http.MethodGet, "secret/data/apps/orders-db", nil)["data"].(map[string]any); len(stored) != 2 || stored["password"] != s.StaticPassword("database", "orders") {
		t.Errorf("the store's entry holds %d keys", len(stored))
	}
	if got := password(t, filepath.Join(dir, "reports", "database.json")); !strings.HasPrefix(got, "db-password-") || len(s.Leases()) != 1 {
		t.Errorf("%d leases", len(s.Leases()))
	}
	if out, code := run("delete", "prod/orders-login", "--yes"); code == 0 || !strings.Contains(out, "must be unused for") || !works(role, first) {
		t.Errorf("the previous secret id, which was used just now, is destroyed (code %d):\n%s", code, out)
	}
}
