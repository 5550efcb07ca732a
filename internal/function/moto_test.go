package function_test

import (
	"archive/zip"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"rota/internal/function/runtimetest"
	"rota/internal/testenv"
)

// TestMotoCallsTheFunction has RotateSecret of an imitation of AWS by other
// people lead the rotation: it makes the version, and calls the four steps.
func TestMotoCallsTheFunction(t *testing.T) {
	var mu sync.Mutex
	var f *runtimetest.Function
	m := testenv.MotoWithFunctions(t, func(event []byte) ([]byte, bool) {
		mu.Lock()
		defer mu.Unlock()
		a := f.Invoke(string(event))
		if err := a.Err(); err != nil {
			t.Errorf("%s: %v", event, err)
			return []byte(err.Error()), false
		}
		return a.Payload, true
	})
	env := []string{"AWS_ENDPOINT_URL=" + m.URL, "AWS_REGION=" + awsRegion, "AWS_ACCESS_KEY_ID=AKIAANYBODY000000000", "AWS_SECRET_ACCESS_KEY=anything"}
	f = runtimetest.Deploy(t, append(env, "ROTA_UNUSED_FOR=1ms"), program) // moto dates Rota's own test of a key as its last use
	as := func(id, secret string) aws.Config {
		return aws.Config{Region: awsRegion, BaseEndpoint: &m.URL, Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")}
	}
	users, secrets := iam.NewFromConfig(as("AKIAANYBODY000000000", "anything")), secretsmanager.NewFromConfig(as("AKIAANYBODY000000000", "anything"))

	first, firstSecret := motoUser(t, users, user)
	given, err := json.Marshal(map[string]string{"username": user, "AccessKey": first, "SecretKey": firstSecret, "note": "kept"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("prod/cms"), SecretString: aws.String(string(given))}); err != nil {
		t.Fatal(err)
	}
	arn := createFunction(t, env, users)
	seen := []string{first}
	for range 2 {
		if _, err := secrets.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: aws.String("prod/cms"), RotationLambdaARN: &arn, RotationRules: &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30)}}); err != nil {
			t.Fatalf("%v\n%s", err, f.Output())
		}
		value, err := secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("prod/cms")})
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ AccessKey, SecretKey, Note string }
		if err := json.Unmarshal([]byte(*value.SecretString), &got); err != nil || got.Note != "kept" {
			t.Fatalf("the value is spoilt: %v", err)
		}
		for _, id := range seen {
			if got.AccessKey == id {
				t.Errorf("the current key is %s again", id)
			}
		}
		seen = append(seen, got.AccessKey)
		who, err := sts.NewFromConfig(as(got.AccessKey, got.SecretKey)).GetCallerIdentity(t.Context(), nil)
		if err != nil || filepath.Base(aws.ToString(who.Arn)) != user {
			t.Errorf("the current key is %v's, %v", who, err)
		}
	}
	keys, err := users.ListAccessKeys(t.Context(), &iam.ListAccessKeysInput{UserName: aws.String(user)})
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, k := range keys.AccessKeyMetadata {
		left[*k.AccessKeyId] = true
	}
	if len(left) != 2 || left[first] || !left[seen[1]] || !left[seen[2]] {
		t.Errorf("keys %v are left; want the last two of %v", left, seen)
	}
}

// createFunction makes a function at moto, which never looks into it, and gives
// its ARN.
func createFunction(t *testing.T, env []string, users *iam.Client) string {
	t.Helper()
	role, err := users.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("rota"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	code := filepath.Join(t.TempDir(), "rota.zip")
	file, err := os.Create(code)
	if err != nil {
		t.Fatal(err)
	}
	if err := zip.NewWriter(file).Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), testenv.VenvProgram(t, "aws"), "lambda", "create-function", "--region", awsRegion, "--function-name", "rota",
		"--runtime", "provided.al2023", "--handler", "bootstrap", "--role", *role.Role.Arn, "--zip-file", "fileb://"+code, "--output", "json")
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("aws lambda create-function: %v: %s", err, stderr.String())
	}
	var made struct{ FunctionArn string }
	if err := json.Unmarshal(out, &made); err != nil {
		t.Fatal(err)
	}
	return made.FunctionArn
}
