package crash

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

// effect is what the plan does to one call.
type effect struct {
	fails    bool // before it acts
	throttle bool // before it acts, with the code for that
	lost     bool // the response
	dies     bool // the process, after the call acted
	slow     bool
	repeat   bool
	stale    bool
}

// strike counts a call and returns how it fails.
func (w *world) strike(c call) effect {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(20 * time.Millisecond)
	p := w.process
	if p == nil || p.dead {
		w.note("%s: refused, the process is dead", c)
		return effect{fails: true, lost: true}
	}
	if !w.struck {
		n := len(w.calls)
		w.calls, w.stepOf = append(w.calls, c), append(w.stepOf, w.step)
		if n == w.plan.at {
			return w.hit(c)
		}
	}
	switch {
	case w.down && !c.local():
		w.note("%s: down", c)
		return effect{fails: true}
	case w.slowed == c.system+c.op:
		w.note("%s: throttled", c)
		return effect{throttle: true}
	}
	w.note("%s", c)
	return effect{}
}

// hit is the plan's fault itself. The lock is held.
func (w *world) hit(c call) effect {
	w.struck = true
	w.note("%s: %s", c, w.plan.kind)
	if c != w.plan.call && w.wrong == nil {
		w.wrong = fmt.Errorf("%w: call %d is %s, and was %s", errElsewhere, w.plan.at, c, w.plan.call)
	}
	switch w.plan.kind {
	case failsBefore:
		return effect{fails: true}
	case downBefore:
		w.down = true
		return effect{fails: true}
	case replyLost:
		return effect{lost: true}
	case lostDown:
		w.down = true
		return effect{lost: true}
	case dies:
		return effect{dies: true}
	case slow:
		return effect{slow: true}
	case throttled:
		w.slowed = c.system + c.op
		return effect{throttle: true}
	case repeated:
		return effect{repeat: true}
	case stale:
		return effect{stale: true}
	}
	return effect{}
}

// kill ends a process: nothing it does from now on has an effect.
func (p *process) kill() {
	p.w.mu.Lock()
	p.dead = true
	p.w.deaths++
	p.w.mu.Unlock()
	p.cancel()
}

func (w *world) current() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.process
}

// wire is the effect on a call over the wire to the in-memory AWS.
func (w *world) wire(c awstest.Call) awstest.Fault {
	named := call{c.Service, c.Action, about(c)}
	e := w.strike(named)
	p := w.current()
	w.audited(p, named)
	f := awstest.Fault{DropReply: e.lost || e.dies, Repeat: e.repeat, Stale: e.stale}
	switch {
	case e.fails:
		f.FailBefore = "ServiceUnavailable"
	case e.throttle:
		f.FailBefore = map[string]string{"secretsmanager": "ThrottlingException", "s3": "SlowDown"}[c.Service]
		if f.FailBefore == "" {
			f.FailBefore = "Throttling"
		}
	case e.slow:
		f.Delay = w.plan.timeout + w.plan.timeout/8
		w.late.Add(1)
	}
	f.After = func() {
		w.check(named)
		if e.dies {
			p.kill()
		}
		if e.slow {
			w.late.Done()
		}
	}
	return f
}

// about distinguishes calls of one action where that helps a reader.
func about(c awstest.Call) string {
	if c.Action == "UpdateSecretVersionStage" || c.Action == "PutSecretValue" {
		return c.Detail
	}
	return ""
}

// begins are the steps of which one must be in the audit before an effect.
var begins = map[string][]string{
	"CreateAccessKey":          {"create"},
	"UpdateAccessKey":          {"deactivate", "rollback"},
	"DeleteAccessKey":          {"delete"},
	"CreateSecret":             {"create"},
	"PutSecretValue":           {"create", "promote", "adopt"},
	"UpdateSecretVersionStage": {"promote", "deliver", "reload", "deactivate", "delete", "rollback", "adopt"},

	"create":     {"create"},
	"renew":      {"renew"},
	"set":        {"set", "rollback"},
	"setSecret":  {"set", "rollback", "delete"},
	"deactivate": {"deactivate"},
	"reactivate": {"rollback"},
	"delete":     {"delete"},
	"put":        {"create", "promote", "adopt"},
	"move":       {"promote", "deliver", "reload", "deactivate", "delete", "rollback", "adopt"},
	"deliver":    {"deliver"},
	"reload":     {"reload"},
}

// check checks, after an effect, what must be true at every instant.
func (w *world) check(c call) {
	if begins[c.op] != nil {
		w.breaks(w.scene.instant())
	}
}

// audited checks that an effect is audited before it happens.
func (w *world) audited(p *process, c call) {
	steps := begins[c.op]
	if steps == nil || p == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	audited := slices.ContainsFunc(p.steps, func(u underway) bool { return slices.Contains(steps, u.step) })
	if p.dead || w.wrong != nil || audited {
		return
	}
	w.wrong = fmt.Errorf("%s came without an audit entry before it; under way were %v", c, p.steps)
}

// do is the effect on a call through a wrapper.
func (p *process) do(ctx context.Context, c call, act func(context.Context, effect) error) error {
	w := p.w
	e := w.strike(c)
	w.audited(p, c)
	if e.fails {
		if e.lost {
			return errDead
		}
		return errDown
	}
	if e.slow {
		if _, bounded := ctx.Deadline(); !bounded {
			w.pass(10 * time.Minute) // longer than a lease
		} else {
			<-ctx.Done() // and acts when its caller is gone
			err := act(context.WithoutCancel(ctx), e)
			w.check(c)
			w.tell("the slow call acted: %v", err)
			return ctx.Err()
		}
	}
	err := act(ctx, e)
	if e.repeat {
		err = act(ctx, e)
	}
	w.check(c)
	switch {
	case e.dies:
		p.kill()
		return errDead
	case e.lost:
		return errDown
	}
	return err
}
