package secretsmanager_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/rota-dev/rota/internal/server/secretsmanager"
	"github.com/rota-dev/rota/internal/store/record"
)

// replacements are the ways to replace the current value of the secret a by
// hand. Each returns the id of the version that is current then.
var replacements = map[string]func(e *env, current string) string{
	"PutSecretValue": func(e *env, _ string) string {
		return *must[*sm.PutSecretValueOutput](e.t)(e.client.PutSecretValue(e.t.Context(), &sm.PutSecretValueInput{SecretId: aws.String("a"), SecretString: aws.String("by hand")})).VersionId
	},
	"PutSecretValue with labels": func(e *env, _ string) string {
		return *must[*sm.PutSecretValueOutput](e.t)(e.client.PutSecretValue(e.t.Context(), &sm.PutSecretValueInput{SecretId: aws.String("a"), SecretString: aws.String("by hand"), VersionStages: []string{"BLUE", "AWSCURRENT"}})).VersionId
	},
	"UpdateSecret": func(e *env, _ string) string {
		return *must[*sm.UpdateSecretOutput](e.t)(e.client.UpdateSecret(e.t.Context(), &sm.UpdateSecretInput{SecretId: aws.String("a"), SecretString: aws.String("by hand")})).VersionId
	},
	"UpdateSecretVersionStage": func(e *env, current string) string {
		put := must[*sm.PutSecretValueOutput](e.t)(e.client.PutSecretValue(e.t.Context(), &sm.PutSecretValueInput{SecretId: aws.String("a"), SecretString: aws.String("by hand"), VersionStages: []string{"BLUE"}}))
		must[*sm.UpdateSecretVersionStageOutput](e.t)(e.client.UpdateSecretVersionStage(e.t.Context(), &sm.UpdateSecretVersionStageInput{SecretId: aws.String("a"), VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: put.VersionId, RemoveFromVersionId: &current}))
		return *put.VersionId
	},
}

func (f *function) labels() map[string][]string {
	f.t.Helper()
	labels := f.describe().VersionIdsToStages
	for _, l := range labels {
		slices.Sort(l)
	}
	return labels
}

// due rotates what is due at a later time.
func (e *env) due(after time.Duration) {
	e.t.Helper()
	e.clock.Add(after)
	if err := e.server.RotateDue(e.t.Context()); err != nil {
		e.t.Error(err)
	}
	e.server.Wait()
}

// TestAWSPENDINGLeavesWithAWSCURRENT is what AWS was recorded to do: custom
// labels stay.
func TestAWSPENDINGLeavesWithAWSCURRENT(t *testing.T) {
	for name, replace := range replacements {
		t.Run(name, func(t *testing.T) {
			e, f := startRotating(t, secretsmanager.Options{})
			e.create("a", "first")
			rotated := *must[*sm.PutSecretValueOutput](t)(e.client.PutSecretValue(t.Context(), &sm.PutSecretValueInput{
				SecretId: aws.String("a"), SecretString: aws.String("rotated"), VersionStages: []string{"AWSCURRENT", "AWSPENDING", "GREEN"},
			})).VersionId
			byHand := replace(e, rotated)
			labels := f.labels()
			if diff := cmp.Diff([]string{"AWSPREVIOUS", "GREEN"}, labels[rotated]); diff != "" {
				t.Errorf("the version that was current: %s", diff)
			}
			if !slices.Contains(labels[byHand], "AWSCURRENT") {
				t.Errorf("labels %v", labels)
			}
		})
	}
}

// TestAValueReplacedByHandNeverComesBack replaces a value that a rotation left
// with AWSPENDING beside AWSCURRENT, as AWS's example functions do.
func TestAValueReplacedByHandNeverComesBack(t *testing.T) {
	token := uuid.NewString()
	for name, again := range map[string]func(e *env, f *function){
		"RotateSecret": func(e *env, f *function) {
			_, err := f.rotate(&sm.RotateSecretInput{})
			wantCode(e.t, err, "")
		},
		"the schedule": func(e *env, _ *function) { e.due(30 * 24 * time.Hour) },
		"the same request again": func(e *env, f *function) {
			_, err := f.rotate(&sm.RotateSecretInput{ClientRequestToken: &token})
			wantCode(e.t, err, "InvalidRequestException")
		},
	} {
		for by, replace := range replacements {
			t.Run(name+" after "+by, func(t *testing.T) {
				e, f := startRotating(t, secretsmanager.Options{})
				e.create("a", "first")
				_, err := f.rotate(&sm.RotateSecretInput{RotationLambdaARN: aws.String(functionARN), ClientRequestToken: &token, RotationRules: days(10)})
				wantCode(t, err, "")
				leaked := f.current()
				f.wantCalls(fourSteps...)

				replace(e, token)
				again(e, f)
				if got := f.current(); got == leaked {
					t.Error("the value is current again")
				}
				e.due(100 * 24 * time.Hour)
				if got := f.current(); got == leaked || got == "by hand" {
					t.Errorf("after the next rotation the value is %q", got)
				}
			})
		}
	}
}

// TestOnlyWhatARotationAnnouncedIsResumed puts AWSPENDING by hand on a version
// that was current once.
func TestOnlyWhatARotationAnnouncedIsResumed(t *testing.T) {
	e, f := startRotating(t, secretsmanager.Options{})
	_, first := e.create("a", "leaked")
	_, err := f.rotate(&sm.RotateSecretInput{RotationLambdaARN: aws.String(functionARN), RotationRules: days(10)})
	wantCode(t, err, "")
	f.wantCalls(fourSteps...)
	if err := e.records.Update(t.Context(), "a", func(c *record.Change) error {
		for i := range c.Versions {
			c.Versions[i].Labels = slices.DeleteFunc(c.Versions[i].Labels, func(l string) bool { return l == "AWSPENDING" })
		}
		v := c.Version(first)
		v.Labels = append(v.Labels, "AWSPENDING")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, in := range []*sm.RotateSecretInput{{}, {ClientRequestToken: &first}, {RotateImmediately: aws.Bool(false)}} {
		_, err = f.rotate(in)
		wantCode(t, err, "InvalidRequestException")
		if err == nil || !strings.Contains(err.Error(), first) || strings.Contains(err.Error(), "reattempted") {
			t.Errorf("the refusal is %v", err)
		}
	}
	e.due(10 * 24 * time.Hour)
	f.wantCalls()
	entries := e.records.Entries("a")
	if last := entries[len(entries)-1]; last.Outcome != "failed" || !strings.Contains(last.Detail, first) {
		t.Errorf("last entry %+v", last)
	}

	// Once the label is gone, the next look rotates.
	must[*sm.UpdateSecretVersionStageOutput](t)(e.client.UpdateSecretVersionStage(t.Context(), &sm.UpdateSecretVersionStageInput{SecretId: aws.String("a"), VersionStage: aws.String("AWSPENDING"), RemoveFromVersionId: &first}))
	e.due(time.Hour)
	f.wantCalls(fourSteps...)
}
