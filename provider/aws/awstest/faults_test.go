package awstest_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

func TestFaultsAroundCreateAccessKey(t *testing.T) {
	for _, test := range []struct {
		name   string
		fault  awstest.Fault
		want   string // error code, or "EOF" for a cut connection
		keys   int    // the number of keys afterwards
		status int
	}{
		{"no fault", awstest.Fault{}, "", 1, 0},
		{"failing before acting leaves nothing", awstest.Fault{FailBefore: "ServiceFailure"}, "ServiceFailure", 0, 500},
		{"failing after acting leaves an orphan", awstest.Fault{FailAfter: "ServiceFailure", Status: 503}, "ServiceFailure", 1, 503},
		{"a dropped reply leaves an orphan", awstest.Fault{DropReply: true}, "EOF", 1, 0},
		{"a lost request leaves nothing", awstest.Fault{FailBefore: "Throttling", DropReply: true}, "EOF", 0, 0},
		{"a doubled request makes two keys", awstest.Fault{Repeat: true}, "", 2, 0},
		{"a delayed request acts all the same", awstest.Fault{Delay: time.Millisecond}, "", 1, 0},
		{"throttling is a client's fault", awstest.Fault{FailBefore: "Throttling"}, "Throttling", 0, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, awstest.Options{})
			s.CreateUser("app")
			var seen []awstest.Call
			after := -1
			test.fault.After = func() { after = len(s.Keys("app")) }
			s.SetFaults(func(c awstest.Call) awstest.Fault {
				seen = append(seen, c)
				return test.fault
			})
			_, err := asRoot(s).iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("app")})
			if test.want == "EOF" {
				if !errors.Is(err, io.EOF) {
					t.Errorf("error %v, want an EOF", err)
				}
			} else {
				wantCode(t, err, test.want)
			}
			if response, ok := errors.AsType[interface {
				error
				HTTPStatusCode() int
			}](err); ok && response.HTTPStatusCode() != test.status {
				t.Errorf("status %d, want %d", response.HTTPStatusCode(), test.status)
			}
			if n := len(s.Keys("app")); n != test.keys || after != test.keys {
				t.Errorf("%d keys, and %d when After was called; want %d", n, after, test.keys)
			}
			id, _ := s.RootCredentials()
			want := []awstest.Call{{N: 1, Service: "iam", Action: "CreateAccessKey", KeyID: id, Resource: "app"}}
			if diff := cmp.Diff(want, seen, cmpopts.IgnoreFields(awstest.Call{}, "Time")); diff != "" {
				t.Error(diff)
			}
			if test.want != "EOF" {
				want[0].Error = test.want
			} else {
				want[0].Error, want[0].Dropped = test.fault.FailBefore, true
			}
			if diff := cmp.Diff(want, s.Calls(), cmpopts.IgnoreFields(awstest.Call{}, "Time")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestADelayedCallActsAfterItsClientHasGone(t *testing.T) {
	s := start(t, awstest.Options{})
	s.CreateUser("app")
	acted := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	s.SetFaults(func(awstest.Call) awstest.Fault {
		cancel()
		return awstest.Fault{Delay: 20 * time.Millisecond, After: func() { close(acted) }}
	})
	_, err := asRoot(s).iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("app")})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want a cancellation", err)
	}
	<-acted
	if n := len(s.Keys("app")); n != 1 {
		t.Errorf("%d keys, want 1", n)
	}
}

func TestCloseEndsADelay(t *testing.T) {
	s := start(t, awstest.Options{})
	asked := make(chan struct{})
	s.SetFaults(func(awstest.Call) awstest.Fault {
		close(asked)
		return awstest.Fault{Delay: time.Hour}
	})
	failed := make(chan error)
	go func() {
		_, err := asRoot(s).iam.ListUsers(t.Context(), &iam.ListUsersInput{})
		failed <- err
	}()
	<-asked
	s.Close()
	if err := <-failed; err == nil {
		t.Error("the call succeeded on a closed server")
	}
	s.Close() // again
}

