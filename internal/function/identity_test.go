package function_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rota/provider/aws/awstest"
)

// identity is the IAM user as whom the function works in these tests. It may do
// what rota policy aws prints for it and nothing else.
const identity = "rota-function"

// files are the secrets of all tests, each file without two for one user.
var files = []string{
	accessKeysOf("cms", "cms"), accessKeysOf("cms", "prod/cms"), many(),
	"  - {name: a, issuer: {connection: db, password: {role: a}}, store: {connection: aws, secrets_manager: {name: db/app}}}\n" +
		"  - {name: b, issuer: {connection: db, password: {role: b}}, store: {connection: aws, secrets_manager: {name: db/master}}}\n" +
		"  - {name: c, issuer: {connection: db, password: {role: c}}, store: {connection: aws, secrets_manager: {name: db}}}\n",
}

func accessKeysOf(user, secret string) string {
	return fmt.Sprintf("  - {name: %[2]s, issuer: {connection: aws, iam_access_key: {user: %[1]s}}, store: {connection: aws, secrets_manager: {name: %[2]s}}}\n", user, secret)
}

func many() string {
	var all strings.Builder
	for i := range 12 {
		all.WriteString(accessKeysOf(fmt.Sprintf("u%d", i), fmt.Sprintf("s%d", i)))
	}
	return all.String()
}

// policies are those that rota policy aws prints for the files, for an account.
var policies = sync.OnceValues(func() ([]string, error) {
	var printed []string
	for _, secrets := range files {
		policy, err := printPolicy(configuration("owner", secrets), nil, "--account", awsAccount)
		if err != nil {
			return nil, err
		}
		printed = append(printed, policy)
	}
	return printed, nil
})

// configuration is a rota.yaml with these secrets, whose owner hears of them by
// a topic, "" for none.
func configuration(topic, secrets string) string {
	text := "connections:\n  aws: {aws: {region: " + awsRegion + "}}\n  db: {postgres: {host: h, database: d, username: u, password: p}}\n"
	if topic != "" {
		text += "  owner: {sns: {connection: aws, topic_arn: \"" + arnOf("aws_sns_topic", "", topic) + "\"}}\ndefaults: {notify: [owner]}\n"
	}
	return text + "secrets:\n" + secrets
}

// printPolicy is what rota policy aws prints for a function with a rota.yaml.
func printPolicy(config string, env []string, args ...string) (string, error) {
	dir, err := os.MkdirTemp("", "rota-policies")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "rota.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return "", err
	}
	cmd := exec.Command(program, append([]string{"policy", "aws", "--function", "--no-check", "--config", path}, args...)...)
	cmd.Env = append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}, env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("rota policy aws: %w: %s", err, stderr.String())
	}
	return string(out), nil
}

// The place of both imitations of AWS.
const (
	awsRegion  = "eu-central-1"
	awsAccount = "123456789012"
)

// newIdentity makes the function's user with these policies, and gives its key.
func newIdentity(t *testing.T, s *awstest.Server, policies []string) (id, secret string) {
	t.Helper()
	if s.Account() != awsAccount || s.Region() != awsRegion {
		t.Fatalf("the account is %s in %s", s.Account(), s.Region())
	}
	s.CreateUser(identity)
	for _, policy := range policies {
		if err := s.AttachPolicy("arn:aws:iam::"+awsAccount+":user/"+identity, policy); err != nil {
			t.Fatal(err)
		}
	}
	id, secret, err := s.CreateAccessKey(identity)
	if err != nil {
		t.Fatal(err)
	}
	return id, secret
}
