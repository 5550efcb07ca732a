package function_test

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota/internal/function/runtimetest"
	"github.com/rota-dev/rota/internal/testenv"
)

// mysqlDatabase is a real MariaDB or MySQL with a user app and a master, and their
// secrets.
type mysqlDatabase struct {
	*cloud
	engine string
	host   string
	port   int
	exec   func(statements ...string)
	caFile string   // "" for a server without TLS
	env    []string // the function's
}

// onMySQLs runs a test against both servers. args are additional arguments of rota
// policy aws.
func onMySQLs(t *testing.T, args []string, test func(*testing.T, *mysqlDatabase)) {
	for _, engine := range []string{"mariadb", "mysql"} {
		t.Run(engine, func(t *testing.T) {
			d := &mysqlDatabase{engine: engine}
			if engine == "mysql" {
				s := testenv.MySQL(t, testenv.MySQLOptions{})
				d.host, d.port, d.caFile = s.Host, s.Port, s.CAFile
				d.exec = func(statements ...string) { t.Helper(); s.Exec(t, statements...) }
				// The server made its own certificate, which has no host's name.
				d.env = []string{"MYSQL_SSL_MODE=verify_ca", "MYSQL_SSL_CA=" + s.CAFile}
			} else {
				s := testenv.MariaDB(t, testenv.MariaDBOptions{})
				d.host, d.port = s.Host, s.Port
				d.exec = func(statements ...string) { t.Helper(); s.Exec(t, statements...) }
			}
			d.cloud = newCloudWith(t, policyWith(t, []string{passwordOf("db/app")}, args...)...)
			d.exec("CREATE DATABASE shop", "CREATE TABLE shop.orders (n int)",
				"CREATE USER app IDENTIFIED BY 'first-password'", "GRANT SELECT ON shop.orders TO app",
				"CREATE USER master IDENTIFIED BY 'master-password'", "GRANT ALL ON *.* TO master WITH GRANT OPTION")
			test(t, d)
		})
	}
}

// start deploys the function.
func (d *mysqlDatabase) start(env ...string) *runtimetest.Function {
	d.t.Helper()
	return d.deploy(append(env, d.env...)...)
}

// secret creates an entry as AWS's own templates do, with additional fields.
func (d *mysqlDatabase) secret(name, username, password, more string) string {
	d.t.Helper()
	arn, _, err := d.CreateSecret(name, d.value(username, password, more))
	if err != nil {
		d.t.Fatal(err)
	}
	return arn
}

func (d *mysqlDatabase) value(username, password, more string) string {
	return fmt.Sprintf(`{"engine":%q,"host":%q,"port":%d,"username":%q,"password":%q,"dbname":"shop","note":"kept"%s}`,
		d.engine, d.host, d.port, username, password, more)
}

