package function_test

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

// identity is the IAM user that the function runs as in these tests. It has
// exactly the permissions that rota policy aws prints for the test's own
// secrets.
const identity = "rota-function"

// accessKeyOf is rota.yaml's entry for a user's access key, stored in a Secrets
// Manager entry of that name. more is further keys.
func accessKeyOf(user, secret, more string) string {
	return fmt.Sprintf("  - {name: %[2]s, issuer: {connection: aws, iam_access_key: {user: %[1]s}}, store: {connection: aws, secrets_manager: {name: %[2]s}}%[3]s}\n", user, secret, more)
}

// told notifies the owner about a secret.
const told = ", notify: [owner]"

// passwordOf is the entry for the password of the database user that the secret
// is named after.
func passwordOf(secret string) string {
	return fmt.Sprintf("  - {name: %[1]s, issuer: {connection: db, password: {role: %[2]s}}, store: {connection: aws, secrets_manager: {name: %[1]s}}}\n", secret, path.Base(secret))
}

// printed are the policies by the entries that they were printed for.
var printed sync.Map

// policyFor is what rota policy aws prints for a function with these entries,
// or nothing without any.
func policyFor(t *testing.T, entries ...string) []string {
	t.Helper()
	return policyWith(t, entries)
}

// policyWith is policyFor with more arguments.
func policyWith(t *testing.T, entries []string, args ...string) []string {
	t.Helper()
	if len(entries) == 0 {
		return nil
	}
	config := configuration("owner", strings.Join(entries, ""))
	key := config + strings.Join(args, " ")
	if policy, ok := printed.Load(key); ok {
		return []string{policy.(string)}
	}
	policy, err := printPolicy(config, nil, append([]string{"--account", awsAccount}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	printed.Store(key, policy)
	return []string{policy}
}

// configuration is a rota.yaml with these entries, and a topic for their owner.
func configuration(topic, entries string) string {
	return "connections:\n  aws: {aws: {region: " + awsRegion + "}}\n  db: {postgres: {host: h, database: d, username: u, password: p}}\n" +
		"  owner: {sns: {connection: aws, topic_arn: \"" + arnOf("aws_sns_topic", "", topic) + "\"}}\nsecrets:\n" + entries
}

// printPolicy is what rota policy aws prints for a function with a rota.yaml.
func printPolicy(config string, env []string, args ...string) (string, error) {
	dir, err := os.MkdirTemp("", "rota-policies")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "rota.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return "", err
	}
	cmd := exec.Command(program, append([]string{"policy", "aws", "--function", "--no-check", "--config", file}, args...)...)
	cmd.Env = append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}, env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("rota policy aws: %w: %s", err, stderr.String())
	}
	return string(out), nil
}

// The region of both AWS fakes.
const (
	awsRegion  = "eu-central-1"
	awsAccount = "123456789012"
)

// newIdentity creates the function's user with these policies, and returns its
// key.
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
