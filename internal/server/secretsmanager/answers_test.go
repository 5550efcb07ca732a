package secretsmanager_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/server/secretsmanager"
)

// TestErrorsHaveAWSsCodesAndMessages are answers that were recorded at AWS, or
// that its documentation quotes.
func TestErrorsHaveAWSsCodesAndMessages(t *testing.T) {
	const noToken = "You must provide a ClientRequestToken value. We recommend a UUID-type value."
	e, _ := startRotating(t, secretsmanager.Options{})
	token := strings.Repeat("1", 32)
	arn := *must[*sm.CreateSecretOutput](t)(e.client.CreateSecret(t.Context(), &sm.CreateSecretInput{Name: aws.String("a"), SecretString: aws.String("x"), ClientRequestToken: &token})).ARN
	inUse := "You can't use ClientRequestToken " + token + " because that value is already in use for a version of secret " + arn + "."
	for _, test := range []struct{ operation, body, code, message string }{
		{"CreateSecret", `{"Name":"b","SecretString":"x"}`, "InvalidRequestException", noToken},
		{"UpdateSecret", `{"SecretId":"none","SecretString":"x"}`, "InvalidRequestException", noToken},
		{"PutSecretValue", `{"SecretId":"none","SecretString":"x"}`, "InvalidRequestException", noToken},
		{"RotateSecret", `{"SecretId":"none"}`, "InvalidParameterException", noToken},

		{"CreateSecret", `{"Name":"a","SecretString":"x","ClientRequestToken":"` + strings.Repeat("2", 32) + `"}`, "ResourceExistsException", "The operation failed because the secret a already exists."},
		{"CreateSecret", `{"Name":"a","SecretString":"y","ClientRequestToken":"` + token + `"}`, "ResourceExistsException", inUse},
		{"UpdateSecret", `{"SecretId":"a","SecretString":"y","ClientRequestToken":"` + token + `"}`, "ResourceExistsException", inUse},
		{"PutSecretValue", `{"SecretId":"a","SecretString":"y","ClientRequestToken":"` + token + `"}`, "ResourceExistsException", inUse},

		{"RotateSecret", `{"SecretId":"a","ClientRequestToken":"` + strings.Repeat("2", 32) + `"}`, "InvalidRequestException", "No Lambda rotation function ARN is associated with this secret."},
		{"RotateSecret", `{"SecretId":"a","RotationLambdaARN":"arn:aws:lambda:us-east-1:111122223333:function:none","ClientRequestToken":"` + strings.Repeat("2", 32) + `"}`, "AccessDeniedException",
			"Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com."},
		{"RotateSecret", `{"SecretId":"a","RotationRules":{"AutomaticallyAfterDays":0},"ClientRequestToken":"` + token + `"}`, "ValidationException",
			"1 validation error detected: Value '0' at 'rotationRules.automaticallyAfterDays' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"RotateSecret", `{"SecretId":"a","RotationRules":{"AutomaticallyAfterDays":1001},"ClientRequestToken":"` + token + `"}`, "ValidationException",
			"1 validation error detected: Value '1001' at 'rotationRules.automaticallyAfterDays' failed to satisfy constraint: Member must have value less than or equal to 1000"},

		{"GetRandomPassword", `{"PasswordLength":5555}`, "ValidationException", "1 validation error detected: Value '5555' at 'passwordLength' failed to satisfy constraint: Member must have value less than or equal to 4096"},
		{"GetRandomPassword", `{"PasswordLength":3}`, "InvalidParameterException", "Password length is too short based on the required types."},
		{"GetRandomPassword", `{"ExcludeCharacters":"0123456789"}`, "InvalidParameterException", "All characters of the desired type have been excluded."},
		{"GetRandomPassword", `{"ExcludeUppercase":true,"ExcludeLowercase":true,"ExcludeNumbers":true,"ExcludePunctuation":true}`, "InvalidParameterException", "All characters have been excluded from selection."},

		{"GetSecretValue", `{"SecretId":"none"}`, "ResourceNotFoundException", "Secrets Manager can't find the specified secret."},
	} {
		t.Run(test.operation+" "+test.body, func(t *testing.T) {
			a := e.do(test.operation, test.body)
			var said struct{ Message string }
			if err := json.Unmarshal(a.Body, &said); err != nil || a.Code != test.code || said.Message != test.message {
				t.Errorf("got %s %q\nwant %s %q", a.Code, said.Message, test.code, test.message)
			}
		})
	}
}

