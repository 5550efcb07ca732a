package function_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// Lambda repeats a failed event twice under the same request id, and Secrets
// Manager a step as a request of its own.
func TestAnEventThatIsDeliveredAgainProducesOneMail(t *testing.T) {
	const request = "6b29fc40-ca47-4067-b31d-00dd010662da"
	t.Run("a hold", func(t *testing.T) {
		c := newCloud(t, accessKeyOf(user, user, told))
		topic := c.CreateTopic("owner")
		f := c.deploy("SNS_TOPIC_ARN=" + topic)
		succeed(t, f, `{"action": "create", "username": "cms"}`)
		succeed(t, f, `{"action": "create", "username": "cms"}`)
		before := len(c.Published(topic))
		for _, id := range []string{request, request, request, "7b29fc40-ca47-4067-b31d-00dd010662da"} {
			if a := f.InvokeAs(id, `{"action": "delete", "username": "cms"}`); a.ErrorType != "Held" {
				t.Fatalf("%s %s", a.ErrorType, a.ErrorMessage)
			}
		}
		if n := len(c.Published(topic)) - before; n != 2 {
			t.Errorf("%d mails about two events", n)
		}
	})
	t.Run("a failure before any turn", func(t *testing.T) {
		c := newCloud(t, accessKeyOf("nobody", "nobody", told))
		topic := c.CreateTopic("owner")
		f := c.deploy("SNS_TOPIC_ARN=" + topic)
		for _, id := range []string{request, request} {
			if f.InvokeAs(id, `{"action": "create", "username": "nobody"}`).Err() == nil {
				t.Fatal("it succeeded")
			}
		}
		if n := len(c.Published(topic)); n != 1 {
			t.Errorf("%d mails about one event", n)
		}
	})
	t.Run("a step of Secrets Manager's", func(t *testing.T) {
		c := newCloud(t, accessKeyOf(user, "prod/cms", told))
		topic := c.CreateTopic("owner")
		arn, _ := c.given("prod/cms")
		f := c.deploy("IAM_USER_NAME="+user, "SECRET_NAME=prod/cms", "ROTA_ADOPT=false", "SNS_TOPIC_ARN="+topic)
		token, err := c.AnnounceVersion("prod/cms")
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", "was not made by Rota")
		}
		if n := len(c.Published(topic)); n != 1 {
			t.Errorf("%d mails about one step", n)
		}
	})
}

// Whoever gets a function's mails and errors may have neither Rota's command
// line nor a rota.yaml.
func TestHintsSuitAReaderWithoutARotaYAML(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, "prod/cms", told))
	topic := c.CreateTopic("owner")
	arn, _ := c.given("prod/cms")
	f := c.deploy("IAM_USER_NAME="+user, "SECRET_NAME=prod/cms", "ROTA_ADOPT=false", "SNS_TOPIC_ARN="+topic)
	const want = "(try: set ROTA_ADOPT=true for the function, which then takes over the credential in the secret"
	refuse(t, f, `{"action": "create", "username": "cms", "secret": "prod/cms"}`, "Held", want)
	token, err := c.AnnounceVersion("prod/cms")
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", want)
	mails := c.Published(topic)
	if len(mails) != 2 {
		t.Fatalf("%d mails", len(mails))
	}
	for _, m := range mails {
		if !strings.Contains(m.Body, want) || strings.Contains(m.Body, "adopt prod/cms") {
			t.Errorf("the mail says:\n%s", m.Body)
		}
	}
}

func TestAPasswordThatWasSetBeforeTheRotationWasCalledOff(t *testing.T) {
	for name, master := range map[string]bool{"its own": false, "by a master": true} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t, "--master-secret", "db/master")
			more := ""
			if master {
				more = `,"masterarn":"` + d.secret("db/master", "master", "master-password", "") + `"`
			}
			arn := d.secret("db/app", "app", "first-password", more)
			d.tag("db/app", "rota:users", "single")
			f := d.deploy()
			for range 2 {
				token, err := d.AnnounceVersion("db/app")
				if err != nil {
					t.Fatal(err)
				}
				succeed(t, f, stepEvent(arn, token, "createSecret"))
				succeed(t, f, stepEvent(arn, token, "setSecret"))
				f.Kill()
				stage := "AWSPENDING"
				if _, err := d.secrets().UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{SecretId: &arn, VersionStage: &stage, RemoveFromVersionId: &token}); err != nil {
					t.Fatal(err)
				}
			}
			d.rotate(f, "db/app", arn)
			if who, err := d.login("db/app", "AWSCURRENT"); err != nil || who != "app" {
				t.Errorf("log in as %q: %v", who, err)
			}
		})
	}
}
