package function_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/function/runtimetest"
)

func TestLifecycleEvents(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, user, told))
	topic := c.CreateTopic("owner")
	f := c.deploy("SNS_TOPIC_ARN=" + topic)
	succeed(t, f, `{"action": "create", "username": "cms"}`) // no key and no secret yet
	first, _ := c.pair(user, "AWSCURRENT")
	c.serves(user, "AWSCURRENT")

	f.Kill()
	const id = "6b29fc40-ca47-4067-b31d-00dd010662da"
	for range 2 { // Lambda repeats an event with the same id
		if err := f.InvokeAs(id, `{"action": "create", "username": "cms"}`).Err(); err != nil {
			t.Fatal(err)
		}
	}
	second, _ := c.pair(user, "AWSCURRENT")
	if n := len(c.Keys(user)); n != 2 || second == first {
		t.Fatalf("%d keys, current %s, want a second key once", n, second)
	}
	c.serves(user, "AWSPREVIOUS")
	refuse(t, f, `{"action": "delete", "username": "cms"}`, "Held", "still active")
	refuse(t, f, `{"action": "create", "username": "cms"}`, "Held", "is not yet retired")
	c.SetLastUsed(first, time.Now(), "s3", "eu-central-1")
	refuse(t, f, `{"action": "deactivate", "username": "cms"}`, "Held", "it must be unused for 7d")
	c.idle()
	for range 2 { // a deactivation that is delivered twice deletes nothing
		f.Kill()
		succeed(t, f, `{"action": "deactivate", "username": "cms"}`)
	}
	if keys := c.Keys(user); len(keys) != 2 || keys[0].Status != "Inactive" || keys[1].Status != "Active" {
		t.Fatalf("keys after the deactivation: %+v", keys)
	}
	for range 2 {
		f.Kill()
		succeed(t, f, `{"action": "delete", "username": "cms"}`)
	}
	if keys := c.Keys(user); len(keys) != 1 || keys[0].ID != second {
		t.Fatalf("keys after the deletion: %+v", keys)
	}
	c.serves(user, "AWSCURRENT")
	if n := len(c.Published(topic)); n < 4 {
		t.Errorf("the owner heard of %d changes, want two keys, a deactivation and a deletion", n)
	}
}

func TestOnlyCreateMakesAKey(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, user, told))
	f := c.deploy()
	for _, event := range []string{
		`{"action": "deactivate", "username": "cms"}`,
		`{"action": "deactivate", "username": "cms", "after_days": 100}`,
		`{"action": "delete", "username": "cms"}`,
		`{"action": "delete", "username": "cms", "after_days": 110}`,
	} {
		succeed(t, f, event)
		if n := len(c.Keys(user)); n != 0 {
			t.Fatalf("%s made %d keys", event, n)
		}
	}
}

// The secret is a database's, though it doesn't say which engine.
func TestNoAccessKeyIsWrittenToADatabasesSecret(t *testing.T) {
	for _, value := range []string{
		`{"username": "cms", "password": "hush-hush", "host": "db.internal"}`,
		`{"username": "cms", "dbname": "app"}`,
		`{"Username": "cms", "Password": "hush-hush", "username": "cms"}`,
	} {
		t.Run(value, func(t *testing.T) {
			c := newCloud(t, accessKeyOf(user, user, told))
			if _, _, err := c.CreateSecret(user, value); err != nil {
				t.Fatal(err)
			}
			f := c.deploy()
			token, err := c.AnnounceVersion(user)
			if err != nil {
				t.Fatal(err)
			}
			refuse(t, f, stepEvent(user, token, "createSecret"), "InvalidConfiguration", "engine")
			refuse(t, f, `{"action": "create", "username": "cms"}`, "InvalidConfiguration", "engine")
			refuse(t, c.deploy("IAM_USER_NAME="+user), `{}`, "InvalidConfiguration", "engine")
			if n := len(c.Keys(user)); n != 0 {
				t.Errorf("%d keys were made", n)
			}
		})
	}
}

func TestOneUserAtOnce(t *testing.T) {
	c := newCloud(t, accessKeyOf(user, "prod/cms", ""))
	c.given("prod/cms")
	f := c.deploy("IAM_USER_NAME="+user, "SECRET_NAME=prod/cms")
	succeed(t, f, `{}`)
	schedule, err := os.ReadFile("testdata/events/schedule_rule.json")
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, f, string(schedule), "Held", "it must be unused for 7d")
	c.idle()
	for range 2 { // EventBridge may deliver an event twice
		succeed(t, f, string(schedule))
	}
	c.serves("prod/cms", "AWSCURRENT")
	c.serves("prod/cms", "AWSPREVIOUS")
	if labels := c.Labels("prod/cms"); labels["AWSCURRENT"] != "rota-53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa" {
		t.Errorf("AWSCURRENT is on %s, want the version named after the event", labels["AWSCURRENT"])
	}
}

