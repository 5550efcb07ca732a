// Package functiontest is a rotation function for tests. It's written as AWS's
// templates are, with AWS's SDK, and served as Lambda's runtime emulator serves one.
// What it rotates is a list of users in memory.
package functiontest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/rota-dev/rota/provider/providertest"
)

// Path is where the function takes the Invoke call.
const Path = "/2015-03-31/functions/function/invocations"

// Event is what a rotation function is called with.
type Event struct {
	SecretID           string `json:"SecretId"`
	ClientRequestToken string
	Step               string
}

// Function is a rotation function, and the system whose passwords it changes.
type Function struct {
	*httptest.Server
	providertest.HTTPFaults
	// Users take turns if there are two.
	Users []string
	// Admin is the id of the administrator's secret that setSecret reads; "" for none.
	Admin string
	// Emulator leaves out the header that marks a failure, as Lambda's runtime emulator
	// does.
	Emulator bool
	// Secrets is how it reaches Secrets Manager.
	Secrets *secretsmanager.Client

	mu        sync.Mutex
	passwords map[string]string
	steps     []string
}

// New starts a function whose Secrets Manager listens at endpoint.
func New(t testing.TB, endpoint, keyID, secret string, users ...string) *Function {
	f := &Function{Users: users, passwords: map[string]string{}}
	f.Secrets = secretsmanager.New(secretsmanager.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(keyID, secret, ""),
		HTTPClient:  &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
	f.Server = httptest.NewServer(f.Wrap(http.HandlerFunc(f.serve)))
	t.Cleanup(f.Close)
	return f
}

// SetPassword is what an administrator does.
func (f *Function) SetPassword(user, password string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.passwords[user] = password
}

// LogsIn reports whether a user's password is this.
func (f *Function) LogsIn(user, password string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return password != "" && f.passwords[user] == password
}

// Steps are the steps that it was called for.
func (f *Function) Steps() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.steps...)
}

func (f *Function) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	var e Event
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	f.steps = append(f.steps, e.Step)
	f.mu.Unlock()
	if err := f.Handle(r.Context(), e); err != nil {
		if !f.Emulator {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"errorType": "ValueError", "errorMessage": err.Error()})
		return
	}
	fmt.Fprint(w, "null")
}

// Handle does what AWS's templates do.
func (f *Function) Handle(ctx context.Context, e Event) error {
	about, err := f.Secrets.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &e.SecretID})
	if err != nil {
		return err
	}
	if !aws.ToBool(about.RotationEnabled) {
		return fmt.Errorf("secret %s is not enabled for rotation", e.SecretID)
	}
	if len(about.VersionIdsToStages[e.ClientRequestToken]) == 0 {
		return fmt.Errorf("secret version %s has no stage for rotation of secret %s", e.ClientRequestToken, e.SecretID)
	}
	switch e.Step {
	case "createSecret":
		return f.create(ctx, e)
	case "setSecret":
		return f.set(ctx, e)
	case "testSecret":
		return f.test(ctx, e)
	}
	return errors.New("invalid step parameter")
}

func (f *Function) read(ctx context.Context, id, token, stage string) (map[string]string, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: &stage}
	if token != "" {
		in.VersionId = &token
	}
	out, err := f.Secrets.GetSecretValue(ctx, in)
	if err != nil {
		return nil, err
	}
	var v map[string]string
	return v, json.Unmarshal([]byte(aws.ToString(out.SecretString)), &v)
}

func (f *Function) create(ctx context.Context, e Event) error {
	v, err := f.read(ctx, e.SecretID, "", "AWSCURRENT")
	if err != nil {
		return err
	}
	_, err = f.read(ctx, e.SecretID, e.ClientRequestToken, "AWSPENDING")
	if missing, _ := errors.AsType[*types.ResourceNotFoundException](err); missing == nil {
		return err // there's one already, or it can't be told
	}
	password, err := f.Secrets.GetRandomPassword(ctx, &secretsmanager.GetRandomPasswordInput{ExcludeCharacters: aws.String(`/@"'\`)})
	if err != nil {
		return err
	}
	if len(f.Users) == 2 {
		next := f.Users[0]
		if v["username"] == next {
			next = f.Users[1]
		}
		v["username"] = next
	}
	v["password"] = aws.ToString(password.RandomPassword)
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = f.Secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &e.SecretID, ClientRequestToken: &e.ClientRequestToken, SecretString: aws.String(string(text)), VersionStages: []string{"AWSPENDING"},
	})
	return err
}

func (f *Function) set(ctx context.Context, e Event) error {
	pending, err := f.read(ctx, e.SecretID, e.ClientRequestToken, "AWSPENDING")
	if err != nil || f.LogsIn(pending["username"], pending["password"]) {
		return err
	}
	current, err := f.read(ctx, e.SecretID, "", "AWSCURRENT")
	if err != nil {
		return err
	}
	if f.Admin != "" {
		if current, err = f.read(ctx, f.Admin, "", "AWSCURRENT"); err != nil {
			return err
		}
	}
	if !f.LogsIn(current["username"], current["password"]) {
		return errors.New("unable to log into database with previous, current, or pending secret")
	}
	f.SetPassword(pending["username"], pending["password"])
	return nil
}

func (f *Function) test(ctx context.Context, e Event) error {
	pending, err := f.read(ctx, e.SecretID, e.ClientRequestToken, "AWSPENDING")
	if err != nil {
		return err
	}
	if !f.LogsIn(pending["username"], pending["password"]) {
		return fmt.Errorf("FATAL: password authentication failed for user %q", pending["username"])
	}
	return nil
}
