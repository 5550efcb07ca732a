package awstest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

func TestAnAccessKeysLife(t *testing.T) {
	clock := newClock()
	s := start(t, awstest.Options{Now: clock.Now})
	root := asRoot(s)
	app := aws.String("app")
	must[*iam.CreateUserOutput](t)(root.iam.CreateUser(t.Context(), &iam.CreateUserInput{UserName: app}))
	create := func() (*iam.CreateAccessKeyOutput, error) {
		return root.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: app})
	}
	first := must[*iam.CreateAccessKeyOutput](t)(create()).AccessKey
	if !first.CreateDate.Equal(clock.Now()) || first.Status != iamtypes.StatusTypeActive || *first.UserName != "app" {
		t.Errorf("the new key is %+v", first)
	}
	if !s.Valid(*first.AccessKeyId, *first.SecretAccessKey) || s.Valid(*first.AccessKeyId, "no") {
		t.Error("Valid does not tell the key's secret from another")
	}
	clock.Add(time.Hour)
	second := must[*iam.CreateAccessKeyOutput](t)(create()).AccessKey
	must[*iam.UpdateAccessKeyOutput](t)(root.iam.UpdateAccessKey(t.Context(), &iam.UpdateAccessKeyInput{
		UserName: app, AccessKeyId: first.AccessKeyId, Status: iamtypes.StatusTypeInactive,
	}))
	_, err := create()
	wantCode(t, err, "LimitExceeded") // inactive keys count too
	want := []awstest.Key{
		{ID: *first.AccessKeyId, Status: "Inactive", Created: clock.Now().Add(-time.Hour)},
		{ID: *second.AccessKeyId, Status: "Active", Created: clock.Now()},
	}
	if diff := cmp.Diff(want, s.Keys("app")); diff != "" {
		t.Error(diff)
	}
	_, err = root.iam.DeleteUser(t.Context(), &iam.DeleteUserInput{UserName: app})
	wantCode(t, err, "DeleteConflict")
	for _, k := range []*iamtypes.AccessKey{first, second} {
		must[*iam.DeleteAccessKeyOutput](t)(root.iam.DeleteAccessKey(t.Context(), &iam.DeleteAccessKeyInput{UserName: app, AccessKeyId: k.AccessKeyId}))
	}
	if s.Valid(*second.AccessKeyId, *second.SecretAccessKey) {
		t.Error("a deleted key is still valid")
	}
	must[*iam.DeleteUserOutput](t)(root.iam.DeleteUser(t.Context(), &iam.DeleteUserInput{UserName: app}))
	_, err = root.iam.GetUser(t.Context(), &iam.GetUserInput{UserName: app})
	wantCode(t, err, "NoSuchEntity")
}

func TestWhatIAMRefuses(t *testing.T) {
	s := start(t, awstest.Options{})
	root := asRoot(s)
	s.CreateUser("app")
	_, otherKey := asUser(t, s, "other")
	app := aws.String("app")
	for _, test := range []struct {
		name string
		call func() error
		want string
	}{
		{"a user that exists", func() error {
			_, err := root.iam.CreateUser(t.Context(), &iam.CreateUserInput{UserName: app})
			return err
		}, "EntityAlreadyExists"},
		{"a name with a blank", func() error {
			_, err := root.iam.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("a b")})
			return err
		}, "ValidationError"},
		{"a key for nobody", func() error {
			_, err := root.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("nobody")})
			return err
		}, "NoSuchEntity"},
		{"a key for the root itself", func() error {
			_, err := root.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{})
			return err
		}, "ValidationError"},
		{"the deletion of another user's key", func() error {
			_, err := root.iam.DeleteAccessKey(t.Context(), &iam.DeleteAccessKeyInput{UserName: app, AccessKeyId: &otherKey})
			return err
		}, "NoSuchEntity"},
		{"an unknown status", func() error {
			_, err := root.iam.UpdateAccessKey(t.Context(), &iam.UpdateAccessKeyInput{UserName: aws.String("other"), AccessKeyId: &otherKey, Status: "Sleepy"})
			return err
		}, "ValidationError"},
		{"a marker it did not give", func() error {
			_, err := root.iam.ListUsers(t.Context(), &iam.ListUsersInput{Marker: aws.String("x")})
			return err
		}, "ValidationError"},
		{"an action it does not have", func() error {
			_, err := root.iam.ListGroups(t.Context(), &iam.ListGroupsInput{})
			return err
		}, "InvalidAction"},
	} {
		t.Run(test.name, func(t *testing.T) { wantCode(t, test.call(), test.want) })
	}
}

func TestAUserWithoutANameIsTheCaller(t *testing.T) {
	s := start(t, awstest.Options{})
	app, id := asUser(t, s, "app")
	s.Allow("app", "iam:*")
	out := must[*iam.ListAccessKeysOutput](t)(app.iam.ListAccessKeys(t.Context(), &iam.ListAccessKeysInput{}))
	if len(out.AccessKeyMetadata) != 1 || *out.AccessKeyMetadata[0].AccessKeyId != id {
		t.Errorf("keys %+v, want the caller's own %s", out.AccessKeyMetadata, id)
	}
	user := must[*iam.GetUserOutput](t)(app.iam.GetUser(t.Context(), &iam.GetUserInput{})).User
	if want := "arn:aws:iam::111122223333:user/app"; *user.Arn != want {
		t.Errorf("arn %s, want %s", *user.Arn, want)
	}
}

func TestListsComeInPages(t *testing.T) {
	s := start(t, awstest.Options{})
	var want []string
	for i := range 7 {
		want = append(want, fmt.Sprintf("user-%d", i))
		s.CreateUser(want[i])
	}
	root := asRoot(s)
	var got []string
	pages := iam.NewListUsersPaginator(root.iam, &iam.ListUsersInput{MaxItems: aws.Int32(3)})
	for pages.HasMorePages() {
		page := must[*iam.ListUsersOutput](t)(pages.NextPage(t.Context()))
		if len(page.Users) > 3 {
			t.Errorf("a page of %d", len(page.Users))
		}
		for _, u := range page.Users {
			got = append(got, *u.UserName)
		}
		if len(got) == 3 { // deleting a listed user must not skip an unlisted one
			must[*iam.DeleteUserOutput](t)(root.iam.DeleteUser(t.Context(), &iam.DeleteUserInput{UserName: aws.String("user-1")}))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	var ids []string
	for range 2 {
		id, _, err := s.CreateAccessKey("user-0")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	keys := iam.NewListAccessKeysPaginator(root.iam, &iam.ListAccessKeysInput{UserName: aws.String("user-0"), MaxItems: aws.Int32(1)})
	for keys.HasMorePages() {
		page := must[*iam.ListAccessKeysOutput](t)(keys.NextPage(t.Context()))
		if len(page.AccessKeyMetadata) != 1 || *page.AccessKeyMetadata[0].AccessKeyId != ids[0] {
			t.Fatalf("page %+v, want %s", page.AccessKeyMetadata, ids[0])
		}
		ids = slices.Delete(ids, 0, 1)
	}
	if len(ids) != 0 {
		t.Errorf("not listed: %v", ids)
	}
}