func TestStaleReadsShowTheStateBeforeTheLastWrite(t *testing.T) {
	s := start(t, awstest.Options{})
	s.CreateUser("app")
	s.CreateUser("other")
	_, first, err := s.CreateSecret("prod/app", "one")
	if err != nil {
		t.Fatal(err)
	}
	root := asRoot(s)
	key := must[*iam.CreateAccessKeyOutput](t)(root.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("app")})).AccessKey
	must[*iam.CreateAccessKeyOutput](t)(root.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("app")}))
	must[*secretsmanager.PutSecretValueOutput](t)(root.secrets.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("prod/app"), SecretString: aws.String("two")}))
	s.CreateTopic("alerts")

	stale := true
	s.SetFaults(func(awstest.Call) awstest.Fault { return awstest.Fault{Stale: stale} })
	keys := must[*iam.ListAccessKeysOutput](t)(root.iam.ListAccessKeys(t.Context(), &iam.ListAccessKeysInput{UserName: aws.String("app")})).AccessKeyMetadata
	if len(keys) != 1 || *keys[0].AccessKeyId != *key.AccessKeyId {
		t.Errorf("stale keys %+v, want the first only", keys)
	}
	_, err = root.iam.GetUser(t.Context(), &iam.GetUserInput{UserName: aws.String("other")})
	wantCode(t, err, "NoSuchEntity") // its only write was its creation, so a stale read doesn't see it
	users := must[*iam.ListUsersOutput](t)(root.iam.ListUsers(t.Context(), &iam.ListUsersInput{})).Users
	if len(users) != 2 {
		t.Errorf("%d stale users, want 2: the last write was to the keys of one", len(users))
	}
	value := must[*secretsmanager.GetSecretValueOutput](t)(root.secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("prod/app")}))
	if *value.SecretString != "one" || *value.VersionId != first {
		t.Errorf("stale value of version %s, want %s", *value.VersionId, first)
	}
	topics := must[*sns.ListTopicsOutput](t)(root.sns.ListTopics(t.Context(), &sns.ListTopicsInput{})).Topics
	if len(topics) != 0 {
		t.Errorf("stale topics %v, want none", topics)
	}
	// A write is never stale: the limit counts the keys that actually exist.
	_, err = root.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("app")})
	wantCode(t, err, "LimitExceeded")

	stale = false
	value = must[*secretsmanager.GetSecretValueOutput](t)(root.secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("prod/app")}))
	if *value.SecretString != "two" {
		t.Error("the value is stale without a fault")
	}
}

func TestTheRecordOfCallsNamesThings(t *testing.T) {
	clock := newClock()
	s := start(t, awstest.Options{Now: clock.Now})
	arn, version, err := s.CreateSecret("prod/app", "hush")
	if err != nil {
		t.Fatal(err)
	}
	_, keyID := asUser(t, s, "app")
	root := asRoot(s)
	_, err = root.secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &arn, VersionStage: aws.String("AWSPENDING")})
	wantCode(t, err, "ResourceNotFoundException")
	must[*secretsmanager.PutSecretValueOutput](t)(root.secrets.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String("prod/app"), ClientRequestToken: &version, SecretString: aws.String("hush"), VersionStages: []string{"AWSPENDING"},
	}))
	must[*iam.GetAccessKeyLastUsedOutput](t)(root.iam.GetAccessKeyLastUsed(t.Context(), &iam.GetAccessKeyLastUsedInput{AccessKeyId: &keyID}))
	id, _ := s.RootCredentials()
	want := []awstest.Call{
		{N: 1, Time: clock.Now(), Service: "secretsmanager", Action: "GetSecretValue", KeyID: id, Resource: "prod/app", Detail: "AWSPENDING", Error: "ResourceNotFoundException"},
		{N: 2, Time: clock.Now(), Service: "secretsmanager", Action: "PutSecretValue", KeyID: id, Resource: "prod/app", Detail: "AWSPENDING", Version: version},
		{N: 3, Time: clock.Now(), Service: "iam", Action: "GetAccessKeyLastUsed", KeyID: id, Resource: "app", Detail: keyID},
	}
	if diff := cmp.Diff(want, s.Calls()); diff != "" {
		t.Error(diff)
	}
	s.ResetCalls()
	if calls := s.Calls(); len(calls) != 0 {
		t.Errorf("%d calls after a reset", len(calls))
	}
}
