package cli_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota/internal/cli"
	"github.com/rota-dev/rota/internal/testenv"
)

// TestMariaDBsPageRunsAsWritten does what docs/providers/mysql.md says, with its
// own rota.yaml and statements. Only the servers' addresses differ. What MySQL adds is
// in provider/mysql's own test of the example.
func TestMariaDBsPageRunsAsWritten(t *testing.T) {
	server, crm := testenv.MariaDB(t, testenv.MariaDBOptions{}), testenv.MySQL(t, testenv.MySQLOptions{})
	page, err := os.ReadFile("../../docs/providers/mysql.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind, with string) string {
		for _, m := range regexp.MustCompile("(?s)```"+kind+"\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
			if strings.Contains(m[1], with) {
				return m[1]
			}
		}
		t.Fatalf("the page has no block of %s with %q", kind, with)
		return ""
	}
	run := func(statements string) {
		for line := range strings.Lines(statements) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
				server.Exec(t, line)
			}
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "rota.yaml")
	address := fmt.Sprintf("host: 127.0.0.1, port: %d", server.Port)
	example := strings.NewReplacer("host: db.internal", address, "host: shop.internal", address, "host: crm.internal", "host: "+crm.Socket, "/run/secrets/crm-db", dir+"/db", "/run/secrets/db", dir+"/db", "/run/secrets/shop-db", dir+"/db").Replace(block("yaml", "mysql:"))
	for path, content := range map[string]string{file: example, dir + "/db": "admin-canary-5Rz8"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rota := func(want int, args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := cli.Run(t.Context(), append(args, "-c", file, "--data-dir", dir+"/data"), nil, strings.NewReader(""), &stdout, &stderr); code != want {
			t.Fatalf("rota %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout.String(), stderr.String())
		}
		return stdout.String()
	}
	logsIn := func(c map[string]string) error {
		cfg := driver.NewConfig()
		cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.Logger = c["username"], c["password"], "tcp", net.JoinHostPort(c["host"], c["port"]), &driver.NopLogger{}
		connector, err := driver.NewConnector(cfg)
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(connector)
		defer func() { _ = db.Close() }()
		return db.PingContext(t.Context())
	}
	get := func(secret string) map[string]string {
		t.Helper()
		c := map[string]string{}
		for _, field := range []string{"username", "password", "host", "port"} {
			c[field] = strings.TrimSuffix(rota(0, "get", secret, "--field", field), "\n")
		}
		return c
	}

	admin := regexp.MustCompile(`mariadb -e "(CREATE USER rota_admin .*)"`).FindStringSubmatch(string(page))
	server.Exec(t, strings.ReplaceAll(admin[1], "…", "admin-canary-5Rz8"), "CREATE DATABASE shop", "CREATE TABLE shop.orders (id int)", "CREATE USER reports ACCOUNT LOCK", "GRANT SELECT ON shop.* TO reports",
		strings.ReplaceAll(strings.ReplaceAll(admin[1], "…", "admin-canary-5Rz8"), "rota_admin", "rota_settings"),
		"CREATE TABLE shop.settings (service varchar(20) PRIMARY KEY, db_user varchar(80), db_password varchar(80))", "INSERT INTO shop.settings (service) VALUES ('orders')")
	run(block("sql", "CREATE ROLE orders"))
	run(rota(0, "policy", "mysql", "--connection", "app-db", "--connection", "shop-db"))
	crm.Exec(t, strings.ReplaceAll(admin[1], "…", "admin-canary-5Rz8"), "CREATE DATABASE crm", "CREATE TABLE crm.customers (id int)", "CREATE USER crm ACCOUNT LOCK", "GRANT SELECT ON crm.* TO crm")
	for line := range strings.Lines(rota(0, "policy", "mysql", "--connection", "crm-db")) {
		if !strings.HasPrefix(line, "--") {
			crm.Exec(t, line)
		}
	}

	rota(0, "check")
	rota(0, "run")
	reports, orders := get("prod/reports-db"), get("prod/orders-db")
	for _, c := range []map[string]string{reports, orders} {
		if err := logsIn(c); err != nil {
			t.Errorf("%s after the first rotation: %v", c["username"], err)
		}
	}
	rota(0, "rotate", "prod/reports-db", "prod/orders-db", "--yes")
	newReports, newOrders := get("prod/reports-db"), get("prod/orders-db")
	if newOrders["username"] == orders["username"] || newReports["password"] == reports["password"] {
		t.Fatal("nothing was rotated")
	}
	for _, c := range []map[string]string{newReports, newOrders, orders} {
		if err := logsIn(c); err != nil {
			t.Errorf("%s after the second rotation: %v", c["username"], err)
		}
	}
	if err := logsIn(reports); err == nil {
		t.Error("the single account's old password still logs in")
	}
	if plan := rota(0, "plan", "prod/orders-db"); !strings.Contains(plan, "deactivate") {
		t.Errorf("the previous account isn't going to be locked:\n%s", plan)
	}
	rota(0, "rollback", "prod/orders-db", "--yes")
	if c := get("prod/orders-db"); c["username"] != orders["username"] || logsIn(c) != nil {
		t.Error("the rollback leads to no login")
	}
	root, err := driver.ParseDSN(fmt.Sprintf("root@tcp(127.0.0.1:%d)/shop", server.Port))
	if err != nil {
		t.Fatal(err)
	}
	connector, err := driver.NewConnector(root)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	var user, password string
	if err := db.QueryRowContext(t.Context(), "SELECT db_user, db_password FROM settings WHERE service = 'orders'").Scan(&user, &password); err != nil || user != orders["username"] || password != orders["password"] {
		t.Errorf("the row doesn't hold the login of %s, but of %q: %v", orders["username"], user, err)
	}
}
