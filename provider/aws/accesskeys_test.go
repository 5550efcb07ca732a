package aws

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

// create makes a key or ends the test.
func create(t *testing.T, k *accessKeys) rota.Credential {
	t.Helper()
	c, err := k.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// refusal checks an error's class and kind.
func refusal(t *testing.T, err error, class rota.Class, is error) {
	t.Helper()
	switch {
	case err == nil:
		t.Fatal("it went well")
	case rota.ClassOf(err) != class:
		t.Errorf("class %s, want %s: %v", rota.ClassOf(err), class, err)
	case is != nil && !errors.Is(err, is):
		t.Errorf("want %q, got %v", is, err)
	}
}

func TestCreateIsSentOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault awstest.Fault
		keys  int
	}{
		{"the reply is lost", awstest.Fault{DropReply: true}, 1},
		{"the server fails after it acted", awstest.Fault{FailAfter: "ServiceFailure"}, 1},
		{"the server fails before it acts", awstest.Fault{FailBefore: "ServiceFailure"}, 0},
		{"throttled", awstest.Fault{FailBefore: "Throttling"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := startAWSTest(t, awstest.Options{})
			k := e.issuer(t)
			e.onNext("CreateAccessKey", 1, c.fault)
			_, err := k.Create(t.Context(), rota.CreateRequest{})
			refusal(t, err, rota.ClassWait, nil)
			if keys := e.server.Keys(k.user); len(keys) != c.keys {
				t.Errorf("the user has %d keys, want %d", len(keys), c.keys)
			}
			if n := strings.Count(e.actions(), "CreateAccessKey"); n != 1 {
				t.Errorf("it was sent %d times", n)
			}
		})
	}
}

func TestLimitOfKeysIsForAPersonToMend(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		k := e.issuer(t)
		create(t, k)
		create(t, k)
		_, err := k.Create(t.Context(), rota.CreateRequest{})
		refusal(t, err, rota.ClassStop, rota.ErrLimit)
	})
}

func TestKeyOfSomebodyElseIsNotRefusedButStopped(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		mine, theirs := e.issuer(t), e.issuer(t)
		err := mine.Test(t.Context(), rota.TestRequest{Credential: create(t, theirs)})
		refusal(t, err, rota.ClassStop, nil)
		if errors.Is(err, rota.ErrRefused) || !strings.Contains(err.Error(), theirs.user) {
			t.Errorf("the error does not say whose key it is: %v", err)
		}
	})
}

func TestNewKeyIsRefusedUntilItIsKnownEverywhere(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	warm(t, e)
	k := e.issuer(t)
	e.server.SetPropagation(3)
	c := create(t, k)
	for range 3 {
		refusal(t, k.Test(t.Context(), rota.TestRequest{Credential: c}), rota.ClassWait, rota.ErrRefused)
	}
	successes := 0
	for range 40 { // some more are refused at random, as at AWS
		err := k.Test(t.Context(), rota.TestRequest{Credential: c})
		if err == nil {
			successes++
		} else {
			refusal(t, err, rota.ClassWait, rota.ErrRefused)
		}
	}
	if successes < 30 {
		t.Errorf("only %d of 40 logins went well", successes)
	}
}

func TestThrottledLoginIsNoRefusal(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	warm(t, e)
	k := e.issuer(t)
	c := create(t, k)
	e.onNext("GetCallerIdentity", attempts, awstest.Fault{FailBefore: "Throttling"})
	err := k.Test(t.Context(), rota.TestRequest{Credential: c})
	refusal(t, err, rota.ClassWait, nil)
	if errors.Is(err, rota.ErrRefused) {
		t.Errorf("taken for a refusal: %v", err)
	}
}

