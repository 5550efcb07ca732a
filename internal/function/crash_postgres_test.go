package function_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
)

// TestAStrikeAtAnyCallOfAPostgresRotation is TestAStrikeAtAnyCall for a user
// who changes their own password, and for two users who alternate under a
// master. In the end the current value logs in, nothing is pending, and each
// step can be requested again.
func TestAStrikeAtAnyCallOfAPostgresRotation(t *testing.T) {
	server := testenv.Postgres(t, testenv.PostgresOptions{})
	dsn, err := url.Parse(server.NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	dbname := strings.TrimPrefix(dsn.Path, "/")
	server.Exec(t, "CREATE ROLE master LOGIN CREATEROLE PASSWORD 'master-password'")
	server.ExecIn(t, dbname, "CREATE TABLE orders (n int)", "GRANT SELECT ON orders TO PUBLIC")
	var roles atomic.Int64
	for _, scenario := range []struct {
		name        string
		alternating bool
		before      int      // rotations that have finished when the fault happens
		reading     []string // how read-only calls fail
	}{
		{"a user changes its own password", false, 0, []string{diesBefore}},
		{"the second of two users is made", true, 0, []string{diesBefore}},
		{"the first of two users is used again", true, 1, nil},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			strikeEach(t, func(t *testing.T, plan strike) []string {
				role := fmt.Sprintf("app%d", roles.Add(1))
				server.Exec(t, "CREATE ROLE "+role+" LOGIN PASSWORD 'first-password'", "GRANT "+role+" TO master WITH ADMIN OPTION")
				var args []string
				if scenario.alternating {
					args = []string{"--master-secret", "db/master"}
				}
				p := playWith(t, nil, policyWith(t, []string{passwordOf("db/app")}, args...)...)
				d := &database{cloud: p.cloud, server: server, dbname: dbname}
				more := ""
				if scenario.alternating {
					more = fmt.Sprintf(`,"masterarn":%q`, d.secret("db/master", "master", "master-password", ""))
				}
				arn := d.secret("db/app", role, "first-password", more)
				for range scenario.before {
					p.steps(d, arn, scenario.alternating)
					p.month()
				}
				p.calls, p.plan = nil, plan
				token := p.steps(d, arn, scenario.alternating)
				calls := p.calls

				labels := p.Labels("db/app")
				if labels["AWSCURRENT"] != token || labels["AWSPENDING"] != "" {
					t.Errorf("labels %v, want AWSCURRENT on %s and no AWSPENDING", labels, token)
				}
				if plan.at > 0 && !p.struck {
					t.Error("nothing was struck")
				}
				p.works(d, "AWSCURRENT")
				for _, step := range protocol {
					if err := p.invoke("", stepEvent(arn, token, step)); err != nil {
						t.Errorf("%s again: %v", step, err)
					}
				}
				return calls
			}, scenario.reading...)
		})
	}
}

// steps insists on each step of a rotation. If two users alternate, whatever
// was handed out works after each step.
func (p *played) steps(d *database, arn string, alternating bool) (token string) {
	p.t.Helper()
	token = p.announce("db/app")
	for _, step := range protocol {
		p.insist("", stepEvent(arn, token, step))
		if alternating {
			p.works(d, "AWSCURRENT")
		}
	}
	if alternating {
		p.works(d, "AWSPREVIOUS")
	}
	return token
}

func (p *played) works(d *database, label string) {
	p.t.Helper()
	if who, err := d.login("db/app", label); err != nil {
		p.t.Errorf("log in with %s as %s: %v", label, who, err)
	}
}
