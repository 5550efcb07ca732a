package awstest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

// vault is one secret, accessed through the SDK.
type vault struct {
	t      testing.TB
	s      *awstest.Server
	client *sm.Client
	id     string // name or ARN
}

func newVault(t testing.TB, s *awstest.Server, name string) vault {
	t.Helper()
	if _, _, err := s.CreateSecret(name, "first"); err != nil {
		t.Fatal(err)
	}
	return vault{t, s, asRoot(s).secrets, name}
}

func (v vault) put(token, text string, labels ...string) error {
	_, err := v.client.PutSecretValue(v.t.Context(), &sm.PutSecretValueInput{
		SecretId: &v.id, ClientRequestToken: &token, SecretString: &text, VersionStages: labels,
	})
	return err
}

func (v vault) move(label, from, to string) error {
	in := &sm.UpdateSecretVersionStageInput{SecretId: &v.id, VersionStage: &label}
	if from != "" {
		in.RemoveFromVersionId = &from
	}
	if to != "" {
		in.MoveToVersionId = &to
	}
	_, err := v.client.UpdateSecretVersionStage(v.t.Context(), in)
	return err
}

func (v vault) get(label string) (string, error) {
	out, err := v.client.GetSecretValue(v.t.Context(), &sm.GetSecretValueInput{SecretId: &v.id, VersionStage: &label})
	if err != nil {
		return "", err
	}
	return *out.SecretString, nil
}

func (v vault) wantLabels(want map[string]string) {
	v.t.Helper()
	if diff := cmp.Diff(want, v.s.Labels(v.id)); diff != "" {
		v.t.Error(diff)
	}
}

func TestARotationMovesTheLabels(t *testing.T) {
	clock := newClock()
	s := start(t, awstest.Options{Now: clock.Now})
	v := newVault(t, s, "prod/app")
	first := s.Labels("prod/app")["AWSCURRENT"]
	second := uuid.NewString()
	wantCode(t, v.put(second, "second", "AWSPENDING"), "")
	v.wantLabels(map[string]string{"AWSCURRENT": first, "AWSPENDING": second})

	wantCode(t, v.move("AWSCURRENT", "", second), "InvalidParameterException")     // the from-version is required
	wantCode(t, v.move("AWSCURRENT", second, second), "InvalidParameterException") // and must be correct
	v.wantLabels(map[string]string{"AWSCURRENT": first, "AWSPENDING": second})

	clock.Add(time.Minute)
	wantCode(t, v.move("AWSCURRENT", first, second), "")
	v.wantLabels(map[string]string{"AWSCURRENT": second, "AWSPREVIOUS": first, "AWSPENDING": second})
	if state, _ := s.Secret("prod/app"); !state.Changed.Equal(clock.Now()) {
		t.Errorf("changed %v, want the move's time %v", state.Changed, clock.Now())
	}
	wantCode(t, v.move("AWSCURRENT", first, second), "InvalidParameterException") // a stale compare-and-swap
	wantCode(t, v.move("AWSCURRENT", "", second), "")                             // already there
	wantCode(t, v.move("AWSPENDING", second, ""), "")
	wantCode(t, v.move("AWSCURRENT", second, ""), "InvalidParameterException") // can't be removed
	v.wantLabels(map[string]string{"AWSCURRENT": second, "AWSPREVIOUS": first})

	third := uuid.NewString()
	wantCode(t, v.put(third, "third"), "") // without labels it becomes current immediately
	v.wantLabels(map[string]string{"AWSCURRENT": third, "AWSPREVIOUS": second})
	wantCode(t, v.move("AWSCURRENT", third, second), "") // and back
	v.wantLabels(map[string]string{"AWSCURRENT": second, "AWSPREVIOUS": third})
	for label, want := range map[string]string{"AWSCURRENT": "second", "AWSPREVIOUS": "third"} {
		if got := must[string](t)(v.get(label)); got != want {
			t.Errorf("%s is %q, want %q", label, got, want)
		}
	}
	_, err := v.get("AWSPENDING")
	wantCode(t, err, "ResourceNotFoundException")
	wantCode(t, v.move("AWSPENDING", "", uuid.NewString()), "ResourceNotFoundException")
	wantCode(t, v.move("AWSPENDING", "", ""), "InvalidParameterException")
	wantCode(t, v.move("AWSPENDING", second, third), "InvalidParameterException") // no version has it
}

