package secretsmanager_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/rota-dev/rota/internal/server/secretsmanager"
	"github.com/rota-dev/rota/internal/store/record"
)

// rehearsal asks for a test of the rotation function.
func rehearsal(token string) *sm.RotateSecretInput {
	return &sm.RotateSecretInput{
		ClientRequestToken: &token, RotationLambdaARN: aws.String(functionARN), RotateImmediately: aws.Bool(false),
		RotationRules: &types.RotationRulesType{ScheduleExpression: aws.String("cron(0 8 1 * ? *)"), Duration: aws.String("2h")},
	}
}

var nextWindow = time.Date(2026, 4, 1, 10, 0, 0, 0, time.UTC)

// wantUnrotated checks that a rehearsal left nothing behind.
func (f *function) wantUnrotated(version string) {
	f.t.Helper()
	d := f.describe()
	if diff := cmp.Diff(map[string][]string{version: {"AWSCURRENT"}}, d.VersionIdsToStages); diff != "" {
		f.t.Error(diff)
	}
	if !aws.ToTime(d.NextRotationDate).Equal(nextWindow) || d.LastRotatedDate != nil {
		f.t.Errorf("next rotation %v, want by %v; last %v", d.NextRotationDate, nextWindow, d.LastRotatedDate)
	}
	r := must[record.Record](f.t)(f.e.records.View(f.t.Context(), "a"))
	if len(r.Versions) != 1 || r.Rotation.Underway != (record.Underway{}) {
		f.t.Errorf("the record has %d versions, and %+v", len(r.Versions), r.Rotation.Underway)
	}
}

func TestARehearsalTestsACopyOfTheCurrentValue(t *testing.T) {
	for name, value := range map[string]*sm.CreateSecretInput{
		"text":  {SecretString: aws.String("old")},
		"bytes": {SecretBinary: []byte{0, 255}},
	} {
		t.Run(name, func(t *testing.T) {
			e, f := startRotating(t, secretsmanager.Options{})
			value.Name = aws.String("a")
			old := *must[*sm.CreateSecretOutput](t)(e.client.CreateSecret(t.Context(), value)).VersionId
			token := uuid.NewString()
			var tested *sm.GetSecretValueOutput
			f.fail = func(string, int) string {
				tested, _ = e.client.GetSecretValue(t.Context(), &sm.GetSecretValueInput{SecretId: aws.String("a"), VersionId: &token, VersionStage: aws.String("AWSPENDING")})
				return ""
			}
			_, err := f.rotate(rehearsal(token))
			wantCode(t, err, "")
			f.wantCalls("testSecret")
			if tested == nil || aws.ToString(tested.SecretString) != aws.ToString(value.SecretString) || !slices.Equal(tested.SecretBinary, value.SecretBinary) {
				t.Errorf("the function saw %v", tested)
			}
			f.wantUnrotated(old)
			_, err = e.client.GetSecretValue(t.Context(), &sm.GetSecretValueInput{SecretId: aws.String("a"), VersionId: &token})
			wantCode(t, err, "ResourceNotFoundException")
		})
	}
}

func TestARehearsalOfASecretWithoutAValue(t *testing.T) {
	e, f := startRotating(t, secretsmanager.Options{})
	must[*sm.CreateSecretOutput](t)(e.client.CreateSecret(t.Context(), &sm.CreateSecretInput{Name: aws.String("a")}))
	_, err := f.rotate(rehearsal(uuid.NewString()))
	wantCode(t, err, "")
	f.wantCalls("testSecret")
	if d := f.describe(); d.VersionIdsToStages != nil {
		t.Errorf("versions %v", d.VersionIdsToStages)
	}
}

func TestAFailedRehearsalChangesNothing(t *testing.T) {
	e, f := startRotating(t, secretsmanager.Options{})
	_, old := e.create("a", "old")
	f.fail = func(string, int) string { return "function" }
	_, err := f.rotate(rehearsal(uuid.NewString()))
	wantCode(t, err, "")
	f.wantUnrotated(old)
	entries := e.records.Entries("a")
	if last := entries[len(entries)-1]; last.Outcome != "failed" || !strings.Contains(last.Detail, "testSecret") {
		t.Errorf("last entry %+v", last)
	}
}

