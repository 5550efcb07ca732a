package takeover

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rota-dev/rota/internal/function/runtimetest"
	"github.com/rota-dev/rota/internal/testenv"
)

const (
	region  = "eu-central-1"
	anybody = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}`
	all     = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`
	nothing = "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==" // an empty zip
)

// account is an AWS account on moto, as an administrator sees it. moto checks keys,
// signatures and policies, but lets the function do anything: what it needs is
// tested in internal/function. Commands of the document use the AWS CLI; what other
// tools did before, and what came of it, goes through the SDK, which is faster.
type account struct {
	*world
	url     string
	users   *iam.Client
	secrets *secretsmanager.Client

	mu       sync.Mutex
	function *runtimetest.Function // what runs when any function is invoked; nil for none
}

func newAccount(w *world) *account {
	w.t.Helper()
	a := &account{world: w}
	server := testenv.MotoWithFunctions(w.t, a.invoked)
	a.url = server.URL
	w.offer("aws", testenv.VenvProgram(w.t, "aws"))
	w.here = append(w.here, "111122223333", "123456789012")
	a.login("AKIAANYBODY000000000", "anything")
	a.must(a.users.CreateRole(w.t.Context(), &iam.CreateRoleInput{RoleName: aws.String("rota"), AssumeRolePolicyDocument: aws.String(anybody)}))
	a.must(a.users.CreateUser(w.t.Context(), &iam.CreateUserInput{UserName: aws.String("admin")}))
	a.must(a.users.PutUserPolicy(w.t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("admin"), PolicyName: aws.String("all"), PolicyDocument: aws.String(all)}))
	id, secret := a.key("admin")
	server.EnforceIAM(w.t)
	a.login(id, secret)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": a.url, "AWS_REGION": region, "AWS_DEFAULT_REGION": region, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "",
		"AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_CONFIG_FILE": w.file("none"), "AWS_SHARED_CREDENTIALS_FILE": w.file("none"),
	} {
		w.env[name] = value
	}
	return a
}

// invoked is what Lambda does with an event.
func (a *account) invoked(event []byte) (answer []byte, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.function == nil {
		return []byte("null"), true
	}
	response := a.function.Invoke(string(event))
	a.function.Kill()
	if err := response.Err(); err != nil {
		return fmt.Appendf(nil, `{"errorMessage": %q}`, err), false
	}
	return response.Payload, true
}

