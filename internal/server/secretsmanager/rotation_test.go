package secretsmanager_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/server/secretsmanager"
)

const functionARN = "arn:aws:lambda:eu-central-1:111122223333:function:rotate"

// function is a rotation function behind Lambda's Invoke call, written as AWS's
// own examples are.
type function struct {
	t  testing.TB
	mu sync.Mutex
	e  *env
	// fail says whether a step fails, and how: "" for not.
	fail  func(step string, call int) string
	calls []string

	functions map[string]string
}

type event struct {
	SecretID           string `json:"SecretId"`
	ClientRequestToken string
	Step               string
}

// startRotating starts a server whose secrets the function rotates.
func startRotating(t testing.TB, o secretsmanager.Options) (*env, *function) {
	f := &function{t: t}
	h := httptest.NewServer(f)
	t.Cleanup(h.Close)
	f.functions = map[string]string{functionARN: h.URL + "/2015-03-31/functions/rotate/invocations"}
	o.Functions = f.functions
	f.e = start(t, o)
	return f.e, f
}

func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var ev event
	if err := json.NewDecoder(r.Body).Decode(&ev); err != nil || r.Header.Get("X-Amz-Invocation-Type") != "RequestResponse" || !strings.HasSuffix(r.URL.Path, "/invocations") {
		f.t.Errorf("invoked by %s %v: %v", r.URL, r.Header, err)
	}
	f.mu.Lock()
	f.calls = append(f.calls, ev.Step)
	failure := ""
	if f.fail != nil {
		failure = f.fail(ev.Step, len(f.calls))
	}
	f.mu.Unlock()
	switch failure {
	case "status":
		w.WriteHeader(http.StatusInternalServerError)
		return
	case "function":
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		_, _ = w.Write([]byte(`{"errorMessage":"the password is hush","errorType":"ValueError"}`))
		return
	case "emulated":
		_, _ = w.Write([]byte(`{"errorMessage":"the password is hush","errorType":"ValueError"}`))
		return
	case "idle":
		return
	}
	if err := f.step(r.Context(), ev); err != nil {
		f.t.Errorf("%s: %v", ev.Step, err)
	}
}

func (f *function) step(ctx context.Context, ev event) error {
	client, id := f.e.client, &ev.SecretID
	description, err := client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: id})
	if err != nil {
		return err
	}
	if !slices.Contains(description.VersionIdsToStages[ev.ClientRequestToken], "AWSPENDING") {
		return errors.New("the version is not AWSPENDING")
	}
	switch ev.Step {
	case "createSecret":
		_, err := client.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: id, VersionId: &ev.ClientRequestToken, VersionStage: aws.String("AWSPENDING")})
		if code(err) != "ResourceNotFoundException" {
			return err
		}
		_, err = client.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: id, ClientRequestToken: &ev.ClientRequestToken, SecretString: aws.String("new " + ev.ClientRequestToken), VersionStages: []string{"AWSPENDING"}})
		return err
	case "finishSecret":
		for version, labels := range description.VersionIdsToStages {
			if slices.Contains(labels, "AWSCURRENT") && version != ev.ClientRequestToken {
				_, err := client.UpdateSecretVersionStage(ctx, &sm.UpdateSecretVersionStageInput{
					SecretId: id, VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: &ev.ClientRequestToken, RemoveFromVersionId: &version,
				})
				return err
			}
		}
	}
	return nil
}

func (f *function) rotate(in *sm.RotateSecretInput) (*sm.RotateSecretOutput, error) {
	in.SecretId = aws.String("a")
	out, err := f.e.client.RotateSecret(f.t.Context(), in)
	f.e.server.Wait()
	return out, err
}

func (f *function) describe() *sm.DescribeSecretOutput {
	f.t.Helper()
	return must[*sm.DescribeSecretOutput](f.t)(f.e.client.DescribeSecret(f.t.Context(), &sm.DescribeSecretInput{SecretId: aws.String("a")}))
}

func (f *function) current() string {
	f.t.Helper()
	return *must[*sm.GetSecretValueOutput](f.t)(f.e.client.GetSecretValue(f.t.Context(), &sm.GetSecretValueInput{SecretId: aws.String("a")})).SecretString
}

func (f *function) wantCalls(want ...string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if diff := cmp.Diff(want, f.calls); diff != "" {
		f.t.Error(diff)
	}
	f.calls = nil
}

