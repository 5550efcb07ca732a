package aws

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/uuid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store/anchor"
	"github.com/rota-dev/rota/provider/aws/awstest"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// denials counts what AWS refuses for want of a permission.
type denials struct {
	next http.RoundTripper
	mu   sync.Mutex
	said []string
}

func (d *denials) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.next.RoundTrip(r)
	if err != nil || resp.StatusCode < 400 {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if _, said, found := strings.Cut(string(body), "is not authorized to perform: "); found {
		d.mu.Lock()
		d.said = append(d.said, strings.FieldsFunc(said, func(r rune) bool { return strings.ContainsRune(` "<`, r) })[0])
		d.mu.Unlock()
	}
	return resp, nil
}

// stage is one secret with all its roles, played by a role that a caller
// assumes, both with the least policies.
type stage struct {
	secret *rotation.Secret
	denied *denials
	least  Policy // of the role
	caller Policy
}

// newStage makes a stage. change may alter the role's policy and the caller's.
func newStage(t *testing.T, e *env, change func(role, caller *Policy)) *stage {
	t.Helper()
	s := &stage{denied: &denials{next: motoErrors{http.DefaultTransport}}}
	roleARN, key, attach := e.principals(t)
	c, err := connect(t.Context(), "main", Config{Region: region, Endpoint: e.endpoint, AccessKeyID: key[0], SecretAccessKey: key[1], RoleARN: roleARN, Budget: unlimited{}},
		&http.Client{Transport: s.denied}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	issuer := c.AccessKeys(AccessKeysConfig{User: e.user(t)})
	store := c.SecretsManager(SecretsManagerConfig{Name: secretName(), Tags: map[string]string{"team": "cms"}})
	notifier := c.Topic(e.topic(t))
	target := c.Parameter(ParameterConfig{Name: "/rota/" + uuid.NewString()[:8]})
	s.secret = &rotation.Secret{
		Name: "prod/cms", Issuer: issuer, Store: store, Targets: []rota.Target{target}, Notifiers: []rota.Notifier{notifier},
		Policy: rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: 10 * rota.Day, DeletePreviousAfter: 20 * rota.Day, UnusedFor: 7 * rota.Day, MaxAttempts: 2},
	}
	account, _ := AccountIn(roleARN)
	needs := c.CheckPermissions()
	for _, part := range []any{issuer, store, target, notifier} {
		needs = append(needs, part.(PermissionHolder).Permissions(t.Context(), c.PlaceIn(account))...)
	}
	s.least, s.caller = NewPolicy(needs, false), NewPolicy(c.CallerPermissions(), false)
	change(&s.least, &s.caller)
	attach(s.least, s.caller)
	return s
}

