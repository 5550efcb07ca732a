package function_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/rota-dev/rota/internal/function/runtimetest"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

// program is the real rota.
var program string

func TestMain(m *testing.M) { os.Exit(testenv.MainWithProgram(m, &program)) }

// cloud is a fake AWS with one user and the function that rotates the user's
// secret.
type cloud struct {
	t *testing.T
	*awstest.Server
	env []string
}

const user = "cms"

// newCloud is a cloud whose function rotates the secrets of these entries of a
// rota.yaml.
func newCloud(t *testing.T, entries ...string) *cloud {
	t.Helper()
	return newCloudWith(t, policyFor(t, entries...)...)
}

// newCloudWith is a cloud whose function has these policies.
func newCloudWith(t *testing.T, policies ...string) *cloud {
	t.Helper()
	return newCloudAt(t, time.Now, policies...)
}

// newCloudAt is newCloudWith by another clock.
func newCloudAt(t *testing.T, now func() time.Time, policies ...string) *cloud {
	t.Helper()
	s, err := awstest.New(awstest.Options{Account: awsAccount, Region: awsRegion, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.CreateUser(user)
	return &cloud{t: t, Server: s, env: s.Env(newIdentity(t, s, policies))}
}

// deploy creates the function with additional variables.
func (c *cloud) deploy(env ...string) *runtimetest.Function {
	return runtimetest.Deploy(c.t, slices.Concat(c.env, env), program)
}

// given creates a secret with the user's first key, as a person would.
func (c *cloud) given(name string) (arn, keyID string) {
	c.t.Helper()
	id, secret, err := c.CreateAccessKey(user)
	if err != nil {
		c.t.Fatal(err)
	}
	arn, _, err = c.CreateSecret(name, fmt.Sprintf(`{"note": "kept", "AccessKey": %q, "SecretKey": %q}`, id, secret))
	if err != nil {
		c.t.Fatal(err)
	}
	return arn, id
}

// pair reads a version's credential, by label.
func (c *cloud) pair(name, label string) (id, secret string) {
	text, _ := c.SecretText(name, label)
	var v struct{ AccessKey, SecretKey, Note string }
	if json.Unmarshal([]byte(text), &v) != nil {
		return "", ""
	}
	return v.AccessKey, v.SecretKey
}

// serves fails the test unless the label's credential is valid.
func (c *cloud) serves(name, label string) {
	c.t.Helper()
	if id, secret := c.pair(name, label); !c.Valid(id, secret) {
		c.t.Errorf("the credential under %s is not valid (%s)", label, id)
	}
}

func stepEvent(arn, token, step string) string {
	return fmt.Sprintf(`{"SecretId": %q, "ClientRequestToken": %q, "Step": %q}`, arn, token, step)
}

var protocol = []string{"createSecret", "setSecret", "testSecret", "finishSecret"}

// succeed invokes and fails the test on an error.
func succeed(t *testing.T, f *runtimetest.Function, event string) runtimetest.Response {
	t.Helper()
	a := f.Invoke(event)
	if err := a.Err(); err != nil {
		t.Fatalf("%s: %v\n%s", event, err, f.Output())
	}
	return a
}

// refuse invokes and fails the test unless the response is that type of error,
// with that in its message.
func refuse(t *testing.T, f *runtimetest.Function, event, errorType, part string) {
	t.Helper()
	a := f.Invoke(event)
	if a.ErrorType != errorType || !strings.Contains(a.ErrorMessage, part) {
		t.Errorf("%s: %s %q, want %s with %q\n%s", event, a.ErrorType, a.ErrorMessage, errorType, part, a.Payload)
	}
}

// idle makes all keys look unused for a long time.
func (c *cloud) idle() {
	for _, k := range c.Keys(user) {
		c.SetLastUsed(k.ID, time.Time{}, "", "")
	}
}

// tag tags a secret.
func (c *cloud) tag(secret, key, value string) {
	c.t.Helper()
	_, err := c.secrets().TagResource(c.t.Context(), &secretsmanager.TagResourceInput{SecretId: &secret, Tags: []types.Tag{{Key: &key, Value: &value}}})
	if err != nil {
		c.t.Fatal(err)
	}
}

// as is a client configuration with a key.
func (c *cloud) as(id, secret string) aws.Config {
	url := c.URL()
	return aws.Config{Region: c.Region(), BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")}
}

// secrets is Secrets Manager as an administrator sees it.
func (c *cloud) secrets() *secretsmanager.Client {
	return secretsmanager.NewFromConfig(c.as(c.RootCredentials()))
}

// iam is IAM as an administrator sees it.
func (c *cloud) iam() *iam.Client { return iam.NewFromConfig(c.as(c.RootCredentials())) }