func days(n int64) *types.RotationRulesType {
	return &types.RotationRulesType{AutomaticallyAfterDays: &n}
}

var fourSteps = []string{"createSecret", "setSecret", "testSecret", "finishSecret"}

func TestAFunctionRotatesInFourSteps(t *testing.T) {
	e, f := startRotating(t, secretsmanager.Options{})
	e.create("a", "old")
	_, err := f.rotate(&sm.RotateSecretInput{})
	wantCode(t, err, "InvalidRequestException") // no function
	_, err = f.rotate(&sm.RotateSecretInput{RotationLambdaARN: aws.String(functionARN + "x")})
	wantCode(t, err, "AccessDeniedException")
	if d := f.describe(); d.RotationEnabled != nil {
		t.Error("rotation is configured after a refusal")
	}
	token := uuid.NewString()
	out, err := f.rotate(&sm.RotateSecretInput{RotationLambdaARN: aws.String(functionARN), RotationRules: days(10), ClientRequestToken: &token})
	wantCode(t, err, "")
	if err != nil || *out.VersionId != token {
		t.Fatalf("answer %+v", out)
	}
	f.wantCalls(fourSteps...)
	if got := f.current(); got != "new "+token {
		t.Errorf("current value %s", got)
	}
	d := f.describe()
	if diff := cmp.Diff([]string{"AWSPENDING", "AWSCURRENT"}, d.VersionIdsToStages[token]); diff != "" {
		t.Error(diff)
	}
	if !*d.RotationEnabled || *d.RotationLambdaARN != functionARN || *d.RotationRules.AutomaticallyAfterDays != 10 || !d.LastRotatedDate.Equal(e.clock.Now()) {
		t.Errorf("rotation %+v", d)
	}
	if want := time.Date(2026, 3, 14, 23, 59, 59, 0, time.UTC); !d.NextRotationDate.Equal(want) {
		t.Errorf("next rotation %v, want by %v", d.NextRotationDate, want)
	}

	// The same request again is a no-op; without the ARN it rotates again.
	_, err = f.rotate(&sm.RotateSecretInput{ClientRequestToken: &token})
	wantCode(t, err, "")
	f.wantCalls()
	_, err = f.rotate(&sm.RotateSecretInput{})
	wantCode(t, err, "")
	f.wantCalls(fourSteps...)

	// And automatically, when it's due.
	for _, wait := range []time.Duration{9 * 24 * time.Hour, 14 * time.Hour} { // midnight of the tenth day
		if err := e.server.RotateDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.server.Wait()
		f.wantCalls()
		e.clock.Add(wait)
	}
	if err := e.server.RotateDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.server.Wait()
	f.wantCalls(fourSteps...)

	must[*sm.CancelRotateSecretOutput](t)(e.client.CancelRotateSecret(t.Context(), &sm.CancelRotateSecretInput{SecretId: aws.String("a")}))
	if d := f.describe(); *d.RotationEnabled || d.NextRotationDate != nil || d.LastRotatedDate != nil {
		t.Errorf("rotation %v, next %v, last %v after it was canceled", *d.RotationEnabled, d.NextRotationDate, d.LastRotatedDate)
	}
	e.clock.Add(1000 * time.Hour)
	if err := e.server.RotateDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.server.Wait()
	f.wantCalls()
}

func TestAFailedStepIsRetried(t *testing.T) {
	for _, failure := range []string{"status", "function", "emulated"} {
		t.Run(failure, func(t *testing.T) {
			e, f := startRotating(t, secretsmanager.Options{})
			e.create("a", "old")
			f.fail = func(step string, call int) string {
				if step == "setSecret" && call < 4 {
					return failure
				}
				return ""
			}
			_, err := f.rotate(&sm.RotateSecretInput{RotationLambdaARN: aws.String(functionARN)})
			wantCode(t, err, "")
			f.wantCalls("createSecret", "setSecret", "setSecret", "setSecret", "testSecret", "finishSecret")
		})
	}
}

