package gitlab_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
)

// GitLab's status alone misleads: 403 has other reasons than roles, and 400 other than
// requests that are wrong.
func TestWhatARefusalSaysDecides(t *testing.T) {
	says := func(status int, message any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{"message": message})
		}
	}
	base := func(text string) any { return map[string][]string{"base": {text}} }
	for _, c := range []struct {
		what   string // a delivery, or a start
		answer http.HandlerFunc
		class  rota.Class
		hint   string
	}{
		{"deliver", says(405, "Non GET methods are not allowed for moved projects"), rota.ClassStop, "the project's path as it is now"},
		{"deliver", says(403, "You cannot perform write operations on a read-only instance"), rota.ClassWait, "read-only"},
		{"deliver", says(503, "GitLab Maintenance: system is in maintenance mode"), rota.ClassWait, ""},
		{"deliver", says(403, "403 Forbidden"), rota.ClassStop, "archived"},
		{"deliver", says(403, "Your account has been blocked."), rota.ClassStop, "whose token connection test has"},
		{"deliver", says(403, "You (@bot) must accept the Terms of Service in order to perform this action."), rota.ClassStop, "whose token connection test has"},
		{"start", says(400, base("Too many pipelines created in the last minute. Try again later.")), rota.ClassWait, "limit"},
		{"start", says(400, base("Project exceeded the allowed number of jobs in active pipelines. Retry later.")), rota.ClassWait, "limit"},
		{"start", says(400, base("You do not have sufficient permission to run a pipeline on 'main'. Please select a different branch or contact your administrator for assistance.")), rota.ClassStop, "a role that may run pipelines"},
		{"start", says(400, base("Insufficient permissions to set pipeline variables")), rota.ClassStop, "permit pipeline variables"},
		{"start", says(400, base("Reference not found")), rota.ClassStop, "check that the ref exists"},
	} {
		server, connection := start(t)
		var err error
		if c.what == "deliver" {
			server.Answer("POST", "/", c.answer)
			err = deliver(t.Context(), &gitlab.Variables{Target: "ci", Connection: connection, Place: shopAPI, Fields: fields(t, pair)}, key(1))
		} else {
			server.Answer("POST", "/pipeline", c.answer)
			_, err = (&gitlab.Pipeline{Connection: connection, Project: "shop/api", Ref: "main", Variables: map[string]string{"A": "b"}}).Begin(t.Context(), "v")
		}
		if err == nil || rota.ClassOf(err) != c.class || !strings.Contains(rota.Hint(rota.RemediesOf(err)), c.hint) {
			t.Errorf("want %s, %q: got %s, %v (%s)", c.class, c.hint, rota.ClassOf(err), err, rota.Hint(rota.RemediesOf(err)))
		}
	}
}

// Whoever is refused has started nothing: a pipeline that somebody else starts meanwhile
// isn't taken for one's own.
func TestARefusedStartTakesNobodyElsesPipeline(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusBadRequest} {
		server, connection := start(t)
		other := connect(t, server, gitlabtest.AdminToken)
		served := false
		server.Answer("POST", "/pipeline", func(w http.ResponseWriter, r *http.Request) {
			if !served {
				served = true
				if _, err := (&gitlab.Pipeline{Connection: other, Project: "shop/api", Ref: "main"}).Begin(t.Context(), "theirs"); err != nil {
					t.Error(err)
				}
				w.WriteHeader(status)
				_, _ = w.Write([]byte(`{"message":{"base":["Too many pipelines created in the last minute. Try again later."]}}`))
			}
		})
		if id, err := (&gitlab.Pipeline{Connection: connection, Project: "shop/api", Ref: "main"}).Begin(t.Context(), "v"); err == nil {
			t.Errorf("%d: pipeline %d is taken for Rota's", status, id)
		}
	}
}

// GitLab says 403 where a branch has no pipeline yet, whoever asks.
func TestABranchWithoutAPipelineIsSaidToHaveNone(t *testing.T) {
	_, connection := start(t)
	p := &gitlab.Pipeline{Connection: connection, Project: "shop/api", Ref: "main", Play: "deploy"}
	findings := p.Preflight(t.Context())
	last := findings[len(findings)-1]
	if last.OK || !strings.Contains(rota.Hint(last.Remedies), "run a pipeline for main") {
		t.Errorf("%+v", last)
	}
}

// A look that asks for a pause gets it, and the deployment goes on meanwhile.
func TestAWaitPausesAsLongAsGitLabAsksFor(t *testing.T) {
	server, connection := start(t)
	p := &gitlab.Pipeline{Connection: connection, Project: "shop/api", Ref: "main", Poll: time.Millisecond}
	server.Answer("GET", "/pipelines/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	begun := time.Now()
	if err := p.Reload(t.Context(), rota.ReloadRequest{Version: "v"}); err != nil || time.Since(begun) < time.Second {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
	if n := len(server.Pipelines("shop/api")); n != 1 {
		t.Errorf("%d pipelines", n)
	}
}