func TestATokenIsTheVersion(t *testing.T) {
	s := start(t, awstest.Options{})
	v := newVault(t, s, "prod/app")
	token := uuid.NewString()
	wantCode(t, v.put(token, "second", "AWSPENDING"), "")
	before, _ := s.Secret("prod/app")
	wantCode(t, v.put(token, "second", "AWSPENDING"), "")
	after, _ := s.Secret("prod/app")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the same request again changed something: %s", diff)
	}
	wantCode(t, v.put(token, "other", "AWSPENDING"), "ResourceExistsException")
	wantCode(t, v.put("short", "x"), "InvalidParameterException")
	wantCode(t, v.put(strings.Repeat("x", 65), "x"), "InvalidParameterException")
	wantCode(t, v.put(uuid.NewString(), strings.Repeat("x", 65537)), "ValidationException")
	wantCode(t, v.put(uuid.NewString(), ""), "InvalidParameterException")
	wantCode(t, v.put(uuid.NewString(), strings.Repeat("x", 65536)), "")
	_, err := v.client.UpdateSecret(t.Context(), &sm.UpdateSecretInput{SecretId: &v.id, ClientRequestToken: &token, SecretString: aws.String("second")})
	wantCode(t, err, "")
	_, err = v.client.UpdateSecret(t.Context(), &sm.UpdateSecretInput{SecretId: &v.id, ClientRequestToken: &token, SecretString: aws.String("other")})
	wantCode(t, err, "ResourceExistsException")
}

func TestASecretHasAtMostTwentyLabels(t *testing.T) {
	s := start(t, awstest.Options{})
	v := newVault(t, s, "prod/app")
	labels := make([]string, 20)
	for i := range labels {
		labels[i] = fmt.Sprint("label-", i)
	}
	wantCode(t, v.put(uuid.NewString(), "x", labels...), "LimitExceededException") // AWSCURRENT counts too
	token := uuid.NewString()
	wantCode(t, v.put(token, "x", labels[:19]...), "")
	wantCode(t, v.move("one more", "", token), "LimitExceededException")
	wantCode(t, v.move("label-0", token, ""), "")
	wantCode(t, v.move("one more", "", token), "")
}

func TestTheFirstVersionOfASecretIsCurrent(t *testing.T) {
	s := start(t, awstest.Options{})
	client := asRoot(s).secrets
	must[*sm.CreateSecretOutput](t)(client.CreateSecret(t.Context(), &sm.CreateSecretInput{Name: aws.String("empty")}))
	v := vault{t, s, client, "empty"}
	_, err := v.get("AWSCURRENT")
	wantCode(t, err, "ResourceNotFoundException")
	token := uuid.NewString()
	wantCode(t, v.put(token, "x", "AWSPENDING"), "")
	v.wantLabels(map[string]string{"AWSCURRENT": token, "AWSPENDING": token})
}

func TestAnAnnouncedVersionHasNoValueUntilItIsPut(t *testing.T) {
	clock := newClock()
	s := start(t, awstest.Options{Now: clock.Now})
	v := newVault(t, s, "prod/app")
	first := s.Labels("prod/app")["AWSCURRENT"]
	token, err := s.AnnounceVersion("prod/app")
	if err != nil {
		t.Fatal(err)
	}
	v.wantLabels(map[string]string{"AWSCURRENT": first, "AWSPENDING": token})
	_, err = v.get("AWSPENDING")
	wantCode(t, err, "ResourceNotFoundException")
	if _, err := s.AnnounceVersion("prod/app"); err == nil {
		t.Error("a second rotation began while the first is under way")
	}
	wantCode(t, v.put(token, "second", "AWSPENDING"), "")
	clock.Add(time.Hour)
	wantCode(t, v.move("AWSCURRENT", first, token), "")
	out := must[*sm.DescribeSecretOutput](t)(v.client.DescribeSecret(t.Context(), &sm.DescribeSecretInput{SecretId: &v.id}))
	if !*out.RotationEnabled || !out.LastRotatedDate.Equal(clock.Now()) {
		t.Errorf("rotation %v at %v, want at %v", *out.RotationEnabled, out.LastRotatedDate, clock.Now())
	}
}