// TestASecretCreatedWithoutAValueNeedsNoToken has nothing for the token to
// name.
func TestASecretCreatedWithoutAValueNeedsNoToken(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	if a := e.do("CreateSecret", `{"Name":"a"}`); a.Code != "" {
		t.Errorf("%s", a.Body)
	}
}

func TestUpdateSecretRepeatsItself(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	_, first := e.create("a", "one")
	update := func(token, value string) string {
		out, err := e.client.UpdateSecret(t.Context(), &sm.UpdateSecretInput{SecretId: aws.String("a"), SecretString: &value, ClientRequestToken: &token, Description: aws.String("of " + value)})
		if err != nil {
			return code(err)
		}
		return *out.VersionId
	}
	if got := update(first, "one"); got != first {
		t.Errorf("the creation's token: %q", got)
	}
	second := strings.Repeat("2", 32)
	for range 2 {
		if got := update(second, "two"); got != second {
			t.Errorf("a new token: %q", got)
		}
	}
	if got := update(first, "one"); got != first { // a late retry
		t.Errorf("an old token: %q", got)
	}
	d := must[*sm.DescribeSecretOutput](t)(e.client.DescribeSecret(t.Context(), &sm.DescribeSecretInput{SecretId: aws.String("a")}))
	if diff := cmp.Diff(map[string][]string{first: {"AWSPREVIOUS"}, second: {"AWSCURRENT"}}, d.VersionIdsToStages); diff != "" {
		t.Error(diff)
	}
}

func TestTagsStayAnEmptyListOnceThereWasOne(t *testing.T) {
	for name, secret := range map[string]string{"created without": `{"Name":"a"}`, "created with an empty list": `{"Name":"a","Tags":[]}`} {
		t.Run(name, func(t *testing.T) {
			e := start(t, secretsmanager.Options{})
			has := func(want string) {
				t.Helper()
				for operation, body := range map[string]string{"DescribeSecret": `{"SecretId":"a"}`, "ListSecrets": `{}`} {
					a := string(e.do(operation, body).Body)
					if want == "" && strings.Contains(a, `"Tags"`) || !strings.Contains(a, want) {
						t.Errorf("%s answers %s, want %q", operation, a, want)
					}
				}
			}
			e.do("CreateSecret", secret)
			has("")
			e.do("TagResource", `{"SecretId":"a","Tags":[{"Key":"k","Value":"v"}]}`)
			has(`"Tags":[{"Key":"k","Value":"v"}]`)
			e.do("UntagResource", `{"SecretId":"a","TagKeys":["k"]}`)
			has(`"Tags":[]`)
		})
	}
}