func (a *account) as(id, secret string) aws.Config {
	return aws.Config{Region: region, BaseEndpoint: &a.url, Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")}
}

func (a *account) login(id, secret string) {
	a.users, a.secrets = iam.NewFromConfig(a.as(id, secret)), secretsmanager.NewFromConfig(a.as(id, secret))
}

func (a *account) must(_ any, err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// call calls a service that Rota has no client for, as the administrator.
func (a *account) call(service, method, path, target string, body any) map[string]any {
	a.t.Helper()
	text, err := json.Marshal(body)
	a.must(nil, err)
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, bytes.NewReader(text))
	a.must(nil, err)
	if target != "" {
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", target)
	}
	sum := sha256.Sum256(text)
	key, err := a.users.Options().Credentials.Retrieve(a.t.Context())
	a.must(nil, err)
	a.must(nil, v4.NewSigner().SignHTTP(a.t.Context(), key, req, hex.EncodeToString(sum[:]), service, region, time.Now()))
	resp, err := http.DefaultClient.Do(req)
	a.must(nil, err)
	answer, err := io.ReadAll(resp.Body)
	a.must(nil, err)
	a.must(nil, resp.Body.Close())
	if resp.StatusCode >= 300 {
		a.t.Fatalf("%s: %s: %s", path+target, resp.Status, answer)
	}
	if len(bytes.TrimSpace(answer)) == 0 {
		return nil
	}
	return object(a.t, string(answer))
}

func (a *account) events(operation string, body map[string]any) map[string]any {
	a.t.Helper()
	return a.call("events", http.MethodPost, "/", "AWSEvents."+operation, body)
}

func functionARN(name string) string {
	return "arn:aws:lambda:" + region + ":123456789012:function:" + name
}

// create makes a function at AWS. What it does is for [account.deploy] to say.
func (a *account) create(function string) {
	a.t.Helper()
	a.call("lambda", http.MethodPost, "/2015-03-31/functions", "", map[string]any{
		"FunctionName": function, "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": "arn:aws:iam::123456789012:role/rota",
		"Code": map[string]any{"ZipFile": nothing},
	})
}

// schedule makes a rule that calls a function.
func (a *account) schedule(rule, expression, function, input string) {
	a.t.Helper()
	target := map[string]any{"Id": "1", "Arn": functionARN(function)}
	if input != "" {
		target["Input"] = input
	}
	a.events("PutRule", map[string]any{"Name": rule, "ScheduleExpression": expression})
	a.events("PutTargets", map[string]any{"Rule": rule, "Targets": []any{target}})
}

// calls fails the test unless a rule calls a function, and only that one.
func (a *account) calls(rule, schedule, state, function, input string) {
	a.t.Helper()
	r := a.events("DescribeRule", map[string]any{"Name": rule})
	targets, _ := a.events("ListTargetsByRule", map[string]any{"Rule": rule})["Targets"].([]any)
	want := map[string]any{"Id": "1", "Arn": functionARN(function)}
	if input != "" {
		want["Input"] = input
	}
	if r["ScheduleExpression"] != schedule || r["State"] != state || fmt.Sprint(targets) != fmt.Sprint([]any{want}) {
		a.t.Errorf("rule %s: %v %v, %v; want %s %s, %v", rule, r["ScheduleExpression"], r["State"], targets, schedule, state, want)
	}
}

// fire sends what a rule sends.
func (a *account) fire(rule string) {
	a.t.Helper()
	targets, _ := a.events("ListTargetsByRule", map[string]any{"Rule": rule})["Targets"].([]any)
	input, _ := targets[0].(map[string]any)["Input"].(string)
	if input == "" {
		input = `{"id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event", "source": "aws.events", "time": "2026-01-01T00:00:00Z"}`
	}
	if answer, ok := a.invoked([]byte(input)); !ok {
		a.t.Errorf("%s: %s: %s", rule, input, answer)
	}
}

// deploy lets the function run, with the environment it has at AWS.
func (a *account) deploy(env ...string) {
	a.t.Helper()
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", clockVariable} {
		if value, ok := a.env[name]; ok {
			env = append(env, name+"="+value)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.function = runtimetest.Deploy(a.t, env, "rota")
}

// old lets another tool's function answer, which always succeeds.
func (a *account) old() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.function = nil
}

// variables are a function's environment at AWS.
func (a *account) variables(function string) (env []string) {
	a.t.Helper()
	configuration := a.call("lambda", http.MethodGet, "/2015-03-31/functions/"+function+"/configuration", "", nil)
	variables, _ := configuration["Environment"].(map[string]any)["Variables"].(map[string]any)
	for k, v := range variables {
		env = append(env, fmt.Sprint(k, "=", v))
	}
	return env
}

func (a *account) key(user string) (id, secret string) {
	a.t.Helper()
	out, err := a.users.CreateAccessKey(a.t.Context(), &iam.CreateAccessKeyInput{UserName: &user})
	a.must(nil, err)
	return *out.AccessKey.AccessKeyId, *out.AccessKey.SecretAccessKey
}

const pair = `{"AccessKey": %q, "SecretKey": %q}`

// user creates an IAM user with an access key in a Secrets Manager entry of the
// same name, as a person does.
func (a *account) user(name string) (key string) {
	a.t.Helper()
	a.must(a.users.CreateUser(a.t.Context(), &iam.CreateUserInput{UserName: &name}))
	id, secret := a.key(name)
	a.must(a.secrets.CreateSecret(a.t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String(fmt.Sprintf(pair, id, secret))}))
	return id
}

// replaced is what other functions do on day 90: they create a second key, and make
// it the entry's value.
func (a *account) replaced(name string) (key string) {
	a.t.Helper()
	id, secret := a.key(name)
	a.must(a.secrets.PutSecretValue(a.t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: aws.String(fmt.Sprintf(pair, id, secret))}))
	return id
}

// deactivated is what they do on day 100.
func (a *account) deactivated(name, key string) {
	a.t.Helper()
	a.must(a.users.UpdateAccessKey(a.t.Context(), &iam.UpdateAccessKeyInput{UserName: &name, AccessKeyId: &key, Status: types.StatusTypeInactive}))
}

// has fails the test unless the user has exactly these keys, in these states.
func (a *account) has(user string, want ...string) {
	a.t.Helper()
	out, err := a.users.ListAccessKeys(a.t.Context(), &iam.ListAccessKeysInput{UserName: &user})
	a.must(nil, err)
	var got []string
	for _, k := range out.AccessKeyMetadata {
		got = append(got, *k.AccessKeyId+" "+string(k.Status))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		a.t.Errorf("%s has %v, want %v", user, got, want)
	}
}

// value is an entry's JSON, by label.
func (a *account) value(name, label string) map[string]any {
	a.t.Helper()
	out, err := a.secrets.GetSecretValue(a.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &name, VersionStage: &label})
	a.must(nil, err)
	return object(a.t, *out.SecretString)
}

// serves returns the key that an entry's label has. It must be the user's of that
// name, and log in.
func (a *account) serves(name, label string) string {
	a.t.Helper()
	v := a.value(name, label)
	id, secret := fmt.Sprint(v["AccessKey"]), fmt.Sprint(v["SecretKey"])
	who, err := sts.NewFromConfig(a.as(id, secret)).GetCallerIdentity(a.t.Context(), nil)
	if err != nil || !strings.HasSuffix(*who.Arn, "/"+name) {
		a.t.Errorf("%s under %s is not %s's: %v, %v", id, label, name, who, err)
	}
	return id
}

func emptyZip() string {
	zip, _ := base64.StdEncoding.DecodeString(nothing)
	return string(zip)
}