// login reads a row as the user of a version.
func (d *mysqlDatabase) login(name, label string) (username string, err error) {
	text, _ := d.SecretText(name, label)
	var v struct {
		Username, Password, Note, Host string
		Port                           int
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return "", err
	}
	if v.Note != "kept" || v.Port != d.port {
		return "", fmt.Errorf("the other fields are %q and %d", v.Note, v.Port)
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.Logger = v.Username, v.Password, "tcp", net.JoinHostPort(v.Host, strconv.Itoa(v.Port)), &mysql.NopLogger{}
	if d.caFile != "" {
		roots := x509.NewCertPool()
		pem, err := os.ReadFile(d.caFile)
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			return "", fmt.Errorf("no authority: %w", err)
		}
		cfg.TLS = &tls.Config{RootCAs: roots, InsecureSkipVerify: true}
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return "", err
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(d.t.Context(), "SELECT * FROM shop.orders")
	return v.Username, err
}

// wantUsers checks who logs in with which version.
func (d *mysqlDatabase) wantUsers(want map[string]string) {
	d.t.Helper()
	for label, user := range want {
		if who, err := d.login("db/app", label); err != nil || who != user {
			d.t.Errorf("%s: logged in as %s, %v; want %s", label, who, err, user)
		}
	}
}

func TestAMySQLUserChangesItsOwnPassword(t *testing.T) {
	onMySQLs(t, nil, func(t *testing.T, d *mysqlDatabase) {
		arn := d.secret("db/app", "app", "first-password", "")
		f := d.start()
		for range 2 {
			token := d.rotate(f, "db/app", arn)
			if got := d.Labels("db/app")["AWSCURRENT"]; got != token {
				t.Errorf("AWSCURRENT is on %s, want %s", got, token)
			}
			d.wantUsers(map[string]string{"AWSCURRENT": "app"})
			if _, err := d.login("db/app", "AWSPREVIOUS"); err == nil {
				t.Error("the old password of a single user still works")
			}
		}
		d.exec("ALTER USER app IDENTIFIED BY 'changed-by-somebody'")
		token, err := d.AnnounceVersion("db/app")
		if err != nil {
			t.Fatal(err)
		}
		refuse(t, f, stepEvent(arn, token, "createSecret"), "RotationStopped", "someone changed it outside Rota")
	})
}

func TestAMasterChangesAMySQLPassword(t *testing.T) {
	onMySQLs(t, []string{"--master-secret", "db/master"}, func(t *testing.T, d *mysqlDatabase) {
		master := d.secret("db/master", "master", "master-password", "")
		arn := d.secret("db/app", "app", "first-password", fmt.Sprintf(`,"masterarn":%q`, master))
		d.tag("db/app", "rota:users", "single")
		d.rotate(d.start(), "db/app", arn)
		d.wantUsers(map[string]string{"AWSCURRENT": "app"})
		if _, err := d.login("db/app", "AWSPREVIOUS"); err == nil {
			t.Error("the old password of a single user still works")
		}
	})
}

func TestTwoMySQLUsersAlternate(t *testing.T) {
	onMySQLs(t, []string{"--master-secret", "db/master"}, func(t *testing.T, d *mysqlDatabase) {
		master := d.secret("db/master", "master", "master-password", "")
		arn := d.secret("db/app", "app", "first-password", fmt.Sprintf(`,"masterarn":%q`, master))
		as := map[string]string{"mysql": "SET DEFAULT ROLE readers TO app", "mariadb": "SET DEFAULT ROLE readers FOR app"}[d.engine]
		d.exec("CREATE ROLE readers", "GRANT SELECT ON shop.* TO readers", "GRANT readers TO app", as, "GRANT UPDATE (n) ON shop.orders TO app WITH GRANT OPTION", "GRANT RELOAD ON *.* TO app", "GRANT readers TO master WITH ADMIN OPTION")
		f := d.start("ROTA_UNUSED_FOR=1ms")
		d.rotate(f, "db/app", arn)
		d.wantUsers(map[string]string{"AWSCURRENT": "app_clone", "AWSPREVIOUS": "app"})
		d.rotate(f, "db/app", arn)
		d.wantUsers(map[string]string{"AWSCURRENT": "app", "AWSPREVIOUS": "app_clone"})
		d.exec("CREATE TABLE shop.sales (n int)", "GRANT INSERT ON shop.sales TO app") // which the clone gets, too
		d.rotate(f, "db/app", arn)
		d.wantUsers(map[string]string{"AWSCURRENT": "app_clone", "AWSPREVIOUS": "app"})
	})
}

// What the master may not give to the clone is named, and nothing is promoted.
func TestAMySQLCloneThatLacksSomethingIsNotPromoted(t *testing.T) {
	onMySQLs(t, []string{"--master-secret", "db/master"}, func(t *testing.T, d *mysqlDatabase) {
		d.exec("REVOKE ALL PRIVILEGES, GRANT OPTION FROM master", "GRANT CREATE USER, PROCESS ON *.* TO master", "GRANT SELECT ON mysql.* TO master")
		master := d.secret("db/master", "master", "master-password", "")
		arn := d.secret("db/app", "app", "first-password", fmt.Sprintf(`,"masterarn":%q`, master))
		f := d.start()
		token, err := d.AnnounceVersion("db/app")
		if err != nil {
			t.Fatal(err)
		}
		succeed(t, f, stepEvent(arn, token, "createSecret"))
		succeed(t, f, stepEvent(arn, token, "setSecret"))
		refuse(t, f, stepEvent(arn, token, "testSecret"), "RotationStopped", "SELECT on shop.orders")
		d.wantUsers(map[string]string{"AWSCURRENT": "app"})
	})
}

// The entry's value names a user of somebody else's: no password there logs in as it.
func TestAnotherMySQLUserIsNotTouched(t *testing.T) {
	onMySQLs(t, []string{"--master-secret", "db/master"}, func(t *testing.T, d *mysqlDatabase) {
		d.exec("CREATE USER payroll IDENTIFIED BY 'of-the-dba'")
		master := d.secret("db/master", "master", "master-password", "")
		arn := d.secret("db/app", "app", "first-password", fmt.Sprintf(`,"masterarn":%q`, master))
		id, value := "rota-00000000-0000-4000-8000-000000000001", d.value("payroll", "guessed", fmt.Sprintf(`,"masterarn":%q`, master))
		if _, err := d.secrets().PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
			SecretId: aws.String("db/app"), ClientRequestToken: &id, SecretString: &value, VersionStages: []string{"AWSCURRENT", "ROTA_ADOPTED", "ROTA_SERVED"},
		}); err != nil {
			t.Fatal(err)
		}
		f := d.start()
		token, err := d.AnnounceVersion("db/app")
		if err != nil {
			t.Fatal(err)
		}
		refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", "no password in db/app logs in as the user payroll")
	})
}

