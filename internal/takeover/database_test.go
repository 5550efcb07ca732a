package takeover

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota/internal/testenv"
)

// database is a real PostgreSQL with a database app and two administrators: master,
// who isn't a superuser, as at RDS, and rota_admin.
type database struct {
	*world
	server *testenv.PostgresServer
}

func newDatabase(w *world) *database {
	w.t.Helper()
	d := &database{w, testenv.Postgres(w.t, testenv.PostgresOptions{})}
	psql, err := exec.LookPath("psql")
	if err != nil {
		testenv.Missing(w.t, "psql", "postgresql-client")
	}
	w.offer("psql", psql)
	d.server.Exec(w.t, "CREATE DATABASE app", "CREATE ROLE master LOGIN CREATEROLE PASSWORD 'master-password'", "GRANT CREATE ON DATABASE app TO master",
		"CREATE ROLE rota_admin LOGIN CREATEROLE PASSWORD 'admin-password'")
	d.server.ExecIn(w.t, "app", "GRANT CREATE ON SCHEMA public TO PUBLIC")
	w.here = append(w.here, "host: db.internal", fmt.Sprintf("host: %s, port: %d", d.server.Host, d.server.Port))
	for name, value := range map[string]string{
		"PGHOST": d.server.Host, "PGPORT": fmt.Sprint(d.server.Port), "PGUSER": "master", "PGPASSWORD": "master-password",
		"ROTA_DB_PASSWORD": "admin-password",
	} {
		w.env[name] = value
	}
	return d
}

// role creates a login role as master, who may alter it from then on, and so may
// rota_admin.
func (d *database) role(name, password string) {
	d.t.Helper()
	d.server.ExecIn(d.t, "app", "SET ROLE master; CREATE ROLE "+name+" LOGIN PASSWORD '"+password+"'; GRANT "+name+" TO rota_admin WITH ADMIN OPTION")
}

// login logs in and runs statements.
func (d *database) login(user, password string, statements ...string) error {
	config, err := pgx.ParseConfig(d.server.DatabaseDSN("app"))
	if err != nil {
		return err
	}
	config.User, config.Password = user, password
	conn, err := pgx.ConnectConfig(d.t.Context(), config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, s := range statements {
		if _, err := conn.Exec(d.t.Context(), s); err != nil {
			return err
		}
	}
	return nil
}

// serves fails the test unless a login works.
func (d *database) serves(user, password string, statements ...string) {
	d.t.Helper()
	if err := d.login(user, password, statements...); err != nil {
		d.t.Errorf("%s: %v", user, err)
	}
}

// inEnv is a value in a dotenv file.
func (d *database) inEnv(file, name string) string {
	d.t.Helper()
	return strings.TrimSuffix(d.shell(`cd `+filepath.Dir(file)+`; . ./`+filepath.Base(file)+`; printf '%s\n' "$`+name+`"`), "\n")
}

// rds is a database whose secret AWS's function rotates.
type rds struct {
	*account
	db     *database
	master string // the master secret's ARN, for two users
}

func newRDS(t *testing.T, r *road) *rds {
	t.Helper()
	w := newWorld(t, r)
	d := &rds{account: newAccount(w), db: newDatabase(w)}
	d.create("rota")
	d.create("SecretsManagerdb-app")
	d.db.role("app", "first-password")
	return d
}

func (d *rds) text(user, password string) *string {
	more := ""
	if d.master != "" {
		more = fmt.Sprintf(`, "masterarn": %q`, d.master)
	}
	return aws.String(fmt.Sprintf(`{"engine": "postgres", "host": %q, "port": %d, "username": %q, "password": %q, "dbname": "app"%s}`,
		d.db.server.Host, d.db.server.Port, user, password, more))
}

// rotated is the state after a rotation by AWS's function: it leaves AWSPENDING on
// the version that became current.
func (d *rds) rotated(user, password string) {
	t, id := d.t, "db/app"
	t.Helper()
	first, err := d.secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &id, SecretString: d.text("app", "first-password")})
	d.must(nil, err)
	d.must(d.secrets.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{
		SecretId: &id, RotationLambdaARN: aws.String(functionARN("SecretsManagerdb-app")), RotateImmediately: aws.Bool(false),
		RotationRules: &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30)},
	}))
	d.unannounce()
	second, err := d.secrets.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: &id, SecretString: d.text(user, password), VersionStages: []string{"AWSPENDING"},
	})
	d.must(nil, err)
	d.must(d.secrets.UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &id, VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: second.VersionId, RemoveFromVersionId: first.VersionId,
	}))
}

