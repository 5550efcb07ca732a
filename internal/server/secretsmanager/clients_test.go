package secretsmanager_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/server/secretsmanager"
	"github.com/rota-dev/rota/internal/testenv"
)

// program runs a third-party program against the server and returns its output.
// None of the machine's own AWS configuration reaches it.
func (e *env) program(name string, args ...string) (string, error) {
	e.t.Helper()
	path := testenv.VenvProgram(e.t, name)
	nowhere := filepath.Join(e.t.TempDir(), "nowhere")
	cmd := exec.CommandContext(e.t.Context(), path, args...)
	cmd.Env = []string{
		"PATH=" + filepath.Dir(path) + ":" + os.Getenv("PATH"), "HOME=" + e.t.TempDir(),
		"AWS_ENDPOINT_URL_SECRETS_MANAGER=" + e.url, "AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region,
		"AWS_ACCESS_KEY_ID=" + keyID, "AWS_SECRET_ACCESS_KEY=" + keySecret,
		"AWS_CONFIG_FILE=" + nowhere, "AWS_SHARED_CREDENTIALS_FILE=" + nowhere, "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		return errs.String(), err
	}
	return strings.TrimSpace(out.String()), nil
}

// aws runs AWS's command line.
func (e *env) aws(args ...string) string {
	e.t.Helper()
	out, err := e.program("aws", append([]string{"secretsmanager"}, args...)...)
	if err != nil {
		e.t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func TestAWSsCommandLine(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	e.aws("create-secret", "--name", "prod/app", "--secret-string", `{"username":"app","password":"first"}`, "--tags", "Key=team,Value=shop", "--description", "The app's login")
	if got := e.aws("get-secret-value", "--secret-id", "prod/app", "--query", "SecretString", "--output", "text"); got != `{"username":"app","password":"first"}` {
		t.Errorf("value %s", got)
	}
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte{0, 1, 2, 255}, 0o600); err != nil {
		t.Fatal(err)
	}
	e.aws("put-secret-value", "--secret-id", "prod/app", "--secret-binary", "fileb://"+file)
	if got := e.aws("get-secret-value", "--secret-id", "prod/app", "--query", "SecretBinary", "--output", "text"); got != "AAEC/w==" {
		t.Errorf("value %s", got)
	}
	var d struct {
		Name, Description string
		Tags              []struct{ Key, Value string }
		VersionIDs        map[string][]string `json:"VersionIdsToStages"`
	}
	if err := json.Unmarshal([]byte(e.aws("describe-secret", "--secret-id", "prod/app", "--output", "json")), &d); err != nil {
		t.Fatal(err)
	}
	if d.Description != "The app's login" || len(d.Tags) != 1 || d.Tags[0].Value != "shop" || len(d.VersionIDs) != 2 {
		t.Errorf("described %+v", d)
	}
	if got := e.aws("list-secrets", "--filters", "Key=tag-value,Values=shop", "--query", "SecretList[].Name", "--output", "text"); got != "prod/app" {
		t.Errorf("listed %s", got)
	}
	if out, err := e.program("aws", "secretsmanager", "get-secret-value", "--secret-id", "none"); err == nil || !strings.Contains(out, "(ResourceNotFoundException) when calling the GetSecretValue operation: Secrets Manager can't find the specified secret.") {
		t.Errorf("a secret that is not there: %v: %s", err, out)
	}
	e.aws("delete-secret", "--secret-id", "prod/app", "--recovery-window-in-days", "7")
	e.aws("restore-secret", "--secret-id", "prod/app")
	e.aws("delete-secret", "--secret-id", "prod/app", "--force-delete-without-recovery")
	if got := e.aws("list-secrets", "--query", "length(SecretList)"); got != "0" {
		t.Errorf("%s secrets left", got)
	}
}

func TestBoto3(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	out, err := e.program("python", filepath.Join("testdata", "boto.py"))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out != "done" {
		t.Errorf("printed %s", out)
	}
	if diff := cmp.Diff([]string{"app/keep"}, e.records.Names()); diff != "" {
		t.Error(diff)
	}
}
