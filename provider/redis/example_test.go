package redis_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/redis"
)

// The example on the provider's page rotates as it stands there; only the servers'
// addresses and the folders are the test's.
func TestTheExampleRotates(t *testing.T) {
	servers := []*testenv.RedisServer{testenv.Redis(t, testenv.RedisOptions{}), testenv.Redis(t, testenv.RedisOptions{})}
	dir := t.TempDir()
	file := strings.NewReplacer("redis-1.internal:6379", servers[0].Addr, "redis-2.internal:6379", servers[1].Addr,
		"/run/secrets", dir, "/etc/orders", dir).Replace(redis.Provider().Example)
	config := filepath.Join(dir, "rota.yaml")
	for path, text := range map[string]string{config: file, filepath.Join(dir, "redis"): "admin-canary-3Xw9"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rota := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := app.Run(t.Context(), app.Options{}, append(args, "-c", config), []string{"ROTA_DATA_DIR=" + filepath.Join(dir, "data")}, strings.NewReader(""), &out, &out); code != 0 {
			t.Fatalf("rota %s: code %d\n%s", strings.Join(args, " "), code, out.String())
		}
		return out.String()
	}
	// rota policy redis prints what Rota's user needs, and no more.
	policy := rota("policy", "redis")
	page, err := os.ReadFile("../../docs/providers/redis.md")
	if err != nil || !strings.Contains(string(page), "<!-- rota policy redis -->\n```\n"+policy+"```\n") {
		t.Errorf("docs/providers/redis.md doesn't hold what the command prints now (%v):\n%s", err, policy)
	}
	for _, s := range servers {
		var command []any
		for word := range strings.FieldsSeq(policy) {
			command = append(command, word)
		}
		s.Do(t, append(command, ">admin-canary-3Xw9")...)
		s.Do(t, "acl", "setuser", "orders", "on", "~orders:*", "+get")
	}
	passwords := func(s *testenv.RedisServer) int {
		all := s.Do(t, "acl", "getuser", "orders").([]any)
		return len(all[slices.Index(all, any("passwords"))+1].([]any))
	}
	rota("check")
	rota("run")
	rota("rotate", "prod/orders-cache", "--yes")
	for _, s := range servers {
		if n := passwords(s); n != 2 {
			t.Errorf("%s has %d passwords, want the current and the previous one", s.Addr, n)
		}
	}
	if out := rota("status"); !strings.Contains(out, "prod/orders-cache") {
		t.Error(out)
	}
	rota("delete", "prod/orders-cache", "--yes")
	text, err := os.ReadFile(filepath.Join(dir, "redis.env"))
	if err != nil || !strings.Contains(string(text), "REDIS_USERNAME=") || !strings.Contains(string(text), "REDIS_PASSWORD=") {
		t.Errorf("%v\n%s", err, text)
	}
	for _, s := range servers {
		if n := passwords(s); n != 1 {
			t.Errorf("%s has %d passwords, want the current one", s.Addr, n)
		}
	}
}
