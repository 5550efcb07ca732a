package function_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota/internal/function/runtimetest"
	"github.com/rota-dev/rota/internal/testenv"
)

// database is a real PostgreSQL with password authentication, a user app and a
// master, and their secrets.
type database struct {
	*cloud
	server *testenv.PostgresServer
	dbname string
}

// newDatabase creates one whose function rotates the secret db/app. args are
// additional arguments of rota policy aws.
func newDatabase(t *testing.T, args ...string) *database {
	t.Helper()
	server := testenv.Postgres(t, testenv.PostgresOptions{})
	d := &database{cloud: newCloudWith(t, policyWith(t, []string{passwordOf("db/app")}, args...)...), server: server}
	dsn, err := url.Parse(server.NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	d.dbname = strings.TrimPrefix(dsn.Path, "/")
	server.Exec(t, "CREATE ROLE app LOGIN PASSWORD 'first-password'", "CREATE ROLE master LOGIN CREATEROLE PASSWORD 'master-password'", "GRANT app TO master WITH ADMIN OPTION")
	server.ExecIn(t, d.dbname, "CREATE TABLE orders (n int)", "GRANT SELECT ON orders TO app")
	return d
}

// secret creates an entry as AWS's own templates do, with additional fields.
func (d *database) secret(name, username, password, more string) string {
	d.t.Helper()
	arn, _, err := d.CreateSecret(name, fmt.Sprintf(`{"engine":"postgres","host":%q,"port":%d,"username":%q,"password":%q,"dbname":%q,"note":"kept"%s}`,
		d.server.Host, d.server.Port, username, password, d.dbname, more))
	if err != nil {
		d.t.Fatal(err)
	}
	return arn
}

// login reads a row as the user of a version.
func (d *database) login(name, label string) (username string, err error) {
	text, _ := d.SecretText(name, label)
	var v struct {
		Host, Username, Password, Dbname, Note string
		Port                                   int
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return "", err
	}
	if v.Note != "kept" || v.Port != d.server.Port {
		return "", fmt.Errorf("the other fields are %q and %d", v.Note, v.Port)
	}
	dsn := url.URL{Scheme: "postgres", User: url.UserPassword(v.Username, v.Password), Host: v.Host + ":" + strconv.Itoa(v.Port), Path: v.Dbname, RawQuery: "sslmode=disable"}
	conn, err := pgx.Connect(d.t.Context(), dsn.String())
	if err != nil {
		return v.Username, err
	}
	defer func() { _ = conn.Close(d.t.Context()) }()
	_, err = conn.Exec(d.t.Context(), "SELECT * FROM orders")
	return v.Username, err
}

// rotate has Secrets Manager's four steps done, each of them twice.
func (c *cloud) rotate(f *runtimetest.Function, name, arn string) string {
	c.t.Helper()
	token, err := c.AnnounceVersion(name)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, step := range protocol {
		succeed(c.t, f, stepEvent(arn, token, step))
		succeed(c.t, f, stepEvent(arn, token, step))
		f.Kill()
	}
	return token
}

func TestAPostgresUserChangesItsOwnPassword(t *testing.T) {
	d := newDatabase(t)
	arn := d.secret("db/app", "app", "first-password", "")
	f := d.deploy()
	for range 2 {
		token := d.rotate(f, "db/app", arn)
		if got := d.Labels("db/app")["AWSCURRENT"]; got != token {
			t.Errorf("AWSCURRENT is on %s, want %s", got, token)
		}
		if _, err := d.login("db/app", "AWSCURRENT"); err != nil {
			t.Errorf("log in with the current password: %v", err)
		}
	}
	d.server.Exec(t, "ALTER ROLE app PASSWORD 'changed-by-somebody'")
	token, err := d.AnnounceVersion("db/app")
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, f, stepEvent(arn, token, "createSecret"), "RotationStopped", "someone changed it outside Rota")
}

func TestAMasterChangesAPostgresPassword(t *testing.T) {
	d := newDatabase(t, "--master-secret", "db/master")
	master := d.secret("db/master", "master", "master-password", `,"host":"LocalHost"`) // the same host, written otherwise
	arn := d.secret("db/app", "app", "first-password", fmt.Sprintf(`,"masterarn":%q`, master))
	d.tag("db/app", "rota:users", "single")
	d.rotate(d.deploy(), "db/app", arn)
	if who, err := d.login("db/app", "AWSCURRENT"); err != nil || who != "app" {
		t.Errorf("log in as %s: %v", who, err)
	}
	if _, err := d.login("db/app", "AWSPREVIOUS"); err == nil {
		t.Error("the old password of a single user still works")
	}
}

func TestTwoPostgresUsersAlternate(t *testing.T) {
	d := newDatabase(t, "--master-secret", "db/master")
	master := d.secret("db/master", "master", "master-password", "")
	arn := d.secret("db/app", "app", "first-password", fmt.Sprintf(`,"masterarn":%q`, master))
	f := d.deploy()
	d.rotate(f, "db/app", arn)
	for label, want := range map[string]string{"AWSCURRENT": "app_clone", "AWSPREVIOUS": "app"} {
		if who, err := d.login("db/app", label); err != nil || who != want {
			t.Errorf("%s: logged in as %s, %v; want %s", label, who, err, want)
		}
	}
	token, err := d.AnnounceVersion("db/app")
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", "was replaced only")
	quick := d.deploy("ROTA_UNUSED_FOR=1ms")
	for _, step := range protocol {
		succeed(t, quick, stepEvent(arn, token, step))
	}
	for label, want := range map[string]string{"AWSCURRENT": "app", "AWSPREVIOUS": "app_clone"} {
		if who, err := d.login("db/app", label); err != nil || who != want {
			t.Errorf("%s: logged in as %s, %v; want %s", label, who, err, want)
		}
	}
}

func TestAPostgresUserInUseIsNotReplaced(t *testing.T) {
	d := newDatabase(t, "--master-secret", "db/master")
	master := d.secret("db/master", "master", "master-password", "")
	arn := d.secret("db/app", "app", "first-password", fmt.Sprintf(`,"masterarn":%q`, master))
	f := d.deploy("ROTA_UNUSED_FOR=1ms")
	d.rotate(f, "db/app", arn)
	dsn := fmt.Sprintf("postgres://app:first-password@%s:%d/%s?sslmode=disable", d.server.Host, d.server.Port, d.dbname)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	token, err := d.AnnounceVersion("db/app")
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", "is in use now")
	if _, err := d.login("db/app", "AWSCURRENT"); err != nil {
		t.Error(err)
	}
}
