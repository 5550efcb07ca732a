package story

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/chat"
	"github.com/rota-dev/rota/provider/file"
	"github.com/rota-dev/rota/provider/manual"
	"github.com/rota-dev/rota/provider/postgres"
	"github.com/rota-dev/rota/provider/random"
	"github.com/rota-dev/rota/provider/webhook"
)

// example is the example of a provider's page in a folder of its own, as it stands
// there but for addresses, folders and groups.
type example struct {
	t      testing.TB
	dir    string
	config string
	env    []string
}

func newExample(t testing.TB, p provider.Provider, files map[string]string, replace ...string) *example {
	t.Helper()
	group, err := user.LookupGroupId(fmt.Sprint(os.Getgid()))
	if err != nil {
		t.Fatal(err)
	}
	e := &example{t: t, dir: t.TempDir()}
	e.config = filepath.Join(e.dir, "rota.yaml")
	text := strings.NewReplacer(append(replace, "/run/secrets", e.dir, "/etc/orders", e.dir, "/etc/shop", e.dir, "/etc/issuer", e.dir,
		"/srv/www/.well-known", e.dir, `mode: "0640", group: orders`, `mode: "0640", group: `+group.Name, "group: www-data", "group: "+group.Name)...).Replace(p.Example)
	for name, content := range files {
		e.write(name, content)
	}
	e.write("rota.yaml", text)
	return e
}

func (e *example) write(name, content string) {
	e.t.Helper()
	if err := os.WriteFile(filepath.Join(e.dir, name), []byte(content), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

func (e *example) read(name string) string {
	e.t.Helper()
	content, err := os.ReadFile(filepath.Join(e.dir, name))
	if err != nil {
		e.t.Fatal(err)
	}
	return string(content)
}

func (e *example) rota(args ...string) string {
	e.t.Helper()
	cmd := exec.Command(program, append(args, "-c", e.config)...)
	cmd.Env = append(os.Environ(), append(e.env, "ROTA_DATA_DIR="+filepath.Join(e.dir, "data"))...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		e.t.Fatalf("rota %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// holds checks what a file of the example holds now.
func (e *example) holds(name string, parts ...string) {
	e.t.Helper()
	content := e.read(name)
	for _, part := range parts {
		if !strings.Contains(content, part) {
			e.t.Errorf("%s lacks %q:\n%s", name, part, content)
		}
	}
}

func TestTheExampleOfFiles(t *testing.T) {
	db := testenv.Postgres(t, testenv.PostgresOptions{})
	db.Exec(t, "CREATE ROLE rota_admin LOGIN CREATEROLE PASSWORD 'admin-canary-1'", "CREATE ROLE orders LOGIN", "GRANT orders TO rota_admin WITH ADMIN OPTION")
	e := newExample(t, file.Provider(), map[string]string{"db": "admin-canary-1"},
		"host: db.internal,", fmt.Sprintf("host: %s, port: %d, database: postgres,", db.Host, db.Port))
	e.rota("rotate", "prod/orders-db", "--yes")
	e.holds("db.env", "DB_USER=orders", "DB_PASSWORD=")
	if info, err := os.Stat(filepath.Join(e.dir, "db.env")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestTheExampleOfPostgres(t *testing.T) {
	db := testenv.Postgres(t, testenv.PostgresOptions{})
	db.Exec(t, "CREATE DATABASE app", "CREATE DATABASE shop", "CREATE ROLE rota_admin LOGIN CREATEROLE PASSWORD 'admin-canary-1'", "CREATE ROLE rota_settings LOGIN PASSWORD 'admin-canary-2'",
		"CREATE ROLE reports LOGIN", "CREATE ROLE orders", "CREATE ROLE orders_a IN ROLE orders", "CREATE ROLE orders_b IN ROLE orders",
		"GRANT reports, orders, orders_a, orders_b TO rota_admin WITH ADMIN OPTION", "REVOKE CONNECT ON DATABASE app FROM PUBLIC", "GRANT CONNECT ON DATABASE app TO rota_admin, reports, orders")
	db.ExecIn(t, "app", "CREATE TABLE orders (id int)", "GRANT SELECT ON orders TO orders")
	db.ExecIn(t, "shop", "CREATE TABLE public.settings (service text PRIMARY KEY, db_user text, db_password text)", "INSERT INTO public.settings VALUES ('orders', '', '')",
		"GRANT SELECT, UPDATE ON public.settings TO rota_settings")
	at := fmt.Sprintf("host: %s, port: %d,", db.Host, db.Port)
	e := newExample(t, postgres.Provider(), map[string]string{"db": "admin-canary-1", "shop-db": "admin-canary-2"}, "host: db.internal,", at, "host: shop.internal,", at)
	e.rota("rotate", "prod/reports-db", "prod/orders-db", "--yes")
	e.rota("check")
	e.rota("rotate", "prod/orders-db", "--yes")
	if out := e.rota("status"); !strings.Contains(out, "prod/orders-db") {
		t.Error(out)
	}
}

func TestTheExampleOfKeysOfYourOwn(t *testing.T) {
	e := newExample(t, random.Provider(), nil)
	e.rota("run")
	e.holds("keys.env", "SECRET_KEY=", "SECRET_KEY_PREVIOUS=", "SECRET_KEY_NEXT=")
	e.holds("signing.json", `"kid"`, `"private_key"`)
	e.holds("jwks.json", `"keys"`, `"kty":"EC"`)
	before := e.read("keys.env")
	e.rota("rotate", "prod/session-cookies", "--yes")
	if e.read("keys.env") == before {
		t.Error("the ring is the same after a rotation")
	}
	e.rota("check")
}

func TestTheExampleOfPeople(t *testing.T) {
	e := newExample(t, manual.Provider(), nil)
	e.rota("check")
	e.rota("done", "prod/erp-licence")
	if out := e.rota("status"); !strings.Contains(out, "prod/erp-licence") {
		t.Error(out)
	}
}

// The examples of what only notifies have no secret: one that a person rotates is
// added, whose rotation is an event.
func TestTheExamplesOfNotifiers(t *testing.T) {
	var mu sync.Mutex
	var bodies []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, string(body))
	}))
	t.Cleanup(receiver.Close)
	host := strings.TrimPrefix(receiver.URL, "http://")
	for _, test := range []struct {
		of      provider.Provider
		files   map[string]string
		replace []string
	}{
		{webhook.Provider(), map[string]string{"hook": "signing-key-canary-0123456789abcdef"}, []string{"url: https://hooks.example.org/rota,", "url: " + receiver.URL + "/rota, allow_private: true,"}},
		{chat.Provider(), map[string]string{"slack": "generic://" + host + "/hook?disabletls=yes"}, []string{"events: [failed, quarantined, late, recovered]", "events: [failed, quarantined, late, recovered, rotated]"}},
	} {
		t.Run(test.of.Name, func(t *testing.T) {
			mu.Lock()
			bodies = nil
			mu.Unlock()
			e := newExample(t, test.of, test.files, append(test.replace, "secrets: []", "secrets: [{name: licence, issuer: {secret_key: {bytes: 32}}}]")...)
			e.rota("check")
			e.rota("rotate", "licence", "--yes")
			mu.Lock()
			defer mu.Unlock()
			if len(bodies) == 0 || !strings.Contains(strings.Join(bodies, "\n"), "licence") {
				t.Errorf("the receiver got %q", bodies)
			}
		})
	}
}
