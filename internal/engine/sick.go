package engine

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// maxCools bounds how often a cool-down doubles.
const maxCools = 4

// judge counts the timeouts in a row of the systems that a secret needed, and
// has one that has too many cool down: what somebody waits for there is
// skipped. Any other answer, a refusal too, shows that a system is alive.
func (p *Pool) judge(needed []*system, err error) {
	if !timedOut(err) {
		if !ended(err) {
			for _, s := range needed {
				s.timeouts, s.cools = 0, 0
			}
		}
		return
	}
	s := blame(needed, err)
	if s == nil {
		return
	}
	s.timeouts++
	s.last = err
	if s.timeouts < p.limits.MaxTimeouts || s.timeouts > p.limits.MaxTimeouts && !s.probing {
		return // not yet, or begun before it was left alone
	}
	wait := p.limits.CoolDown << min(s.cools, maxCools)
	s.cools++
	s.until = time.Now().Add(wait)
	for _, g := range p.groups {
		if n := g.asked(); n > 0 && slices.Contains(g.systems, s) {
			p.skip(g, n, s.name, err) // nobody is kept waiting till then
		}
	}
	time.AfterFunc(wait, func() {
		p.mu.Lock()
		defer p.unlock()
		p.wake(s)
		p.dispatch()
	})
}

// ended tells a turn that was broken off, which says nothing of any system.
func ended(err error) bool {
	_, skipped := errors.AsType[*SkippedError](err)
	return skipped || errors.Is(err, context.Canceled) || errors.Is(err, rota.ErrBusy) || errors.Is(err, rota.ErrFenced)
}

// timedOut tells an answer that did not come from one that came.
func timedOut(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// blame finds the system that an error speaks of: the only one, or the one
// that the error names ("aws prod-aws" names prod-aws). Where that can't be
// told, nobody is blamed: a healthy system must not suffer for another.
func blame(needed []*system, err error) *system {
	if len(needed) == 1 {
		return needed[0]
	}
	named, ok := errors.AsType[*rota.Error](err)
	if !ok {
		return nil
	}
	for _, s := range needed {
		if named.System == s.name || strings.HasSuffix(named.System, " "+s.name) {
			return s
		}
	}
	return nil
}
