package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"rota"
	"rota/provider/aws/awstest"
)

func TestConfigIsCheckedBeforeAnyCall(t *testing.T) {
	isolate(t)
	for _, c := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no region", Config{}, "no region"},
		{"half a key", Config{Region: region, AccessKeyID: "AKIA"}, "go together"},
		{"an external id without a role", Config{Region: region, ExternalID: "x"}, "role_arn"},
		{"a profile that does not exist", Config{Region: region, Profile: "nobody"}, "nobody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := New(t.Context(), "main", c.cfg); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "aws main") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestConnectingCallsNothing(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	e.connect(t, Config{AccessKeyID: e.id, SecretAccessKey: e.secret, RoleARN: "arn:aws:iam::111122223333:role/rota"})
	if calls := e.actions(); calls != "" {
		t.Errorf("called: %s", calls)
	}
}

func TestAssumedRole(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	arn := e.server.CreateRole("rota", "iam:ListAccessKeys")
	user := e.user(t)
	role := e.connect(t, Config{AccessKeyID: e.id, SecretAccessKey: e.secret, RoleARN: arn, SessionName: "night"})
	k := role.AccessKeys(AccessKeysConfig{User: user}).(*accessKeys)
	if _, err := k.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := k.Create(t.Context(), rota.CreateRequest{})
	refusal(t, err, rota.Stop, nil)
	if f := finding(t, k.Preflight(t.Context()), "who Rota is"); !strings.HasSuffix(f.Detail, "assumed-role/rota/night") {
		t.Errorf("%+v", f)
	}
	if f := finding(t, k.Preflight(t.Context()), "permissions"); !f.Warning || !strings.Contains(f.Hint, arn) {
		t.Errorf("no policy simulator, and preflight says %+v", f)
	}

	ghost := e.connect(t, Config{AccessKeyID: e.id, SecretAccessKey: e.secret, RoleARN: arn + "-ghost"})
	_, err = ghost.AccessKeys(AccessKeysConfig{User: user}).(*accessKeys).List(t.Context())
	refusal(t, err, rota.Stop, nil)
	if r, ok := errors.AsType[*rota.Error](err); !ok || !strings.Contains(r.Hint, "sts:AssumeRole") {
		t.Errorf("the hint does not name the call that was denied: %v", err)
	}
}

func TestIdentities(t *testing.T) {
	for _, c := range []struct {
		arn, account, user string
		is                 bool
		principal          string
	}{
		{"arn:aws:iam::111122223333:user/ci", "111122223333", "ci", true, "arn:aws:iam::111122223333:user/ci"},
		{"arn:aws:iam::111122223333:user/a/b/ci", "111122223333", "CI", true, "arn:aws:iam::111122223333:user/a/b/ci"},
		{"arn:aws-cn:iam::111122223333:user/ci", "111122223333", "ci", true, "arn:aws-cn:iam::111122223333:user/ci"},
		{"arn:aws:iam::111122223333:user/xci", "111122223333", "ci", false, "arn:aws:iam::111122223333:user/xci"},
		{"arn:aws:iam::444455556666:user/ci", "111122223333", "ci", false, "arn:aws:iam::444455556666:user/ci"},
		{"arn:aws:sts::111122223333:assumed-role/ops/ci", "111122223333", "ci", false, "arn:aws:iam::111122223333:role/ops"},
		{"arn:aws:iam::111122223333:root", "111122223333", "root", false, ""},
		{"arn:aws:sts::111122223333:federated-user/ci", "111122223333", "ci", false, ""},
		{"", "", "", false, ""},
		{"user/ci", "", "ci", false, ""},
	} {
		t.Run(fmt.Sprintf("%s as %s", c.arn, c.user), func(t *testing.T) {
			who := identity{arn: c.arn}
			if got := who.isUser(c.account, c.user); got != c.is {
				t.Errorf("is the user: %v", got)
			}
			if got := who.principal(); got != c.principal {
				t.Errorf("principal %q, want %q", got, c.principal)
			}
		})
	}
}

func TestBudget(t *testing.T) {
	b := newBudget()
	for _, c := range []struct {
		service, operation string
		want               *rate.Limiter
	}{
		{"IAM", "CreateAccessKey", b.iam},
		{"Secrets Manager", "PutSecretValue", b.secretWrites},
		{"Secrets Manager", "UpdateSecretVersionStage", b.secretWrites},
		{"Secrets Manager", "CreateSecret", b.secretWrites},
		{"Secrets Manager", "ListSecretVersionIds", b.secretLists},
		{"Secrets Manager", "GetSecretValue", nil},
		{"Secrets Manager", "DescribeSecret", nil},
		{"SNS", "Publish", b.sns},
		{"STS", "GetCallerIdentity", nil},
	} {
		if got := b.bucket(c.service, c.operation); got != c.want {
			t.Errorf("%s:%s draws on the wrong bucket", c.service, c.operation)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		bucket := newBudget().secretWrites
		begin := time.Now()
		for range 10 * secretWritesPerSecond {
			if err := bucket.Wait(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		// The first second's worth is free.
		if took := time.Since(begin); took < 9*time.Second-time.Millisecond {
			t.Errorf("ten seconds' worth of writes took %s", took)
		}
	})
}

func TestAllSecretsOfAConnectionShareTheBudget(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	e.budget.secretWrites.SetLimit(0)
	e.budget.secretWrites.SetBurst(2)
	put(t, e.store(rota.FieldMap{}), key(1)) // one write creates the secret, one puts the version
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := e.store(rota.FieldMap{}).Put(ctx, rota.PutRequest{Version: rota.NewVersionID(), Credential: key(2), Labels: []rota.Label{rota.Pending}})
	refusal(t, err, rota.Wait, nil)
	if n := strings.Count(e.actions(), "CreateSecret"); n != 1 {
		t.Errorf("a call was made beyond the budget: %s", e.actions())
	}
}
