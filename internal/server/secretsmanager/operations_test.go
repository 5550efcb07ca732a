package secretsmanager_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/server/secretsmanager"
	"github.com/rota-dev/rota/internal/store/record"
)

func TestManyValuesAreReadAtOnce(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	for i := range 25 {
		e.clock.Add(time.Second)
		e.create(fmt.Sprintf("app/%02d", i), fmt.Sprint(i))
	}
	must[*sm.CreateSecretOutput](t)(e.client.CreateSecret(t.Context(), &sm.CreateSecretInput{Name: aws.String("empty")}))
	out := must[*sm.BatchGetSecretValueOutput](t)(e.client.BatchGetSecretValue(t.Context(), &sm.BatchGetSecretValueInput{SecretIdList: []string{"app/03", "missing", "empty", "app/01"}}))
	var got []string
	for _, v := range out.SecretValues {
		got = append(got, *v.Name+" "+*v.SecretString)
	}
	for _, e := range out.Errors {
		got = append(got, *e.SecretId+" "+*e.ErrorCode)
	}
	if diff := cmp.Diff([]string{"app/03 3", "app/01 1", "missing ResourceNotFoundException", "empty ResourceNotFoundException"}, got); diff != "" {
		t.Error(diff)
	}

	n := 0
	pages := sm.NewBatchGetSecretValuePaginator(e.client, &sm.BatchGetSecretValueInput{
		Filters: []types.Filter{{Key: "name", Values: []string{"app/"}}}, MaxResults: aws.Int32(10),
	})
	for pages.HasMorePages() {
		page := must[*sm.BatchGetSecretValueOutput](t)(pages.NextPage(t.Context()))
		for _, v := range page.SecretValues {
			if *v.SecretString != fmt.Sprint(n) {
				t.Errorf("secret %d is %s", n, *v.Name)
			}
			n++
		}
	}
	if n != 25 {
		t.Errorf("%d values, want 25", n)
	}
	for _, in := range []*sm.BatchGetSecretValueInput{
		{},
		{SecretIdList: []string{"a"}, Filters: []types.Filter{{Key: "name", Values: []string{"a"}}}},
		{SecretIdList: []string{"a"}, MaxResults: aws.Int32(1)},
	} {
		_, err := e.client.BatchGetSecretValue(t.Context(), in)
		wantCode(t, err, "InvalidParameterException")
	}
}

