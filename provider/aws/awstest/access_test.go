package awstest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

func TestKeysAreCheckedByEveryService(t *testing.T) {
	s := start(t, awstest.Options{})
	s.CreateBucket("data", "app")
	s.CreateUser("app")
	s.Allow("app", "*")
	rootID, rootSecret := s.RootCredentials()
	id, secret, err := s.CreateAccessKey("app")
	if err != nil {
		t.Fatal(err)
	}
	idleID, idleSecret, err := s.CreateAccessKey("app")
	if err != nil {
		t.Fatal(err)
	}
	_, err = asRoot(s).iam.UpdateAccessKey(t.Context(), &iam.UpdateAccessKeyInput{
		UserName: aws.String("app"), AccessKeyId: &idleID, Status: iamtypes.StatusTypeInactive,
	})
	if err != nil {
		t.Fatal(err)
	}
	fine := map[string]string{"iam": "", "sts": "", "sns": "", "secretsmanager": "", "s3": ""}
	unknown := map[string]string{
		"iam": "InvalidClientTokenId", "sts": "InvalidClientTokenId", "sns": "InvalidClientTokenId",
		"secretsmanager": "UnrecognizedClientException", "s3": "InvalidAccessKeyId",
	}
	badSignature := map[string]string{
		"iam": "SignatureDoesNotMatch", "sts": "SignatureDoesNotMatch", "sns": "SignatureDoesNotMatch",
		"secretsmanager": "InvalidSignatureException", "s3": "SignatureDoesNotMatch",
	}
	for _, test := range []struct {
		name              string
		id, secret, token string
		want              map[string]string
	}{
		{"the root key may do everything", rootID, rootSecret, "", fine},
		{"an active key of an allowed user works", id, secret, "", fine},
		{"a wrong secret is a wrong signature", id, rootSecret, "", badSignature},
		{"an unknown key is refused", "AKIAAAAAAAAAAAAAAAAA", secret, "", unknown},
		{"an inactive key is refused like an unknown one", idleID, idleSecret, "", unknown},
		{"a session token that nobody gave out is refused", id, secret, "token", unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := everyService(t.Context(), as(s, test.id, test.secret, test.token))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAUserMayOnlyWhatItIsAllowed(t *testing.T) {
	s := start(t, awstest.Options{})
	s.CreateBucket("data", "reader")
	denied := map[string]string{
		"sts": "", "iam": "AccessDenied", "sns": "AuthorizationError",
		"secretsmanager": "AccessDeniedException", "s3": "AccessDenied",
	}
	stranger, _ := asUser(t, s, "stranger")
	if diff := cmp.Diff(denied, everyService(t.Context(), stranger)); diff != "" {
		t.Error(diff)
	}
	reader, _ := asUser(t, s, "reader")
	denied["s3"] = ""
	if diff := cmp.Diff(denied, everyService(t.Context(), reader)); diff != "" {
		t.Error(diff)
	}
	s.Allow("stranger", "IAM:List*", "sns:ListTopic?")
	want := map[string]string{"sts": "", "iam": "", "sns": "", "secretsmanager": "AccessDeniedException", "s3": "AccessDenied"}
	if diff := cmp.Diff(want, everyService(t.Context(), stranger)); diff != "" {
		t.Error(diff)
	}
	_, err := reader.s3.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("data")})
	wantCode(t, err, "")
	_, err = stranger.s3.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("data")})
	wantCode(t, err, "Forbidden")
}

func TestANewKeyIsRefusedForAWhile(t *testing.T) {
	s := start(t, awstest.Options{Seed: 7})
	s.CreateUser("app")
	s.SetPropagation(3)
	out := must[*iam.CreateAccessKeyOutput](t)(asRoot(s).iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("app")}))
	app := as(s, *out.AccessKey.AccessKeyId, *out.AccessKey.SecretAccessKey, "")
	refused := make([]bool, 30)
	for i := range refused {
		_, err := app.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if got := code(err); got != "" && got != "InvalidClientTokenId" {
			t.Fatal(err)
		}
		refused[i] = err != nil
	}
	count := func(part []bool) (n int) {
		for _, r := range part {
			if r {
				n++
			}
		}
		return n
	}
	if count(refused[:3]) != 3 {
		t.Errorf("the first three calls: %v, want all refused", refused[:3])
	}
	if n := count(refused[3:13]); n == 0 || n > 6 {
		t.Errorf("of the ten calls after, %d were refused, want a few", n)
	}
	if count(refused[13:]) != 0 {
		t.Errorf("later calls %v, want none refused", refused[13:])
	}
}