// unannounce removes AWSPENDING. moto refuses to rotate a secret on whose current
// version it is, where AWS takes that for a completed rotation.
func (d *rds) unannounce() {
	t, id := d.t, "db/app"
	t.Helper()
	out, err := d.secrets.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &id})
	d.must(nil, err)
	for version, labels := range out.VersionIdsToStages {
		if strings.Contains(fmt.Sprint(labels), "AWSPENDING") {
			d.must(d.secrets.UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
				SecretId: &id, VersionStage: aws.String("AWSPENDING"), RemoveFromVersionId: &version,
			}))
		}
	}
}

// rotatedBy fails the test unless this function rotates the secret.
func (d *rds) rotatedBy(function string) {
	t := d.t
	t.Helper()
	out, err := d.secrets.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String("db/app")})
	d.must(nil, err)
	if got := aws.ToString(out.RotationLambdaARN); got != functionARN(function) {
		t.Errorf("%s rotates it, want %s", got, function)
	}
}

// current logs in with the secret's label, and returns its user and password.
func (d *rds) current(label string, statements ...string) (user, password string) {
	d.t.Helper()
	v := d.value("db/app", label)
	user, password = fmt.Sprint(v["username"]), fmt.Sprint(v["password"])
	d.db.serves(user, password, statements...)
	return user, password
}

func walkSingleUser(t *testing.T, r *road) {
	t.Run("with the function", func(t *testing.T) {
		d := newRDS(t, r)
		d.rotated("app", "second-password")
		d.db.server.Exec(t, "ALTER ROLE app PASSWORD 'second-password'")
		d.unannounce()
		d.deploy()
		d.run("add-permission")
		d.run("describe-secret")
		d.rotatedBy("rota")
		if _, password := d.current("AWSCURRENT"); password != "second-password" {
			t.Error("the rehearsal changed the password")
		}
		d.run("db/app --rotation-lambda-arn arn:aws:lambda:eu-central-1:111122223333:function:rota")
		if _, password := d.current("AWSCURRENT"); password == "second-password" {
			t.Error("nothing was rotated")
		}
		d.old()
		d.run("function:SecretsManagerdb-app")
		d.rotatedBy("SecretsManagerdb-app")
	})
	t.Run("with a rota.yaml", func(t *testing.T) {
		d := newRDS(t, r)
		d.rotated("app", "second-password")
		d.db.server.Exec(t, "ALTER ROLE app PASSWORD 'second-password'")
		d.config("name: app-db")
		d.wants(d.run("cancel-rotate-secret"), "adopt app", " 0 failed")
		d.shell("rota rotate app-db --yes")
		if _, password := d.current("AWSCURRENT"); password == "second-password" {
			t.Error("nothing was rotated")
		}
		if v := d.value("db/app", "AWSCURRENT"); v["engine"] != "postgres" || v["dbname"] != "app" {
			t.Errorf("the other fields are %v", v)
		}
	})
	t.Run("AWS's sample for IAM users", func(t *testing.T) {
		a := newAccount(newWorld(t, r))
		a.create("rota")
		a.must(a.users.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("cms")}))
		first, secret := a.key("cms")
		a.must(a.secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("cms"), SecretString: aws.String(
			fmt.Sprintf(`{"username": "cms", "masterarn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:master-abcdef", "accesskey": %q, "secretkey": %q}`, first, secret))}))
		a.deploy()
		a.run("tag-resource")
		a.shell("aws secretsmanager rotate-secret --secret-id cms --rotation-rules AutomaticallyAfterDays=30 --rotation-lambda-arn " + functionARN("rota"))
		second := fmt.Sprint(a.value("cms", "AWSCURRENT")["accesskey"])
		if second == first {
			t.Errorf("nothing was rotated:\n%s", a.function.Output())
		}
		a.has("cms", first+" Active", second+" Active")
	})
}

