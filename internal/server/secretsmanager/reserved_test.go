package secretsmanager_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/uuid"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/server/secretsmanager"
)

const foreign = "rota-00000000000000000000000000000009"

// reserved are requests about the secret a that use what's Rota's own.
func reserved(e *env) map[string]func() error {
	put := func(token string, labels ...string) func() error {
		return func() error {
			_, err := e.client.PutSecretValue(e.t.Context(), &sm.PutSecretValueInput{SecretId: aws.String("a"), SecretString: aws.String("x"), ClientRequestToken: &token, VersionStages: labels})
			return err
		}
	}
	tag := func(key string) func() error {
		return func() error {
			_, err := e.client.TagResource(e.t.Context(), &sm.TagResourceInput{SecretId: aws.String("a"), Tags: []types.Tag{{Key: &key, Value: aws.String("payroll")}}})
			return err
		}
	}
	return map[string]func() error{
		"puts a version of Rota's":          put(foreign),
		"puts a version as served":          put(uuid.NewString(), "AWSCURRENT", "ROTA_SERVED"),
		"puts a version with a later label": put(uuid.NewString(), "ROTA_LATER"),
		"tags whose key it is":              tag("rota:iam-user"),
		"tags it with other letters":        tag("Rota:users"),
		"untags": func() error {
			_, err := e.client.UntagResource(e.t.Context(), &sm.UntagResourceInput{SecretId: aws.String("a"), TagKeys: []string{"rota:intent"}})
			return err
		},
		"updates to a version of Rota's": func() error {
			_, err := e.client.UpdateSecret(e.t.Context(), &sm.UpdateSecretInput{SecretId: aws.String("a"), SecretString: aws.String("y"), ClientRequestToken: aws.String("rota-00000000000000000000000000000008")})
			return err
		},
		"creates a secret with a version of Rota's": func() error {
			_, err := e.client.CreateSecret(e.t.Context(), &sm.CreateSecretInput{Name: aws.String("a/new"), SecretString: aws.String("y"), ClientRequestToken: aws.String(foreign)})
			return err
		},
		"creates a secret with a tag of Rota's": func() error {
			_, err := e.client.CreateSecret(e.t.Context(), &sm.CreateSecretInput{Name: aws.String("a/newer"), SecretString: aws.String("y"), Tags: []types.Tag{{Key: aws.String("rota:iam-user"), Value: aws.String("x")}}})
			return err
		},
	}
}

func TestWhoeverMayOnlyWriteUsesNothingOfRotas(t *testing.T) {
	rules := []access.Rule{{Action: access.Write, Pattern: "a*"}, {Action: access.Read, Pattern: "a*"}}
	for _, mayRotate := range []bool{false, true} {
		want := "AccessDeniedException"
		if mayRotate {
			rules, want = append(rules, access.Rule{Action: access.Rotate, Pattern: "a*"}), ""
		}
		e := start(t, secretsmanager.Options{}, rules...)
		e.create("a", "text")
		for name, request := range reserved(e) {
			t.Run(name, func(t *testing.T) { wantCode(t, request(), want) })
		}
		label := func() error {
			_, version := e.create("a/moved", "text")
			_, err := e.client.UpdateSecretVersionStage(t.Context(), &sm.UpdateSecretVersionStageInput{SecretId: aws.String("a/moved"), VersionStage: aws.String("ROTA_SERVED"), MoveToVersionId: &version})
			return err
		}
		wantCode(t, label(), want)
	}
}

func TestRotasLabelsOfAManagedSecretStay(t *testing.T) {
	e := startManaged(t, secretsmanager.Managed{})
	token := uuid.NewString()
	must[*sm.PutSecretValueOutput](t)(e.client.PutSecretValue(t.Context(), &sm.PutSecretValueInput{SecretId: aws.String("a"), SecretString: aws.String("x"), ClientRequestToken: &token, VersionStages: []string{"BLUE"}}))
	for _, label := range []string{"ROTA_SERVED", "ROTA_DEACTIVATED", "ROTA_ADOPTED", "ROTA_ADOPTED_PREVIOUS", "ROTA_MADE_" + token, "ROTA_LATER"} {
		_, err := e.client.UpdateSecretVersionStage(t.Context(), &sm.UpdateSecretVersionStageInput{SecretId: aws.String("a"), VersionStage: &label, MoveToVersionId: &token})
		wantCode(t, err, "InvalidRequestException")
	}
}

func TestAVersionOfAManagedSecretHasAPlainName(t *testing.T) {
	e := startManaged(t, secretsmanager.Managed{})
	for _, token := range []string{"$(touch_/tmp/x);`id`" + strings.Repeat("v", 20), strings.Repeat("a b", 11), "ü" + strings.Repeat("v", 32)} {
		_, err := e.client.PutSecretValue(t.Context(), &sm.PutSecretValueInput{SecretId: aws.String("a"), SecretString: aws.String("x"), ClientRequestToken: &token})
		wantCode(t, err, "InvalidParameterException")
		_, err = e.client.RotateSecret(t.Context(), &sm.RotateSecretInput{SecretId: aws.String("a"), ClientRequestToken: &token})
		wantCode(t, err, "InvalidParameterException")
		_, err = e.client.PutSecretValue(t.Context(), &sm.PutSecretValueInput{SecretId: aws.String("b"), SecretString: aws.String("x"), ClientRequestToken: &token})
		wantCode(t, err, "")
	}
}
