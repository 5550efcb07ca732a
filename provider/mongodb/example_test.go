package mongodb_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/provider/mongodb"
	"github.com/rota-dev/rota/provider/mongodb/mongodbtest"
)

var command = regexp.MustCompile(`(?s)getSiblingDB\("([^"]+)"\)\.runCommand\((.*?)\)\n`)

// The example on the provider's page rotates as it stands there, with what rota policy
// prints for it; only the servers' address, the folders and the unit's restart are the
// test's.
func TestTheExampleRotates(t *testing.T) {
	s, err := mongodbtest.New(mongodbtest.Options{ReplicaSet: "rs0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	do := func(db string, words bson.D) {
		t.Helper()
		if answer := s.Run(db, words); answer[len(answer)-1].Value != 1.0 {
			t.Fatalf("%s: %v", words[0].Key, answer)
		}
	}
	dir := t.TempDir()
	file := strings.NewReplacer("db1.internal, db2.internal", s.Addr, "/run/secrets", dir, "/etc/orders", dir, "[systemctl, restart, orders]", `["true"]`).Replace(mongodb.Provider().Example)
	config := filepath.Join(dir, "rota.yaml")
	for path, text := range map[string]string{config: file, filepath.Join(dir, "mongodb"): "admin-canary-3Xw9Lm5Tz"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rota := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := app.Run(t.Context(), app.Options{}, append(args, "-c", config), []string{"PATH=" + os.Getenv("PATH"), "ROTA_DATA_DIR=" + filepath.Join(dir, "data")}, strings.NewReader(""), &out, &out); code != 0 {
			t.Fatalf("rota %s: code %d\n%s", strings.Join(args, " "), code, out.String())
		}
		return out.String()
	}
	do("admin", bson.D{{Key: "createUser", Value: "rota"}, {Key: "pwd", Value: "admin-canary-3Xw9Lm5Tz"}, {Key: "roles", Value: bson.A{}}})
	policy := rota("policy", "mongodb")
	page, err := os.ReadFile("../../docs/providers/mongodb.md")
	if err != nil || !strings.Contains(string(page), "<!-- rota policy mongodb -->\n```js\n"+policy+"```\n") {
		t.Errorf("the page doesn't have what rota policy mongodb prints (%v):\n%s", err, policy)
	}
	for _, one := range command.FindAllStringSubmatch(policy, -1) {
		var words bson.D
		if err := bson.UnmarshalExtJSON([]byte(one[2]), false, &words); err != nil {
			t.Fatal(err)
		}
		do(one[1], words)
	}
	for _, name := range []string{"reports", "orders_a", "orders_b"} {
		do("admin", bson.D{{Key: "createUser", Value: name}, {Key: "pwd", Value: "nobody-knows-this"}, {Key: "customData", Value: bson.D{{Key: "rota", Value: "free"}}},
			{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: "shop"}}}}})
	}
	free := func(want map[string]bool) {
		t.Helper()
		for name, free := range want {
			if custom := s.User("admin", name).CustomData; (len(custom) == 1) != free {
				t.Errorf("user %s has the customData %v, want it free: %t", name, custom, free)
			}
		}
	}
	rota("check")
	rota("run")
	free(map[string]bool{"reports": false, "orders_a": false, "orders_b": true})
	rota("rotate", "prod/reports-db", "--yes")
	rota("rotate", "prod/orders-db", "--yes")
	free(map[string]bool{"reports": false, "orders_a": false, "orders_b": false})
	text, err := os.ReadFile(filepath.Join(dir, "db.env"))
	if err != nil || !strings.Contains(string(text), "orders_b") {
		t.Errorf("%v\n%s", err, strings.Split(string(text), "DB_PASSWORD")[0])
	}
	rota("rollback", "prod/orders-db", "--yes")
	rota("check")
}
