package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rota/internal/cli"
)

// TestPolicyInTheDocumentsIsTheCommandsOutput holds docs/aws.md to what rota
// prints for its own example.
func TestPolicyInTheDocumentsIsTheCommandsOutput(t *testing.T) {
	const example = `
connections:
  prod: {aws: {region: eu-central-1}}
  ops: {sns: {connection: prod, topic_arn: "arn:aws:sns:eu-central-1:111122223333:rotations"}}
defaults:
  notify: [ops]
  policy: {rotate_every: 90d, deactivate_previous_after: 10d, delete_previous_after: 20d}
secrets:
  - name: prod/binary-leancms-s3
    issuer: {connection: prod, iam_access_key: {user: prod-cms-binary-leancms-s3-user}}
    store: {connection: prod, secrets_manager: {name: prod/binary-leancms-s3, fields: {access-id: access_key_id, secret-key: secret_access_key}}}
`
	path := filepath.Join(t.TempDir(), "rota.yaml")
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, problems bytes.Buffer
	if code := cli.Run(t.Context(), []string{"policy", "aws", "--account", "111122223333", "-c", path}, []string{"HOME=" + t.TempDir()}, strings.NewReader(""), &out, &problems); code != 0 {
		t.Fatalf("exit code %d: %s", code, problems.String())
	}
	document, err := os.ReadFile("../../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "<!-- rota policy aws --account 111122223333 -->\n```json\n" + out.String() + "```\n"; !strings.Contains(string(document), want) {
		t.Errorf("docs/aws.md does not hold what the command prints now:\n%s", want)
	}
}