func TestRandomPasswords(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	for _, test := range []struct {
		name  string
		in    sm.GetRandomPasswordInput
		long  int
		each  []string // at least one character of each
		never string
		code  string
	}{
		{"by default", sm.GetRandomPasswordInput{}, 32, []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"}, " ", ""},
		{"short", sm.GetRandomPasswordInput{PasswordLength: aws.Int64(4)}, 4, []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"}, "", ""},
		{"long", sm.GetRandomPasswordInput{PasswordLength: aws.Int64(4096)}, 4096, nil, "", ""},
		{"with spaces", sm.GetRandomPasswordInput{IncludeSpace: aws.Bool(true), PasswordLength: aws.Int64(4096)}, 4096, []string{" "}, "", ""},
		{"short with spaces", sm.GetRandomPasswordInput{IncludeSpace: aws.Bool(true), PasswordLength: aws.Int64(4)}, 4, []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"}, " ", ""},
		{"of spaces", sm.GetRandomPasswordInput{ExcludeLowercase: aws.Bool(true), ExcludeUppercase: aws.Bool(true), ExcludePunctuation: aws.Bool(true), ExcludeNumbers: aws.Bool(true), IncludeSpace: aws.Bool(true)}, 32, []string{" "}, "abc123", ""},
		{"without a required kind", sm.GetRandomPasswordInput{ExcludeCharacters: aws.String("0123456789")}, 0, nil, "", "InvalidParameterException"},
		{"without a kind that isn't required", sm.GetRandomPasswordInput{ExcludeCharacters: aws.String("0123456789"), RequireEachIncludedType: aws.Bool(false)}, 32, nil, "0123456789", ""},
		{"digits alone", sm.GetRandomPasswordInput{ExcludeLowercase: aws.Bool(true), ExcludeUppercase: aws.Bool(true), ExcludePunctuation: aws.Bool(true)}, 32, nil, "abcxyzABCXYZ!~", ""},
		{"without some", sm.GetRandomPasswordInput{ExcludeCharacters: aws.String("/@\"'\\")}, 32, nil, "/@\"'\\", ""},
		{"too short for all kinds", sm.GetRandomPasswordInput{PasswordLength: aws.Int64(3)}, 0, nil, "", "InvalidParameterException"},
		{"short with any kinds", sm.GetRandomPasswordInput{PasswordLength: aws.Int64(3), RequireEachIncludedType: aws.Bool(false)}, 3, nil, "", ""},
		{"too long", sm.GetRandomPasswordInput{PasswordLength: aws.Int64(4097)}, 0, nil, "", "ValidationException"},
		{"of nothing", sm.GetRandomPasswordInput{ExcludeLowercase: aws.Bool(true), ExcludeUppercase: aws.Bool(true), ExcludePunctuation: aws.Bool(true), ExcludeNumbers: aws.Bool(true)}, 0, nil, "", "InvalidParameterException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := e.client.GetRandomPassword(t.Context(), &test.in)
			wantCode(t, err, test.code)
			if err != nil {
				return
			}
			password := *out.RandomPassword
			if len(password) != test.long || (test.never != "" && strings.ContainsAny(password, test.never)) {
				t.Errorf("%d characters: %s", len(password), password)
			}
			for _, kind := range test.each {
				if !strings.ContainsAny(password, kind) {
					t.Errorf("%s has none of %s", password, kind)
				}
			}
		})
	}
}

func TestResourcePoliciesAreStored(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	arn, _ := e.create("a", "x")
	id := aws.String("a")
	const private = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`
	const public = `{"Statement":{"Effect":"Allow","Principal":{"AWS":["x","*"]},"Action":"*","Resource":"*"}}`
	put := func(policy string, block bool) string {
		_, err := e.client.PutResourcePolicy(t.Context(), &sm.PutResourcePolicyInput{SecretId: id, ResourcePolicy: &policy, BlockPublicPolicy: &block})
		return code(err)
	}
	for _, test := range []struct {
		name, policy string
		block        bool
		want         string
	}{
		{"for one account", private, true, ""},
		{"for everybody", public, false, ""},
		{"for everybody, blocked", public, true, "PublicPolicyException"},
		{"for everybody, short", `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*"}]}`, true, "PublicPolicyException"},
		{"for everybody on a condition", `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}]}`, true, ""},
		{"against everybody", `{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*"}]}`, true, ""},
		{"no JSON", `{`, false, "MalformedPolicyDocumentException"},
		{"no statement", `{"Version":"2012-10-17"}`, false, "MalformedPolicyDocumentException"},
		{"no principal", `{"Statement":[{"Effect":"Allow","Action":"*"}]}`, false, "MalformedPolicyDocumentException"},
		{"another effect", `{"Statement":[{"Effect":"Maybe","Principal":"*","Action":"*"}]}`, false, "MalformedPolicyDocumentException"},
		{"too long", `{"Statement":"` + strings.Repeat("x", 20480) + `"}`, false, "ValidationException"},
	} {
		if got := put(test.policy, test.block); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	if got := put(private, true); got != "" {
		t.Fatal(got)
	}
	out := must[*sm.GetResourcePolicyOutput](t)(e.client.GetResourcePolicy(t.Context(), &sm.GetResourcePolicyInput{SecretId: id}))
	if *out.ResourcePolicy != private || *out.ARN != arn {
		t.Errorf("policy %s of %s", *out.ResourcePolicy, *out.ARN)
	}
	if a := e.do("ListResourcePolicies", `{"SecretId":"a"}`); string(a.Body) != `{"ResourcePolicies":[{"PolicyName":"default"}]}` {
		t.Errorf("policies %s", a.Body)
	}
	must[*sm.DeleteResourcePolicyOutput](t)(e.client.DeleteResourcePolicy(t.Context(), &sm.DeleteResourcePolicyInput{SecretId: id}))
	out = must[*sm.GetResourcePolicyOutput](t)(e.client.GetResourcePolicy(t.Context(), &sm.GetResourcePolicyInput{SecretId: id}))
	if out.ResourcePolicy != nil {
		t.Errorf("policy %s after its deletion", *out.ResourcePolicy)
	}
	for policy, passes := range map[string]bool{private: true, public: false, "{": false} {
		out := must[*sm.ValidateResourcePolicyOutput](t)(e.client.ValidateResourcePolicy(t.Context(), &sm.ValidateResourcePolicyInput{SecretId: id, ResourcePolicy: &policy}))
		if out.PolicyValidationPassed != passes || (len(out.ValidationErrors) == 0) != passes {
			t.Errorf("%s: %+v", policy, out)
		}
	}
}

func TestReplicationIsRefused(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	e.create("a", "x")
	id := aws.String("a")
	regions := []types.ReplicaRegionType{{Region: aws.String("eu-west-1")}}
	_, err := e.client.ReplicateSecretToRegions(t.Context(), &sm.ReplicateSecretToRegionsInput{SecretId: id, AddReplicaRegions: regions})
	wantCode(t, err, "InvalidRequestException")
	_, err = e.client.RemoveRegionsFromReplication(t.Context(), &sm.RemoveRegionsFromReplicationInput{SecretId: id, RemoveReplicaRegions: []string{"eu-west-1"}})
	wantCode(t, err, "InvalidRequestException")
	_, err = e.client.StopReplicationToReplica(t.Context(), &sm.StopReplicationToReplicaInput{SecretId: id})
	wantCode(t, err, "InvalidRequestException")
	_, err = e.client.CreateSecret(t.Context(), &sm.CreateSecretInput{Name: aws.String("b"), AddReplicaRegions: regions})
	wantCode(t, err, "InvalidRequestException")
}

func TestALongListIsReadInPages(t *testing.T) {
	e := start(t, secretsmanager.Options{}, access.Rule{Action: access.List, Pattern: "*7"}, access.Rule{Action: access.Write, Pattern: "*"})
	for i := range 250 {
		e.create(fmt.Sprintf("s%03d", i), "x")
	}
	for _, order := range []types.SortOrderType{"asc", "desc"} {
		var got []string
		pages := sm.NewListSecretsPaginator(e.client, &sm.ListSecretsInput{MaxResults: aws.Int32(4), SortOrder: order})
		for pages.HasMorePages() {
			for _, s := range must[*sm.ListSecretsOutput](t)(pages.NextPage(t.Context())).SecretList {
				got = append(got, *s.Name)
			}
		}
		if len(got) != 25 || (got[0] == "s007") != (order == "asc") || (got[24] == "s247") != (order == "asc") {
			t.Errorf("%s: %v", order, got)
		}
	}
	a := e.do("ListSecrets", `{"MaxResults":1}`)
	_, token, _ := strings.Cut(string(a.Body), `"NextToken":"`)
	token, _, _ = strings.Cut(token, `"`)
	for body, want := range map[string]string{
		`{"NextToken":"` + token + `"}`:                            "",
		`{"NextToken":"` + token + `","SortOrder":"desc"}`:         "InvalidNextTokenException",
		`{"NextToken":"` + token + `","SortBy":"name"}`:            "InvalidNextTokenException",
		`{"NextToken":"e30"}`:                                      "InvalidNextTokenException",
		`{"MaxResults":0}`:                                         "ValidationException",
		`{"MaxResults":101}`:                                       "ValidationException",
		`{"SortOrder":"up"}`:                                       "ValidationException",
		`{"SortBy":"size"}`:                                        "ValidationException",
		`{"Filters":[{"Key":"size","Values":["1"]}]}`:              "ValidationException",
		`{"Filters":[{"Key":"name","Values":[]}]}`:                 "InvalidParameterException",
		`{"Filters":[{"Key":"name","Values":["ä"]}]}`:              "ValidationException",
		`{"Filters":[{"Key":"primary-region","Values":["eu-"]}]}`:  "",
		`{"Filters":[{"Key":"owning-service","Values":["!rds"]}]}`: "",
	} {
		if a := e.do("ListSecrets", body); a.Code != want {
			t.Errorf("%s: %s, want %q", body, a.Body, want)
		}
	}
}

// TestTokensNameNothing decodes the token of a page that ends at a secret the
// caller may not see.
func TestTokensNameNothing(t *testing.T) {
	e := start(t, secretsmanager.Options{}, access.Rule{Action: access.List, Pattern: "seen*"}, access.Rule{Action: access.Write, Pattern: "*"})
	for i := range 5200 {
		if err := e.records.Update(t.Context(), fmt.Sprintf("hidden%05d", i), func(*record.Change) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	e.create("seen1", "x")
	e.create("seen2", "x")
	first := must[*sm.ListSecretsOutput](t)(e.client.ListSecrets(t.Context(), &sm.ListSecretsInput{SortBy: types.SortByTypeName}))
	if len(first.SecretList) != 0 || first.NextToken == nil {
		t.Fatalf("the first page has %d secrets and the token %v", len(first.SecretList), first.NextToken)
	}
	second := must[*sm.ListSecretsOutput](t)(e.client.ListSecrets(t.Context(), &sm.ListSecretsInput{SortBy: types.SortByTypeName, NextToken: first.NextToken, MaxResults: aws.Int32(1)}))
	if len(second.SecretList) != 1 || second.NextToken == nil {
		t.Fatalf("the second page has %d secrets and the token %v", len(second.SecretList), second.NextToken)
	}
	for _, token := range []string{*first.NextToken, *second.NextToken} {
		text, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("hidden")) || bytes.Contains(text, []byte("seen")) {
			t.Errorf("the token is %q", text)
		}
		text[len(text)/2] ^= 1
		if a := e.do("ListSecrets", `{"SortBy":"name","NextToken":"`+base64.RawURLEncoding.EncodeToString(text)+`"}`); a.Code != "InvalidNextTokenException" {
			t.Errorf("a changed token: %s", a.Body)
		}
	}
	for _, other := range []string{"BatchGetSecretValue", "ListSecretVersionIds"} {
		body := map[string]string{"BatchGetSecretValue": `{"Filters":[{"Key":"name","Values":["s"]}],`, "ListSecretVersionIds": `{"SecretId":"seen1",`}[other]
		if a := e.do(other, body+`"NextToken":"`+*first.NextToken+`"}`); a.Code != "InvalidNextTokenException" {
			t.Errorf("another list's token for %s: %s", other, a.Body)
		}
	}
}

func TestDatesAreAWSs(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	e.clock.Add(1234567 * time.Microsecond)
	arn, version := e.create("a", "x")
	a := e.do("GetSecretValue", `{"SecretId":"a"}`)
	want := `{"ARN":"` + arn + `","Name":"a","VersionId":"` + version + `","SecretString":"x","VersionStages":["AWSCURRENT"],"CreatedDate":1772620201.234}`
	if string(a.Body) != want {
		t.Errorf("got  %s\nwant %s", a.Body, want)
	}
	if !strings.HasPrefix(arn, "arn:aws:secretsmanager:eu-central-1:111122223333:secret:a-") || len(arn) != len("arn:aws:secretsmanager:eu-central-1:111122223333:secret:a-")+6 {
		t.Errorf("ARN %s", arn)
	}
}

func TestASecretHasFiftyTagsAtMost(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	e.create("a", "x")
	var tags []types.Tag
	for i := range 51 {
		tags = append(tags, types.Tag{Key: aws.String(fmt.Sprint(i)), Value: aws.String("")})
	}
	tag := func(tags ...types.Tag) string {
		_, err := e.client.TagResource(t.Context(), &sm.TagResourceInput{SecretId: aws.String("a"), Tags: tags})
		return code(err)
	}
	for _, test := range []struct {
		name string
		tags []types.Tag
		want string
	}{
		{"51", tags, "LimitExceededException"},
		{"50", tags[:50], ""},
		{"one that is there", tags[3:4], ""},
		{"one more", tags[50:], "LimitExceededException"},
		{"AWS's own", []types.Tag{{Key: aws.String("AWS:x"), Value: aws.String("")}}, "InvalidParameterException"},
		{"a long key", []types.Tag{{Key: aws.String(strings.Repeat("x", 129)), Value: aws.String("")}}, "ValidationException"},
		{"a long value", []types.Tag{{Key: aws.String("x"), Value: aws.String(strings.Repeat("x", 257))}}, "ValidationException"},
	} {
		if got := tag(test.tags...); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestADeletedSecretIsRemovedWhenItsWindowIsOver(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	e.create("a", "x")
	e.create("b", "x")
	must[*sm.DeleteSecretOutput](t)(e.client.DeleteSecret(t.Context(), &sm.DeleteSecretInput{SecretId: aws.String("a"), RecoveryWindowInDays: aws.Int64(7)}))
	e.clock.Add(7*24*time.Hour - time.Second)
	if err := e.server.RotateDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	must[*sm.RestoreSecretOutput](t)(e.client.RestoreSecret(t.Context(), &sm.RestoreSecretInput{SecretId: aws.String("a")}))
	must[*sm.DeleteSecretOutput](t)(e.client.DeleteSecret(t.Context(), &sm.DeleteSecretInput{SecretId: aws.String("a"), RecoveryWindowInDays: aws.Int64(7)}))
	e.clock.Add(7 * 24 * time.Hour)
	_, err := e.client.RestoreSecret(t.Context(), &sm.RestoreSecretInput{SecretId: aws.String("a")})
	wantCode(t, err, "ResourceNotFoundException")
	if err := e.server.RotateDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if due, err := e.records.Due(t.Context(), 10); err != nil || len(due) != 0 {
		t.Errorf("due %v, %v", due, err)
	}
	entries := e.records.Entries("a")
	if last := entries[len(entries)-1]; last.Step != "remove" || last.Actor != "rota" {
		t.Errorf("last entry %+v", last)
	}
	if diff := cmp.Diff([]string{"b"}, e.records.Names()); diff != "" {
		t.Error(diff)
	}
}

func TestATokenIdentifiesARequest(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	token := uuid.NewString()
	create := func(value string) string {
		_, err := e.client.CreateSecret(t.Context(), &sm.CreateSecretInput{Name: aws.String("a"), SecretBinary: []byte(value), ClientRequestToken: &token})
		return code(err)
	}
	for _, test := range []struct{ value, want string }{{"x", ""}, {"x", ""}, {"y", "ResourceExistsException"}} {
		if got := create(test.value); got != test.want {
			t.Errorf("%s: %q, want %q", test.value, got, test.want)
		}
	}
	out := must[*sm.GetSecretValueOutput](t)(e.client.GetSecretValue(t.Context(), &sm.GetSecretValueInput{SecretId: aws.String("a"), VersionId: &token}))
	if string(out.SecretBinary) != "x" || out.SecretString != nil {
		t.Errorf("value %v", out)
	}
}
