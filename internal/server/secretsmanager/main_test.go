package secretsmanager_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/server/secretsmanager"
	"github.com/rota-dev/rota/internal/sigv4"
	"github.com/rota-dev/rota/internal/store/record"
)

const (
	keyID     = "ROTAEXAMPLEEXAMPLE22"
	keySecret = "hush/hush+hush"
	account   = "111122223333"
	region    = "eu-central-1"
)

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 4, 10, 30, 0, 0, time.UTC)} }

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

// env is a server that a test talks to as one caller.
type env struct {
	t       testing.TB
	clock   *clock
	records *record.Memory // nil where others are given
	server  *secretsmanager.Server
	url     string
	client  *sm.Client
}

// start serves in-memory records, or the given ones, to a caller with all
// permissions, or with these rules.
func start(t testing.TB, o secretsmanager.Options, rules ...access.Rule) *env {
	t.Helper()
	e := &env{t: t, clock: newClock()}
	e.records = &record.Memory{Now: e.clock.Now}
	return e.serve(o, e.records, rules...)
}

func (e *env) serve(o secretsmanager.Options, records record.Records, rules ...access.Rule) *env {
	e.t.Helper()
	if len(rules) == 0 {
		rules = []access.Rule{{Action: access.Admin, Pattern: "*"}}
	}
	caller := access.Caller{Principal: "app/test", Method: "sigv4", Rules: rules}
	o.Records = record.Guard(records, e.clock.Now)
	o.Account, o.Region, o.Now, o.Retry = account, region, e.clock.Now, time.Millisecond
	o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	verifier := &sigv4.Verifier{Service: "secretsmanager"}
	o.Authenticate = func(r *http.Request, body []byte) (access.Caller, error) {
		_, err := verifier.Verify(r, body, func(_ context.Context, id string) (sigv4.Key, error) {
			if id != keyID {
				return sigv4.Key{}, sigv4.UnknownKey()
			}
			return sigv4.Key{Secret: keySecret}, nil
		})
		return caller, err
	}
	e.server = secretsmanager.New(o)
	e.t.Cleanup(e.server.Close)
	h := httptest.NewServer(e.server)
	e.t.Cleanup(h.Close)
	e.url = h.URL
	e.client = e.as(keyID, keySecret, "")
	return e
}

// restart serves the same records with another server.
func (e *env) restart(o secretsmanager.Options) *env {
	return (&env{t: e.t, clock: e.clock, records: e.records}).serve(o, e.records)
}

func (e *env) as(id, secret, token string) *sm.Client {
	return sm.NewFromConfig(aws.Config{
		Region: region, BaseEndpoint: &e.url, Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	})
}

// do makes a call without the network.
func (e *env) do(operation, body string) secretsmanager.Response {
	return e.server.Do(e.t.Context(), access.Local("me"), operation, []byte(body))
}

// create creates a secret and returns its ARN and the version's id.
func (e *env) create(name, text string) (arn, version string) {
	e.t.Helper()
	out := must[*sm.CreateSecretOutput](e.t)(e.client.CreateSecret(e.t.Context(), &sm.CreateSecretInput{Name: &name, SecretString: &text}))
	return *out.ARN, *out.VersionId
}

// code is an error's AWS code, "" for nil and "?" for other errors.
func code(err error) string {
	if err == nil {
		return ""
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return "?"
}

func wantCode(t testing.TB, err error, want string) {
	t.Helper()
	if got := code(err); got != want {
		t.Errorf("error code %q, want %q (%v)", got, want, err)
	}
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