func TestUnrecognizedEvents(t *testing.T) {
	c := newCloud(t, passwordOf("db"))
	refuse(t, c.deploy(), `{}`, "InvalidEvent", "the environment names no user")
	refuse(t, c.deploy(), `{"action": "run"}`, "InvalidConfiguration", "ROTA_CONFIG")
	refuse(t, c.deploy("ROTA_ADOPT=perhaps"), `{}`, "InvalidConfiguration", "ROTA_ADOPT")
	refuse(t, c.deploy("ROTA_CONFIG=missing.yaml"), `{"action": "run"}`, "InvalidConfiguration", "missing.yaml")
	if _, _, err := c.CreateSecret("db", `{"engine": "oracle", "host": "h", "username": "u"}`); err != nil {
		t.Fatal(err)
	}
	token, err := c.AnnounceVersion("db")
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, c.deploy(), stepEvent("db", token, "createSecret"), "InvalidConfiguration", "unknown engine")
}

const sweepConfig = `
connections:
  prod: {aws: {region: eu-central-1}}
defaults: {policy: {rotate_every: 90d, deactivate_previous_after: 10d, delete_previous_after: 20d}}
secrets:
`

// configOf is a configuration for that many users.
func configOf(n int) string {
	var b strings.Builder
	b.WriteString(sweepConfig)
	for i := range n {
		fmt.Fprintf(&b, "  - {name: s%d, issuer: {connection: prod, iam_access_key: {user: u%d}}, store: {connection: prod, secrets_manager: {name: s%d}}}\n", i, i, i)
	}
	return b.String()
}

type sweptAnswer struct {
	Held    map[string]string
	Secrets int
	Done    map[string]string
	Left    []string
}

func sweep(t *testing.T, f *runtimetest.Function) sweptAnswer {
	t.Helper()
	var out sweptAnswer
	if err := json.Unmarshal(succeed(t, f, `{"action": "run"}`).Payload, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestASweepContinuesWhereTimeRanOut(t *testing.T) {
	const n = 12
	var entries []string
	for i := range n {
		entries = append(entries, accessKeyOf(fmt.Sprintf("u%d", i), fmt.Sprintf("s%d", i), ""))
	}
	c := newCloud(t, entries...)
	for i := range n {
		c.CreateUser(fmt.Sprintf("u%d", i))
	}
	path := filepath.Join(t.TempDir(), "rota.yaml")
	if err := os.WriteFile(path, []byte(configOf(n)), 0o600); err != nil {
		t.Fatal(err)
	}
	f := c.deploy("ROTA_CONFIG=" + path)
	f.Timeout = 4 * time.Second
	first := sweep(t, f)
	if len(first.Left) == 0 || len(first.Done) == 0 {
		t.Fatalf("done %v, left %v: want some of each within so little time", first.Done, first.Left)
	}
	served := func(i int) bool { return c.Labels(fmt.Sprintf("s%d", i))["ROTA_SERVED"] != "" }
	for deadline := time.Now().Add(time.Minute); ; { // the turn that was cut short waits for the issuer's list first
		sweep(t, f)
		left := 0
		for i := range n {
			if !served(i) {
				left++
			}
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d secrets were never reached", left)
		}
	}
	for i := range n {
		if keys := c.Keys(fmt.Sprintf("u%d", i)); len(keys) != 1 {
			t.Errorf("user u%d has %d keys, want 1", i, len(keys))
		}
	}
}

func TestAConfigurationInTheEnvironment(t *testing.T) {
	c := newCloud(t, accessKeyOf("u0", "s0", ""))
	c.CreateUser("u0")
	f := c.deploy("ROTA_CONFIG_YAML=" + configOf(1))
	if out := sweep(t, f); out.Secrets != 1 || out.Done["s0"] == "" {
		t.Errorf("swept %+v", out)
	}
	token, err := c.AnnounceVersion("s0") // and the same secret by Secrets Manager's own rotation
	if err != nil {
		t.Fatal(err)
	}
	state, _ := c.Secret("s0")
	for _, step := range protocol {
		succeed(t, f, stepEvent(state.ARN, token, step))
	}
	if got := c.Labels("s0"); got["AWSCURRENT"] != token || got["ROTA_SERVED"] != token {
		t.Errorf("labels %v", got)
	}
	refuse(t, f, `{"action": "create", "username": "other", "secret": "s0"}`, "InvalidConfiguration", "not the access key of user other")
}

func TestApartFromNeedsADatabase(t *testing.T) {
	var entries []string
	for i := range 3 {
		entries = append(entries, accessKeyOf(fmt.Sprintf("u%d", i), fmt.Sprintf("s%d", i), ""))
	}
	c := newCloud(t, entries...)
	for i := range 3 {
		c.CreateUser(fmt.Sprintf("u%d", i))
	}
	f := c.deploy("ROTA_CONFIG_YAML=" + strings.TrimSuffix(configOf(3), "}\n") + ", policy: {apart_from: [{secret: s1, by: 1d}]}}\n")
	refuse(t, f, `{"action": "run"}`, "InvalidConfiguration", "s2: apart_from needs a database")
	for i, want := range []int{1, 0, 0} { // s0 is kept apart from none
		if keys := c.Keys(fmt.Sprintf("u%d", i)); len(keys) != want {
			t.Errorf("u%d has the keys %+v, want %d", i, keys, want)
		}
	}
}
