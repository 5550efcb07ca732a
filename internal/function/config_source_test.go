package function_test

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

// source is a location of rota.yaml outside the function, which can be empty,
// inaccessible or unavailable.
type source struct {
	name, place, missing string // the location's URL, and one where nothing exists
	action               string // that reads it
	put                  func(c *cloud, text string)
}

var sources = []source{
	{"S3", "s3://configs/team/rota.yaml", "s3://configs/other.yaml", "s3:GetObject",
		func(c *cloud, text string) { c.putObject("configs", "team/rota.yaml", text) }},
	{"SSM", "ssm:///rota/config", "ssm:///rota/other", "ssm:GetParameter",
		func(c *cloud, text string) { c.putParameter("/rota/config", "SecureString", text) }},
}

// TestAConfigurationFromAWS makes the same process find the configuration
// invalid in each way, and then valid: each invocation reads it again.
func TestAConfigurationFromAWS(t *testing.T) {
	const run = `{"action": "run"}`
	for _, s := range sources {
		t.Run(s.name, func(t *testing.T) {
			c := newCloud(t, accessKeyOf("u0", "s0", ""))
			c.CreateUser("u0")
			c.CreateBucket("configs")
			f := c.deploy("ROTA_CONFIG=" + s.place)
			refuse(t, f, run, "InvalidConfiguration", "allow "+s.action+" to Rota's identity")
			refuse(t, f, run, "InvalidConfiguration", strings.TrimPrefix(s.place, "ssm://"))
			c.Allow(identity, s.action)
			for text, part := range map[string]string{
				" ":                          "the file is empty",
				"secrets: [":                 "did not find expected node content",
				"users:\n  - {name: s0}\n":   `unknown key "users"`,
				sweepConfig + "  - {name: a": "did not find",
				strings.Replace(configOf(1), "iam_access_key", "access_key", 1): `unknown key "access_key" (did you mean "iam_access_key"?)`,
			} {
				s.put(c, text)
				refuse(t, f, run, "InvalidConfiguration", s.place+":")
				refuse(t, f, run, "InvalidConfiguration", part)
			}
			if n := len(c.Keys("u0")); n != 0 {
				t.Errorf("%d keys were made by wrong configurations", n)
			}
			s.put(c, configOf(1))
			c.SetFaults(func(call awstest.Call) awstest.Fault {
				if strings.HasSuffix(s.action, ":"+call.Action) {
					return awstest.Fault{FailBefore: "ServiceUnavailable", Status: 503}
				}
				return awstest.Fault{}
			})
			refuse(t, f, run, "RotationRetryable", strings.TrimPrefix(s.place, "ssm://"))
			c.SetFaults(nil)
			if out := sweep(t, f); out.Secrets != 1 || out.Done["s0"] == "" {
				t.Errorf("swept %+v\n%s", out, f.Output())
			}
			refuse(t, c.deploy("ROTA_CONFIG="+s.missing), run, "InvalidConfiguration", strings.TrimPrefix(s.missing, "ssm://"))
		})
	}
}

func TestNoPlaceOfAConfiguration(t *testing.T) {
	c := newCloud(t)
	c.Allow(identity, "s3:*", "ssm:*")
	for place, part := range map[string]string{
		"gs://bucket/rota.yaml":         "ROTA_CONFIG has the unknown scheme gs://",
		"s3://bucket":                   "names no object: s3://bucket (try: s3://bucket/rota.yaml",
		"s3:///rota.yaml":               "names no object",
		"ssm://":                        "names no parameter",
		"ssm:///":                       "names no parameter",
		"s3://no-such-bucket/rota.yaml": "read s3://no-such-bucket/rota.yaml",
	} {
		refuse(t, c.deploy("ROTA_CONFIG="+place), `{"action": "run"}`, "InvalidConfiguration", part)
	}
	refuse(t, c.deploy("ROTA_CONFIG=a.yaml", "ROTA_CONFIG_YAML=secrets: []"), `{"action": "run"}`, "InvalidConfiguration", "both set")
	refuse(t, c.deploy("ROTA_CONFIG_YAML=secrets: ["), `{"action": "run"}`, "InvalidConfiguration", "ROTA_CONFIG_YAML:2:")
}