func TestASecretIsFoundByNameAndARN(t *testing.T) {
	s := start(t, awstest.Options{})
	arn, _, err := s.CreateSecret("prod/app", "x")
	if err != nil {
		t.Fatal(err)
	}
	hyphen, _, err := s.CreateSecret("my-secret", "y")
	if err != nil {
		t.Fatal(err)
	}
	client := asRoot(s).secrets
	for _, test := range []struct{ name, id, want string }{
		{"by name", "prod/app", ""},
		{"by full ARN", arn, ""},
		{"by partial ARN", arn[:len(arn)-7], ""},
		{"not by another suffix", arn[:len(arn)-6] + "abcdef", "ResourceNotFoundException"},
		{"not by the name with the suffix", afterSecret(arn), "ResourceNotFoundException"},
		{"not by another region's ARN", strings.Replace(arn, "eu-", "us-", 1), "ResourceNotFoundException"},
		{"by full ARN though the name ends like a suffix", hyphen, ""},
		{"not by partial ARN if the name ends like a suffix", hyphen[:len(hyphen)-7], "ResourceNotFoundException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := client.GetSecretValue(t.Context(), &sm.GetSecretValueInput{SecretId: &test.id})
			wantCode(t, err, test.want)
		})
	}
}

func afterSecret(arn string) string { return arn[strings.Index(arn, ":secret:")+len(":secret:"):] }

func TestGetSecretValueByVersionAndLabel(t *testing.T) {
	clock := newClock()
	s := start(t, awstest.Options{Now: clock.Now})
	v := newVault(t, s, "prod/app")
	first := s.Labels("prod/app")["AWSCURRENT"]
	second := uuid.NewString()
	_, err := v.client.PutSecretValue(t.Context(), &sm.PutSecretValueInput{SecretId: &v.id, ClientRequestToken: &second, SecretBinary: []byte{0, 1, 255}})
	wantCode(t, err, "")
	for _, test := range []struct{ name, version, label, want, code string }{
		{"the default is current", "", "", second, ""},
		{"by version", first, "", first, ""},
		{"by label", "", "AWSPREVIOUS", first, ""},
		{"by both", first, "AWSPREVIOUS", first, ""},
		{"by a version and another's label", first, "AWSCURRENT", "", "InvalidRequestException"},
		{"by a version that is not there", uuid.NewString(), "", "", "ResourceNotFoundException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := &sm.GetSecretValueInput{SecretId: &v.id}
			if test.version != "" {
				in.VersionId = &test.version
			}
			if test.label != "" {
				in.VersionStage = &test.label
			}
			out, err := v.client.GetSecretValue(t.Context(), in)
			wantCode(t, err, test.code)
			if err == nil && *out.VersionId != test.want {
				t.Errorf("version %s, want %s", *out.VersionId, test.want)
			}
			if test.want == second && !slices.Equal(out.SecretBinary, []byte{0, 1, 255}) {
				t.Errorf("binary value %v", out.SecretBinary)
			}
		})
	}
	out := must[*sm.DescribeSecretOutput](t)(v.client.DescribeSecret(t.Context(), &sm.DescribeSecretInput{SecretId: &v.id}))
	if day := clock.Now().Truncate(24 * time.Hour); !out.LastAccessedDate.Equal(day) {
		t.Errorf("last accessed %v, want the day %v", out.LastAccessedDate, day)
	}
	if !out.CreatedDate.Equal(clock.Now()) || out.LastRotatedDate != nil || out.RotationEnabled != nil {
		t.Errorf("created %v, rotated %v, rotation %v", out.CreatedDate, out.LastRotatedDate, out.RotationEnabled)
	}
	if diff := cmp.Diff(map[string][]string{first: {"AWSPREVIOUS"}, second: {"AWSCURRENT"}}, out.VersionIdsToStages); diff != "" {
		t.Error(diff)
	}
}

