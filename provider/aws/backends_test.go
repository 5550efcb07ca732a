package aws

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/uuid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

const region = "eu-central-1"

// backend is one AWS to test against.
type backend struct {
	name  string
	start func(t testing.TB) *env
}

// backends are the AWS's that this package is tested against: our own
// imitation, which follows AWS's documentation and can be made to fail, and
// moto, which other people wrote.
//
// Where moto differs from AWS's documentation:
//   - a key that is inactive still authenticates;
//   - PutSecretValue with a known token that is AWSPENDING overwrites the value
//     where AWS answers ResourceExistsException, so that of two writers that
//     race the second wins;
//   - UpdateSecretVersionStage without RemoveFromVersionId puts a label on a
//     second version, but for AWSCURRENT, where AWS refuses;
//   - a version's CreatedDate is the time of the call that asks for it;
//   - there is no SimulatePrincipalPolicy;
//   - a label that is moved does not change LastChangedDate;
//   - a label is taken off a version before the version it is to go to is found
//     missing;
//   - errors of authentication are wrapped in <Errors>, which is no shape of
//     AWS's.
func backends() []backend {
	return []backend{
		{"awstest", func(t testing.TB) *env { return startAWSTest(t, awstest.Options{}) }},
		{"moto", startMoto},
	}
}

// env is a running AWS with an administrator.
type env struct {
	*Connection
	endpoint   string
	id, secret string          // the administrator's key
	server     *awstest.Server // nil for moto
	admin      *iam.Client
	values     *secretsmanager.Client
}

// isolate keeps the machine's own AWS configuration out of a test.
func isolate(t testing.TB) {
	t.Helper()
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_PROFILE": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
		"AWS_SESSION_TOKEN": "", "AWS_ENDPOINT_URL": "", "AWS_CA_BUNDLE": "",
	} {
		t.Setenv(name, value)
	}
}

func startAWSTest(t testing.TB, opts awstest.Options) *env {
	t.Helper()
	isolate(t)
	server, err := awstest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	id, secret := server.RootCredentials()
	e := newEnv(t, server.URL(), id, secret)
	e.server = server
	return e
}

func startMoto(t testing.TB) *env {
	t.Helper()
	isolate(t)
	m := testenv.Moto(t)
	anybody := newEnv(t, m.URL, "AKIAANYBODY000000000", "anything")
	must(t)(anybody.admin.CreateUser(t.Context(), &iam.CreateUserInput{UserName: new("admin")}))
	must(t)(anybody.admin.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
		UserName: new("admin"), PolicyName: new("all"), PolicyDocument: new(allow("*")),
	}))
	key := must(t)(anybody.admin.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: new("admin")})).(*iam.CreateAccessKeyOutput)
	m.EnforceIAM(t)
	return newEnv(t, m.URL, *key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey)
}

// must fails the test if a call of its set-up fails.
func must(t testing.TB) func(any, error) any {
	return func(out any, err error) any {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func allow(actions string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%q,"Resource":"*"}]}`, actions)
}

func newEnv(t testing.TB, endpoint, id, secret string) *env {
	t.Helper()
	cfg := awssdk.Config{Region: region, BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")}
	e := &env{
		endpoint: endpoint, id: id, secret: secret,
		admin: iam.NewFromConfig(cfg), values: secretsmanager.NewFromConfig(cfg),
	}
	e.Connection = e.connect(t, Config{AccessKeyID: id, SecretAccessKey: secret})
	return e
}

// connect makes a connection of another identity to the same AWS.
func (e *env) connect(t testing.TB, cfg Config) *Connection {
	t.Helper()
	if cfg.Region == "" {
		cfg.Region = region
	}
	cfg.Endpoint = cmp.Or(cfg.Endpoint, e.endpoint)
	if cfg.Budget == nil {
		cfg.Budget = unlimited{} // the budget has tests of its own
	}
	c, err := connect(t.Context(), "main", cfg, &http.Client{Transport: motoErrors{http.DefaultTransport}}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// unlimited is a budget that never runs out.
type unlimited struct{}

func (unlimited) Take(context.Context, string, rota.Rate) error { return nil }

// motoErrors gives moto's errors of authentication the shape of AWS's. Other
// answers it leaves.
type motoErrors struct{ next http.RoundTripper }

func (m motoErrors) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := m.next.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	body = []byte(strings.NewReplacer("<Errors>", "", "</Errors>", "").Replace(string(body)))
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// user makes an IAM user without keys or rights.
func (e *env) user(t testing.TB) string {
	t.Helper()
	name := "ci-" + uuid.NewString()[:8]
	must(t)(e.admin.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name}))
	return name
}

// issuer is the issuer of a new user.
func (e *env) issuer(t testing.TB) *accessKeys {
	t.Helper()
	return e.AccessKeys(AccessKeysConfig{User: e.user(t)}).(*accessKeys)
}

// secretName is a name that no secret has.
func secretName() string { return "prod/" + uuid.NewString() }

// store is the store of a secret that does not exist.
func (e *env) store(fields rota.FieldMap) *secretStore {
	return e.SecretsManager(SecretsManagerConfig{Name: secretName(), Fields: fields}).(*secretStore)
}

// seed makes the secret with a value of somebody else's.
func (e *env) seed(t testing.TB, s *secretStore, text string) (version string) {
	t.Helper()
	out := must(t)(e.values.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &s.cfg.Name, SecretString: &text})).(*secretsmanager.CreateSecretOutput)
	return *out.VersionId
}

// text is what consumers read: the value under a label.
func (e *env) text(t testing.TB, s *secretStore, label rota.Label) string {
	t.Helper()
	out := must(t)(e.values.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &s.cfg.Name, VersionStage: new(string(label))})).(*secretsmanager.GetSecretValueOutput)
	return *out.SecretString
}

// fields is a field map or the end of the test.
func fields(t testing.TB, m map[string]string) rota.FieldMap {
	t.Helper()
	fm, err := rota.ParseFieldMap(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fm
}

func key(n int) rota.Credential {
	return rota.NewCredential(map[string]string{
		rota.FieldAccessKeyID:     fmt.Sprintf("AKIA%016d", n),
		rota.FieldSecretAccessKey: fmt.Sprintf("sEcReT+/%032d", n),
	})
}

// onEach runs a test on every backend.
func onEach(t *testing.T, test func(t *testing.T, e *env)) {
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) { test(t, b.start(t)) })
	}
}

// onNext makes the next calls of an action go wrong, all of them the same way.
func (e *env) onNext(action string, calls int, fault awstest.Fault) {
	var mu sync.Mutex
	e.server.SetFaults(func(c awstest.Call) awstest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if calls == 0 || c.Action != action {
			return awstest.Fault{}
		}
		calls--
		return fault
	})
}

// actions are the names of the calls that the server got, in order.
func (e *env) actions() string {
	var names []string
	for _, c := range e.server.Calls() {
		names = append(names, c.Action)
	}
	return strings.Join(names, " ")
}
