package secretsmanager_test

import (
	"context"
	"encoding/json"
	"regexp"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/server/secretsmanager"
	"github.com/rota-dev/rota/internal/testenv"
)

const (
	first  = "11111111-1111-1111-1111-111111111111"
	second = "22222222-2222-2222-2222-222222222222"
	third  = "33333333-3333-3333-3333-333333333333"
)

// sameCalls are made in order, to moto and to Rota. If moto is known to differ
// from AWS's documentation, differs says how.
var sameCalls = []struct {
	name    string
	call    func(context.Context, *sm.Client) (any, error)
	differs string
}{
	{"create", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.CreateSecret(ctx, &sm.CreateSecretInput{Name: aws.String("app/a"), SecretString: aws.String("one"), ClientRequestToken: aws.String(first), Description: aws.String("The first"), Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}})
	}, ""},
	{"create another", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.CreateSecret(ctx, &sm.CreateSecretInput{Name: aws.String("app/b"), SecretBinary: []byte{0, 255}, ClientRequestToken: aws.String(first)})
	}, ""},
	{"create what is there", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.CreateSecret(ctx, &sm.CreateSecretInput{Name: aws.String("app/a"), SecretString: aws.String("two"), ClientRequestToken: aws.String(second)})
	}, ""},
	{"get", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String("app/a")})
	}, ""},
	{"get bytes", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String("app/b")})
	}, ""},
	{"get what is not there", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String("app/none")})
	}, ""},
	{"get a label that is not there", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String("app/a"), VersionStage: aws.String("AWSPENDING")})
	}, ""},
	{"describe", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String("app/a")})
	}, "moto has no LastAccessedDate"},
	{"put, pending", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: aws.String("app/a"), SecretString: aws.String("two"), ClientRequestToken: aws.String(second), VersionStages: []string{"AWSPENDING"}})
	}, ""},
	{"get the pending", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String("app/a"), VersionStage: aws.String("AWSPENDING")})
	}, ""},
	{"get by version and another's label", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String("app/a"), VersionId: aws.String(first), VersionStage: aws.String("AWSPENDING")})
	}, ""},
	{"put the same token with another value", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: aws.String("app/b"), SecretString: aws.String("other"), ClientRequestToken: aws.String(first)})
	}, ""},
	{"move without saying from where", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.UpdateSecretVersionStage(ctx, &sm.UpdateSecretVersionStageInput{SecretId: aws.String("app/a"), VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: aws.String(second)})
	}, ""},
	{"move", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.UpdateSecretVersionStage(ctx, &sm.UpdateSecretVersionStageInput{SecretId: aws.String("app/a"), VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: aws.String(second), RemoveFromVersionId: aws.String(first)})
	}, ""},
	{"get the previous", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String("app/a"), VersionStage: aws.String("AWSPREVIOUS")})
	}, ""},
	{"get the current, named", func(ctx context.Context, c *sm.Client) (any, error) {
		out, err := c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String("app/a"), VersionStage: aws.String("AWSCURRENT")})
		if err != nil {
			return nil, err
		}
		return *out.SecretString, nil
	}, ""},
	{"put without labels", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: aws.String("app/a"), SecretString: aws.String("three"), ClientRequestToken: aws.String(third)})
	}, ""},
	{"update", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.UpdateSecret(ctx, &sm.UpdateSecretInput{SecretId: aws.String("app/b"), Description: aws.String("Second")})
	}, ""},
	{"list by name", func(ctx context.Context, c *sm.Client) (any, error) {
		return names(c.ListSecrets(ctx, &sm.ListSecretsInput{Filters: []types.Filter{{Key: "name", Values: []string{"app/"}}}}))
	}, ""},
	{"list by another name", func(ctx context.Context, c *sm.Client) (any, error) {
		return names(c.ListSecrets(ctx, &sm.ListSecretsInput{Filters: []types.Filter{{Key: "name", Values: []string{"!app/a"}}}}))
	}, ""},
	{"list by the case of a name", func(ctx context.Context, c *sm.Client) (any, error) {
		return names(c.ListSecrets(ctx, &sm.ListSecretsInput{Filters: []types.Filter{{Key: "name", Values: []string{"App/"}}}}))
	}, ""},
	{"list by description", func(ctx context.Context, c *sm.Client) (any, error) {
		return names(c.ListSecrets(ctx, &sm.ListSecretsInput{Filters: []types.Filter{{Key: "description", Values: []string{"the fi"}}}}))
	}, ""},
	{"list by a tag", func(ctx context.Context, c *sm.Client) (any, error) {
		return names(c.ListSecrets(ctx, &sm.ListSecretsInput{Filters: []types.Filter{{Key: "tag-key", Values: []string{"te"}}, {Key: "tag-value", Values: []string{"x", "sh"}}}}))
	}, ""},
	{"list by anything", func(ctx context.Context, c *sm.Client) (any, error) {
		return names(c.ListSecrets(ctx, &sm.ListSecretsInput{Filters: []types.Filter{{Key: "all", Values: []string{"SHOP"}}}}))
	}, ""},
	{"untag", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.UntagResource(ctx, &sm.UntagResourceInput{SecretId: aws.String("app/a"), TagKeys: []string{"team"}})
	}, ""},
	{"read several", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.BatchGetSecretValue(ctx, &sm.BatchGetSecretValueInput{SecretIdList: []string{"app/b"}})
	}, ""},
	{"delete too soon", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.DeleteSecret(ctx, &sm.DeleteSecretInput{SecretId: aws.String("app/a"), RecoveryWindowInDays: aws.Int64(6)})
	}, ""},
	{"delete in two ways", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.DeleteSecret(ctx, &sm.DeleteSecretInput{SecretId: aws.String("app/a"), RecoveryWindowInDays: aws.Int64(7), ForceDeleteWithoutRecovery: aws.Bool(true)})
	}, ""},
	{"delete", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.DeleteSecret(ctx, &sm.DeleteSecretInput{SecretId: aws.String("app/a"), RecoveryWindowInDays: aws.Int64(7)})
	}, ""},
	{"get what is to be deleted", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String("app/a")})
	}, ""},
	{"list without what is to be deleted", func(ctx context.Context, c *sm.Client) (any, error) {
		return names(c.ListSecrets(ctx, &sm.ListSecretsInput{}))
	}, ""},
	{"list with what is to be deleted", func(ctx context.Context, c *sm.Client) (any, error) {
		return names(c.ListSecrets(ctx, &sm.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true)}))
	}, ""},
	{"restore", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.RestoreSecret(ctx, &sm.RestoreSecretInput{SecretId: aws.String("app/a")})
	}, ""},
	{"rotate without a function", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.RotateSecret(ctx, &sm.RotateSecretInput{SecretId: aws.String("app/a")})
	}, ""},
	{"delete at once", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.DeleteSecret(ctx, &sm.DeleteSecretInput{SecretId: aws.String("app/a"), ForceDeleteWithoutRecovery: aws.Bool(true)})
	}, ""},
	{"describe what is deleted", func(ctx context.Context, c *sm.Client) (any, error) {
		return c.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String("app/a")})
	}, ""},
}