func TestAFailedRotationIsRetried(t *testing.T) {
	e, f := startRotating(t, secretsmanager.Options{})
	_, old := e.create("a", "old")
	f.fail = func(step string, _ int) string {
		if step == "testSecret" {
			return "function"
		}
		return ""
	}
	token := uuid.NewString()
	_, err := f.rotate(&sm.RotateSecretInput{RotationLambdaARN: aws.String(functionARN), ClientRequestToken: &token, RotationRules: days(30)})
	wantCode(t, err, "")
	f.wantCalls("createSecret", "setSecret", "testSecret", "testSecret", "testSecret", "testSecret", "testSecret")
	if diff := cmp.Diff(map[string][]string{old: {"AWSCURRENT"}, token: {"AWSPENDING"}}, f.describe().VersionIdsToStages); diff != "" {
		t.Error(diff)
	}
	entries := e.records.Entries("a")
	last := entries[len(entries)-1]
	if last.Step != "rotate" || last.Outcome != "failed" || !strings.Contains(last.Detail, "testSecret") || !strings.Contains(last.Detail, "ValueError") || strings.Contains(last.Detail, "hush") {
		t.Errorf("last entry %+v", last)
	}
	f.fail = nil
	_, err = f.rotate(&sm.RotateSecretInput{})
	wantCode(t, err, "InvalidRequestException") // and the earlier one is resumed anyway
	f.wantCalls(fourSteps...)
	if got := f.current(); got != "new "+token {
		t.Errorf("current value %s", got)
	}
}

func TestAnInterruptedRotationResumesWhenDue(t *testing.T) {
	e, f := startRotating(t, secretsmanager.Options{})
	e.create("a", "old")
	f.fail = func(string, int) string { return "status" }
	token := uuid.NewString()
	_, err := f.rotate(&sm.RotateSecretInput{RotationLambdaARN: aws.String(functionARN), ClientRequestToken: &token})
	wantCode(t, err, "")
	f.fail, f.calls = nil, nil
	e.clock.Add(time.Hour)
	if err := e.server.RotateDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.server.Wait()
	f.wantCalls(fourSteps...)
	if got := f.current(); got != "new "+token {
		t.Errorf("current value %s", got)
	}
	if d := f.describe(); d.NextRotationDate != nil {
		t.Errorf("next rotation %v without a schedule", d.NextRotationDate)
	}
}

func TestAFunctionThatPromotesNothingHasFailed(t *testing.T) {
	e, f := startRotating(t, secretsmanager.Options{})
	e.create("a", "old")
	f.fail = func(string, int) string { return "idle" }
	_, err := f.rotate(&sm.RotateSecretInput{RotationLambdaARN: aws.String(functionARN)})
	wantCode(t, err, "")
	f.wantCalls(fourSteps...)
	if d := f.describe(); d.LastRotatedDate != nil {
		t.Errorf("rotated at %v", d.LastRotatedDate)
	}
	entries := e.records.Entries("a")
	if last := entries[len(entries)-1]; last.Outcome != "failed" || !strings.Contains(last.Detail, "AWSCURRENT") {
		t.Errorf("last entry %+v", last)
	}
}

func TestRotaRotatesManagedSecrets(t *testing.T) {
	type call struct{ Principal, Name, Token string }
	var calls []call
	e, f := startRotating(t, secretsmanager.Options{
		Managed: func(name string) bool { return name == "a" },
		Rotate: func(_ context.Context, c access.Caller, name, token string) error {
			calls = append(calls, call{c.Principal, name, token})
			return nil
		},
	})
	e.create("a", "old")
	token := uuid.NewString()
	out, err := f.rotate(&sm.RotateSecretInput{ClientRequestToken: &token})
	wantCode(t, err, "")
	if diff := cmp.Diff([]call{{"app/test", "a", token}}, calls); diff != "" {
		t.Error(diff)
	}
	if *out.Name != "a" || aws.ToString(out.VersionId) != token {
		t.Errorf("answer %+v", out)
	}
	_, err = f.rotate(&sm.RotateSecretInput{RotationRules: days(1)})
	wantCode(t, err, "InvalidRequestException")
	_, err = e.client.CancelRotateSecret(t.Context(), &sm.CancelRotateSecretInput{SecretId: aws.String("a")})
	wantCode(t, err, "InvalidRequestException")
	f.wantCalls()
}

func TestCloseStopsARotation(t *testing.T) {
	e, f := startRotating(t, secretsmanager.Options{})
	e.create("a", "old")
	called, release := make(chan struct{}), make(chan struct{})
	f.fail = func(string, int) string {
		close(called)
		<-release
		return "idle"
	}
	go func() {
		<-called
		e.server.Close()
		close(release)
	}()
	_, err := f.rotate(&sm.RotateSecretInput{RotationLambdaARN: aws.String(functionARN)})
	wantCode(t, err, "")
	<-release
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) != 1 {
		t.Errorf("calls %v", f.calls)
	}
}
