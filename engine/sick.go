package engine

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"

	"rota"
)

// judge counts the timeouts in a row of the systems that a secret needed, and
// skips what waits for one that has too many. Any other answer, a refusal too,
// shows that a system is alive.
func (d *dispatcher) judge(needed []*system, err error) {
	if !timedOut(err) {
		for _, s := range needed {
			s.timeouts = 0
		}
		return
	}
	s := blame(needed, err)
	if s == nil {
		return
	}
	if s.timeouts++; s.timeouts < d.limits.MaxTimeouts {
		return
	}
	d.groups = slices.DeleteFunc(d.groups, func(g *group) bool {
		if !slices.Contains(g.systems, s) {
			return false
		}
		d.skip(g, s.name, err)
		return true
	})
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
