package gitlab_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
)

// A child pipeline can outlive the one that it began with, and GitLab leaves it out of
// its list unless it's asked for.
func TestAChildPipelineHoldsWhatItBeganWith(t *testing.T) {
	for _, older := range []bool{false, true} {
		server, connection := start(t)
		if older {
			server.BeOlder()
		}
		child := server.StartChild("shop/api", "main")
		since := rota.HoldersRequest{Since: time.Now().Add(time.Minute)}
		for name, r := range map[string]rota.HolderReporter{
			"variables": &gitlab.Variables{Connection: connection, Place: shopAPI},
			"pipeline":  &gitlab.Pipeline{Connection: connection, Project: "shop/api", Ref: "main"},
		} {
			h, err := r.Holders(t.Context(), since)
			if err != nil || len(h) != 1 || !strings.HasPrefix(h[0].Name, fmt.Sprintf("pipeline %d of shop/api", child)) {
				t.Errorf("%s, older %v: %+v (%v)", name, older, h, err)
			}
		}
		server.Finish(child)
		if h, err := (&gitlab.Variables{Connection: connection, Place: shopAPI}).Holders(t.Context(), since); err != nil || len(h) > 0 {
			t.Errorf("one that has ended: %+v (%v)", h, err)
		}
	}
}

// A project of a group whose CI/CD is turned off refuses to list pipelines. It has none,
// and keeps nothing from being retired.
func TestAProjectWithoutPipelinesHoldsNothing(t *testing.T) {
	server, connection := start(t)
	server.AddProject("shop/notes", gitlabtest.Job{Name: "never"})
	server.TurnOffCI("shop/notes")
	group := &gitlab.Variables{Connection: connection, Place: gitlab.Place{Level: gitlab.LevelGroup, ID: "shop"}}
	since := rota.HoldersRequest{Since: time.Now().Add(time.Minute)}
	if h, err := group.Holders(t.Context(), since); err != nil || len(h) > 0 {
		t.Errorf("%+v (%v)", h, err)
	}
	running := server.Start("shop/api", "main")
	if h, err := group.Holders(t.Context(), since); err != nil || len(h) != 1 {
		t.Errorf("beside pipeline %d: %+v (%v)", running, h, err)
	}
	// Who isn't let in doesn't know.
	guest := connect(t, server, server.AddToken(gitlabtest.Token{Name: "guest", Scopes: []string{"api"}, Level: 10}))
	if _, err := (&gitlab.Variables{Connection: guest, Place: shopAPI}).Holders(t.Context(), since); err == nil {
		t.Error("who may not look finds nothing")
	}
}