// A master's password goes to the server that its own secret names, at MySQL's port
// if that names none.
func TestAMySQLMastersPasswordGoesToTheMastersServerOnly(t *testing.T) {
	for value, says := range map[string]string{
		`{"username":"master","password":"master-password"}`:                    "doesn't say for which server it is",
		`{"username":"master","password":"master-password","host":"127.0.0.1"}`: "is for the server 127.0.0.1:3306, and this one for 127.0.0.1:1",
	} {
		c := newCloudWith(t, policyWith(t, []string{passwordOf("db/app")}, "--master-secret", "db/master")...)
		master, _, err := c.CreateSecret("db/master", value)
		if err != nil {
			t.Fatal(err)
		}
		arn, _, err := c.CreateSecret("db/app", fmt.Sprintf(`{"engine":"mysql","host":"127.0.0.1","port":1,"username":"app","password":"app-password","masterarn":%q}`, master))
		if err != nil {
			t.Fatal(err)
		}
		token, err := c.AnnounceVersion("db/app")
		if err != nil {
			t.Fatal(err)
		}
		refuse(t, c.deploy(), stepEvent(arn, token, "createSecret"), "Held", says)
	}
}

// Whoever has an account app_clone isn't the owner of app, even with the same rights.
func TestALoginByAMySQLCloneNameIsNoProofOfTheFirstUser(t *testing.T) {
	onMySQLs(t, []string{"--master-secret", "db/master"}, func(t *testing.T, d *mysqlDatabase) {
		d.exec("CREATE USER app_clone IDENTIFIED BY 'of-the-attacker'", "GRANT SELECT ON shop.orders TO app_clone")
		master := d.secret("db/master", "master", "master-password", "")
		arn := d.secret("db/app", "app_clone", "of-the-attacker", fmt.Sprintf(`,"masterarn":%q`, master))
		f := d.start()
		token, err := d.AnnounceVersion("db/app")
		if err != nil {
			t.Fatal(err)
		}
		refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", "no password in db/app logs in as the user app, so nothing is done for that user")
		refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", "doesn't prove whose app is")
	})
}
