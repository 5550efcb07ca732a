package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/internal/testenv/served"
)

var codeBlock = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")

// The examples of docs/agent.md do what the page says, as they are written there but
// for their addresses, paths and users.
func TestTheExamplesOfTheAgentsPageWork(t *testing.T) {
	page, err := os.ReadFile("../../docs/agent.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, b := range codeBlock.FindAllStringSubmatch(string(page), -1) {
		blocks = append(blocks, b[1])
	}
	block := func(begins string) string {
		t.Helper()
		for _, b := range blocks {
			if strings.HasPrefix(b, begins) {
				return b
			}
		}
		t.Fatalf("docs/agent.md has no example that begins with %s", begins)
		return ""
	}

	pg := testenv.Postgres(t, testenv.PostgresOptions{})
	login, err := pgx.ParseConfig(pg.DSN())
	if err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, "CREATE ROLE orders LOGIN PASSWORD 'first'", "CREATE ROLE rota_admin LOGIN SUPERUSER PASSWORD 'of the admin'")
	server := served.Start(t, cookieConfig+fmt.Sprintf(`  - name: prod/orders-db
    issuer: {connection: db, password: {role: orders}}
    policy: {rotate_every: 30d, jitter: 0s}
connections:
  db: {postgres: {host: "127.0.0.1", port: %d, database: postgres, username: rota_admin, password: of the admin, sslmode: disable}}
`, login.Port))
	server.Rotate("prod/session-cookies")
	server.Rotate("prod/orders-db")

	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, folder := range []string{"etc", "cache"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	here := strings.NewReplacer(
		"https://rota.example.com", server.URL(), "/run/secrets/rota-token", dir+"/rota-token", "/etc/orders", dir+"/etc", "/var/cache", dir+"/cache",
		"owner: orders", fmt.Sprintf("owner: %q", fmt.Sprint(os.Getuid())), "group: orders", fmt.Sprintf("group: %q", fmt.Sprint(os.Getgid())),
		"[systemctl, reload-or-restart, orders]", "[touch, "+dir+"/reloaded]",
	)
	run := func(script string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), "sh", "-ec", script)
		c.Dir = dir
		c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "CREDENTIALS_DIRECTORY=" + dir, "ROTA_SERVER=" + server.URL(), "ROTA_TOKEN_FILE=" + dir + "/rota-token"}
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		return string(out)
	}
	write("rota-token", server.Token(), 0o600)

	write("agent.yaml", here.Replace(block("# /etc/rota/agent.yaml\n")), 0o600)
	write("session.ini.tmpl", block("# /etc/rota/session.ini.tmpl\n"), 0o600)
	run("unset ROTA_SERVER; rota agent --agent-config agent.yaml --check; rota agent --agent-config agent.yaml --once")
	if got := read("etc/db.env"); !regexp.MustCompile(`(?m)^DB_USER=.?orders.?$`).MatchString(got) || !strings.Contains(got, "DB_PASSWORD=") {
		t.Errorf("db.env:\n%s", got)
	}
	if got := read("etc/session.ini"); !regexp.MustCompile(`\[session\]\nkey = \S{40,}\n\[database\]\nuser = orders\n$`).MatchString(got) {
		t.Errorf("session.ini:\n%s", got)
	}
	read("reloaded")

	write("orders", "#!/bin/sh\nenv\ntest -z \"$2\" || cat \"$2\"\n", 0o700)
	write("app.ini.tmpl", "[session]\nkey = {key}\n", 0o600)
	for begins, want := range map[string]string{
		"export ROTA_SERVER=":                     `(?m)^ORDERS_DB_PASSWORD=.+$`,
		"rota exec --secret prod/orders-db \\":    `(?m)^DATABASE_URL=postgres://orders:.+@db.internal/orders$`,
		"rota exec --secret prod/session-cookies": `(?m)^key = \S{40,}$`,
		"head -c 32": `(?m)^ORDERS_DB_USERNAME=orders$`,
	} {
		if got := run(here.Replace(block(begins))); !regexp.MustCompile(want).MatchString(got) || strings.Contains(got, server.Token()) {
			t.Errorf("%s: no match of %s in\n%s", begins, want, got)
		}
	}
}
