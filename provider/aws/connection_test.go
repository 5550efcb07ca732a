package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/aws/awstest"
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
			if _, err := New(t.Context(), "main", c.cfg); err == nil || !strings.Contains(hint.Text(err), c.want) || !strings.Contains(err.Error(), "aws main") {
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
	refusal(t, err, rota.ClassStop, nil)
	if f := finding(t, k.Preflight(t.Context()), "who Rota is"); f.Detail != "arn:aws:sts::111122223333:assumed-role/rota/night, logged in by the access key of the connection in rota.yaml and the role "+arn {
		t.Errorf("%+v", f)
	}
	if f := finding(t, k.Preflight(t.Context()), "permissions"); !f.Warning || !strings.Contains(rota.Hint(f.Remedies), arn) {
		t.Errorf("no policy simulator, and preflight says %+v", f)
	}

	ghost := e.connect(t, Config{AccessKeyID: e.id, SecretAccessKey: e.secret, RoleARN: arn + "-ghost"})
	_, err = ghost.AccessKeys(AccessKeysConfig{User: user}).(*accessKeys).List(t.Context())
	refusal(t, err, rota.ClassStop, nil)
	if r, ok := errors.AsType[*rota.Error](err); !ok || !strings.Contains(rota.Hint(r.Remedies), "sts:AssumeRole") {
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
	of := func(role string, c awssdk.Credentials) *budget {
		given := awssdk.CredentialsProviderFunc(func(context.Context) (awssdk.Credentials, error) { return c, nil })
		return &budget{connection: "main", region: "eu-central-1", role: role, credentials: given}
	}
	role := of("arn:aws:iam::111122223333:role/rota", awssdk.Credentials{AccessKeyID: "AKIAMAIN", AccountID: "444455556666"})
	asked := of("", awssdk.Credentials{AccessKeyID: "AKIAMAIN"})
	asked.learn("777788889999")
	for _, c := range []struct {
		service, operation string
		of                 *budget
		want               string // "" for no limit
	}{
		{"IAM", "CreateAccessKey", &budget{connection: "main"}, "aws main iam"},
		{"IAM", "CreateAccessKey", of("", awssdk.Credentials{AccessKeyID: "AKIAMAIN"}), "aws AKIAMAIN iam"},
		{"IAM", "CreateAccessKey", of("", awssdk.Credentials{AccessKeyID: "AKIAMAIN", AccountID: "444455556666"}), "aws 444455556666 iam"},
		{"IAM", "CreateAccessKey", asked, "aws 777788889999 iam"},
		{"IAM", "CreateAccessKey", role, "aws 111122223333 iam"},
		{"Secrets Manager", "PutSecretValue", role, "aws 111122223333 eu-central-1 secretsmanager writes"},
		{"Secrets Manager", "UpdateSecretVersionStage", role, "aws 111122223333 eu-central-1 secretsmanager writes"},
		{"Secrets Manager", "CreateSecret", role, "aws 111122223333 eu-central-1 secretsmanager writes"},
		{"Secrets Manager", "ListSecretVersionIds", role, "aws 111122223333 eu-central-1 secretsmanager lists"},
		{"Secrets Manager", "GetSecretValue", role, ""},
		{"Secrets Manager", "DescribeSecret", role, ""},
		{"SNS", "Publish", role, "aws 111122223333 eu-central-1 sns"},
		{"STS", "GetCallerIdentity", role, ""},
	} {
		got, perSecond := bucket(c.service, c.operation)
		if got != "" {
			got = c.of.key(t.Context(), got)
		}
		if got != c.want || (perSecond > 0) != (c.want != "") {
			t.Errorf("%s:%s draws on %q, %d a second; want %q", c.service, c.operation, got, perSecond, c.want)
		}
	}
}

// few is a budget of so many calls for each key, and no more.
type few struct {
	mu   sync.Mutex
	left map[string]int
	each int
}

func (f *few) Take(_ context.Context, key string, _ rota.Rate) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left[key] >= f.each {
		return rota.OverBudget(key, errors.New("there is no more"))
	}
	f.left[key]++
	return nil
}

func TestConnectionsToOneAccountShareTheBudgetOnceAWSNamedIt(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	shared := &few{left: map[string]int{}, each: 100}
	for range 3 { // each with a key of its own
		user := e.user(t)
		key := must(t)(e.admin.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &user})).(*iam.CreateAccessKeyOutput).AccessKey
		c := e.connect(t, Config{AccessKeyID: *key.AccessKeyId, SecretAccessKey: *key.SecretAccessKey, Budget: shared})
		who, err := c.identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.iam.GetUser(t.Context(), &iam.GetUserInput{UserName: &user}) // allowed or not, it is a call
		if _, drawn := shared.left["aws "+who.account+" iam"]; !drawn || len(shared.left) != 1 {
			t.Errorf("drawn on %v, want the account's alone", slices.Collect(maps.Keys(shared.left)))
		}
	}
}

func TestAllSecretsOfAConnectionShareTheBudget(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	e.Connection = e.connect(t, Config{AccessKeyID: e.id, SecretAccessKey: e.secret, Budget: &few{left: map[string]int{}, each: 2}})
	put(t, e.store(rota.FieldMap{}), key(1)) // one write creates the secret, one puts the version
	err := e.store(rota.FieldMap{}).Put(t.Context(), rota.PutRequest{Version: rota.NewVersionID(), Credential: key(2), Labels: []rota.Label{rota.LabelPending}})
	refusal(t, err, rota.ClassWait, nil)
	if n := strings.Count(e.actions(), "CreateSecret"); n != 1 {
		t.Errorf("a call was made beyond the budget: %s", e.actions())
	}
}
