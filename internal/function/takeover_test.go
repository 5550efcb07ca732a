package function_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// replaced is a secret that another function rotated: it made a second key and put
// it into the secret.
func (c *cloud) replaced(name string) (arn, previous, current string) {
	c.t.Helper()
	arn, previous = c.given(name)
	current, secret, err := c.CreateAccessKey(user)
	if err != nil {
		c.t.Fatal(err)
	}
	c.put(name, fmt.Sprintf(`{"note": "kept", "AccessKey": %q, "SecretKey": %q}`, current, secret))
	return arn, previous, current
}

func (c *cloud) put(name, text string) {
	c.t.Helper()
	if _, err := c.secrets().PutSecretValue(c.t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: &text}); err != nil {
		c.t.Fatal(err)
	}
}

func TestTheFirstRotationTakesOverBothKeysOfAnotherFunction(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, "prod/cms", ""))
	arn, previous, current := c.replaced("prod/cms")
	f := c.deploy("IAM_USER_NAME=" + user)
	token, err := c.AnnounceVersion("prod/cms")
	if err != nil {
		t.Fatal(err)
	}
	c.SetLastUsed(previous, time.Now(), "s3", "eu-central-1")
	refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", "it must be unused for 7d")
	c.idle()
	for _, step := range protocol {
		succeed(t, f, stepEvent(arn, token, step))
		f.Kill()
	}
	if got, _ := c.pair("prod/cms", "AWSPREVIOUS"); got != current {
		t.Errorf("the previous key is %s, want %s, which was in use", got, current)
	}
	c.serves("prod/cms", "AWSCURRENT")
	c.serves("prod/cms", "AWSPREVIOUS")
}

// What a schedule of 90, 100 and 110 days left half done goes on with Rota's
// function, with the same events.
func TestEventsTakeOverInTheTwentyDaysInBetween(t *testing.T) {
	for name, test := range map[string]struct {
		inactive bool // the other function has deactivated the previous key
		events   []string
	}{
		"between the creation and the deactivation": {events: []string{"deactivate", "delete", "create"}},
		"between the deactivation and the deletion": {inactive: true, events: []string{"delete", "create"}},
		"whichever comes first":                     {inactive: true, events: []string{"deactivate", "delete", "create"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t, accessKeyOf(user, user, ""))
			_, previous, current := c.replaced(user)
			if test.inactive {
				name := user
				if _, err := c.iam().UpdateAccessKey(t.Context(), &iam.UpdateAccessKeyInput{UserName: &name, AccessKeyId: &previous, Status: types.StatusTypeInactive}); err != nil {
					t.Fatal(err)
				}
			}
			c.idle()
			f := c.deploy()
			refuse(t, c.deploy("ROTA_ADOPT=false"), `{"action": "deactivate", "username": "cms"}`, "Held", "not made by Rota")
			for _, action := range test.events {
				succeed(t, f, fmt.Sprintf(`{"action": %q, "username": "cms"}`, action))
				f.Kill()
			}
			if got, _ := c.pair(user, "AWSPREVIOUS"); got != current {
				t.Errorf("the previous key is %s, want %s", got, current)
			}
			if _, there := c.statuses()[previous]; there {
				t.Errorf("%s is still there", previous)
			}
			c.serves(user, "AWSCURRENT")
			c.serves(user, "AWSPREVIOUS")
		})
	}
}

func TestOneUserAtOnceTakesOverBothKeys(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, user, ""))
	_, previous, _ := c.replaced(user)
	c.idle()
	succeed(t, c.deploy("IAM_USER_NAME="+user), `{}`)
	if _, there := c.statuses()[previous]; there {
		t.Errorf("%s is still there", previous)
	}
	c.serves(user, "AWSCURRENT")
	c.serves(user, "AWSPREVIOUS")
}

// AWS's own function for two users leaves both with a login.
func TestBothPostgresUsersAreTakenOver(t *testing.T) {
	for name, known := range map[string]bool{"the other one logs in": true, "the other one has another password": false} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t, "--master-secret", "db/master")
			master := d.secret("db/master", "master", "master-password", "")
			more := fmt.Sprintf(`,"masterarn":%q`, master)
			d.server.Exec(t, "CREATE ROLE app_clone LOGIN PASSWORD 'clone-password' IN ROLE app", "GRANT app_clone TO master WITH ADMIN OPTION")
			arn := d.secret("db/app", "app_clone", "clone-password", more)
			d.put("db/app", fmt.Sprintf(`{"engine":"postgres","host":%q,"port":%d,"username":"app","password":"first-password","dbname":%q,"note":"kept"%s}`,
				d.server.Host, d.server.Port, d.dbname, more))
			if !known {
				d.server.Exec(t, "ALTER ROLE app_clone PASSWORD 'changed-by-somebody'")
			}
			f := d.deploy("ROTA_UNUSED_FOR=1ms")
			token, err := d.AnnounceVersion("db/app")
			if err != nil {
				t.Fatal(err)
			}
			if !known {
				refuse(t, f, stepEvent(arn, token, "createSecret"), "RotationStopped", "the previous credential doesn't prove itself")
				return
			}
			for _, step := range protocol {
				succeed(t, f, stepEvent(arn, token, step))
			}
			for label, want := range map[string]string{"AWSCURRENT": "app_clone", "AWSPREVIOUS": "app"} {
				if who, err := d.login("db/app", label); err != nil || who != want {
					t.Errorf("%s: logged in as %s, %v; want %s", label, who, err, want)
				}
			}
		})
	}
}

// AWS's sample function for IAM users logs in with the key in masterarn.
func TestTheSecretOfAWSsSampleForIAMUsersIsTakenOver(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, "prod/cms", ""))
	arn, first := c.given("prod/cms")
	_, secret := c.pair("prod/cms", "AWSCURRENT")
	c.put("prod/cms", fmt.Sprintf(`{"username": "cms", "masterarn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:master-abcdef", "accesskey": %q, "secretkey": %q}`, first, secret))
	f := c.deploy()
	token, err := c.AnnounceVersion("prod/cms")
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, f, stepEvent(arn, token, "createSecret"), "InvalidConfiguration", "says neither whose access key")
	c.tag("prod/cms", "rota:iam-user", user)
	for _, step := range protocol {
		succeed(t, f, stepEvent(arn, token, step))
		f.Kill()
	}
	text, _ := c.SecretText("prod/cms", "AWSCURRENT")
	var v map[string]string
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	if v["accesskey"] == first || !c.Valid(v["accesskey"], v["secretkey"]) || v["username"] != user || len(v) != 4 {
		t.Errorf("the value has the fields %d, with the key %s", len(v), v["accesskey"])
	}
}