func walkAlternatingUsers(t *testing.T, r *road) {
	start := func(t *testing.T) *rds {
		d := newRDS(t, r)
		master, err := d.secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("db/master"), SecretString: d.text("master", "master-password")})
		d.must(nil, err)
		d.master = *master.ARN
		d.rotated("app_clone", "second-password")
		d.db.server.Exec(t, "SET ROLE master; CREATE ROLE app_clone WITH LOGIN PASSWORD 'second-password'; GRANT app TO app_clone")
		d.unannounce()
		if err := d.db.login("app_clone", "second-password", "CREATE TABLE orders (n int)"); err != nil {
			t.Fatal(err)
		}
		return d
	}
	t.Run("with a clone that acts as the first", func(t *testing.T) {
		d := start(t)
		d.deploy("ROTA_UNUSED_FOR=1ms")
		d.run("psql")
		d.run("no-rotate-immediately")
		d.rotatedBy("rota")
		d.run("db/app --rotation-lambda-arn")
		if user, _ := d.current("AWSCURRENT", "SELECT * FROM orders"); user != "app" {
			t.Errorf("the current user is %s, want app", user)
		}
		if user, _ := d.current("AWSPREVIOUS", "SELECT * FROM orders", "CREATE TABLE invoices (n int)"); user != "app_clone" {
			t.Errorf("the previous user is %s, want app_clone", user)
		}
		d.shell("aws secretsmanager rotate-secret --secret-id db/app --rotation-lambda-arn " + functionARN("rota"))
		d.current("AWSCURRENT", "SELECT * FROM orders", "SELECT * FROM invoices")
		d.current("AWSPREVIOUS", "SELECT * FROM orders", "SELECT * FROM invoices")
	})
	t.Run("with a rota.yaml", func(t *testing.T) {
		d := start(t)
		d.config("roles: [app, app_clone]")
		d.run("psql")
		d.wants(d.run("cancel-rotate-secret"), "adopt app_clone", " 0 failed")
		d.wants(d.shell("rota versions app-db"), "app_clone", "AWSPREVIOUS", "somebody else (adopted)")
		d.wants(d.run("rota plan"), "deactivate")
		for _, days := range []int{4, 6, 8, 10, 12, 21, 31} {
			d.after(timeOf(days))
			_, _ = d.try("rota run") // exit code 3 while the previous user is held
		}
		user, password := d.current("AWSCURRENT", "SELECT * FROM orders", "CREATE TABLE invoices (n int)")
		if user != "app" || password == "first-password" {
			t.Errorf("the current user is %s, want app with a new password", user)
		}
		d.current("AWSPREVIOUS", "SELECT * FROM orders", "SELECT * FROM invoices")
		if v := d.value("db/app", "AWSCURRENT"); v["engine"] != "postgres" || v["masterarn"] != d.master {
			t.Errorf("the other fields are %v", v)
		}
	})
	t.Run("with a clone that owns tables", func(t *testing.T) {
		d := start(t)
		d.deploy("ROTA_UNUSED_FOR=1ms")
		_, _ = d.try("aws secretsmanager rotate-secret --secret-id db/app --rotation-lambda-arn " + functionARN("rota"))
		d.wants(d.function.Output(), `REASSIGN OWNED BY \"app_clone\" TO \"app\"`)
		d.db.serves("app_clone", "second-password")
	})
}

func walkCron(t *testing.T, r *road) {
	d := newDatabase(newWorld(t, r))
	d.role("orders_app", "by-the-script")
	d.write("etc/cron.d/rotate-orders", "0 3 1 * * root /usr/local/bin/rotate-orders\n")
	d.write("etc/orders/db.env", "# written by rotate-orders\nDB_USER=orders_app\nDB_PASSWORD=by-the-script\nDB_HOST=db\n")
	d.write("etc/orders/rota_admin.password", "admin-password\n")
	d.write("etc/orders/rota.yaml", d.local(r.find(t, "yaml", "orders").text))
	d.write("bin/systemctl", "#!/bin/sh\necho \"$@\" >> restarted\n")
	d.shell("chmod +x bin/systemctl")

	d.run("mv /etc/cron.d/rotate-orders")
	d.wants(d.run("rota adopt"), "adopt orders_app", " 0 failed")
	if p := d.inEnv("etc/orders/db.env", "DB_PASSWORD"); p != "by-the-script" {
		t.Errorf("the file's password is %q", p)
	}
	d.run("root rota run")
	_, command, _ := strings.Cut(d.read("etc/cron.d/rota"), "0 * * * * root ")
	d.after(31 * day)
	d.wants(d.shell(command), "set orders_app", "deliver orders_app")
	p := d.inEnv("etc/orders/db.env", "DB_PASSWORD")
	d.serves("orders_app", p)
	if p == "by-the-script" {
		t.Error("nothing was rotated")
	}
	d.wants(d.read("etc/orders/db.env"), "# written by rotate-orders", "DB_HOST=db")
	d.wants(d.read("restarted"), "restart orders")
	d.run("rm /etc")
	d.wants(d.shell("ls etc/cron.d"), "rotate-orders")
}
