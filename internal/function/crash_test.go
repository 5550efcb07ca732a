package function_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/function"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

// strike is what happens at the n-th call to AWS, of one invocation or of
// several.
type strike struct {
	at   int
	kind string
}

const (
	diesBefore = "the process dies before the call acts"
	diesAfter  = "the process dies after the call acted"
	replyLost  = "the reply is lost"
)

// played is a function that runs in the test's process, with a clock of its
// own: each invocation has a new handler, as in a new process.
type played struct {
	*cloud
	env map[string]string

	mu     sync.Mutex
	now    time.Time
	calls  []string // actions
	plan   strike
	struck bool
	dead   bool
	die    context.CancelFunc
}

func play(t *testing.T, env map[string]string, entries ...string) *played {
	t.Helper()
	return playWith(t, env, policyFor(t, entries...)...)
}

// playWith is play for a function with these policies.
func playWith(t *testing.T, env map[string]string, policies ...string) *played {
	t.Helper()
	p := &played{env: env, now: time.Now().Add(-60 * 24 * time.Hour).Truncate(time.Second)}
	s, err := awstest.New(awstest.Options{Now: p.clock, Account: awsAccount, Region: awsRegion})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.CreateUser(user)
	p.cloud = &cloud{t: t, Server: s}
	id, secret := newIdentity(t, s, policies)
	// Each fake creates the same keys in the same order, so that what the first
	// of several concurrent sets holds for the others.
	if os.Getenv("AWS_SECRET_ACCESS_KEY") != secret {
		t.Setenv("AWS_ACCESS_KEY_ID", id)
		t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
		t.Setenv("AWS_REGION", s.Region())
		t.Setenv("AWS_CA_BUNDLE", "") // each invocation would read it
	}
	s.SetFaults(p.fault)
	return p
}

func (p *played) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *played) sleep(ctx context.Context, d time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
	return ctx.Err()
}

func (p *played) fault(c awstest.Call) awstest.Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(10 * time.Millisecond)
	if p.dead { // whatever the dead process might still send has no effect; this one is not retried
		return awstest.Fault{FailBefore: "AccessDenied"}
	}
	if p.calls = append(p.calls, c.Action); len(p.calls) != p.plan.at || p.struck {
		return awstest.Fault{}
	}
	p.struck = true
	switch p.plan.kind {
	case diesBefore:
		p.dead = true
		p.die()
		return awstest.Fault{FailBefore: "ServiceUnavailable", DropReply: true}
	case diesAfter:
		p.dead = true
		return awstest.Fault{DropReply: true, After: p.die}
	}
	return awstest.Fault{DropReply: true}
}

// invoke is one invocation in a new process.
func (p *played) invoke(id, event string) error {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	p.mu.Lock()
	p.dead, p.die = false, cancel
	p.mu.Unlock()
	h, err := function.New(function.Options{
		Now: p.clock, Sleep: p.sleep,
		LookupEnv: func(name string) (string, bool) {
			if name == "AWS_ENDPOINT_URL" {
				return p.URL(), true
			}
			value, ok := p.env[name]
			return value, ok
		},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	_, err = h.Handle(function.WithRequestID(ctx, id), json.RawMessage(event))
	return err
}

// insist invokes until it succeeds, as Lambda and Secrets Manager do.
func (p *played) insist(id, event string) {
	p.t.Helper()
	var err error
	for range 4 {
		if err = p.invoke(id, event); err == nil {
			return
		}
		p.mu.Lock()
		p.now = p.now.Add(time.Minute)
		p.mu.Unlock()
	}
	p.t.Fatalf("%s: still not done: %v", event, err)
}

func (p *played) rotate(arn string) (token string) {
	p.t.Helper()
	token = p.announce("prod/cms")
	for _, step := range protocol {
		p.insist("", stepEvent(arn, token, step))
	}
	return token
}

func (p *played) announce(name string) (token string) {
	p.t.Helper()
	token, err := p.AnnounceVersion(name)
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

func (p *played) month() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(30 * 24 * time.Hour)
}

// TestAStrikeAtAnyCall plays a rotation once for each call to AWS and each way
// it can fail. In the end the secret is rotated, both its credentials work, and
// no key is left over.
func TestAStrikeAtAnyCall(t *testing.T) {
	for _, scenario := range []struct {
		name    string
		prepare func(p *played) (arn string)
		run     func(p *played, arn string)
	}{
		{"the first rotation, which adopts",
			func(p *played) string { arn, _ := p.given("prod/cms"); return arn },
			func(p *played, arn string) { p.check(p.rotate(arn)) }},
		{"the next, which retires",
			func(p *played) string { arn, _ := p.given("prod/cms"); p.rotate(arn); p.month(); return arn },
			func(p *played, arn string) { p.check(p.rotate(arn)) }},
		{"one user at once",
			func(p *played) string { arn, _ := p.given("prod/cms"); p.rotate(arn); p.month(); return arn },
			func(p *played, _ string) { p.insist("6b29fc40-ca47-4067-b31d-00dd010662da", `{}`); p.check("") }},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			env := map[string]string{"IAM_USER_NAME": user, "SECRET_NAME": "prod/cms"}
			run := func(t *testing.T, plan strike) []string {
				p := play(t, env, accessKeyOf(user, "prod/cms", ""))
				arn := scenario.prepare(p)
				p.calls, p.plan = nil, plan
				scenario.run(p, arn)
				return p.calls
			}
			strikeEach(t, run, diesBefore)
		})
	}
}

// strikeEach plays once without a fault, to record the calls, and then once for
// each call and each way it can fail. Read-only calls leave nothing behind, and
// fail only in the given ways.
func strikeEach(t *testing.T, run func(*testing.T, strike) (calls []string), reading ...string) {
	calls := run(t, strike{})
	if len(calls) < 10 {
		t.Fatalf("only %d calls were seen", len(calls))
	}
	for i, action := range calls {
		kinds := reading
		if !reads(action) {
			kinds = []string{diesBefore, diesAfter, replyLost}
		}
		for _, kind := range kinds {
			t.Run(fmt.Sprintf("%s at %d %s", kind, i+1, action), func(t *testing.T) {
				t.Parallel()
				run(t, strike{i + 1, kind})
			})
		}
	}
}

func reads(action string) bool {
	return strings.HasPrefix(action, "Get") || strings.HasPrefix(action, "List") || strings.HasPrefix(action, "Describe")
}

// check checks what must hold after a rotation.
func (p *played) check(token string) {
	p.t.Helper()
	labels := p.Labels("prod/cms")
	if token != "" && labels["AWSCURRENT"] != token {
		p.t.Errorf("AWSCURRENT is on %s, want %s", labels["AWSCURRENT"], token)
	}
	if labels["AWSPENDING"] != "" {
		p.t.Errorf("AWSPENDING is left on %s", labels["AWSPENDING"])
	}
	p.serves("prod/cms", "AWSCURRENT")
	p.serves("prod/cms", "AWSPREVIOUS")
	current, _ := p.pair("prod/cms", "AWSCURRENT")
	previous, _ := p.pair("prod/cms", "AWSPREVIOUS")
	for _, k := range p.Keys(user) {
		if k.ID != current && k.ID != previous {
			p.t.Errorf("key %s is an orphan", k.ID)
		}
	}
}
