package engine

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// maxDoublings bounds how often an open circuit's cooldown doubles.
const maxDoublings = 4

// breaker is the circuit breaker of one outside system. It opens after too many
// timeouts in a row. Once the cooldown is over, a single turn probes the system:
// any answer closes the circuit, another timeout keeps it open for twice as long.
type breaker struct {
	timeouts int       // in a row
	last     error     // the latest of them
	opened   int       // times in a row that it opened or stayed open
	retryAt  time.Time // when a probe may start; zero while it never opened
	probing  bool      // the turn in flight is a probe
}

// open reports whether the circuit is open: only probes may start.
func (b *breaker) open(l Limits) bool { return b.timeouts >= l.MaxTimeouts }

// retryAfter is how long to wait before asking again.
func (b *breaker) retryAfter() time.Duration { return max(time.Until(b.retryAt), 0) }

// timedOut counts a timeout. If that opens the circuit, or keeps it open after a
// probe, it returns for how long; otherwise 0.
func (b *breaker) timedOut(l Limits, err error) time.Duration {
	b.timeouts++
	b.last = err
	if b.timeouts < l.MaxTimeouts || b.timeouts > l.MaxTimeouts && !b.probing {
		return 0 // not yet, or the turn started before the circuit opened
	}
	wait := l.CoolDown << min(b.opened, maxDoublings)
	b.opened++
	b.retryAt = time.Now().Add(wait)
	return wait
}

// answered closes the circuit: any answer, even a refusal, shows that the system
// is up.
func (b *breaker) answered() { b.timeouts, b.opened = 0, 0 }

// report tells the breakers of a turn's systems how the turn went. If a circuit
// opens, turns that a caller waits for there are skipped at once. The lock is
// held.
func (p *Pool) report(needed []*system, err error) {
	if !isTimeout(err) {
		if !inconclusive(err) {
			for _, s := range needed {
				s.answered()
			}
		}
		return
	}
	s := culprit(needed, err)
	if s == nil {
		return
	}
	wait := s.timedOut(p.limits, err)
	if wait == 0 {
		return
	}
	for _, g := range p.groups {
		if n := g.interactive(); n > 0 && slices.Contains(g.systems, s) {
			p.skip(g, n, s.name, err)
		}
	}
	time.AfterFunc(wait, func() {
		p.mu.Lock()
		defer p.unlock()
		p.unblock(s)
		p.dispatch()
	})
}

// inconclusive reports whether a turn ended early, which says nothing about any
// system.
func inconclusive(err error) bool {
	_, skipped := errors.AsType[*SkippedError](err)
	return skipped || errors.Is(err, context.Canceled) || errors.Is(err, rota.ErrBusy) || errors.Is(err, rota.ErrFenced)
}

// isTimeout reports whether an error means that no answer came.
func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// culprit finds the system that timed out: the only one, or the one whose
// connection the error names. It returns nil if that's unclear: a healthy system
// must not suffer for another.
func culprit(needed []*system, err error) *system {
	if len(needed) == 1 {
		return needed[0]
	}
	named, ok := errors.AsType[*rota.Error](err)
	if !ok {
		return nil
	}
	for _, s := range needed {
		if named.Connection == s.name {
			return s
		}
	}
	return nil
}
