package function_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rota-dev/rota/internal/function/runtimetest"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
)

const goOn = `{"username": "cms", "gitlab_project_id": 1}`

// readsToken is the policy by which a function reads its access token for GitLab.
const readsToken = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], "Resource": ["arn:aws:secretsmanager:*:*:secret:gitlab-*"]}]}`

// shop is a cloud with a function whose user's key is used by a GitLab project.
type shop struct {
	*cloud
	gitlab *gitlabtest.Server
	f      *runtimetest.Function
	past   time.Duration // how far behind AWS's clock is
}

func newShop(t *testing.T, env ...string) *shop {
	t.Helper()
	s := new(shop)
	c := newCloudAt(t, func() time.Time { return time.Now().Add(-s.past) }, append(policyFor(t, accessKeyOf(user, user, told)), readsToken)...)
	server := gitlabtest.New()
	t.Cleanup(server.Close)
	// A job does what the project's deployment would: it logs in.
	server.RunJobs(func(variables map[string]string) error {
		if !c.Valid(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]) {
			return errors.New("the key is refused")
		}
		return nil
	})
	if _, _, err := c.CreateSecret("gitlab", fmt.Sprintf(`{"token": %q}`, gitlabtest.AdminToken)); err != nil {
		t.Fatal(err)
	}
	s.cloud, s.gitlab = c, server
	s.f = c.deploy(append([]string{"GITLAB_URL=" + server.URL, "GITLAB_TOKEN_SECRET=gitlab"}, env...)...)
	return s
}

// send sends the event to a new process each time: nothing but the secret and GitLab
// remembers anything.
func (s *shop) send(event string) runtimetest.Response {
	s.t.Helper()
	s.f.Kill()
	return succeed(s.t, s.f, event)
}

// delivered is the access key that the project's jobs get.
func (s *shop) delivered() string {
	s.t.Helper()
	variables := s.gitlab.JobVariables("shop/api", "production")
	if !s.Valid(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]) {
		s.t.Errorf("new jobs get the key %q, which isn't valid", variables["AWS_ACCESS_KEY_ID"])
	}
	return variables["AWS_ACCESS_KEY_ID"]
}

func (s *shop) last() gitlabtest.Pipeline {
	s.t.Helper()
	all := s.gitlab.Pipelines("shop/api")
	if len(all) == 0 {
		s.t.Fatal("no pipeline was made")
	}
	return all[len(all)-1]
}

func (s *shop) wantReason(r runtimetest.Response, parts ...string) {
	s.t.Helper()
	for _, part := range parts {
		if !strings.Contains(string(r.Payload), part) {
			s.t.Errorf("it says %s, want %s", r.Payload, part)
		}
	}
}

func TestAServiceAccountOfGitLab(t *testing.T) {
	s := newShop(t)
	_, first := s.given(user)
	s.gitlab.SetJobs("shop/api", gitlabtest.Job{Name: "deploy", Stuck: true})
	earlier := s.gitlab.Start("shop/api", "main")
	begun := time.Now()
	s.wantReason(s.send(goOn), `"create"`, `"deliver"`, `"reload"`)
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("the event took %s: it waited for the pipeline", took)
	}
	second := s.delivered()
	if keys := s.Keys(user); len(keys) != 2 || second == first || second == "" {
		t.Fatalf("jobs get %s of the keys %+v, want a new one", second, keys)
	}
	ours := s.last()
	s.idle()

	s.wantReason(s.send(goOn), fmt.Sprintf("pipeline %d isn't done", ours.ID))
	s.gitlab.Finish(ours.ID)
	s.wantReason(s.send(goOn), fmt.Sprintf("pipeline %d of 1", earlier)) // it may still hold the old key
	if keys := s.Keys(user); len(keys) != 2 || keys[0].Status != "Active" {
		t.Fatalf("keys while a job holds the old one: %+v", keys)
	}
	s.gitlab.Finish(earlier)
	s.wantReason(s.send(goOn), `"deactivate"`)
	if keys := s.Keys(user); keys[0].ID != first || keys[0].Status != "Inactive" || keys[1].Status != "Active" {
		t.Fatalf("keys after the deployment: %+v", keys)
	}
	s.wantReason(s.send(goOn), "second grace period")
	if n := len(s.gitlab.Pipelines("shop/api")); n != 2 {
		t.Errorf("%d pipelines, want the earlier one and one deployment", n)
	}
	s.send(`{"action": "delete", "username": "cms"}`)
	if keys := s.Keys(user); len(keys) != 1 || keys[0].ID != second || s.delivered() != second {
		t.Fatalf("keys at the end: %+v", keys)
	}
}

func TestAFailingPipelineHoldsTheOldKey(t *testing.T) {
	s := newShop(t)
	_, first := s.given(user)
	s.gitlab.RunJobs(func(map[string]string) error { return errors.New("out of disk") })
	s.send(goOn)
	s.idle()
	s.gitlab.Finish(s.last().ID)
	for range 2 { // no event runs it again by itself
		s.f.Kill()
		refuse(t, s.f, goOn, "Held", "job build failed (script_failure)")
	}
	if n := len(s.gitlab.Pipelines("shop/api")); n != 1 || !s.active(first) {
		t.Fatalf("%d pipelines were made, and the old key is in %+v", n, s.Keys(user))
	}
	s.gitlab.RunJobs(nil)
	s.gitlab.Finish(s.gitlab.Start("shop/api", "main")) // somebody pushed what mends it
	s.wantReason(s.send(goOn), `"deactivate"`)
}

func (s *shop) active(id string) bool {
	for _, k := range s.Keys(user) {
		if k.ID == id {
			return k.Status == "Active"
		}
	}
	return false
}

func TestAServiceAccountsKeyIsReplacedAtAnAge(t *testing.T) {
	s := newShop(t, "GITLAB_ACCESS_KEY_VARIABLE=KEY", "GITLAB_SECRET_KEY_VARIABLE=SECRET", "GITLAB_REF=main")
	s.past = 60 * 24 * time.Hour
	_, first := s.given(user)
	s.past = 0
	const regularly = `{"username": "cms", "gitlab_project_id": "shop/api", "after_days": %d}`
	for range 2 {
		s.wantReason(s.send(fmt.Sprintf(regularly, 90)), `"complete":true`)
	}
	if keys := s.Keys(user); len(keys) != 1 || keys[0].ID != first {
		t.Fatalf("a young key was replaced: %+v", keys)
	}
	if v := s.gitlab.JobVariables("shop/api", "production"); v["KEY"] != first || !s.Valid(v["KEY"], v["SECRET"]) {
		t.Fatalf("jobs get %q, want the key that there was", v["KEY"])
	}
	s.send(fmt.Sprintf(regularly, 30))
	if v := s.gitlab.JobVariables("shop/api", "production"); !s.Valid(v["KEY"], v["SECRET"]) || v["KEY"] == first {
		t.Errorf("jobs get %s", v["KEY"])
	}
}

func TestServiceAccountsThatAreRefused(t *testing.T) {
	s := newShop(t)
	s.given(user)
	for _, test := range []struct{ event, kind, part string }{
		{`{"gitlab_project_id": 1}`, "InvalidEvent", "username"},
		{`{"username": "cms", "gitlab_project_id": 0}`, "InvalidEvent", "gitlab_project_id"},
		{`{"username": "cms", "gitlab_project_id": "../x y"}`, "InvalidEvent", "gitlab_project_id"},
		{`{"username": "cms", "gitlab_project_id": 1, "after_days": 0}`, "InvalidEvent", "after_days"},
		{`{"username": "cms", "gitlab_project_id": 1, "action": "create"}`, "InvalidEvent", "gitlab_project_id"},
	} {
		refuse(t, s.f, test.event, test.kind, test.part)
	}
	refuse(t, s.deploy(), goOn, "InvalidConfiguration", "GITLAB_TOKEN_SECRET")
	if n := len(s.Keys(user)); n != 1 {
		t.Fatalf("%d keys were made", n)
	}
	s.send(goOn)
	refuse(t, s.f, `{"username": "cms", "gitlab_project_id": 2}`, "Held", "GitLab project 1")

	bad := `{"token": "glpat-wrong"}`
	name := "gitlab"
	if _, err := s.secrets().PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: &bad}); err != nil {
		t.Fatal(err)
	}
	s.f.Kill()
	refuse(t, s.f, goOn, "RotationStopped", "valid access token")
	if strings.Contains(s.f.Output(), "glpat-") {
		t.Error("the token is in the logs")
	}
}
