package function_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rota-dev/rota/internal/function/runtimetest"
	"github.com/rota-dev/rota/internal/testenv"
)

// managed is a master's secret as RDS makes it: it says for no server.
func (d *database) managed(name string) string {
	d.t.Helper()
	arn, _, err := d.CreateSecret(name, `{"username":"master","password":"master-password"}`)
	if err != nil {
		d.t.Fatal(err)
	}
	return arn
}

// Whoever may write an app's secret names a host, a port and a master there. The
// server at that host is no PostgreSQL: it asks for the password, and counts what
// it gets.
func TestAMastersPasswordGoesToTheMastersServerOnly(t *testing.T) {
	for name, test := range map[string]struct{ master, tag, says string }{
		"its secret names no server":         {`{"username":"master","password":"master-password"}`, "", "doesn't say for which server it is"},
		"its secret names another host":      {`{"username":"master","password":"master-password","host":"db.example.org"}`, "", "is for the server db.example.org:5432, and this one for 127.0.0.1:"},
		"its secret names another port":      {`{"username":"master","password":"master-password","host":"127.0.0.1","port":1}`, "", "is for the server 127.0.0.1:1, and"},
		"its secret names the default port":  {`{"username":"master","password":"master-password","host":"127.0.0.1"}`, "", "is for the server 127.0.0.1:5432, and"},
		"its tag names another host":         {`{"username":"master","password":"master-password"}`, "db.example.org:5432", "is for the server db.example.org:5432, and"},
		"its tag names another port":         {`{"username":"master","password":"master-password"}`, "127.0.0.1:1", "is for the server 127.0.0.1:1, and"},
		"its tag names the default port":     {`{"username":"master","password":"master-password"}`, "127.0.0.1", "is for the server 127.0.0.1:5432, and"},
		"the value counts more than the tag": {`{"username":"master","password":"master-password","host":"db.example.org"}`, "IMPOSTOR", "is for the server db.example.org:5432, and"},
	} {
		t.Run(name, func(t *testing.T) {
			// Cleartext is allowed here, so that nothing but the host is in the way.
			addr, got := testenv.PostgresImpostor(t, "tcp", "127.0.0.1:0", &pgproto3.AuthenticationCleartextPassword{})
			c := newCloudWith(t, policyWith(t, []string{passwordOf("db/app")}, "--master-secret", "db/master")...)
			master, _, err := c.CreateSecret("db/master", test.master)
			if err != nil {
				t.Fatal(err)
			}
			if test.tag != "" {
				c.tag("db/master", "rota:host", strings.Replace(test.tag, "IMPOSTOR", addr.String(), 1))
			}
			arn, _, err := c.CreateSecret("db/app", fmt.Sprintf(`{"engine":"postgres","host":"127.0.0.1","port":%d,"username":"app","password":"app-password","masterarn":%q,"ssl":"false"}`,
				addr.(*net.TCPAddr).Port, master))
			if err != nil {
				t.Fatal(err)
			}
			f := c.deploy("PGREQUIREAUTH=password")
			token, err := c.AnnounceVersion("db/app")
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range protocol {
				refuse(t, f, stepEvent(arn, token, step), "Held", test.says)
			}
			if n := got.Load(); n != 0 {
				t.Errorf("the impostor got the password %d times", n)
			}
		})
	}
}

func TestATagNamesTheServerOfAMasterWhoseSecretDoesNot(t *testing.T) {
	d := newDatabase(t, "--master-secret", "db/master")
	master := d.managed("db/master")
	arn := d.secret("db/app", "app", "first-password", fmt.Sprintf(`,"masterarn":%q`, master))
	d.tag("db/master", "rota:host", fmt.Sprintf("LOCALHOST:%d", d.server.Port))
	d.rotate(d.deploy(), "db/app", arn)
	if who, err := d.login("db/app", "AWSCURRENT"); err != nil || who != "app_clone" {
		t.Errorf("log in as %s: %v", who, err)
	}
}

