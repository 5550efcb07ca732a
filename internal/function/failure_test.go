package function_test

import (
	"strings"
	"testing"
)

// TestTheOwnerIsNotifiedOfEveryFailure makes events fail before any turn
// starts.
func TestTheOwnerIsNotifiedOfEveryFailure(t *testing.T) {
	for name, event := range map[string]string{
		"a user that is not there":   `{"action": "create", "username": "nobody"}`,
		"a secret that is not there": stepEvent("nothing", "6b29fc40-ca47-4067-b31d-00dd010662da", "createSecret"),
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t, accessKeyOf("nobody", "nobody", told), accessKeyOf(user, "nothing", told))
			topic := c.CreateTopic("owner")
			f := c.deploy("SNS_TOPIC_ARN=" + topic)
			if f.Invoke(event).Err() == nil {
				t.Fatal("it succeeded")
			}
			f.Kill() // so that all output is there
			if n := len(c.Published(topic)); n != 1 {
				t.Errorf("the owner got %d messages, want 1", n)
			}
			if !strings.Contains(f.Output(), `"StepsFailed":1`) {
				t.Errorf("no metric:\n%s", f.Output())
			}
			for line := range strings.Lines(f.Output()) {
				if !strings.HasPrefix(line, "{") {
					t.Errorf("a line is no JSON: %s", line)
				}
			}
		})
	}
}

func TestBadSettingsAreRefusedBeforeAnything(t *testing.T) {
	for name, c := range map[string]struct {
		env  string
		want string
	}{
		"one name for both fields": {"ROTA_ACCESS_KEY_FIELD=a ROTA_SECRET_KEY_FIELD=a", "the same field"},
		"no topic's ARN":           {"SNS_TOPIC_ARN=owner", "not a topic's ARN"},
		"another service's ARN":    {"SNS_TOPIC_ARN=arn:aws:sqs:eu-central-1:123456789012:owner", "not a topic's ARN"},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := newCloud(t)
			refuse(t, cloud.deploy(strings.Fields(c.env)...), `{"action": "create", "username": "cms"}`, "InvalidConfiguration", c.want)
			if n := len(cloud.Keys(user)); n > 0 {
				t.Errorf("%d keys were made", n)
			}
		})
	}
	t.Run("tags with one name for both fields", func(t *testing.T) {
		cloud := newCloud(t, accessKeyOf(user, "prod/cms", ""))
		cloud.given("prod/cms")
		cloud.tag("prod/cms", "rota:access-key-field", "a")
		cloud.tag("prod/cms", "rota:secret-key-field", "a")
		refuse(t, cloud.deploy(), `{"action": "create", "username": "cms", "secret": "prod/cms"}`, "InvalidConfiguration", "the same field")
	})
}
