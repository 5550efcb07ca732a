package awscredentials_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/smithy-go"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/awscredentials"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

const name = "prod/orders-aws"

func key(id string) map[string]string {
	return map[string]string{"access_key_id": id, "secret_access_key": "secret of " + id}
}

func secret(t *testing.T, source client.Source) *client.Secret {
	t.Helper()
	c, err := client.Open(client.Options{Source: source, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.Secret(name)
}

// The SDK keeps what it gets until it expires, and then it has the new key.
func TestTheSDKsCacheComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := clienttest.NewSource()
		source.Set(name, key("AKIDONE"))
		cache := aws.NewCredentialsCache(awscredentials.New(secret(t, source), awscredentials.Options{}))
		retrieve := func() string {
			t.Helper()
			c, err := cache.Retrieve(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return c.AccessKeyID + " " + c.SecretAccessKey
		}
		if got := retrieve(); got != "AKIDONE secret of AKIDONE" {
			t.Fatal(got)
		}
		source.Set(name, key("AKIDTWO"))
		synctest.Wait()
		if got := retrieve(); !strings.HasPrefix(got, "AKIDONE") {
			t.Errorf("the cache already has %s", got)
		}
		time.Sleep(time.Minute)
		if got := retrieve(); got != "AKIDTWO secret of AKIDTWO" {
			t.Errorf("after a minute it still has %s", got)
		}
	})
}

// A role session says itself when it ends.
func TestASessionEndsWhenItSaysSo(t *testing.T) {
	end := time.Now().Add(20 * time.Second).UTC().Truncate(time.Second)
	fields := key("ASIAONE")
	fields["session_token"], fields["expiration"] = "token", end.Format(time.RFC3339)
	s := secret(t, client.Static{name: client.NewValue("v1", fields)})
	c, err := awscredentials.New(s, awscredentials.Options{}).Retrieve(t.Context())
	if err != nil || c.SessionToken != "token" || !c.CanExpire || !c.Expires.Equal(end) {
		t.Errorf("expires %s, %v", c.Expires, err)
	}
}

func TestASecretThatIsNoKey(t *testing.T) {
	s := secret(t, client.Static{name: client.NewValue("v1", map[string]string{"password": "canary"})})
	_, err := awscredentials.New(s, awscredentials.Options{}).Retrieve(t.Context())
	if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "access_key_id") {
		t.Errorf("%v", err)
	}
	if _, err := awscredentials.New(secret(t, client.Static{}), awscredentials.Options{}).Retrieve(t.Context()); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a secret that isn't there: %v", err)
	}
}

// With AWS's own client, against an AWS that refuses keys that were deleted.
func TestRequestsGoOnThroughRotations(t *testing.T) {
	server, err := awstest.New(awstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	server.CreateUser("orders")
	server.Allow("orders", "iam:ListAccessKeys")
	as := func(p aws.CredentialsProvider) *iam.Client {
		return iam.New(iam.Options{BaseEndpoint: aws.String(server.URL()), Region: server.Region(), Credentials: p})
	}
	id, word := server.RootCredentials()
	root, user := as(credentials.NewStaticCredentialsProvider(id, word, "")), aws.String("orders")
	source := clienttest.NewSource()
	create := func() string {
		t.Helper()
		id, word, err := server.CreateAccessKey("orders")
		if err != nil {
			t.Fatal(err)
		}
		source.Set(name, map[string]string{"access_key_id": id, "secret_access_key": word})
		return id
	}
	remove := func(id string) {
		t.Helper()
		if _, err := root.DeleteAccessKey(t.Context(), &iam.DeleteAccessKeyInput{UserName: user, AccessKeyId: aws.String(id)}); err != nil {
			t.Fatal(err)
		}
	}
	old := create()
	s := secret(t, source)
	asks := as(awscredentials.New(s, awscredentials.Options{}))
	for round := range 5 {
		if _, err := asks.ListAccessKeys(t.Context(), &iam.ListAccessKeysInput{UserName: user}); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		next := create()
		wait(t, func() bool { return s.Status().Version == fmt.Sprintf("v%d", round+2) })
		remove(old)
		old = next
	}
	remove(old) // under the program
	if _, err := asks.ListAccessKeys(t.Context(), &iam.ListAccessKeysInput{UserName: user}); !awscredentials.Refused(err) {
		t.Errorf("a deleted key: %v", err)
	}
}

func wait(t *testing.T, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatal("it never happened")
		case <-tick.C:
		}
	}
}

func TestWhatCountsAsARefusal(t *testing.T) {
	for code, want := range map[string]bool{"InvalidClientTokenId": true, "ExpiredToken": true, "AccessDenied": false, "ThrottlingException": false} {
		if got := awscredentials.Refused(fmt.Errorf("list: %w", &smithy.GenericAPIError{Code: code})); got != want {
			t.Errorf("%s: %v", code, got)
		}
	}
	if awscredentials.Refused(nil) || awscredentials.Refused(errors.New("InvalidClientTokenId")) {
		t.Error("something else counts as a refusal")
	}
}
