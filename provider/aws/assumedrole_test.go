package aws

import (
	"errors"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"

	"rota"
	"rota/provider/aws/awstest"
	"rota/provider/memory"
)

// newRole makes a role that the administrator may assume.
func (e *env) newRole(t *testing.T, name string) string {
	t.Helper()
	if e.server != nil {
		return e.server.CreateRole(name, "sts:*")
	}
	out := must(t)(e.admin.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`)})).(*iam.CreateRoleOutput)
	must(t)(e.admin.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: new("all"), PolicyDocument: new(allow("sts:*"))}))
	return awssdk.ToString(out.Role.Arn)
}

func TestSessionsOfARole(t *testing.T) {
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			e := b.start(t)
			role, first := e.newRole(t, "deploy"), e.newRole(t, "hub")
			for name, cfg := range map[string]AssumeRoleConfig{
				"plain":   {RoleARN: role},
				"chained": {RoleARN: role, Chain: []string{first}, SessionName: "ci"},
				"all said": {
					RoleARN: role, Duration: 30 * time.Minute, ExternalID: "x-1", Policy: allow("s3:GetObject"),
					PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}, Tags: map[string]string{"team": "cms"}, TransitiveTags: []string{"team"},
				},
			} {
				issuer := e.AssumeRole(cfg)
				c, err := issuer.Create(t.Context(), rota.CreateRequest{})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if diff := cmp.Diff([]string{"access_key_id", "expiration", "secret_access_key", "session_token"}, c.Names()); diff != "" {
					t.Errorf("%s: fields (-want +got):\n%s", name, diff)
				}
				if err := issuer.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				end, err := time.Parse(time.RFC3339, c.Field(rota.FieldExpiration))
				if want := time.Now().Add(issuer.Traits().Lifetime); err != nil || end.Before(want.Add(-time.Minute)) || end.After(want.Add(time.Minute)) {
					t.Errorf("%s: it ends at %v (%v), want %v", name, end, err, want)
				}
				for _, f := range issuer.(rota.Preflighter).Preflight(t.Context()) {
					if !f.OK {
						t.Errorf("%s: %+v", name, f)
					}
				}
			}
		})
	}
}

func TestARoleThatMayNotBeAssumed(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	issuer := e.AssumeRole(AssumeRoleConfig{RoleARN: "arn:aws:iam::123456789012:role/none"})
	_, err := issuer.Create(t.Context(), rota.CreateRequest{})
	if rota.ClassOf(err) != rota.Stop || !strings.Contains(err.Error(), "trust policy") {
		t.Errorf("got %v", err)
	}
}

// A session's whole life: it is renewed before it ends, whatever windows the
// policy has, and the old one is forgotten once it has ended.
func TestASessionIsRenewedBeforeItEnds(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	e := startAWSTest(t, awstest.Options{Now: clock})
	issuer := e.AssumeRole(AssumeRoleConfig{RoleARN: e.newRole(t, "deploy")})
	store, notifier := memory.NewStore(memory.Options{Now: clock}), memory.NewNotifier("ops", memory.Options{Now: clock})
	window, err := rota.ParseWindow("0 3 1 1 *", time.Hour, "")
	if err != nil {
		t.Fatal(err)
	}
	s := &rota.Secret{Name: "deploy", Issuer: issuer, Store: store, Notifiers: []rota.Notifier{notifier}, Policy: rota.Policy{RotateEvery: 90 * rota.Day, Window: window}}
	r := &rota.Rotator{Journal: memory.NewJournal(memory.Options{Now: clock}), Now: clock}
	served := map[string]bool{}
	for range 36 { // three hours, every five minutes
		if _, err := r.Advance(t.Context(), s, rota.Options{}); err != nil {
			t.Fatal(err)
		}
		contents, err := store.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n := len(contents.Versions); n > 2 {
			t.Fatalf("%d versions are kept", n)
		}
		current, _ := rota.Find(contents.Versions, rota.Current)
		c, err := store.Get(t.Context(), rota.GetRequest{Version: current.ID})
		if err != nil {
			t.Fatal(err)
		}
		end, err := time.Parse(time.RFC3339, c.Field(rota.FieldExpiration))
		if left := end.Sub(now); err != nil || left < 15*time.Minute {
			t.Errorf("what is served ends in %s (%v)", left, err)
		}
		served[current.ID] = true
		now = now.Add(5 * time.Minute)
	}
	if len(served) < 4 || len(served) > 6 {
		t.Errorf("%d sessions in three hours", len(served))
	}
	if sent := notifier.Events(); len(sent) > 0 {
		t.Errorf("what happens every hour is told: %v", sent)
	}
	if _, err := r.Rollback(t.Context(), s); rota.ClassOf(err) != rota.Stop {
		t.Errorf("a rollback: %v", err)
	}

	old, err := issuer.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(61 * time.Minute)
	if err := issuer.Test(t.Context(), rota.TestRequest{Credential: old}); !errors.Is(err, rota.ErrRefused) {
		t.Errorf("a session that has ended: %v", err)
	}
}
