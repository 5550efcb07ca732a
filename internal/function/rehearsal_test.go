package function_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/function/runtimetest"
)

// rehearse asks for a test, as RotateSecret does with RotateImmediately=false,
// and checks that nothing was written.
func (c *cloud) rehearse(name, arn string, invoke func(event string)) {
	c.t.Helper()
	token, err := c.AnnounceRehearsal(name)
	if err != nil {
		c.t.Fatal(err)
	}
	before, _ := c.Secret(name)
	keys := c.statuses()
	c.ResetCalls()
	invoke(stepEvent(arn, token, "testSecret"))
	after, _ := c.Secret(name)
	if diff := cmp.Diff(before, after); diff != "" {
		c.t.Errorf("the secret was changed: %s", diff)
	}
	if diff := cmp.Diff(keys, c.statuses()); diff != "" {
		c.t.Errorf("the user's keys were changed: %s", diff)
	}
	for _, call := range c.Calls() {
		if !slices.ContainsFunc([]string{"Get", "List", "Describe", "Simulate", "Publish"}, func(verb string) bool { return strings.HasPrefix(call.Action, verb) }) {
			c.t.Errorf("the function called %s %s", call.Service, call.Action)
		}
	}
}

// statuses are the user's keys, each with its status.
func (c *cloud) statuses() map[string]string {
	states := map[string]string{}
	for _, k := range c.Keys(user) {
		states[k.ID] = k.Status
	}
	return states
}

// works expects a rehearsal to succeed, and to do so again in a new process.
func works(t *testing.T, f *runtimetest.Function) func(string) {
	return func(event string) {
		t.Helper()
		succeed(t, f, event)
		f.Kill()
		succeed(t, f, event)
	}
}

func TestARehearsalOfAnAccessKey(t *testing.T) {
	for name, adopt := range map[string]string{"that Rota may adopt": "true", "that isn't Rota's": "false"} {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t, accessKeyOf(user, "prod/cms", ""))
			arn, first := c.given("prod/cms")
			f := c.deploy("IAM_USER_NAME="+user, "ROTA_ADOPT="+adopt)
			c.rehearse("prod/cms", arn, works(t, f))
			if id, _ := c.pair("prod/cms", "AWSCURRENT"); id != first {
				t.Errorf("the current key is %s, want %s", id, first)
			}
		})
	}
}

func TestARehearsalWithADeadCredentialFails(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, "prod/cms", ""))
	arn, first := c.given("prod/cms")
	if _, err := c.iam().UpdateAccessKey(t.Context(), &iam.UpdateAccessKeyInput{UserName: aws.String(user), AccessKeyId: &first, Status: types.StatusTypeInactive}); err != nil {
		t.Fatal(err)
	}
	f := c.deploy("IAM_USER_NAME=" + user)
	c.rehearse("prod/cms", arn, func(event string) {
		if a := f.Invoke(event); a.ErrorType == "" {
			t.Error("the rehearsal succeeded")
		}
	})
}

func TestARehearsalOfAPassword(t *testing.T) {
	t.Run("of a role that changes its own", func(t *testing.T) {
		d := newDatabase(t)
		arn := d.secret("db/app", "app", "first-password", "")
		d.rehearse("db/app", arn, works(t, d.deploy()))
		if _, err := d.login("db/app", "AWSCURRENT"); err != nil {
			t.Error(err)
		}
	})
	t.Run("of alternating roles", func(t *testing.T) {
		d := newDatabase(t, "--master-secret", "db/master")
		master := d.secret("db/master", "master", "master-password", "")
		arn := d.secret("db/app", "app", "first-password", fmt.Sprintf(`,"masterarn":%q`, master))
		d.rehearse("db/app", arn, works(t, d.deploy()))
		if who, err := d.login("db/app", "AWSCURRENT"); err != nil || who != "app" {
			t.Errorf("log in as %s: %v", who, err)
		}
	})
	t.Run("that is refused", func(t *testing.T) {
		d := newDatabase(t)
		arn := d.secret("db/app", "app", "wrong-password", "")
		d.rehearse("db/app", arn, func(event string) {
			if a := d.deploy().Invoke(event); a.ErrorType == "" {
				t.Error("the rehearsal succeeded")
			}
		})
	})
}

// TestAnotherValueIsNoRehearsal announces a copy and replaces the current value
// before the test: it isn't a copy any longer.
func TestAnotherValueIsNoRehearsal(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, "prod/cms", ""))
	arn, _ := c.given("prod/cms")
	f := c.deploy("IAM_USER_NAME=" + user)
	token, err := c.AnnounceRehearsal("prod/cms")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"createSecret", "setSecret", "finishSecret"} {
		refuse(t, f, stepEvent(arn, token, step), "RotationStopped", "was not put there by Rota")
	}
	id, secret, err := c.CreateAccessKey(user)
	if err != nil {
		t.Fatal(err)
	}
	value := fmt.Sprintf(`{"AccessKey": %q, "SecretKey": %q}`, id, secret)
	if _, err := c.secrets().PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: &value}); err != nil {
		t.Fatal(err)
	}
	refuse(t, f, stepEvent(arn, token, "testSecret"), "RotationStopped", "was not put there by Rota")
}