func TestLastUsedTellsOfTheLastRequest(t *testing.T) {
	clock := newClock()
	s := start(t, awstest.Options{Now: clock.Now})
	app, id := asUser(t, s, "app")
	root := asRoot(s)
	lastUsed := func() iamtypes.AccessKeyLastUsed {
		t.Helper()
		out := must[*iam.GetAccessKeyLastUsedOutput](t)(root.iam.GetAccessKeyLastUsed(t.Context(), &iam.GetAccessKeyLastUsedInput{AccessKeyId: &id}))
		if *out.UserName != "app" {
			t.Errorf("user name %q", *out.UserName)
		}
		return *out.AccessKeyLastUsed
	}
	want := func(at *time.Time, service, region string) {
		t.Helper()
		got := lastUsed()
		if diff := cmp.Diff(at, got.LastUsedDate); diff != "" || *got.ServiceName != service || *got.Region != region {
			t.Errorf("last used %v %s %s, want %v %s %s", got.LastUsedDate, *got.ServiceName, *got.Region, at, service, region)
		}
	}
	want(nil, "N/A", "N/A")

	first := clock.Now()
	must[*sts.GetCallerIdentityOutput](t)(app.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}))
	want(&first, "sts", "eu-central-1")

	s.SetLastUsedLag(4 * time.Hour)
	clock.Add(24 * time.Hour)
	second := clock.Now()
	_, err := app.iam.ListUsers(t.Context(), &iam.ListUsersInput{})
	wantCode(t, err, "AccessDenied") // counts as a use nonetheless
	want(&first, "sts", "eu-central-1")
	clock.Add(4 * time.Hour)
	want(&second, "iam", "eu-central-1")

	third := second.Add(-time.Hour)
	s.SetLastUsed(id, third, "s3", "us-west-2")
	want(&third, "s3", "us-west-2")
	s.SetLastUsed(id, time.Time{}, "", "")
	want(nil, "N/A", "N/A")

	_, err = root.iam.GetAccessKeyLastUsed(t.Context(), &iam.GetAccessKeyLastUsedInput{AccessKeyId: aws.String("AKIAAAAAAAAAAAAAAAAA")})
	wantCode(t, err, "AccessDenied")
}

func TestAssumedRoles(t *testing.T) {
	clock := newClock()
	s := start(t, awstest.Options{Now: clock.Now})
	arn := s.CreateRole("deployer", "iam:*")
	app, _ := asUser(t, s, "app")
	assume := func(c clients, arn string) (*sts.AssumeRoleOutput, error) {
		return c.sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{
			RoleArn: &arn, RoleSessionName: aws.String("test"), DurationSeconds: aws.Int32(900),
		})
	}
	_, err := assume(app, arn)
	wantCode(t, err, "AccessDenied")
	s.Allow("app", "sts:AssumeRole")
	_, err = assume(app, arn+"x")
	wantCode(t, err, "AccessDenied")

	out := must[*sts.AssumeRoleOutput](t)(assume(app, arn))
	if got := out.Credentials.Expiration.Sub(clock.Now()); got != 15*time.Minute {
		t.Errorf("the session lasts %v", got)
	}
	c := out.Credentials
	deployer := as(s, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	id := must[*sts.GetCallerIdentityOutput](t)(deployer.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}))
	if want := "arn:aws:sts::111122223333:assumed-role/deployer/test"; *id.Arn != want {
		t.Errorf("arn %s, want %s", *id.Arn, want)
	}
	want := map[string]string{"sts": "", "iam": "", "sns": "AuthorizationError", "secretsmanager": "AccessDeniedException", "s3": "AccessDenied"}
	if diff := cmp.Diff(want, everyService(t.Context(), deployer)); diff != "" {
		t.Error(diff)
	}
	_, err = as(s, *c.AccessKeyId, *c.SecretAccessKey, "").sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	wantCode(t, err, "InvalidClientTokenId")

	clock.Add(15 * time.Minute)
	want = map[string]string{"sts": "ExpiredToken", "iam": "ExpiredToken", "sns": "ExpiredToken", "secretsmanager": "ExpiredTokenException", "s3": "ExpiredToken"}
	if diff := cmp.Diff(want, everyService(t.Context(), deployer)); diff != "" {
		t.Error(diff)
	}
}

func TestTheEnvironmentIsAllThatTheSDKNeeds(t *testing.T) {
	s := start(t, awstest.Options{Account: "999988887777", Region: "us-west-2"})
	for _, variable := range s.Env(s.RootCredentials()) {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := must[*sts.GetCallerIdentityOutput](t)(sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}))
	if *out.Account != s.Account() || *out.Arn != "arn:aws:iam::999988887777:root" || s.Region() != "us-west-2" {
		t.Errorf("account %s, arn %s, region %s", *out.Account, *out.Arn, s.Region())
	}
}

func TestThePolicySimulatorKnowsTheRights(t *testing.T) {
	s := start(t, awstest.Options{})
	s.CreateUser("app")
	s.Allow("app", "iam:*AccessKey*")
	role := s.CreateRole("deployer", "sns:Publish")
	root := asRoot(s)
	for _, test := range []struct {
		name, principal string
		want            map[string]string
		code            string
	}{
		{"a user", "arn:aws:iam::111122223333:user/app", map[string]string{"iam:CreateAccessKey": "allowed", "sns:Publish": "implicitDeny"}, ""},
		{"a role", role, map[string]string{"iam:CreateAccessKey": "implicitDeny", "sns:Publish": "allowed"}, ""},
		{"a user of another account", "arn:aws:iam::999922223333:user/app", nil, "NoSuchEntity"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := root.iam.SimulatePrincipalPolicy(t.Context(), &iam.SimulatePrincipalPolicyInput{
				PolicySourceArn: &test.principal, ActionNames: []string{"iam:CreateAccessKey", "sns:Publish"},
			})
			wantCode(t, err, test.code)
			if err != nil {
				return
			}
			got := map[string]string{}
			for _, result := range out.EvaluationResults {
				got[*result.EvalActionName] = string(result.EvalDecision)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