// interruptedRehearsal is a rehearsal whose process stopped during the test. The
// value was replaced meanwhile.
func interruptedRehearsal(t *testing.T) (f *function, token, current string) {
	t.Helper()
	e, f := startRotating(t, secretsmanager.Options{})
	e.create("a", "leaked")
	called := make(chan struct{})
	f.fail = func(string, int) string {
		close(called)
		e.server.Close()
		return "idle"
	}
	token = uuid.NewString()
	_, err := f.rotate(rehearsal(token))
	wantCode(t, err, "")
	<-called
	f.fail, f.calls = nil, nil
	if labels := f.labels()[token]; !slices.Equal(labels, []string{"AWSPENDING"}) {
		t.Fatalf("the rehearsal's version has the labels %v", labels)
	}
	if at := f.describe().NextRotationDate; !aws.ToTime(at).Equal(nextWindow) {
		t.Errorf("next rotation %v during the rehearsal", at)
	}
	f.e = e.restart(secretsmanager.Options{Functions: f.functions})
	return f, token, replacements["PutSecretValue"](f.e, "")
}

func TestAnInterruptedRehearsalIsCleanedUp(t *testing.T) {
	f, token, current := interruptedRehearsal(t)
	f.e.due(2 * time.Hour)
	f.wantCalls()
	d := f.labels()
	if d[token] != nil || !slices.Contains(d[current], "AWSCURRENT") {
		t.Errorf("labels %v", d)
	}
	if at := f.describe().NextRotationDate; !aws.ToTime(at).Equal(nextWindow) {
		t.Errorf("next rotation %v", at)
	}
	f.e.due(28 * 24 * time.Hour)
	f.wantCalls(fourSteps...)
	if got := f.current(); !strings.HasPrefix(got, "new ") || got == "new "+token {
		t.Errorf("current value %q", got)
	}
}

func TestARotationTakesThePlaceOfARehearsal(t *testing.T) {
	f, token, _ := interruptedRehearsal(t)
	_, err := f.rotate(&sm.RotateSecretInput{})
	wantCode(t, err, "")
	f.wantCalls(fourSteps...)
	if labels := f.labels(); labels[token] != nil {
		t.Errorf("labels %v", labels)
	}
	if got := f.current(); got == "leaked" || got == "by hand" {
		t.Errorf("current value %q", got)
	}
}

// TestARotationTakesThePlaceOfARunningRehearsal begins it while the function is
// still testing.
func TestARotationTakesThePlaceOfARunningRehearsal(t *testing.T) {
	e, f := startRotating(t, secretsmanager.Options{})
	e.create("a", "old")
	var next *sm.RotateSecretOutput
	f.fail = func(_ string, call int) string {
		if call > 1 {
			return ""
		}
		next = must[*sm.RotateSecretOutput](t)(e.client.RotateSecret(t.Context(), &sm.RotateSecretInput{SecretId: aws.String("a")}))
		return "function"
	}
	_, err := f.rotate(rehearsal(uuid.NewString()))
	wantCode(t, err, "")
	f.wantCalls(append([]string{"testSecret"}, fourSteps...)...)
	if got := f.current(); got != "new "+*next.VersionId {
		t.Errorf("current value %q", got)
	}
}

func TestCancelRotateSecretEndsARehearsal(t *testing.T) {
	f, token, _ := interruptedRehearsal(t)
	must[*sm.CancelRotateSecretOutput](t)(f.e.client.CancelRotateSecret(t.Context(), &sm.CancelRotateSecretInput{SecretId: aws.String("a")}))
	if labels := f.labels(); labels[token] != nil {
		t.Errorf("labels %v", labels)
	}
	f.e.due(1000 * time.Hour)
	f.wantCalls()
}