// RDS keeps a master's password in a secret that says for no server, and puts a
// tag on it by which the server is found.
func TestMotosRDSSaysForWhichServerAMasterIs(t *testing.T) {
	m := onMoto(t, nil)
	databases := rds.NewFromConfig(m.as(m.admin[2][len("AWS_ACCESS_KEY_ID="):], m.admin[3][len("AWS_SECRET_ACCESS_KEY="):]))
	made, err := databases.CreateDBInstance(t.Context(), &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: aws.String("orders"), DBInstanceClass: aws.String("db.t4g.micro"), Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20),
		Port: aws.Int32(6432), MasterUsername: aws.String("postgres"), ManageMasterUserPassword: aws.Bool(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	master := made.DBInstance.MasterUserSecret
	if master == nil {
		t.Fatal("no secret with the master's password")
	}
	found, err := databases.DescribeDBInstances(t.Context(), &rds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	at := found.DBInstances[0].Endpoint
	id, secret := motoUser(t, m.users, "database-function", policyWith(t, []string{passwordOf("db/app")}, "--master-secret", *master.SecretArn)...)
	f := runtimetest.Deploy(t, m.login(id, secret), program)
	m.quiet = true
	function := m.function()
	begin := func(name, host string, port int32) string {
		arn := m.put(name, map[string]any{"engine": "postgres", "host": host, "port": port, "username": "app", "password": "app-password", "masterarn": *master.SecretArn})
		m.rotate(name, function)
		return stepEvent(arn, m.labels(name)["AWSPENDING"], "createSecret")
	}
	refuse(t, f, begin("db/app", "127.0.0.1", 6432), "Held", fmt.Sprintf("is for the server %s:%d, and this one for 127.0.0.1:6432", *at.Address, *at.Port))
	// The address is right, and belongs to nobody here.
	refuse(t, f, begin("db/right", strings.ToUpper(*at.Address), *at.Port), "RotationRetryable", "check host and port")
}

// Whoever may write an entry's value chooses the user, the version's id and its
// labels, and so makes it look as if Rota had made what is in it.
func TestAnEntrysLabelsAreNoProofOfWhoseItIs(t *testing.T) {
	for _, single := range []bool{false, true} {
		t.Run(fmt.Sprintf("single %t", single), func(t *testing.T) {
			d := newDatabase(t, "--master-secret", "db/master")
			d.server.Exec(t, "CREATE ROLE payroll LOGIN PASSWORD 'of-the-dba'", "GRANT payroll TO master WITH ADMIN OPTION")
			master := d.secret("db/master", "master", "master-password", "")
			arn := d.secret("db/app", "app", "first-password", fmt.Sprintf(`,"masterarn":%q`, master))
			if single {
				d.tag("db/app", "rota:users", "single")
			}
			forge := func(id, value string, labels ...string) {
				if _, err := d.secrets().PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
					SecretId: aws.String("db/app"), ClientRequestToken: &id, SecretString: &value, VersionStages: labels,
				}); err != nil {
					t.Fatal(err)
				}
			}
			value := func(password string) string {
				return fmt.Sprintf(`{"engine":"postgres","host":%q,"port":%d,"username":"payroll","password":%q,"dbname":%q,"note":"kept","masterarn":%q}`, d.server.Host, d.server.Port, password, d.dbname, master)
			}
			forge("rota-00000000-0000-4000-8000-000000000001", value("guessed"), "AWSCURRENT", "ROTA_ADOPTED", "ROTA_SERVED")
			f := d.deploy()
			token, err := d.AnnounceVersion("db/app")
			if err != nil {
				t.Fatal(err)
			}
			refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", "no password in db/app logs in as the user payroll")
			forge("rota-00000000-0000-4000-8000-000000000002", value("chosen"), "AWSPENDING")
			for _, step := range protocol {
				refuse(t, f, stepEvent(arn, "rota-00000000-0000-4000-8000-000000000002", step), "Held", "no password in db/app logs in as the user payroll")
			}
			forge("rota-00000000-0000-4000-8000-000000000003", value("of-the-dba"), "AWSCURRENT", "ROTA_ADOPTED", "ROTA_SERVED")
			if _, err := d.login("db/app", "AWSCURRENT"); err != nil && !strings.Contains(err.Error(), "permission denied") {
				t.Errorf("payroll's password was replaced: %v", err)
			}
		})
	}
}

// Whoever has a role app_clone isn't the owner of app. A member can act as it anyway.
func TestALoginByACloneNameIsNoProofOfTheFirstUser(t *testing.T) {
	for _, member := range []bool{false, true} {
		t.Run(fmt.Sprintf("member %t", member), func(t *testing.T) {
			d := newDatabase(t, "--master-secret", "db/master")
			d.server.Exec(t, "CREATE ROLE app_clone LOGIN PASSWORD 'of-the-attacker'", "GRANT app_clone TO master WITH ADMIN OPTION")
			d.server.ExecIn(t, d.dbname, "GRANT SELECT ON orders TO app_clone")
			if member {
				d.server.Exec(t, "GRANT app TO app_clone")
			}
			master := d.secret("db/master", "master", "master-password", "")
			arn := d.secret("db/app", "app_clone", "of-the-attacker", fmt.Sprintf(`,"masterarn":%q`, master))
			f := d.deploy()
			token, err := d.AnnounceVersion("db/app")
			if err != nil {
				t.Fatal(err)
			}
			event := stepEvent(arn, token, "createSecret")
			if member {
				refuse(t, f, event, "Held", "all 2 places are taken: app, app_clone") // app's own password isn't known, but that's the next question
				return
			}
			refuse(t, f, event, "Held", "no password in db/app logs in as the user app, so nothing is done for that user")
			refuse(t, f, event, "Held", "isn't a member of app")
		})
	}
}