func TestTheDefaultKMSKeyIsOmitted(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	for key, want := range map[string]string{
		"": "", "alias/aws/secretsmanager": "", "arn:aws:kms:eu-central-1:111122223333:alias/aws/secretsmanager": "",
		"alias/mine": "alias/mine", "alias/aws/secretsmanager2": "alias/aws/secretsmanager2",
		"arn:aws:kms:eu-central-1:111122223333:key/1": "arn:aws:kms:eu-central-1:111122223333:key/1",
	} {
		t.Run(key, func(t *testing.T) {
			name := fmt.Sprintf("a%d", len(key))
			must[*sm.CreateSecretOutput](t)(e.client.CreateSecret(t.Context(), &sm.CreateSecretInput{Name: &name, SecretString: aws.String("x"), KmsKeyId: &key}))
			d := must[*sm.DescribeSecretOutput](t)(e.client.DescribeSecret(t.Context(), &sm.DescribeSecretInput{SecretId: &name}))
			if got := aws.ToString(d.KmsKeyId); got != want || (d.KmsKeyId != nil) != (want != "") {
				t.Errorf("described with the key %q, want %q", got, want)
			}
			v := must[*sm.ListSecretVersionIdsOutput](t)(e.client.ListSecretVersionIds(t.Context(), &sm.ListSecretVersionIdsInput{SecretId: &name}))
			if want == "" {
				want = "DefaultEncryptionKey"
			}
			if diff := cmp.Diff([]string{want}, v.Versions[0].KmsKeyIds); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestFiltersMatchTheBeginningsOfWords are searches whose results were verified
// at AWS.
func TestFiltersMatchTheBeginningsOfWords(t *testing.T) {
	for _, test := range []struct {
		key, value string
		want       []string
	}{
		{"description", "one two", []string{"a", "b"}},
		{"description", "ONE", []string{"a", "b", "c"}},
		{"description", "o t", []string{"a", "b"}},
		{"description", "t", []string{"a", "b", "d"}},
		{"description", "wo", nil},
		{"description", "+", nil},
		{"description", "!t", []string{"c", "e"}},
		{"all", "foo", []string{"SecretFTag", "SecretFValue"}},
		{"all", "SecretOne", []string{"SecretOne"}},
		{"all", "secret", []string{"SecretOne", "SecretTwo", "SecretFTag", "SecretFValue"}},
		{"all", "ret", nil},
		{"all", "sec", []string{"SecretOne", "SecretTwo", "SecretFTag", "SecretFValue"}},
		{"all", "SomeSecret", nil},
		{"all", "d t", []string{"SecretTwo"}},
		{"all", "AppBeta", []string{"prod/AppBeta", "prod_AppBeta", "prod+AppBeta", "prod=AppBeta", "prod.AppBeta", "prod@AppBeta", "prod-AppBeta"}},
		{"all", "beta", []string{"prod/AppBeta", "prod_AppBeta", "prod+AppBeta", "prod=AppBeta", "prod.AppBeta", "prod@AppBeta", "prod-AppBeta"}},
		{"all", "+", nil},
		{"all", "company", []string{"uat/COMPANY"}},
		{"all", "things", nil},
		{"all", "Ythings", []string{"uat/COMPANYthings"}},
		{"all", "N", nil},
		{"all", "pany", nil},
	} {
		t.Run(test.key+" "+test.value, func(t *testing.T) {
			e := start(t, secretsmanager.Options{})
			create := func(name, description string, tags ...types.Tag) {
				in := &sm.CreateSecretInput{Name: &name, Tags: tags}
				if description != "" {
					in.Description = &description
				}
				must[*sm.CreateSecretOutput](t)(e.client.CreateSecret(t.Context(), in))
			}
			if test.key == "description" {
				for name, description := range map[string]string{"a": "one two", "b": "one and two", "c": "One", "d": "two", "e": "unrelated"} {
					create(name, description)
				}
			} else {
				for _, name := range []string{"prod/AppBeta", "prod_AppBeta", "prod+AppBeta", "prod=AppBeta", "prod.AppBeta", "prod@AppBeta", "prod-AppBeta", "uat/COMPANY", "uat/COMPANYthings", "SecretOne"} {
					create(name, "")
				}
				create("SecretTwo", "DescTwo")
				create("SecretFTag", "", types.Tag{Key: aws.String("1"), Value: aws.String("foo")})
				create("SecretFValue", "", types.Tag{Key: aws.String("foo"), Value: aws.String("v")})
			}
			found := must[*sm.ListSecretsOutput](t)(e.client.ListSecrets(t.Context(), &sm.ListSecretsInput{SortBy: types.SortByTypeName, Filters: []types.Filter{{Key: types.FilterNameStringType(test.key), Values: []string{test.value}}}}))
			got := map[string]bool{}
			for _, s := range found.SecretList {
				got[*s.Name] = true
			}
			want := map[string]bool{}
			for _, name := range test.want {
				want[name] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
