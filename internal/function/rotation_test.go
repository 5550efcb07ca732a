package function_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestTheFourSteps(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, "prod/cms", told))
	arn, first := c.given("prod/cms")
	topic := c.CreateTopic("owner")
	f := c.deploy("IAM_USER_NAME="+user, "SNS_TOPIC_ARN="+topic)
	token, err := c.AnnounceVersion("prod/cms")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range protocol {
		for range 2 { // each step can be requested again
			succeed(t, f, stepEvent(arn, token, step))
		}
	}
	labels := c.Labels("prod/cms")
	if labels["AWSCURRENT"] != token || labels["AWSPENDING"] != "" {
		t.Errorf("labels %v, want AWSCURRENT on %s and no AWSPENDING", labels, token)
	}
	c.serves("prod/cms", "AWSCURRENT")
	c.serves("prod/cms", "AWSPREVIOUS")
	if previous, _ := c.pair("prod/cms", "AWSPREVIOUS"); previous != first {
		t.Errorf("the previous key is %s, want %s", previous, first)
	}
	if text, _ := c.SecretText("prod/cms", "AWSCURRENT"); !strings.Contains(text, `"note": "kept"`) {
		t.Error("another field of the secret was lost")
	}
	if n := len(c.Keys(user)); n != 2 {
		t.Errorf("%d keys, want 2", n)
	}
	if state, _ := c.Secret("prod/cms"); state.Tags["rota:intent"] != "" {
		t.Errorf("the intent was left in the tag: %s", state.Tags["rota:intent"])
	}
	if got := len(c.Published(topic)); got < 2 {
		t.Errorf("the owner heard of %d changes, want the adoption and the rotation", got)
	}
	secret, _ := c.SecretText("prod/cms", "AWSCURRENT")
	_, value := c.pair("prod/cms", "AWSCURRENT")
	if out := f.Output(); strings.Contains(out, value) || strings.Contains(out, secret) {
		t.Error("a value is in the function's output")
	} else if !strings.Contains(out, `"Rotations":1`) || !strings.Contains(out, `"Namespace":"Rota"`) {
		t.Errorf("no metric of the rotation:\n%s", out)
	}
	for _, step := range protocol { // nothing is left to do for a version that's already current
		succeed(t, f, stepEvent(arn, token, step))
	}
}

func TestTheNextRotationRetiresThePrevious(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, "prod/cms", ""))
	arn, first := c.given("prod/cms")
	f := c.deploy("IAM_USER_NAME=" + user)
	rotate := func() {
		t.Helper()
		token, err := c.AnnounceVersion("prod/cms")
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range protocol {
			succeed(t, f, stepEvent(arn, token, step))
			f.Kill() // each step in a process of its own
		}
	}
	rotate()
	token, err := c.AnnounceVersion("prod/cms")
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", "it must be unused for 7d")
	c.serves("prod/cms", "AWSPREVIOUS")
	c.idle()
	for _, step := range protocol {
		succeed(t, f, stepEvent(arn, token, step))
	}
	keys := c.Keys(user)
	for _, k := range keys {
		if k.ID == first {
			t.Errorf("the first key %s was not retired", first)
		}
	}
	if len(keys) != 2 {
		t.Errorf("%d keys, want 2", len(keys))
	}
	c.serves("prod/cms", "AWSCURRENT")
	c.serves("prod/cms", "AWSPREVIOUS")
	c.idle()
	rotate()
	c.serves("prod/cms", "AWSCURRENT")
}

func TestStepsOutOfOrder(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, "prod/cms", ""))
	arn, _ := c.given("prod/cms")
	f := c.deploy("IAM_USER_NAME=" + user)
	refuse(t, f, stepEvent(arn, uuid.NewString(), "createSecret"), "RotationStopped", "rotation of secret prod/cms is not turned on")
	token, err := c.AnnounceVersion("prod/cms")
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, f, stepEvent(arn, uuid.NewString(), "createSecret"), "RotationStopped", "has no version")
	refuse(t, f, stepEvent(arn, token, "setSecret"), "RotationStopped", "has no value yet")
	refuse(t, f, stepEvent(arn, token, "finishSecret"), "RotationStopped", "has no value yet")
	succeed(t, f, stepEvent(arn, token, "testSecret")) // a rehearsal, as when rotation is configured but not started
	if n := len(c.Keys(user)); n != 1 {
		t.Errorf("%d keys, want 1: nothing was created", n)
	}
	succeed(t, f, stepEvent(arn, token, "createSecret"))
	old := c.Labels("prod/cms")["AWSCURRENT"]
	succeed(t, f, stepEvent(arn, token, "finishSecret")) // proves what it hasn't seen proven
	refuse(t, f, stepEvent(arn, old, "createSecret"), "RotationStopped", "does not carry AWSPENDING")
	c.serves("prod/cms", "AWSCURRENT")
}

func TestAnotherRotationsVersionIsLeftAlone(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, "prod/cms", ""))
	arn, first := c.given("prod/cms")
	if _, _, err := c.CreateAccessKey(user); err != nil { // someone else's
		t.Fatal(err)
	}
	f := c.deploy("IAM_USER_NAME="+user, "ROTA_ADOPT=false")
	token, err := c.AnnounceVersion("prod/cms")
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, f, stepEvent(arn, token, "createSecret"), "Held", first+" was not made by Rota")
	adopting := c.deploy("IAM_USER_NAME=" + user)
	refuse(t, adopting, stepEvent(arn, token, "createSecret"), "Held", "all 2 places are taken")
	if n := len(c.Keys(user)); n != 2 {
		t.Errorf("%d keys, want 2: nothing was deleted", n)
	}
	c.serves("prod/cms", "AWSCURRENT")
}