func TestListBehindADeactivationDelaysTheDelete(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	k := e.issuer(t)
	retire := rota.RetireRequest{CredentialID: k.CredentialID(create(t, k))}
	if err := k.Deactivate(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	e.onNext("ListAccessKeys", 1, awstest.Fault{Stale: true})
	refusal(t, k.Delete(t.Context(), retire), rota.ClassWait, rota.ErrConflict)
	if strings.Contains(e.actions(), "DeleteAccessKey") {
		t.Error("a delete was sent for a key that looked active")
	}
	if err := k.Delete(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	if keys := e.server.Keys(k.user); len(keys) != 0 {
		t.Errorf("left: %v", keys)
	}
}

func TestDeleteWhoseReplyWasLostIsDone(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	k := e.issuer(t)
	retire := rota.RetireRequest{CredentialID: k.CredentialID(create(t, k))}
	if err := k.Deactivate(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	e.onNext("DeleteAccessKey", 1, awstest.Fault{DropReply: true})
	if err := k.Delete(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
}

func TestLastUse(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	k := e.issuer(t)
	id := k.CredentialID(create(t, k))
	at := time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		name            string
		at              time.Time
		service, region string
		want            rota.Use
	}{
		{"a key that was never used", time.Time{}, "", "", rota.Use{Evidence: rota.EvidenceRecorded}},
		{"a use of a service in a region", at, "s3", "eu-central-1", rota.Use{Evidence: rota.EvidenceRecorded, At: at, Detail: "s3 in eu-central-1"}},
		{"a use without a region", at, "iam", "N/A", rota.Use{Evidence: rota.EvidenceRecorded, At: at, Detail: "iam"}},
		{"a use of nothing that is known", at, "N/A", "N/A", rota.Use{Evidence: rota.EvidenceRecorded, At: at}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.server.SetLastUsed(id, c.at, c.service, c.region)
			got, err := k.LastUsed(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("an unknown key is an error, not a key that was never used", func(t *testing.T) {
		use, err := k.LastUsed(t.Context(), "AKIA0000000000000000")
		refusal(t, err, rota.ClassStop, nil)
		if use.Evidence != rota.EvidenceUnknown {
			t.Errorf("evidence %q", use.Evidence)
		}
	})
	t.Run("another user's key is an error", func(t *testing.T) {
		_, err := e.issuer(t).LastUsed(t.Context(), id)
		refusal(t, err, rota.ClassStop, nil)
	})
}

func TestWithoutUserNothingIsCalled(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	k := e.AccessKeys(AccessKeysConfig{}).(*accessKeys)
	retire := rota.RetireRequest{CredentialID: "AKIA0000000000000000"}
	ctx := t.Context()
	_, err := k.Create(ctx, rota.CreateRequest{})
	refusal(t, err, rota.ClassStop, nil)
	_, err = k.List(ctx)
	refusal(t, err, rota.ClassStop, nil)
	_, err = k.LastUsed(ctx, "AKIA0000000000000000")
	refusal(t, err, rota.ClassStop, nil)
	refusal(t, k.Test(ctx, rota.TestRequest{Credential: key(1)}), rota.ClassStop, nil)
	refusal(t, k.Deactivate(ctx, retire), rota.ClassStop, nil)
	refusal(t, k.Reactivate(ctx, retire), rota.ClassStop, nil)
	refusal(t, k.Delete(ctx, retire), rota.ClassStop, nil)
	if calls := e.actions(); calls != "" {
		t.Errorf("called: %s", calls)
	}
}

func TestDeniedNamesTheMissingAction(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		poor := e.issuer(t)
		c := create(t, poor)
		asPoor := e.connect(t, Config{AccessKeyID: c.Field(rota.FieldAccessKeyID), SecretAccessKey: c.Field(rota.FieldSecretAccessKey)})
		k := asPoor.AccessKeys(AccessKeysConfig{User: poor.user})
		_, err := k.Create(t.Context(), rota.CreateRequest{})
		refusal(t, err, rota.ClassStop, nil)
		if r, ok := errors.AsType[*rota.Error](err); !ok || !strings.Contains(rota.Hint(r.Remedies), "iam:CreateAccessKey") {
			t.Errorf("the hint lacks the action: %v", err)
		}
	})
}

// finding is the finding about something.
func finding(t *testing.T, findings []rota.Finding, check string) rota.Finding {
	t.Helper()
	for _, f := range findings {
		if strings.HasPrefix(f.Check, check) {
			return f
		}
	}
	t.Fatalf("no finding %q in %+v", check, findings)
	return rota.Finding{}
}

func TestAccessKeysPreflight(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		k := e.issuer(t)
		for _, check := range []string{"who Rota is", "clock", "user " + k.user, "access keys of"} {
			if f := finding(t, k.Preflight(t.Context()), check); !f.OK {
				t.Errorf("%+v", f)
			}
		}
		create(t, k)
		create(t, k)
		if f := finding(t, k.Preflight(t.Context()), "access keys of"); !f.OK || !strings.Contains(f.Detail, "2 of 2") {
			t.Errorf("two keys, and preflight says %+v", f)
		}
		ghost := e.AccessKeys(AccessKeysConfig{User: "ghost"}).(*accessKeys)
		findings := ghost.Preflight(t.Context())
		if f := finding(t, findings, "user ghost"); f.OK || f.Warning || !strings.Contains(rota.Hint(f.Remedies), "create-user --user-name ghost") {
			t.Errorf("no such user, and preflight says %+v", f)
		}
		if last := findings[len(findings)-1]; last.Check != "user ghost" {
			t.Errorf("it goes on with %+v", last)
		}
	})
}
