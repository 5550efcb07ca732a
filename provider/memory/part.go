package memory

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"github.com/rota-dev/rota"
)

// Options are common to all parts. The zero value means real time and no
// faults.
type Options struct {
	// System is the outside system's name, in errors and for [Faults].
	// Defaults to the part's kind, such as "memory iam".
	System string
	// Now defaults to [time.Now].
	Now func() time.Time
	// Faults defaults to none.
	Faults Faults
	// Wait spends a [Fault].Delay before the call acts, by advancing a virtual
	// clock or waiting for the context to end. Its error fails the call.
	// Defaults to not waiting.
	Wait func(ctx context.Context, d time.Duration) error
	// Observe is called for every change, right after the change and before the
	// call returns or crashes, with no lock held.
	Observe func(Effect)
}

// part is what all parts have in common: a lock, a clock and faults.
type part struct {
	opts  Options
	mu    sync.Mutex
	calls map[string]int
	made  []string // the ids changed by the running call
	wrong error    // the first broken invariant
}

func (p *part) init(o Options, system string) {
	if o.System == "" {
		o.System = system
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p.opts = o
	p.calls = map[string]int{}
}

// Calls returns how often a method was called. op is named as in [Call].
func (p *part) Calls(op string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[op]
}

// do runs one call with its fault: it runs act, with the lock held, once, twice
// or not at all. act gets the fault too, for the effects that only it can
// simulate.
func (p *part) do(ctx context.Context, op string, act func(Fault) error) error {
	if err := ctx.Err(); err != nil {
		return p.fail(op, rota.ClassWait, err)
	}
	p.mu.Lock()
	p.calls[op]++
	call := Call{System: p.opts.System, Op: op, N: p.calls[op]}
	p.mu.Unlock()

	var f Fault
	if p.opts.Faults != nil {
		f = p.opts.Faults(call)
	}
	if f.Delay > 0 && p.opts.Wait != nil {
		if err := p.opts.Wait(ctx, f.Delay); err != nil {
			return p.fail(op, rota.ClassOf(err), err)
		}
	}
	if f.Before != nil {
		return p.fail(op, rota.ClassOf(f.Before), f.Before)
	}

	made, err := p.act(f, act)
	if p.opts.Observe != nil {
		for _, id := range made {
			p.opts.Observe(Effect{Call: call, ID: id, At: p.opts.Now()})
		}
	}
	if f.Crash {
		panic(Crash{Call: call})
	}
	if f.After != nil {
		return p.fail(op, rota.ClassOf(f.After), f.After)
	}
	return err
}

// act returns the ids that the call changed, if anyone observes them.
func (p *part) act(f Fault, act func(Fault) error) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made = p.made[:0]
	err := act(f)
	if f.Repeat {
		err = act(f)
	}
	if p.opts.Observe == nil || len(p.made) == 0 {
		return nil, err
	}
	made := p.made
	p.made = nil // the observer keeps these
	return made, err
}

// fail returns an error of this part with its class.
func (p *part) fail(op string, class rota.Class, err error) error {
	return &rota.Error{System: p.opts.System, Op: op, Class: class, Err: err}
}

// broke records the first broken invariant. The caller holds the lock.
func (p *part) broke(err error) {
	if p.wrong == nil {
		p.wrong = err
	}
}

// Invariant returns the first invariant that a write broke, or nil.
func (p *part) Invariant() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wrong
}

// value returns the n-th value of the sequence for a seed: 40 characters that
// are the same on every run. They are for tests and protect nothing.
func value(seed string, n int) string {
	sum := sha256.Sum256([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
	sum = sha256.Sum256(append(sum[:], seed...))
	return base64.RawURLEncoding.EncodeToString(sum[:30])
}
