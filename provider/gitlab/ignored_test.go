package gitlab_test

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/gitlab"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
)

var shopProduction = gitlab.Place{Level: gitlab.LevelGroup, ID: "shop", Environment: "production"}

// GitLab ignores what it doesn't know or has no license for, and says that all went
// well. A value that more can see than should is taken away again.
func TestAVariableThatIsntAsAskedForDoesNotStay(t *testing.T) {
	for _, c := range []struct {
		name, hint string
		target     *gitlab.Variables
		alter      func(*gitlabtest.Server)
	}{
		{"a group's environment needs a license", "leave out environment", &gitlab.Variables{Place: shopProduction}, (*gitlabtest.Server).BeFree},
		{"hidden is new in 17.4", "17.4", &gitlab.Variables{Place: shopAPI, Visibility: gitlab.Hidden}, (*gitlabtest.Server).BeOlder},
	} {
		server, connection := start(t)
		c.alter(server)
		target := c.target
		target.Target, target.Connection, target.Fields = "ci", connection, fields(t, pair)
		ahead := ""
		for _, f := range target.Preflight(t.Context()) {
			if !f.OK {
				ahead += rota.Hint(f.Remedies)
			}
		}
		if !strings.Contains(ahead, c.hint) {
			t.Errorf("%s: nobody hears ahead: %q", c.name, ahead)
		}
		err := deliver(t.Context(), target, key(1))
		if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(rota.Hint(rota.RemediesOf(err)), c.hint) {
			t.Errorf("%s: %v (%s)", c.name, err, rota.Hint(rota.RemediesOf(err)))
		}
		for _, place := range []string{"group shop", "project shop/api"} {
			if left := server.Variables(place); len(left) > 0 {
				t.Errorf("%s: %d variables of %s stay", c.name, len(left), place)
			}
		}
	}
}

// Without a license, a variable of every environment is in the way of one with a scope.
// Nobody is told to delete it.
func TestAGroupsVariableOfEveryEnvironmentIsLeftAlone(t *testing.T) {
	server, connection := start(t)
	server.BeFree()
	value := "somebody's value"
	server.SetVariable("group shop", gitlabtest.Variable{Key: "AWS_ACCESS_KEY_ID", Value: &value})
	err := deliver(t.Context(), &gitlab.Variables{Target: "ci", Connection: connection, Place: shopProduction, Fields: fields(t, pair)}, key(1))
	if hint := rota.Hint(rota.RemediesOf(err)); err == nil || !strings.Contains(hint, "leave out environment") || strings.Contains(hint, "delete it") {
		t.Errorf("%v (%s)", err, hint)
	}
	if left := server.Variables("group shop"); len(left) != 1 || *left[0].Value != value {
		t.Errorf("%d variables are left", len(left))
	}
}
