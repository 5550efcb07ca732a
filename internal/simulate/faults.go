package simulate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
)

// sickness is a system that fails or hangs on every call for a while.
type sickness struct {
	op    string // the prefix of the calls' names, such as "issuer."
	hangs bool
	until time.Time
}

// startSickness occasionally makes one of the secret's systems unhealthy.
func (s *subject) startSickness() {
	s.at(s.now.Add(s.during(rota.Day, 200*rota.Day)), "sick", s.fallSick)
}

func (s *subject) fallSick(context.Context) {
	s.at(s.now.Add(s.during(10*rota.Day, 200*rota.Day)), "sick", s.fallSick)
	if !s.w.faulty(s.now) {
		return
	}
	op := []string{"issuer.", "issuer.test", "issuer.last_used", "issuer.list", "store.", "store.move", "target.", "reloader.", "notifier.", "check."}[s.rng.IntN(10)]
	s.sickness = sickness{op: op, hangs: s.chance(0.5), until: s.now.Add(s.during(time.Minute, []time.Duration{time.Hour, rota.Day, 8 * rota.Day}[s.rng.IntN(3)]))}
	s.note("sick", op, s.sickness.until.Format(time.DateTime))
}

// fault decides what goes wrong with a worker's call.
func (s *subject) fault(c memory.Call) memory.Fault {
	k := s.worker
	if k == nil {
		return memory.Fault{}
	}
	k.pause = false
	if k.dead {
		s.violate(6, "%s called %s after it had crashed", k.holder, c.Op)
	}
	if s.denied[c.Op] {
		s.w.result.Faults["denied"]++
		return memory.Fault{Before: denial(c)}
	}
	if !s.w.faulty(s.now) {
		return memory.Fault{}
	}
	if s.now.Before(s.sickness.until) && strings.HasPrefix(c.Op, s.sickness.op) {
		if s.sickness.hangs {
			return s.struck("hang", c, memory.Fault{Delay: 6 * time.Hour})
		}
		return s.struck("sick", c, memory.Fault{Before: s.wait503(c)})
	}
	if s.mayBeStale(c) && s.chance(5*s.w.options.Faults) {
		return s.struck("stale", c, memory.Fault{Stale: true}) // rarely possible, so likely when it is
	}
	if c.Op == "issuer.create" && (s.only != nil || s.kept != nil) && s.chance(5*s.w.options.Faults) { // it's seldom called
		return s.struck("lost reply", c, memory.Fault{After: s.wait503(c)})
	}
	if s.rng.Float64() >= s.w.options.Faults {
		return memory.Fault{}
	}
	return s.strike(c)
}

// struck counts a fault.
func (s *subject) struck(kind string, c memory.Call, f memory.Fault) memory.Fault {
	s.w.result.Faults[kind]++
	s.note("fault", c.Op, kind)
	s.truth.disturbedAt = s.now
	return f
}

// wait503 is a server's error, which can echo what the server was sent.
func (s *subject) wait503(c memory.Call) error {
	text := "503 try again"
	if secret := s.inHand(c); secret != "" && s.chance(0.3) {
		text += ": " + secret
	}
	return &rota.Error{System: c.System, Op: c.Op, Class: rota.ClassWait, Err: errors.New(text)}
}

// inHand is a value that the call might carry, for an answer that echoes it.
func (s *subject) inHand(c memory.Call) string {
	sent := rota.Credential{}
	switch c.Op {
	case "issuer.test", "issuer.set":
		sent = s.truth.inHand
	case "target.deliver":
		_, sent, _ = s.store.Read(rota.LabelCurrent)
	case "check.check":
		_, sent, _ = s.store.Read(rota.LabelPending)
	}
	return proof(sent)
}

// proof is the secret field of a credential.
func proof(c rota.Credential) string {
	if p := c.Field(rota.FieldSecretAccessKey); p != "" {
		return p
	}
	return c.Field(rota.FieldPassword)
}

// strike is one random fault.
func (s *subject) strike(c memory.Call) memory.Fault {
	k := s.worker
	lost := &rota.Error{System: c.System, Op: c.Op, Class: rota.ClassWait, Err: errors.New("connection reset by peer")}
	switch n := s.rng.IntN(100); {
	case n < 22:
		return s.struck("error", c, memory.Fault{Before: s.wait503(c)})
	case n < 26 || (n < 50 && c.Op == "issuer.last_used"):
		return s.struck("denied", c, memory.Fault{Before: denial(c)})
	case n < 44:
		return s.struck("lost reply", c, memory.Fault{After: lost})
	case n < 54:
		if c.Op == "issuer.create" || strings.HasPrefix(c.Op, "journal.acquire") {
			return memory.Fault{} // the contract says it's never sent twice
		}
		return s.struck("repeat", c, memory.Fault{Repeat: true})
	case n < 64:
		k.dead = true
		s.struck("crash before", c, memory.Fault{})
		panic(memory.Crash{Call: c})
	case n < 76:
		k.dead = true
		return s.struck("crash after", c, memory.Fault{Crash: true})
	case n < 84:
		return s.struck("slow", c, memory.Fault{Delay: s.during(time.Second, callTimeout)})
	case n < 88:
		return s.struck("timeout", c, memory.Fault{Delay: 2 * callTimeout})
	case n < 92:
		return s.struck("late", c, s.late(c))
	case n < 96:
		s.struck("pause before", c, memory.Fault{})
		s.takeover()
		return memory.Fault{Before: fmt.Errorf("paused: %w", context.DeadlineExceeded)}
	default:
		k.pause = true
		return s.struck("pause after", c, memory.Fault{})
	}
}

// mayBeStale reports whether an issuer can still list the state before its last
// write. A store can't.
func (s *subject) mayBeStale(c memory.Call) bool {
	return c.Op == "issuer.list" && s.keys != nil && s.now.Sub(s.truth.issuerAt) < 20*time.Second
}

// late is a call that times out but takes effect a little later anyway.
func (s *subject) late(c memory.Call) memory.Fault {
	if c.Op == "issuer.create" && s.keys != nil {
		s.at(s.now.Add(callTimeout+s.during(time.Second, 20*time.Second)), "late create", func(ctx context.Context) {
			if made, err := s.keys.Create(ctx, rota.CreateRequest{}); err == nil {
				s.truth.mine[s.issuer.CredentialID(made)] = true
				s.note("late create", s.issuer.CredentialID(made), "")
				s.truth.disturbedAt = s.now
			}
		})
	}
	if r := s.truth.creating; c.Op == "issuer.create" && (s.only != nil || s.kept != nil) {
		s.at(s.now.Add(callTimeout+s.during(time.Second, 20*time.Second)), "late create", func(ctx context.Context) { s.lateCreate(ctx, r) })
	}
	return memory.Fault{Delay: 2 * callTimeout}
}

// wait spends a call's delay, up to the call's deadline. A reload has its own
// deadline.
func (s *subject) wait(ctx context.Context, d time.Duration) error {
	limit := 4 * time.Hour // for a call without a deadline
	if _, ok := ctx.Deadline(); ok {
		limit = callTimeout
	} else if s.reloading() {
		limit = leaseTTL / 2
	}
	if d < limit {
		s.spend(d)
		return nil
	}
	s.spend(limit)
	return context.DeadlineExceeded
}
