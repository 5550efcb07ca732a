package function_test

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota/internal/function/runtimetest"
	"github.com/rota-dev/rota/internal/testenv"
)

// moto is a third-party fake of AWS that enforces policies, with the function
// deployed: its RotateSecret creates the version, and calls the real program
// with the four steps.
type moto struct {
	t       *testing.T
	url     string
	admin   []string // an environment with all permissions
	users   *iam.Client
	secrets *secretsmanager.Client
	quiet   bool // RotateSecret creates the version, and the test requests the steps
	*runtimetest.Function
}

// onMoto starts one whose function has exactly the permissions that rota policy
// aws prints for these entries of a rota.yaml. env is additional environment
// for the function. moto judges by actions alone, and counts Rota's own test of
// a key as its last use.
func onMoto(t *testing.T, entries []string, env ...string) *moto {
	t.Helper()
	m := &moto{t: t}
	var mu sync.Mutex
	server := testenv.MotoWithFunctions(t, func(event []byte) ([]byte, bool) {
		mu.Lock()
		defer mu.Unlock()
		if m.quiet {
			return []byte("null"), true
		}
		a := m.Invoke(string(event))
		m.Kill()
		if err := a.Err(); err != nil {
			t.Errorf("%s: %v", event, err)
			return []byte(err.Error()), false
		}
		return a.Payload, true
	})
	m.url = server.URL
	anybody := iam.NewFromConfig(m.as("AKIAANYBODY000000000", "anything"))
	id, secret := motoUser(t, anybody, "admin", `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`)
	own, ownSecret := motoUser(t, anybody, identity, policyFor(t, entries...)...)
	server.EnforceIAM(t)
	m.admin = m.login(id, secret)
	m.users, m.secrets = iam.NewFromConfig(m.as(id, secret)), secretsmanager.NewFromConfig(m.as(id, secret))
	m.Function = runtimetest.Deploy(t, slices.Concat(m.login(own, ownSecret), []string{"ROTA_UNUSED_FOR=1ms"}, env), program)
	return m
}

func (m *moto) as(id, secret string) aws.Config {
	return aws.Config{Region: awsRegion, BaseEndpoint: &m.url, Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")}
}

func (m *moto) login(id, secret string) []string {
	return []string{"AWS_ENDPOINT_URL=" + m.url, "AWS_REGION=" + awsRegion, "AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret}
}

// listed are the resources of a printed statement. moto mistakes the question
// marks in a secret's ARN for a broken regular expression.
var listed = regexp.MustCompile(`"Resource": \[[^]]*\]`)

// motoUser creates a user with policies, and returns its key.
func motoUser(t *testing.T, users *iam.Client, name string, policies ...string) (id, secret string) {
	t.Helper()
	if _, err := users.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name}); err != nil {
		t.Fatal(err)
	}
	for i, policy := range policies {
		policy = listed.ReplaceAllString(policy, `"Resource": "*"`)
		_, err := users.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String(fmt.Sprintf("p%d", i)), PolicyDocument: &policy})
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := users.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return *key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey
}

// user creates a user without a key.
func (m *moto) user(name string) {
	m.t.Helper()
	if _, err := m.users.CreateUser(m.t.Context(), &iam.CreateUserInput{UserName: &name}); err != nil {
		m.t.Fatal(err)
	}
}

// put creates a Secrets Manager entry.
func (m *moto) put(name string, fields map[string]any) (arn string) {
	m.t.Helper()
	text, err := json.Marshal(fields)
	if err != nil {
		m.t.Fatal(err)
	}
	out, err := m.secrets.CreateSecret(m.t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String(string(text))})
	if err != nil {
		m.t.Fatal(err)
	}
	return *out.ARN
}

// value is an entry's current version.
func (m *moto) value(name string) (fields map[string]any) {
	m.t.Helper()
	out, err := m.secrets.GetSecretValue(m.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &name, VersionStage: aws.String("AWSCURRENT")})
	if err != nil {
		m.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(*out.SecretString), &fields); err != nil {
		m.t.Fatal(err)
	}
	return fields
}

// serves returns the id of the key in an entry. It must be that user's, and
// must log in.
func (m *moto) serves(name, user string) (id string) {
	m.t.Helper()
	v := m.value(name)
	id, _ = v["AccessKey"].(string)
	secret, _ := v["SecretKey"].(string)
	who, err := sts.NewFromConfig(m.as(id, secret)).GetCallerIdentity(m.t.Context(), nil)
	if err != nil || path.Base(aws.ToString(who.Arn)) != user {
		m.t.Errorf("the key %s in %s is not %s's: %v, %v", id, name, user, who, err)
	}
	return id
}

// keys are the ids of a user's keys.
func (m *moto) keys(user string) (all []string) {
	m.t.Helper()
	out, err := m.users.ListAccessKeys(m.t.Context(), &iam.ListAccessKeysInput{UserName: &user})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, k := range out.AccessKeyMetadata {
		all = append(all, *k.AccessKeyId)
	}
	return all
}

