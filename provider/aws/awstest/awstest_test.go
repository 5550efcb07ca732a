package awstest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

// clock is a clock that a test advances.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func start(t testing.TB, opts awstest.Options) *awstest.Server {
	t.Helper()
	s, err := awstest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// clients are one caller's SDK clients. They don't retry, so each test sees the
// server's own answers.
type clients struct {
	iam     *iam.Client
	sts     *sts.Client
	sns     *sns.Client
	secrets *secretsmanager.Client
	s3      *s3.Client
}

func as(s *awstest.Server, id, secret, token string) clients {
	cfg := aws.Config{
		Region:       s.Region(),
		BaseEndpoint: aws.String(s.URL()),
		Credentials:  credentials.NewStaticCredentialsProvider(id, secret, token),
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
	return clients{
		iam: iam.NewFromConfig(cfg), sts: sts.NewFromConfig(cfg), sns: sns.NewFromConfig(cfg),
		secrets: secretsmanager.NewFromConfig(cfg), s3: s3.NewFromConfig(cfg),
	}
}

func asRoot(s *awstest.Server) clients {
	id, secret := s.RootCredentials()
	return as(s, id, secret, "")
}

func asUser(t testing.TB, s *awstest.Server, user string) (c clients, keyID string) {
	t.Helper()
	s.CreateUser(user)
	id, secret, err := s.CreateAccessKey(user)
	if err != nil {
		t.Fatal(err)
	}
	return as(s, id, secret, ""), id
}

// code returns the AWS error code of an error, "" for nil and "?" for an error
// not from AWS.
func code(err error) string {
	if err == nil {
		return ""
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return "?"
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantCode(t testing.TB, err error, want string) {
	t.Helper()
	if got := code(err); got != want {
		t.Errorf("error code %q, want %q (%v)", got, want, err)
	}
}

// everyService makes one harmless call to each service and returns the codes.
func everyService(ctx context.Context, c clients) map[string]string {
	codes := map[string]string{}
	_, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	codes["sts"] = code(err)
	_, err = c.iam.ListUsers(ctx, &iam.ListUsersInput{})
	codes["iam"] = code(err)
	_, err = c.sns.ListTopics(ctx, &sns.ListTopicsInput{})
	codes["sns"] = code(err)
	_, err = c.secrets.ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
	codes["secretsmanager"] = code(err)
	_, err = c.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("data")})
	codes["s3"] = code(err)
	return codes
}
