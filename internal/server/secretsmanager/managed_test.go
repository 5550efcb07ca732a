package secretsmanager_test

import (
	"context"
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

// startManaged serves the secret a, which Rota rotates, and b, which it doesn't.
// a has two versions of Rota's own: rota-1 is current, rota-2 is pending.
func startManaged(t *testing.T, m secretsmanager.Managed) *env {
	t.Helper()
	e := start(t, secretsmanager.Options{
		Managed: func(name string) bool { return name == "a" },
		Rotations: func(_ context.Context, names []string) (map[string]secretsmanager.Managed, error) {
			if !slices.Equal(names, []string{"a"}) {
				t.Errorf("asked for %v", names)
			}
			return map[string]secretsmanager.Managed{"a": m}, nil
		},
	})
	if err := e.records.Update(t.Context(), "a", func(c *record.Change) error {
		c.Suffix, c.CreatedAt, c.ChangedAt = "AAAAAA", c.Now, c.Now
		for id, label := range map[string]string{ours1: "AWSCURRENT", ours2: "AWSPENDING"} {
			c.Versions = append(c.Versions, record.Version{ID: id, CreatedAt: c.Now, Labels: []string{label}})
			c.Put(id, record.Value{Text: aws.String(id)})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	e.create("b", "other")
	return e
}

const (
	ours1 = "rota-00000000000000000000000000000001"
	ours2 = "rota-00000000000000000000000000000002"
)

func TestManagedSecretsAreNotDeleted(t *testing.T) {
	for name, in := range map[string]*sm.DeleteSecretInput{
		"with a recovery window": {},
		"for good":               {ForceDeleteWithoutRecovery: aws.Bool(true)},
	} {
		t.Run(name, func(t *testing.T) {
			e := startManaged(t, secretsmanager.Managed{})
			in.SecretId = aws.String("a")
			_, err := e.client.DeleteSecret(t.Context(), in)
			wantCode(t, err, "InvalidRequestException")
			if err == nil || !strings.Contains(err.Error(), "rota.yaml") {
				t.Errorf("the refusal %v does not say what to do", err)
			}
			if _, err := e.client.GetSecretValue(t.Context(), &sm.GetSecretValueInput{SecretId: aws.String("a")}); err != nil {
				t.Error(err)
			}
			in.SecretId = aws.String("b")
			_, err = e.client.DeleteSecret(t.Context(), in)
			wantCode(t, err, "")
		})
	}
}

func TestRotasOwnVersionsKeepTheirLabels(t *testing.T) {
	e := startManaged(t, secretsmanager.Managed{})
	foreign := func(labels ...string) (string, error) {
		token := uuid.NewString()
		_, err := e.client.PutSecretValue(t.Context(), &sm.PutSecretValueInput{SecretId: aws.String("a"), SecretString: aws.String("x"), ClientRequestToken: &token, VersionStages: labels})
		return token, err
	}
	move := func(label, from, to string) error {
		in := &sm.UpdateSecretVersionStageInput{SecretId: aws.String("a"), VersionStage: &label, RemoveFromVersionId: &from}
		if to != "" {
			in.MoveToVersionId = &to
		}
		_, err := e.client.UpdateSecretVersionStage(t.Context(), in)
		return err
	}
	_, err := foreign("AWSPENDING")
	wantCode(t, err, "InvalidRequestException")
	_, err = foreign("ROTA_ADOPTED")
	wantCode(t, err, "InvalidRequestException")
	_, err = e.client.PutSecretValue(t.Context(), &sm.PutSecretValueInput{SecretId: aws.String("a"), SecretString: aws.String("x"), ClientRequestToken: aws.String("rota-00000000000000000000000000000003")})
	wantCode(t, err, "InvalidParameterException")
	wantCode(t, move("AWSPENDING", ours2, ""), "InvalidRequestException")
	wantCode(t, move("AWSCURRENT", ours1, ours2), "InvalidRequestException")

	other, err := foreign("BLUE")
	wantCode(t, err, "")
	wantCode(t, move("BLUE", other, ours1), "")
	wantCode(t, move("AWSCURRENT", ours1, other), "InvalidRequestException")

	// A value that a person puts wins, as at AWS, and can be rolled back.
	current, err := foreign()
	wantCode(t, err, "")
	wantCode(t, move("AWSCURRENT", current, ours1), "")
	d := must[*sm.DescribeSecretOutput](t)(e.client.DescribeSecret(t.Context(), &sm.DescribeSecretInput{SecretId: aws.String("a")}))
	want := map[string][]string{ours1: {"AWSCURRENT", "BLUE"}, ours2: {"AWSPENDING"}, current: {"AWSPREVIOUS"}}
	for _, labels := range d.VersionIdsToStages {
		slices.Sort(labels)
	}
	if diff := cmp.Diff(want, d.VersionIdsToStages); diff != "" {
		t.Error(diff)
	}
}

func TestHowRotaRotatesIsShown(t *testing.T) {
	at := time.Date(2026, 2, 1, 3, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name  string
		m     secretsmanager.Managed
		rules *types.RotationRulesType
	}{
		{"every thirty days", secretsmanager.Managed{RotatedAt: at, NextAt: at.Add(30 * 24 * time.Hour), Every: 30 * 24 * time.Hour}, &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30)}},
		{"every twelve hours", secretsmanager.Managed{RotatedAt: at, NextAt: at.Add(12 * time.Hour), Every: 12 * time.Hour}, nil},
		{"every day and a half", secretsmanager.Managed{RotatedAt: at, NextAt: at.Add(36 * time.Hour), Every: 36 * time.Hour}, nil},
		{"more days than AWS knows", secretsmanager.Managed{RotatedAt: at, NextAt: at.Add(2000 * 24 * time.Hour), Every: 2000 * 24 * time.Hour}, nil},
		{"by a schedule", secretsmanager.Managed{RotatedAt: at, NextAt: at.Add(time.Hour)}, nil},
		{"never yet", secretsmanager.Managed{}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := startManaged(t, test.m)
			if err := e.records.Update(t.Context(), "a", func(c *record.Change) error {
				c.Rotation = record.Rotation{Enabled: true, FunctionARN: functionARN, AfterDays: 5, NextAt: c.Now}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			d := must[*sm.DescribeSecretOutput](t)(e.client.DescribeSecret(t.Context(), &sm.DescribeSecretInput{SecretId: aws.String("a")}))
			if !aws.ToBool(d.RotationEnabled) || d.RotationLambdaARN != nil || !aws.ToTime(d.LastRotatedDate).Equal(test.m.RotatedAt) || !aws.ToTime(d.NextRotationDate).Equal(test.m.NextAt) {
				t.Errorf("shown are enabled %v, function %v, last %v, next %v", d.RotationEnabled, d.RotationLambdaARN, d.LastRotatedDate, d.NextRotationDate)
			}
			if diff := cmp.Diff(test.rules, d.RotationRules, cmp.Comparer(func(a, b types.RotationRulesType) bool {
				return aws.ToInt64(a.AutomaticallyAfterDays) == aws.ToInt64(b.AutomaticallyAfterDays)
			})); diff != "" {
				t.Error(diff)
			}
			l := must[*sm.ListSecretsOutput](t)(e.client.ListSecrets(t.Context(), &sm.ListSecretsInput{SortBy: types.SortByTypeName, SortOrder: types.SortOrderTypeAsc}))
			if len(l.SecretList) != 2 {
				t.Fatalf("%d secrets", len(l.SecretList))
			}
			a, b := l.SecretList[0], l.SecretList[1]
			if !aws.ToBool(a.RotationEnabled) || !aws.ToTime(a.NextRotationDate).Equal(test.m.NextAt) {
				t.Errorf("listed are enabled %v, next %v", a.RotationEnabled, a.NextRotationDate)
			}
			if b.RotationEnabled != nil || b.NextRotationDate != nil {
				t.Errorf("b is listed with rotation %v, next %v", b.RotationEnabled, b.NextRotationDate)
			}
		})
	}
}

func TestEarlierSettingsEndWhenRotaManagesASecret(t *testing.T) {
	e, f := startRotating(t, secretsmanager.Options{Managed: func(name string) bool { return name == "a" }})
	arn, _ := e.create("a", "old")
	e.create("b", "old")
	for _, name := range []string{"a", "b"} {
		if err := e.records.Update(t.Context(), name, func(c *record.Change) error {
			c.Rotation = record.Rotation{Enabled: true, FunctionARN: functionARN, AfterDays: 5, NextAt: c.Now}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.server.RotateDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.server.Wait()
	f.wantCalls(fourSteps...) // for b only
	r := must[record.Record](t)(e.records.View(t.Context(), "a"))
	if r.Rotation.Enabled || !r.DueAt().IsZero() {
		t.Errorf("%s has the rotation %+v", arn, r.Rotation)
	}

	// A deletion that was scheduled before is not carried out.
	if err := e.records.Update(t.Context(), "a", func(c *record.Change) error {
		c.DeletedAt, c.DeleteAt = c.Now, c.Now.Add(time.Hour)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	_, err := e.client.RestoreSecret(t.Context(), &sm.RestoreSecretInput{SecretId: aws.String("a")})
	wantCode(t, err, "")
	if err := e.records.Update(t.Context(), "a", func(c *record.Change) error {
		c.DeletedAt, c.DeleteAt = c.Now, c.Now.Add(time.Hour)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	e.clock.Add(2 * time.Hour)
	if err := e.server.RotateDue(t.Context()); err == nil || !strings.Contains(err.Error(), "isn't removed") {
		t.Errorf("a managed secret whose window is over: %v", err)
	}
}
