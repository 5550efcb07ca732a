package function_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

const other = "payroll-admin"

// twoTeams is a cloud whose function serves two users, each with a secret of its
// own: team-a/iam is not for payroll-admin.
func twoTeams(t *testing.T) *cloud {
	t.Helper()
	c := newCloud(t, accessKeyOf(user, "team-a/iam", ""), accessKeyOf(other, "payroll/iam", ""))
	c.CreateUser(other)
	return c
}

// tags are a secret's.
func (c *cloud) tags(name string) map[string]string {
	c.t.Helper()
	out, err := c.secrets().DescribeSecret(c.t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &name})
	if err != nil {
		c.t.Fatal(err)
	}
	all := map[string]string{}
	for _, tag := range out.Tags {
		all[*tag.Key] = *tag.Value
	}
	return all
}

// Whoever may write a secret's value gets no key of a user whom only the value
// names, neither from a rotation nor from an event.
func TestAValueAloneDoesNotChooseTheUser(t *testing.T) {
	for name, value := range map[string]func(c *cloud, theirs, mine, mySecret string) string{
		"no key": func(*cloud, string, string, string) string { return fmt.Sprintf(`{"username": %q}`, other) },
		"the id of the user's key, and no secret key": func(_ *cloud, theirs, _, _ string) string {
			return fmt.Sprintf(`{"username": %q, "AccessKey": %q}`, other, theirs)
		},
		"the id of the user's key, and a guessed secret key": func(_ *cloud, theirs, _, mySecret string) string {
			return fmt.Sprintf(`{"username": %q, "AccessKey": %q, "SecretKey": %q}`, other, theirs, mySecret)
		},
		"another user's key": func(_ *cloud, _, mine, mySecret string) string {
			return fmt.Sprintf(`{"username": %q, "AccessKey": %q, "SecretKey": %q}`, other, mine, mySecret)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := twoTeams(t)
			theirs, _, err := c.CreateAccessKey(other)
			if err != nil {
				t.Fatal(err)
			}
			mine, mySecret, err := c.CreateAccessKey(user)
			if err != nil {
				t.Fatal(err)
			}
			arn, _, err := c.CreateSecret("team-a/iam", value(c, theirs, mine, mySecret))
			if err != nil {
				t.Fatal(err)
			}
			token, err := c.AnnounceVersion("team-a/iam")
			if err != nil {
				t.Fatal(err)
			}
			f := c.deploy()
			const says = "nothing but its value says that secret team-a/iam is for the IAM user payroll-admin"
			refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", says)
			refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", "rota:iam-user = payroll-admin")
			refuse(t, f, fmt.Sprintf(`{"action": "create", "username": %q, "secret": "team-a/iam"}`, other), "Held", says)
			if keys := c.Keys(other); len(keys) != 1 {
				t.Errorf("%d keys of %s, want the first one alone", len(keys), other)
			}
			if tag := c.tags("team-a/iam")["rota:iam-user"]; tag != "" {
				t.Errorf("it's tagged as %s's", tag)
			}
		})
	}
}

func TestAnEventNamesNoUserForAnothersSecret(t *testing.T) {
	c := twoTeams(t)
	c.given("team-a/iam") // with a key of cms, and no user's name
	refuse(t, c.deploy(), fmt.Sprintf(`{"action": "create", "username": %q, "secret": "team-a/iam"}`, other), "Held", "nothing but")
	if keys := c.Keys(other); len(keys) > 0 {
		t.Errorf("%d keys of %s", len(keys), other)
	}
}

// A working key in the value shows whose the secret is, and a tag says so from
// then on.
func TestAKeyInTheValueBindsTheSecretToItsUser(t *testing.T) {
	c := twoTeams(t)
	id, secret, err := c.CreateAccessKey(user)
	if err != nil {
		t.Fatal(err)
	}
	arn, _, err := c.CreateSecret("team-a/iam", fmt.Sprintf(`{"username": %q, "AccessKey": %q, "SecretKey": %q}`, user, id, secret))
	if err != nil {
		t.Fatal(err)
	}
	f := c.deploy("ROTA_UNUSED_FOR=1ms")
	token, err := c.AnnounceVersion("team-a/iam")
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range protocol {
		succeed(t, f, stepEvent(arn, token, step))
		if tag := c.tags("team-a/iam")["rota:iam-user"]; tag != user {
			t.Errorf("after step %d, it's tagged as %q's", i+1, tag)
		}
	}
	c.serves("team-a/iam", "AWSCURRENT")
	theirs, theirSecret, err := c.CreateAccessKey(other) // even with a key that works
	if err != nil {
		t.Fatal(err)
	}
	c.put("team-a/iam", fmt.Sprintf(`{"username": %q, "AccessKey": %q, "SecretKey": %q}`, other, theirs, theirSecret))
	if token, err = c.AnnounceVersion("team-a/iam"); err != nil {
		t.Fatal(err)
	}
	refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", "names the IAM user payroll-admin, and the secret is for cms")
	refuse(t, f, fmt.Sprintf(`{"action": "create", "username": %q, "secret": "team-a/iam"}`, user), "Held", "names the IAM user payroll-admin")
	if keys := c.Keys(other); len(keys) != 1 {
		t.Errorf("%d keys of %s, want the first one alone", len(keys), other)
	}
}

func TestATagOrASettingAndAValueMustAgree(t *testing.T) {
	for name, tagged := range map[string]bool{"a tag": true, "a setting": false} {
		t.Run(name, func(t *testing.T) {
			c := twoTeams(t)
			arn, _, err := c.CreateSecret("team-a/iam", fmt.Sprintf(`{"username": %q}`, other))
			if err != nil {
				t.Fatal(err)
			}
			var env []string
			if tagged {
				c.tag("team-a/iam", "rota:iam-user", user)
			} else {
				env = []string{"IAM_USER_NAME=" + user}
			}
			token, err := c.AnnounceVersion("team-a/iam")
			if err != nil {
				t.Fatal(err)
			}
			refuse(t, c.deploy(env...), stepEvent(arn, token, "createSecret"), "Held", "names the IAM user payroll-admin, and the secret is for cms")
			if keys := len(c.Keys(user)) + len(c.Keys(other)); keys > 0 {
				t.Errorf("%d keys were made", keys)
			}
		})
	}
}

func TestASecretThatAnEventCreatesIsItsUsers(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, user, ""))
	c.CreateUser(other)
	f := c.deploy()
	succeed(t, f, `{"action": "create", "username": "cms"}`)
	if tag := c.tags(user)["rota:iam-user"]; tag != user {
		t.Errorf("it's tagged as %q's", tag)
	}
	refuse(t, f, fmt.Sprintf(`{"action": "create", "username": %q, "secret": %q}`, other, user), "InvalidConfiguration", "is for user cms")
	if keys := c.Keys(other); len(keys) > 0 {
		t.Errorf("%d keys of %s", len(keys), other)
	}
}
