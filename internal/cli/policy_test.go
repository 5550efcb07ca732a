package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rota-dev/rota/internal/cli"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/provider/mysql"
	"github.com/rota-dev/rota/provider/postgres"
)

// TestPolicyInTheDocumentsIsTheCommandsOutput holds docs/providers/aws.md to what rota
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
	out, _ := policyOf(t, example)
	document, err := os.ReadFile("../../docs/providers/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "<!-- rota policy aws --account 111122223333 -->\n```json\n" + out + "```\n"; !strings.Contains(string(document), want) {
		t.Errorf("docs/providers/aws.md does not hold what the command prints now:\n%s", want)
	}
}

// TestGrantsInTheDocumentsAreTheCommandsOutput holds the pages of databases to what
// rota prints for each provider's example.
func TestGrantsInTheDocumentsAreTheCommandsOutput(t *testing.T) {
	for _, p := range []provider.Provider{postgres.Provider(), mysql.Provider()} {
		t.Run(p.System, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rota.yaml")
			example := regexp.MustCompile(`\$\{file:/run/secrets/[a-z-]+}`).ReplaceAllLiteralString(p.Example, "${env:DB}")
			if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			if code := cli.Run(t.Context(), []string{"policy", p.Name, "-c", path}, []string{"DB=x"}, strings.NewReader(""), &stdout, &stderr); code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr.String())
			}
			document, err := os.ReadFile("../../docs/providers/" + p.Page() + ".md")
			if err != nil {
				t.Fatal(err)
			}
			if want := "<!-- rota policy " + p.Name + " -->\n```sql\n" + stdout.String() + "```\n"; !strings.Contains(string(document), want) {
				t.Errorf("docs/providers/%s.md does not hold what the command prints now:\n%s", p.Page(), want)
			}
		})
	}
}

// TestPolicyOfDiscoverIsInTheDocuments holds docs/discover.md to what the
// command needs.
func TestPolicyOfDiscoverIsInTheDocuments(t *testing.T) {
	want, err := aws.NewPolicy(aws.DiscoverPermissions(aws.PlaceOf("eu-central-1", "111122223333"), true), false).JSON()
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../docs/discover.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), "```json\n"+string(want)+"```\n") {
		t.Errorf("docs/discover.md does not hold\n%s", want)
	}
}

// policyOf prints the policy for a rota.yaml, and gives what was said on
// stderr.
func policyOf(t *testing.T, file string, flags ...string) (out, said string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rota.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	args := append([]string{"policy", "aws", "--account", "111122223333", "-c", path}, flags...)
	if code := cli.Run(t.Context(), args, []string{"HOME=" + t.TempDir()}, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	return stdout.String(), stderr.String()
}

func TestPolicyThatIsTooLargeIsSplit(t *testing.T) {
	var file strings.Builder
	file.WriteString("connections: {prod: {aws: {region: eu-central-1}}}\ndefaults: {policy: {rotate_every: 90d}}\nsecrets:\n")
	for i := range 200 {
		fmt.Fprintf(&file, "  - {name: s%d, issuer: {connection: prod, iam_access_key: {user: user-%d}}}\n", i, i)
	}
	whole, said := policyOf(t, file.String())
	if !strings.Contains(said, "try: --split") || !json.Valid([]byte(whole)) {
		t.Errorf("nothing is said of its size: %q", said)
	}
	out, said := policyOf(t, file.String(), "--split")
	var parts map[string]aws.Policy
	if err := json.Unmarshal([]byte(out), &parts); err != nil {
		t.Fatal(err)
	}
	users := map[string]bool{}
	for name, part := range parts {
		size, err := part.Size()
		if err != nil || size > aws.MaxPolicy || !strings.HasPrefix(name, "prod-") {
			t.Errorf("%s has %d characters: %v", name, size, err)
		}
		for _, s := range part.Statement {
			for _, user := range s.Resource {
				users[user] = true
			}
		}
	}
	if len(parts) < 2 || len(users) != 200 || said != "" {
		t.Errorf("%d parts with %d users, said %q", len(parts), len(users), said)
	}
}