func TestOldVersionsWithoutLabelsAreRemoved(t *testing.T) {
	clock := newClock()
	s := start(t, awstest.Options{Now: clock.Now})
	v := newVault(t, s, "prod/app")
	for i := range 99 {
		wantCode(t, v.put(uuid.NewString(), fmt.Sprint(i)), "")
	}
	wantCode(t, v.put(uuid.NewString(), "one too many today"), "LimitExceededException")
	clock.Add(24 * time.Hour)
	last := uuid.NewString()
	wantCode(t, v.put(last, "tomorrow"), "")
	state, _ := s.Secret("prod/app")
	if len(state.Versions) != 100 || state.Versions[99].ID != last {
		t.Errorf("%d versions, want 100 with %s as the last", len(state.Versions), last)
	}

	list := func(deprecated bool) (ids []string) {
		pages := sm.NewListSecretVersionIdsPaginator(v.client, &sm.ListSecretVersionIdsInput{
			SecretId: &v.id, IncludeDeprecated: &deprecated, MaxResults: aws.Int32(30),
		})
		for pages.HasMorePages() {
			for _, entry := range must[*sm.ListSecretVersionIdsOutput](t)(pages.NextPage(t.Context())).Versions {
				ids = append(ids, *entry.VersionId)
			}
		}
		return ids
	}
	var all []string
	for _, version := range state.Versions {
		all = append(all, version.ID)
	}
	if diff := cmp.Diff(all, list(true)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(all[98:], list(false)); diff != "" {
		t.Errorf("without the deprecated ones: %s", diff)
	}
}

func TestASecretIsDeletedAfterItsWindow(t *testing.T) {
	clock := newClock()
	s := start(t, awstest.Options{Now: clock.Now})
	v := newVault(t, s, "prod/app")
	remove := func(in *sm.DeleteSecretInput) (*sm.DeleteSecretOutput, error) {
		in.SecretId = &v.id
		return v.client.DeleteSecret(t.Context(), in)
	}
	_, err := remove(&sm.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(6)})
	wantCode(t, err, "InvalidParameterException")
	_, err = remove(&sm.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(7), ForceDeleteWithoutRecovery: aws.Bool(true)})
	wantCode(t, err, "InvalidParameterException")
	out := must[*sm.DeleteSecretOutput](t)(remove(&sm.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(7)}))
	if want := clock.Now().AddDate(0, 0, 7); !out.DeletionDate.Equal(want) {
		t.Errorf("deletion %v, want %v", out.DeletionDate, want)
	}
	_, err = v.get("AWSCURRENT")
	wantCode(t, err, "InvalidRequestException")
	wantCode(t, v.put(uuid.NewString(), "x"), "InvalidRequestException")
	_, err = v.client.CreateSecret(t.Context(), &sm.CreateSecretInput{Name: &v.id})
	wantCode(t, err, "InvalidRequestException")
	list := must[*sm.ListSecretsOutput](t)(v.client.ListSecrets(t.Context(), &sm.ListSecretsInput{}))
	planned := must[*sm.ListSecretsOutput](t)(v.client.ListSecrets(t.Context(), &sm.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true)}))
	if len(list.SecretList) != 0 || len(planned.SecretList) != 1 {
		t.Errorf("listed %d and with the planned deletions %d, want 0 and 1", len(list.SecretList), len(planned.SecretList))
	}

	must[*sm.RestoreSecretOutput](t)(v.client.RestoreSecret(t.Context(), &sm.RestoreSecretInput{SecretId: &v.id}))
	if got := must[string](t)(v.get("AWSCURRENT")); got != "first" {
		t.Errorf("restored %q", got)
	}
	must[*sm.DeleteSecretOutput](t)(remove(&sm.DeleteSecretInput{}))
	clock.Add(30 * 24 * time.Hour)
	_, err = v.client.DescribeSecret(t.Context(), &sm.DescribeSecretInput{SecretId: &v.id})
	wantCode(t, err, "ResourceNotFoundException")
	must[*sm.CreateSecretOutput](t)(v.client.CreateSecret(t.Context(), &sm.CreateSecretInput{Name: &v.id}))
	for range 2 { // deletion is immediate when forced, and forcing it again is a no-op
		must[*sm.DeleteSecretOutput](t)(remove(&sm.DeleteSecretInput{ForceDeleteWithoutRecovery: aws.Bool(true)}))
	}
	_, err = v.client.DescribeSecret(t.Context(), &sm.DescribeSecretInput{SecretId: &v.id})
	wantCode(t, err, "ResourceNotFoundException")
}

