package function_test

import (
	"strings"
	"testing"
)

func TestCredentialsOfTwoSecretsAreLeftAlone(t *testing.T) {
	c := newCloudWith(t, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]}`)
	c.CreateUser("other")
	role := c.CreateRole("rota", "iam:*", "secretsmanager:*", "sts:*")
	const store = "store: {connection: main, secrets_manager: {name: NAME, fields: {AccessKey: access_key_id, SecretKey: secret_access_key}}}}\n"
	f := c.deploy("ROTA_CONFIG_YAML=connections:\n  main: {aws: {}}\n  role: {aws: {role_arn: \"" + role + "\"}}\nsecrets:\n" +
		"  - {name: one, issuer: {connection: main, iam_access_key: {user: " + user + "}}, " + strings.Replace(store, "NAME", "one", 1) +
		"  - {name: two, issuer: {connection: role, iam_access_key: {user: " + user + "}}, " + strings.Replace(store, "NAME", "two", 1) +
		"  - {name: three, issuer: {connection: main, iam_access_key: {user: other}}, " + strings.Replace(store, "NAME", "three", 1))
	out := sweep(t, f)
	for _, name := range []string{"one", "two"} {
		if !strings.Contains(out.Held[name], "another secret changes ") {
			t.Errorf("%s: held %q", name, out.Held[name])
		}
	}
	if out.Done["three"] == "" || len(out.Done) != 1 || len(c.Keys(user)) != 0 {
		t.Errorf("done %v, and the user's keys are %v", out.Done, c.Keys(user))
	}
	arn, first := c.given("one")
	token, err := c.AnnounceVersion("one")
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", "another secret changes ")
	if keys := c.Keys(user); len(keys) != 1 || keys[0].ID != first {
		t.Errorf("the user's keys are %v", keys)
	}
}
