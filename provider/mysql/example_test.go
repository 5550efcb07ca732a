package mysql_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/mysql"
)

// The example on the provider's page rotates as it stands there; only the servers'
// addresses and the folder are the test's.
func TestTheExampleRotates(t *testing.T) {
	maria, crm := testenv.MariaDB(t, testenv.MariaDBOptions{}), testenv.MySQL(t, testenv.MySQLOptions{})
	dir := t.TempDir()
	file := strings.NewReplacer(
		"host: db.internal,", fmt.Sprintf("host: %s, port: %d,", maria.Host, maria.Port),
		"host: shop.internal,", fmt.Sprintf("host: %s, port: %d,", maria.Host, maria.Port),
		"host: crm.internal,", "host: "+crm.Socket+",", "/run/secrets", dir).Replace(mysql.Provider().Example)
	config := filepath.Join(dir, "rota.yaml")
	for path, text := range map[string]string{config: file, filepath.Join(dir, "db"): "admin-canary-1", filepath.Join(dir, "shop-db"): "admin-canary-2", filepath.Join(dir, "crm-db"): "admin-canary-3"} {
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
	// rota policy mysql prints what Rota's accounts need, and no more.
	policy := rota("policy", "mysql")
	page, err := os.ReadFile("../../docs/providers/mysql.md")
	if err != nil || !strings.Contains(string(page), "<!-- rota policy mysql -->\n```sql\n"+policy+"```\n") {
		t.Errorf("docs/providers/mysql.md doesn't hold what the command prints now (%v):\n%s", err, policy)
	}
	statements := func(connection string) (all []string) {
		for line := range strings.Lines(rota("policy", "mysql", "--connection", connection)) {
			if strings.HasPrefix(line, "GRANT") {
				all = append(all, strings.TrimSuffix(strings.TrimSpace(line), ";"))
			}
		}
		return all
	}
	maria.Exec(t, "CREATE DATABASE shop", "CREATE TABLE shop.orders (n int)",
		"CREATE TABLE shop.settings (service varchar(40) PRIMARY KEY, db_user varchar(80), db_password varchar(200))", "INSERT INTO shop.settings (service) VALUES ('orders')",
		"CREATE USER reports ACCOUNT LOCK", "CREATE USER orders_a ACCOUNT LOCK", "CREATE USER orders_b ACCOUNT LOCK",
		"GRANT SELECT ON shop.* TO reports, orders_a, orders_b",
		"CREATE USER rota_admin IDENTIFIED BY 'admin-canary-1'", "CREATE USER rota_settings IDENTIFIED BY 'admin-canary-2'")
	maria.Exec(t, append(statements("app-db"), statements("shop-db")...)...)
	crm.Exec(t, "CREATE DATABASE crm", "CREATE TABLE crm.customers (n int)", "CREATE USER crm ACCOUNT LOCK", "GRANT SELECT ON crm.* TO crm",
		"CREATE USER rota_admin IDENTIFIED BY 'admin-canary-3'")
	crm.Exec(t, statements("crm-db")...)
	rota("check")
	rota("run")
	for _, name := range []string{"prod/reports-db", "prod/orders-db", "prod/crm-db"} {
		rota("rotate", name, "--yes")
	}
	if out := rota("status"); strings.Contains(out, "held") {
		t.Error(out)
	}
	second := func() bool { return strings.Contains(rota("check", "prod/crm-db"), "it has two passwords") }
	if !second() {
		t.Error("MySQL has one password, want the current and the previous one")
	}
	rota("delete", "prod/crm-db", "--yes")
	if second() {
		t.Error("MySQL still has two passwords")
	}
}

// A person's password is adopted, replaced and deleted by processes of which each
// knows only what the store and the server hold.
func TestAnAdoptedMySQLPasswordIsRecognizedByEachProcess(t *testing.T) {
	crm := testenv.MySQL(t, testenv.MySQLOptions{})
	dir := t.TempDir()
	config := filepath.Join(dir, "rota.yaml")
	file := fmt.Sprintf(`connections:
  crm-db: {mysql: {host: %s, username: root}}
secrets:
  - name: crm
    issuer: {connection: crm-db, mysql_dual_password: {user: crm}}
    policy: {rotate_every: 30d}
`, crm.Socket)
	if err := os.WriteFile(config, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	rota := func(in string, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := app.Run(t.Context(), app.Options{}, append(args, "-c", config), []string{"ROTA_DATA_DIR=" + filepath.Join(dir, "data")}, strings.NewReader(in), &out, &out); code != 0 {
			t.Fatalf("rota %s: code %d\n%s", strings.Join(args, " "), code, out.String())
		}
		return out.String()
	}
	crm.Exec(t, "CREATE USER crm IDENTIFIED BY 'by-hand-5Tq'")
	rota(`{"password": "by-hand-5Tq"}`, "adopt", "crm", "--from", "-")
	rota("", "rotate", "crm", "--yes")
	if out := rota("", "check"); !strings.Contains(out, "it has two passwords") {
		t.Errorf("the person's password is gone already:\n%s", out)
	}
	rota("", "delete", "crm", "--yes")
	if out := rota("", "check"); strings.Contains(out, "it has two passwords") {
		t.Errorf("the person's password wasn't recognized:\n%s", out)
	}
}