// function creates the function at moto, which never looks inside it, and
// returns its ARN.
func (m *moto) function() string {
	m.t.Helper()
	role, err := m.users.CreateRole(m.t.Context(), &iam.CreateRoleInput{RoleName: aws.String("rota"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)})
	if err != nil {
		m.t.Fatal(err)
	}
	code := filepath.Join(m.t.TempDir(), "rota.zip")
	file, err := os.Create(code)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := zip.NewWriter(file).Close(); err != nil {
		m.t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.CommandContext(m.t.Context(), testenv.VenvProgram(m.t, "aws"), "lambda", "create-function", "--region", awsRegion, "--function-name", "rota",
		"--runtime", "provided.al2023", "--handler", "bootstrap", "--role", *role.Role.Arn, "--zip-file", "fileb://"+code, "--output", "json")
	cmd.Env = append(os.Environ(), m.admin...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatalf("aws lambda create-function: %v: %s", err, stderr.String())
	}
	var made struct{ FunctionArn string }
	if err := json.Unmarshal(out, &made); err != nil {
		m.t.Fatal(err)
	}
	return made.FunctionArn
}

// rotate makes Secrets Manager drive a rotation.
func (m *moto) rotate(name, function string) {
	m.t.Helper()
	_, err := m.secrets.RotateSecret(m.t.Context(), &secretsmanager.RotateSecretInput{
		SecretId: &name, RotationLambdaARN: &function, RotationRules: &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30)},
	})
	if err != nil {
		m.t.Fatalf("%v\n%s", err, m.Output())
	}
}

// labels are the versions that carry an entry's labels.
func (m *moto) labels(name string) map[string]string {
	m.t.Helper()
	out, err := m.secrets.DescribeSecret(m.t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &name})
	if err != nil {
		m.t.Fatal(err)
	}
	all := map[string]string{}
	for version, labels := range out.VersionIdsToStages {
		for _, l := range labels {
			all[l] = version
		}
	}
	return all
}

// TestMotosStepsInAnyOrder requests the steps out of order, with a foreign
// token, repeatedly, and each in a process of its own.
func TestMotosStepsInAnyOrder(t *testing.T) {
	m := onMoto(t, []string{accessKeyOf(user, "prod/cms", "")})
	first, firstSecret := motoUser(t, m.users, user)
	arn := m.put("prod/cms", map[string]any{"username": user, "AccessKey": first, "SecretKey": firstSecret})
	m.quiet = true
	m.rotate("prod/cms", m.function())
	token := m.labels("prod/cms")["AWSPENDING"]
	refuse(t, m.Function, stepEvent(arn, uuid.NewString(), "createSecret"), "RotationStopped", "has no version")
	refuse(t, m.Function, stepEvent(arn, token, "setSecret"), "RotationStopped", "has no value yet")
	refuse(t, m.Function, stepEvent(arn, token, "finishSecret"), "RotationStopped", "has no value yet")
	if got := m.keys(user); !slices.Equal(got, []string{first}) {
		t.Fatalf("the keys are %v, want %s alone", got, first)
	}
	for _, step := range []string{"createSecret", "createSecret", "testSecret", "setSecret", "testSecret", "finishSecret", "finishSecret", "createSecret"} {
		succeed(t, m.Function, stepEvent(arn, token, step))
		m.Kill()
	}
	if labels := m.labels("prod/cms"); labels["AWSCURRENT"] != token || labels["AWSPENDING"] != "" {
		t.Errorf("labels %v, want AWSCURRENT on %s and no AWSPENDING", labels, token)
	}
	if current := m.serves("prod/cms", user); current == first || len(m.keys(user)) != 2 {
		t.Errorf("keys %v, current %s, want a second one", m.keys(user), current)
	}
	if _, err := sts.NewFromConfig(m.as(first, firstSecret)).GetCallerIdentity(t.Context(), nil); err != nil {
		t.Errorf("the previous key: %v", err)
	}
}

func TestMotosLifecycle(t *testing.T) {
	m := onMoto(t, []string{accessKeyOf(user, user, "")})
	m.user(user)
	for _, event := range []string{`"create"`, `"create"`, `"create", "after_days": 90`, `"deactivate"`, `"delete", "after_days": 10`, `"delete"`} {
		succeed(t, m.Function, fmt.Sprintf(`{"username": "cms", "action": %s}`, event))
		m.Kill()
	}
	if current := m.serves(user, user); !slices.Equal(m.keys(user), []string{current}) {
		t.Errorf("keys %v are left, want %s", m.keys(user), current)
	}
}

func TestMotosOneUserAtOnce(t *testing.T) {
	m := onMoto(t, []string{accessKeyOf(user, "prod/cms", "")}, "IAM_USER_NAME="+user, "SECRET_NAME=prod/cms")
	m.user(user)
	var served []string
	for range 3 {
		succeed(t, m.Function, `{}`)
		m.Kill()
		served = append(served, m.serves("prod/cms", user))
	}
	if left := m.keys(user); len(left) != 2 || slices.Contains(left, served[0]) {
		t.Errorf("keys %v are left, want the last two of %v", left, served)
	}
}