func names(out *sm.ListSecretsOutput, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range out.SecretList {
		names = append(names, *s.Name)
	}
	return names, nil
}

// What differs between any two servers.
var (
	date   = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]*"`)
	suffix = regexp.MustCompile(`:\d{12}:secret:([a-z/]+)-[A-Za-z0-9]{6}`)
)

// normal is a response in a comparable form.
func normal(t *testing.T, out any, err error) string {
	t.Helper()
	if err != nil {
		return code(err)
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	var members any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	if m, ok := members.(map[string]any); ok {
		delete(m, "ResultMetadata")
		for name, value := range m {
			if list, ok := value.([]any); value == nil || (ok && len(list) == 0) {
				delete(m, name)
			}
		}
	}
	if text, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	return suffix.ReplaceAllString(date.ReplaceAllString(string(text), "DATE"), "::secret:$1-SUFFIX")
}

func TestRotaRespondsLikeMotoWhereMotoIsRight(t *testing.T) {
	ours := start(t, secretsmanager.Options{}).client
	theirs := (&env{url: testenv.Moto(t).URL}).as("AKIAANYBODY000000000", "anything", "")
	for _, c := range sameCalls {
		wantOut, wantErr := c.call(t.Context(), theirs)
		out, err := c.call(t.Context(), ours)
		want, got := normal(t, wantOut, wantErr), normal(t, out, err)
		if diff := cmp.Diff(want, got); (diff == "") != (c.differs == "") {
			t.Errorf("%s (%s): moto %s\nRota %s", c.name, c.differs, want, got)
		}
	}
}
