package mysql

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/provider/sqlrow"
)

// keysTable makes a table of API keys with the row mail and an account without any
// rights, and returns the table's name with its database, and the account's.
func keysTable(t testing.TB, s *testenv.MariaDBServer) (table, login string) {
	t.Helper()
	return keysTableAt(t, s.Exec, "VIA mysql_native_password USING '"+must(stored(pluginNative, "", adminPassword))+"'")
}

func keysTableAt(t testing.TB, exec func(testing.TB, ...string), identified string) (table, login string) {
	t.Helper()
	db := unique("shop")
	table, login = db+".api_keys", unique("settings")
	exec(t, "CREATE DATABASE "+db, "CREATE TABLE "+table+" (id int AUTO_INCREMENT PRIMARY KEY, name varchar(40) UNIQUE, key_id varchar(40), secret varchar(60), changes int NOT NULL DEFAULT 0)",
		"CREATE TRIGGER "+db+".changes BEFORE UPDATE ON "+table+" FOR EACH ROW SET NEW.changes = OLD.changes + 1",
		"INSERT INTO "+table+" (name) VALUES ('mail'), ('sms')",
		"CREATE USER "+login+" IDENTIFIED "+identified)
	return table, login
}

func loginConfig(s *testenv.MariaDBServer, login string) Config {
	return Config{Host: s.Host, Port: s.Port, Username: login, Password: adminPassword}
}

// rowOf parses statements in which TABLE is the table.
func rowOf(t testing.TB, table, write, read string) *sqlrow.Row {
	t.Helper()
	r := &sqlrow.Row{Write: must(sqlrow.ParseWrite(sqlrow.MySQL, strings.ReplaceAll(write, "TABLE", table)))}
	if read != "" {
		r.Read = must(sqlrow.ParseRead(sqlrow.MySQL, strings.ReplaceAll(read, "TABLE", table)))
	}
	return r
}

// permit grants what the target asks for.
func permit(t testing.TB, s interface {
	Exec(testing.TB, ...string)
}, target rota.Target) {
	t.Helper()
	for _, p := range target.(*tableRow).Permissions() {
		s.Exec(t, strings.TrimSuffix(p.Detail.(string), ";"))
	}
}

const (
	updateMail = "UPDATE TABLE SET key_id = :access_key_id, secret = :secret_access_key WHERE name = 'mail'"
	readMail   = "SELECT key_id AS access_key_id, secret AS secret_access_key FROM TABLE WHERE name = 'mail'"
)

// ways are the ways to write a row, each with a query that shows what's there.
var ways = []struct{ name, write, read string }{
	{"an update with read", updateMail, readMail},
	{"an update without read", updateMail, ""},
	{"an upsert with read", "INSERT INTO TABLE (name, key_id, secret) VALUES ('mail', :access_key_id, :secret_access_key) ON DUPLICATE KEY UPDATE key_id = VALUES(key_id), secret = VALUES(secret)", readMail},
	{"an upsert without read", "INSERT INTO TABLE SET name = 'mail', key_id = :access_key_id, secret = :secret_access_key ON DUPLICATE KEY UPDATE key_id = :access_key_id, secret = :secret_access_key", ""},
	{"an insert of a new row each time", "INSERT INTO TABLE (key_id, secret) VALUES (:access_key_id, :secret_access_key)",
		"SELECT key_id AS access_key_id, secret AS secret_access_key FROM TABLE WHERE name IS NULL ORDER BY id DESC LIMIT 1"},
}

// root is a session that may do everything.
func root(t testing.TB, s *testenv.MariaDBServer) *Connection {
	t.Helper()
	return connect(t, Config{Host: s.Host, Port: s.Port, Username: "root"})
}

// look runs a query.
func look(t testing.TB, c *Connection, query string) (found []map[string]*string) {
	t.Helper()
	if err := inSession(context.Background(), c.rows, func(ctx context.Context, conn *sql.Conn) (err error) {
		found, err = (rowSession{conn}).Query(ctx, query, nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRowsKeepTheContract(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
				s := shared.Get(t)
				table, login := keysTable(t, s)
				c, p := through(t, s, loginConfig(s, login))
				target := must(c.Row("settings", rowOf(t, table, way.write, way.read)))
				permit(t, s, target)
				return rowFixture(t, target, p, root(t, s), table, way.read)
			})
		})
	}
}

func TestRowsOfMySQLKeepTheContract(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
				s := sharedMySQL.Get(t)
				table, login := keysTableAt(t, s.Exec, "BY '"+adminPassword+"'")
				c, p := throughSocket(t, s, Config{Username: login, Password: adminPassword, ConnectTimeout: 2 * time.Second})
				target := must(c.Row("settings", rowOf(t, table, way.write, way.read)))
				permit(t, s, target)
				return rowFixture(t, target, p, connect(t, Config{Host: s.Socket, Username: "root"}), table, way.read)
			})
		})
	}
}

// rowFixture is a row's, as root sees it.
func rowFixture(t *testing.T, target rota.Target, p *proxy, root *Connection, table, read string) providertest.TargetFixture {
	seen := read
	if read == "" {
		seen = readMail
	}
	f := providertest.TargetFixture{
		Target: target, Inject: p.inject,
		Read: func() (rota.Credential, bool, error) {
			rows := look(t, root, strings.ReplaceAll(seen, "TABLE", table))
			if len(rows) == 0 || rows[0]["access_key_id"] == nil {
				return rota.Credential{}, false, nil
			}
			return rota.NewCredential(map[string]string{rota.FieldAccessKeyID: *rows[0]["access_key_id"], rota.FieldSecretAccessKey: *rows[0]["secret_access_key"]}), true, nil
		},
	}
	if read != "" {
		f.Writes = func() int {
			return must(strconv.Atoi(*look(t, root, "SELECT SUM(changes) + COUNT(*) AS n FROM "+table)[0]["n"]))
		}
	}
	return f
}