func TestSecretsAreListedByFilter(t *testing.T) {
	clock := newClock()
	s := start(t, awstest.Options{Now: clock.Now})
	client := asRoot(s).secrets
	for i, name := range []string{"prod/a", "prod/b", "test/a", "Prod/c"} {
		clock.Add(time.Second)
		must[*sm.CreateSecretOutput](t)(client.CreateSecret(t.Context(), &sm.CreateSecretInput{
			Name: &name, Description: aws.String("Number " + fmt.Sprint(i)), SecretString: aws.String("x"),
			Tags: []smtypes.Tag{{Key: aws.String("rota"), Value: aws.String(strings.ToLower(name[:1]))}},
		}))
	}
	must[*sm.TagResourceOutput](t)(client.TagResource(t.Context(), &sm.TagResourceInput{SecretId: aws.String("prod/b"), Tags: []smtypes.Tag{{Key: aws.String("rota"), Value: aws.String("hold")}}}))
	must[*sm.UntagResourceOutput](t)(client.UntagResource(t.Context(), &sm.UntagResourceInput{SecretId: aws.String("test/a"), TagKeys: []string{"rota"}}))
	by := func(key, value string) []smtypes.Filter {
		return []smtypes.Filter{{Key: smtypes.FilterNameStringType(key), Values: []string{value}}}
	}
	for _, test := range []struct {
		name    string
		filters []smtypes.Filter
		order   smtypes.SortOrderType
		want    []string
	}{
		{"all, in order of creation", nil, "", []string{"prod/a", "prod/b", "test/a", "Prod/c"}},
		{"the youngest first", nil, "desc", []string{"Prod/c", "test/a", "prod/b", "prod/a"}},
		{"by prefix of the name", by("name", "prod/"), "", []string{"prod/a", "prod/b"}},
		{"by another prefix", by("name", "!prod/"), "", []string{"test/a", "Prod/c"}},
		{"by description without regard to case", by("description", "number 2"), "", []string{"test/a"}},
		{"by the key of a tag", by("tag-key", "rota"), "", []string{"prod/a", "prod/b", "Prod/c"}},
		{"by the value of a tag", by("tag-value", "hold"), "", []string{"prod/b"}},
		{"by two filters", append(by("name", "prod/"), by("tag-value", "p")...), "", []string{"prod/a"}},
		{"by anything", by("all", "NUMBER 3"), "", []string{"Prod/c"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			pages := sm.NewListSecretsPaginator(client, &sm.ListSecretsInput{Filters: test.filters, SortOrder: test.order, MaxResults: aws.Int32(3)})
			for pages.HasMorePages() {
				for _, entry := range must[*sm.ListSecretsOutput](t)(pages.NextPage(t.Context())).SecretList {
					got = append(got, *entry.Name)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, err := client.ListSecrets(t.Context(), &sm.ListSecretsInput{NextToken: aws.String("x")})
	wantCode(t, err, "InvalidNextTokenException")
}

func TestUpdateSecretChangesWhatItIsGiven(t *testing.T) {
	s := start(t, awstest.Options{})
	v := newVault(t, s, "prod/app")
	first := s.Labels("prod/app")["AWSCURRENT"]
	must[*sm.UpdateSecretOutput](t)(v.client.UpdateSecret(t.Context(), &sm.UpdateSecretInput{SecretId: &v.id, Description: aws.String("new")}))
	v.wantLabels(map[string]string{"AWSCURRENT": first})
	out := must[*sm.UpdateSecretOutput](t)(v.client.UpdateSecret(t.Context(), &sm.UpdateSecretInput{SecretId: &v.id, SecretString: aws.String("second")}))
	v.wantLabels(map[string]string{"AWSCURRENT": *out.VersionId, "AWSPREVIOUS": first})
	if state, _ := s.Secret("prod/app"); state.Description != "new" {
		t.Errorf("description %q", state.Description)
	}
	if text, ok := s.SecretText("prod/app", "AWSPREVIOUS"); !ok || text != "first" {
		t.Errorf("previous text %q", text)
	}
	_, err := v.client.CreateSecret(t.Context(), &sm.CreateSecretInput{Name: &v.id, SecretString: aws.String("x")})
	wantCode(t, err, "ResourceExistsException")
	again := must[*sm.CreateSecretOutput](t)(v.client.CreateSecret(t.Context(), &sm.CreateSecretInput{Name: &v.id, SecretString: aws.String("first"), ClientRequestToken: &first}))
	if *again.VersionId != first {
		t.Errorf("the same creation again is version %s, want %s", *again.VersionId, first)
	}
	_, err = v.client.RotateSecret(t.Context(), &sm.RotateSecretInput{SecretId: &v.id})
	wantCode(t, err, "InvalidRequestException") // it has no rotation function
}