// principals makes a role, and a user with a key who may assume it once the
// policies are attached.
func (e *env) principals(t *testing.T) (roleARN string, key [2]string, attach func(role, caller Policy)) {
	t.Helper()
	user, role := e.user(t), "rota-"+uuid.NewString()[:8]
	made := must(t)(e.admin.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &user})).(*iam.CreateAccessKeyOutput)
	key = [2]string{*made.AccessKey.AccessKeyId, *made.AccessKey.SecretAccessKey}
	if e.server != nil {
		roleARN = e.server.CreateRole(role)
		return roleARN, key, func(least, caller Policy) {
			for arn, p := range map[string]Policy{roleARN: least, "arn:aws:iam::" + e.server.Account() + ":user/" + user: caller} {
				if err := e.server.AttachPolicy(arn, text(t, p)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`
	out := must(t)(e.admin.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &role, AssumeRolePolicyDocument: &trust})).(*iam.CreateRoleOutput)
	return *out.Role.Arn, key, func(least, caller Policy) {
		must(t)(e.admin.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &role, PolicyName: new("least"), PolicyDocument: new(text(t, anywhere(least)))}))
		if len(caller.Statement) == 0 {
			return
		}
		must(t)(e.admin.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: &user, PolicyName: new("least"), PolicyDocument: new(text(t, caller))}))
	}
}

// anywhere is the policy as moto can play it, which knows no resources of
// these services.
func anywhere(p Policy) Policy {
	p.Statement = slices.Clone(p.Statement)
	for i := range p.Statement {
		p.Statement[i].Resource = []string{"*"}
	}
	return p
}

func text(t *testing.T, p Policy) string {
	t.Helper()
	out, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// topic makes an SNS topic.
func (e *env) topic(t *testing.T) string {
	t.Helper()
	client := sns.NewFromConfig(awssdk.Config{Region: region, BaseEndpoint: &e.endpoint, Credentials: credentials.NewStaticCredentialsProvider(e.id, e.secret, "")})
	return *must(t)(client.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: new("rotations")})).(*sns.CreateTopicOutput).TopicArn
}

// live plays a whole life as far as it goes, and gives its steps, what AWS
// refused and the first error.
func (s *stage) live(t *testing.T) (steps []rota.Step, denied []string, err error) {
	t.Helper()
	begin := time.Now()
	now := begin
	r := rotation.Rotator{
		Journal: memory.NewJournal(memory.Options{Now: func() time.Time { return now }}), Now: func() time.Time { return now },
		Sleep: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil },
	}
	rotation.Preflight(t.Context(), s.secret)
	advance := func() error {
		res, err := r.Advance(t.Context(), s.secret, rotation.Options{})
		for _, d := range res.Done {
			steps = append(steps, d.Step)
		}
		if err == nil && res.Last.Hold == rotation.HoldNotReady {
			err = errors.New(res.Last.Reason) // it was asked before it was tried
		}
		return err
	}
	rollback := func() error {
		_, err := r.Rollback(t.Context(), s.secret)
		return err
	}
	for _, turn := range []struct {
		day int
		do  func() error
	}{{0, advance}, {90, advance}, {101, advance}, {102, rollback}, {115, advance}, {130, advance}} {
		now = begin.Add(time.Duration(turn.day)*rota.Day + time.Hour)
		if err := turn.do(); err != nil {
			return steps, s.denied.said, err
		}
	}
	rotation.Preflight(t.Context(), s.secret)
	return steps, s.denied.said, nil
}

// notPlayed are actions that a backend never asks a policy for. At AWS the tags
// of a new secret need a permission of their own, beside CreateSecret.
func notPlayed(e *env) []string {
	if e.server == nil {
		return []string{"iam:SimulatePrincipalPolicy", "secretsmanager:TagResource"}
	}
	return nil
}

func TestLeastPolicyIsEnoughForAWholeLife(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		s := newStage(t, e, func(_, _ *Policy) {})
		steps, denied, err := s.live(t)
		if err != nil || len(denied) > 0 {
			t.Errorf("denied %v: %v\n%s", denied, err, text(t, s.least))
		}
		for _, step := range []rota.Step{rota.StepCreate, rota.StepPromote, rota.StepDeactivate, rota.StepDelete} {
			if !slices.Contains(steps, step) {
				t.Errorf("the life had no %s: %v", step, steps)
			}
		}
	})
}

func TestNothingInTheLeastPolicyIsSuperfluous(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		whole := newStage(t, e, func(_, _ *Policy) {})
		for _, p := range []Policy{whole.least, whole.caller} {
			for _, st := range p.Statement {
				for _, action := range st.Action {
					if slices.Contains(notPlayed(e), action) {
						continue
					}
					t.Run(action, func(t *testing.T) {
						s := newStage(t, e, func(role, caller *Policy) { without(role, action); without(caller, action) })
						_, denied, err := s.live(t)
						if !slices.Contains(denied, action) && (err == nil || !strings.Contains(err.Error(), action)) {
							t.Errorf("without %s, AWS refused only %v: %v", action, denied, err)
						}
					})
				}
			}
		}
	})
}

// without takes an action out of a policy.
func without(p *Policy, action string) {
	for i := range p.Statement {
		p.Statement[i].Action = slices.DeleteFunc(p.Statement[i].Action, func(a string) bool { return a == action })
	}
	p.Statement = slices.DeleteFunc(p.Statement, func(s Statement) bool { return len(s.Action) == 0 })
}

// The audit's anchors are no part of a secret's life. Permissions on KMS keys
// are not tried at all: neither backend encrypts with them.
func TestLeastPolicyOfAnchors(t *testing.T) {
	for _, lacks := range []string{"", "s3:PutObject", "s3:GetObjectVersion", "s3:ListBucketVersions"} {
		t.Run("without "+lacks, func(t *testing.T) {
			e := startAWSTest(t, awstest.Options{})
			e.server.CreateBucket("heads")
			roleARN, key, attach := e.principals(t)
			c := e.connect(t, Config{AccessKeyID: key[0], SecretAccessKey: key[1], RoleARN: roleARN})
			least := NewPolicy(c.Archive("heads", "rota-audit/").Permissions(t.Context(), c.PlaceIn("")), false)
			without(&least, lacks)
			attach(least, NewPolicy(c.CallerPermissions(), false))
			place := anchor.Archive{ObjectStore: c.Archive("heads", "rota-audit/")}
			err := place.Put(t.Context(), anchor.Head{Seq: 1})
			if err == nil {
				_, err = place.Heads(t.Context())
			}
			if (err != nil) != (lacks != "") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLeastPolicyIsForItsOwnResourcesOnly(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	own := newStage(t, e, func(_, _ *Policy) {})
	for i, st := range own.least.Statement {
		t.Run(strings.Join(st.Action, " "), func(t *testing.T) {
			s := newStage(t, e, func(role, _ *Policy) {
				if st.Resource[0] == role.Statement[i].Resource[0] { // the one topic
					role.Statement[i].Resource = []string{st.Resource[0] + "-other"}
					return
				}
				role.Statement[i].Resource = st.Resource // those of another secret
			})
			if _, denied, _ := s.live(t); len(denied) == 0 {
				t.Errorf("what is allowed on %v was done elsewhere", st.Resource)
			}
		})
	}
}

// TestLeastPoliciesAlongAChain logs in over a role on the way to another, each
// with the least policy, and fails without any of them.
func TestLeastPoliciesAlongAChain(t *testing.T) {
	for _, lacks := range []string{"", "the caller's", "that of the role on the way"} {
		t.Run("without "+lacks, func(t *testing.T) {
			e := startAWSTest(t, awstest.Options{})
			user, hop, end := e.user(t), e.server.CreateRole("hop"), e.server.CreateRole("rota", "secretsmanager:*")
			id, secret, err := e.server.CreateAccessKey(user)
			if err != nil {
				t.Fatal(err)
			}
			c := e.connect(t, Config{AccessKeyID: id, SecretAccessKey: secret, Chain: []string{hop}, RoleARN: end})
			for _, need := range c.CallerPermissions() {
				holder, whose := need.Holder, "that of the role on the way"
				if need.Holder = ""; holder == "" {
					holder, whose = "arn:aws:iam::"+e.server.Account()+":user/"+user, "the caller's"
				}
				if whose == lacks {
					continue
				}
				if err := e.server.AttachPolicy(holder, text(t, NewPolicy([]Permission{need}, false))); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.LogIn(t.Context()); (err != nil) != (lacks != "") {
				t.Errorf("log in: %v", err)
			}
		})
	}
}
