package rabbitmq_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/provider/rabbitmq"
)

// The example on the provider's page rotates as it stands there; only the server's
// addresses, the folders and the unit's restart are the test's.
func TestTheExampleRotates(t *testing.T) {
	s := rabbitmq.Shared.Get(t)
	dir := t.TempDir()
	file := strings.NewReplacer("https://mq.internal:15671", s.API, "amqps://mq.internal", s.AMQP,
		"/run/secrets", dir, "/etc/orders", dir, "[systemctl, restart, orders]", `["true"]`).Replace(rabbitmq.Provider().Example)
	config := filepath.Join(dir, "rota.yaml")
	for path, text := range map[string]string{config: file, filepath.Join(dir, "mq"): "admin-canary-3Xw9Lm5Tz"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.Do(t, http.MethodPut, "/vhosts/shop", nil, nil)
	s.Do(t, http.MethodPut, "/users/rota", map[string]any{"password": "admin-canary-3Xw9Lm5Tz", "tags": "administrator"}, nil)
	for _, name := range []string{"reports", "orders_a", "orders_b"} {
		s.Do(t, http.MethodPut, "/users/"+name, map[string]any{"password_hash": "", "tags": ""}, nil)
		s.Do(t, http.MethodPut, "/permissions/shop/"+name, map[string]any{"configure": "", "write": "^orders", "read": "^orders"}, nil)
	}
	rota := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := app.Run(t.Context(), app.Options{}, append(args, "-c", config), []string{"PATH=" + os.Getenv("PATH"), "ROTA_DATA_DIR=" + filepath.Join(dir, "data")}, strings.NewReader(""), &out, &out); code != 0 {
			t.Fatalf("rota %s: code %d\n%s", strings.Join(args, " "), code, out.String())
		}
		return out.String()
	}
	has := func(want map[string]bool) {
		t.Helper()
		for name, password := range want {
			var user struct {
				Hash string `json:"password_hash"`
			}
			if s.Do(t, http.MethodGet, "/users/"+name, nil, &user); (user.Hash != "") != password {
				t.Errorf("user %s has the hash %q, want a password: %t", name, user.Hash, password)
			}
		}
	}
	rota("check")
	rota("run")
	has(map[string]bool{"reports": true, "orders_a": true, "orders_b": false})
	rota("rotate", "prod/reports-mq", "--yes")
	rota("rotate", "prod/orders-mq", "--yes")
	has(map[string]bool{"reports": true, "orders_a": true, "orders_b": true})
	text, err := os.ReadFile(filepath.Join(dir, "mq.env"))
	if err != nil || !strings.Contains(string(text), "MQ_USERNAME='orders_b'") && !strings.Contains(string(text), "MQ_USERNAME=orders_b") {
		t.Errorf("%v\n%s", err, strings.Split(string(text), "MQ_PASSWORD")[0])
	}
	rota("rollback", "prod/orders-mq", "--yes")
	rota("check")
}