func TestMotosSweep(t *testing.T) {
	var entries []string
	for i := range 3 {
		entries = append(entries, accessKeyOf(fmt.Sprintf("u%d", i), fmt.Sprintf("s%d", i), ""))
	}
	m := onMoto(t, entries, "ROTA_CONFIG_YAML="+configOf(3))
	for i := range 3 {
		m.user(fmt.Sprintf("u%d", i))
	}
	for range 2 { // the second finds nothing to do
		succeed(t, m.Function, `{"action": "run"}`)
		m.Kill()
	}
	for i := range 3 {
		text := m.value(fmt.Sprintf("s%d", i))
		keys := m.keys(fmt.Sprintf("u%d", i))
		if len(keys) != 1 || !strings.Contains(fmt.Sprint(text), keys[0]) {
			t.Errorf("s%d does not hold the one key of %v", i, keys)
		}
	}
}

func TestMotoRotatesAccessKeys(t *testing.T) {
	m := onMoto(t, []string{accessKeyOf(user, "prod/cms", "")})
	first, firstSecret := motoUser(t, m.users, user)
	m.put("prod/cms", map[string]any{"username": user, "AccessKey": first, "SecretKey": firstSecret, "note": "kept"})
	function := m.function()
	served := []string{first}
	for range 2 {
		m.rotate("prod/cms", function)
		if note := m.value("prod/cms")["note"]; note != "kept" {
			t.Errorf("the note is %v", note)
		}
		served = append(served, m.serves("prod/cms", user))
	}
	if left := m.keys(user); len(left) != 2 || slices.Contains(left, first) || served[1] == served[2] {
		t.Errorf("keys %v are left, want the last two of %v", left, served)
	}
}

func TestMotoRotatesAPostgresPassword(t *testing.T) {
	server := testenv.Postgres(t, testenv.PostgresOptions{})
	dsn, err := url.Parse(server.NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	server.Exec(t, "CREATE ROLE app LOGIN PASSWORD 'first-password'")
	m := onMoto(t, []string{passwordOf("db/app")})
	m.put("db/app", map[string]any{"engine": "postgres", "host": server.Host, "port": server.Port, "username": "app", "password": "first-password", "dbname": strings.TrimPrefix(dsn.Path, "/")})
	function := m.function()
	for range 2 {
		m.rotate("db/app", function)
		password, _ := m.value("db/app")["password"].(string)
		dsn.User = url.UserPassword("app", password)
		conn, err := pgx.Connect(t.Context(), dsn.String())
		if err != nil {
			t.Fatalf("log in with the current password: %v", err)
		}
		_ = conn.Close(t.Context())
		if password == "first-password" {
			t.Error("the password is the first one still")
		}
	}
}

func TestMotoRefusesWhatIsNotGranted(t *testing.T) {
	m := onMoto(t, nil)
	m.user(user)
	// moto's refusal isn't one of Secrets Manager's, so the type doesn't
	// matter.
	if err := m.Invoke(`{"username": "cms", "action": "create"}`).Err(); err == nil || !strings.Contains(err.Error(), "status 403") {
		t.Errorf("it says %v", err)
	}
	if left := m.keys(user); len(left) > 0 {
		t.Errorf("keys %v were made", left)
	}
}

// TestMotosLeftOverRotation starts a rotation, removes AWSPENDING from its
// version after the first step, and makes Secrets Manager drive another: the
// first one's key harms nobody, but occupies the slot of the next one until a
// person deletes it.
func TestMotosLeftOverRotation(t *testing.T) {
	m := onMoto(t, []string{accessKeyOf(user, "prod/cms", "")})
	first, firstSecret := motoUser(t, m.users, user)
	arn := m.put("prod/cms", map[string]any{"username": user, "AccessKey": first, "SecretKey": firstSecret})
	function := m.function()
	m.quiet = true
	m.rotate("prod/cms", function)
	succeed(t, m.Function, stepEvent(arn, m.labels("prod/cms")["AWSPENDING"], "createSecret"))
	m.Kill()
	m.rotate("prod/cms", function) // moto removes the label
	token := m.labels("prod/cms")["AWSPENDING"]
	refuse(t, m.Function, stepEvent(arn, token, "createSecret"), "Held", "all 2 places are taken")
	if current := m.serves("prod/cms", user); current != first {
		t.Errorf("the current key is %s, want %s", current, first)
	}
	for _, id := range m.keys(user) {
		if id == first {
			continue
		}
		if _, err := m.users.DeleteAccessKey(t.Context(), &iam.DeleteAccessKeyInput{UserName: aws.String(user), AccessKeyId: &id}); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range protocol {
		succeed(t, m.Function, stepEvent(arn, token, step))
		m.Kill()
	}
	if current := m.serves("prod/cms", user); current == first {
		t.Error("the current key is the first one still")
	}
}
