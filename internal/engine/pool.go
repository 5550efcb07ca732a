package engine

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// Pool works secrets, several at once and within its limits, for as long as it
// is open. What waits costs no goroutine. A secret is begun when there is room
// at all of its systems; those with the same systems are begun in order, what
// somebody waits for ahead of what is merely due.
type Pool struct {
	limits Limits

	working  sync.WaitGroup  // turns in hand
	life     context.Context //nolint:containedctx // of all of them: the pool's own end
	breakOff context.CancelFunc

	mu      sync.Mutex
	seq     uint64
	groups  map[string]*group
	systems map[string]*system
	ready   byFirst // groups that may have room
	counted map[*turn]bool
	inHand  int
	waiting int
	closed  error   // why nothing new is begun; nil while open
	ended   []*turn // to be told, with err, once the lock is free
}

// turn is one secret to be worked, or in hand.
type turn struct {
	secret  *rotation.Secret
	ctx     context.Context
	do      func(context.Context) error // nil where a caller of Do waits
	granted chan struct{}               // closed when that one may begin
	end     func(error)                 // told once, by another goroutine
	asked   bool                        // somebody waits for it
	seq     uint64
	group   *group
	systems []*system
	err     error // why it was not begun
}

// before tells which of two turns is begun first.
func (t *turn) before(other *turn) bool {
	if t.asked != other.asked {
		return t.asked
	}
	return t.seq < other.seq
}

// NewPool makes an open pool.
func NewPool(l Limits) *Pool {
	p := &Pool{
		limits: l.withDefaults(), groups: map[string]*group{}, systems: map[string]*system{},
		counted: map[*turn]bool{},
	}
	p.life, p.breakOff = context.WithCancel(context.Background())
	return p
}

// Go has do called with ctx when there is room for the secret, and end after
// it with its error, or with a [*SkippedError] where do was never called. It
// does not wait; end is called by another goroutine.
func (p *Pool) Go(ctx context.Context, s *rotation.Secret, do func(context.Context) error, end func(error)) {
	p.add(&turn{secret: s, ctx: ctx, do: do, end: end})
}

// add queues turns, and begins what has room.
func (p *Pool) add(turns ...*turn) {
	p.mu.Lock()
	defer p.unlock()
	for _, t := range turns {
		p.queue(t)
	}
	p.dispatch()
}

// queue puts a turn in its place among the others of its systems. The lock is
// held.
func (p *Pool) queue(t *turn) {
	if p.closed != nil {
		p.refuse(t, "", p.closed)
		return
	}
	g := p.group(t.secret)
	if s := p.cooling(g.systems); s != nil && t.asked {
		p.refuse(t, s.name, s.last) // nobody is kept waiting for what does not answer
		return
	}
	p.seq++
	t.seq, t.group, t.systems = p.seq, g, g.systems
	at, _ := slices.BinarySearchFunc(g.waiting, t, func(w, t *turn) int {
		if w.before(t) {
			return -1
		}
		return 1
	})
	g.waiting = slices.Insert(g.waiting, at, t)
	p.waiting++
	if h := p.heapOf(g); h != nil {
		heap.Fix(h, g.index)
		return
	}
	g.parked = inReady
	heap.Push(&p.ready, g)
}

// refuse ends a turn that is not begun. The lock is held.
func (p *Pool) refuse(t *turn, system string, why error) {
	t.err = &SkippedError{Secret: t.secret.Name, System: system, Err: why}
	p.ended = append(p.ended, t)
}

// dispatch begins all that has room. The lock is held.
func (p *Pool) dispatch() {
	for len(p.counted) < p.limits.Workers {
		t := p.take()
		if t == nil {
			return
		}
		if t.ctx.Err() != nil {
			p.refuse(t, "", context.Cause(t.ctx))
			continue
		}
		p.begin(t)
		p.working.Add(1)
		if t.granted != nil {
			close(t.granted)
			continue
		}
		go func() {
			defer p.working.Done()
			t.end(p.carryOut(t, t.do))
		}()
	}
}

// begin takes a turn's places.
func (p *Pool) begin(t *turn) {
	suspect := false
	for _, s := range t.systems {
		s.inHand++
		s.probing = s.timeouts >= p.limits.MaxTimeouts
		suspect = suspect || s.timeouts > 0
	}
	p.inHand++
	if !suspect {
		// A system that answered nothing lately is likely to be slow again:
		// its turns take no worker's place from others.
		p.counted[t] = true
	}
}

// lend gives the worker's place of a slow turn to another.
func (p *Pool) lend(t *turn) {
	p.mu.Lock()
	defer p.unlock()
	delete(p.counted, t)
	p.dispatch()
}

// finish frees the places of a turn and notes how its systems answered.
func (p *Pool) finish(t *turn, err error) {
	p.mu.Lock()
	defer p.unlock()
	delete(p.counted, t)
	p.inHand--
	for _, s := range t.systems {
		s.inHand--
	}
	p.judge(t.systems, err)
	for _, s := range t.systems {
		s.probing = false
		p.wake(s)
		p.forget(s)
	}
	p.dispatch()
}

// unlock tells those whose turn ended without having begun, without the lock:
// they may ask for more.
func (p *Pool) unlock() {
	ended := p.ended
	p.ended = nil
	p.mu.Unlock()
	if len(ended) > 0 {
		go func() {
			for _, t := range ended {
				t.end(t.err)
			}
		}()
	}
}

// Close begins nothing new: what waits ends with a [*SkippedError] that wraps
// why. What is in hand goes on; see [Pool.Wait].
func (p *Pool) Close(why error) {
	p.mu.Lock()
	defer p.unlock()
	if p.closed != nil {
		return
	}
	p.closed = why
	if why == nil {
		p.closed = context.Canceled
	}
	for _, g := range p.groups {
		p.skip(g, len(g.waiting), "", p.closed)
	}
}

// Wait waits until nothing is in hand. The pool must be closed.
func (p *Pool) Wait() { p.working.Wait() }

// BreakOff ends the contexts of the turns in hand, whoever asked for them.
func (p *Pool) BreakOff() { p.breakOff() }

// Load is how much a pool has to do.
type Load struct {
	Workers int      `json:"workers"` // places for workers
	Busy    int      `json:"busy"`    // turns in hand
	Waiting int      `json:"waiting"`
	Cooling []string `json:"cooling,omitempty"` // systems that timed out too often, by name
}

// Load tells how much there is to do now.
func (p *Pool) Load() Load {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := Load{Workers: p.limits.Workers, Busy: p.inHand, Waiting: p.waiting}
	for name, s := range p.systems {
		if s.timeouts >= p.limits.MaxTimeouts {
			l.Cooling = append(l.Cooling, name)
		}
	}
	slices.Sort(l.Cooling)
	return l
}

// NoRoomError tells that a secret's systems have no room now.
type NoRoomError struct {
	Secret string
	System string
	After  time.Duration // when to ask again, at the earliest
}

func (e *NoRoomError) Error() string {
	return fmt.Sprintf("%s: no room at %s", e.Secret, e.System)
}

// Do calls do in this goroutine, when there is room. For a worker's place it
// waits until ctx ends, for a place at the secret's systems no longer than
// Limits.Patience: then, and at once where a system cools down, it is a
// [*NoRoomError].
func (p *Pool) Do(ctx context.Context, s *rotation.Secret, do func(context.Context) error) error {
	refused := make(chan error, 1)
	t := &turn{secret: s, ctx: ctx, granted: make(chan struct{}), end: func(err error) { refused <- err }}
	if err := p.ask(t); err != nil {
		return err
	}
	patience := time.NewTicker(p.limits.Patience)
	defer patience.Stop()
	for {
		select {
		case <-t.granted:
			defer p.working.Done()
			return p.carryOut(t, do)
		case err := <-refused:
			return err
		case <-ctx.Done():
			if p.withdraw(t) {
				return fmt.Errorf("%s: %w", s.Name, context.Cause(ctx))
			}
			ctx = context.WithoutCancel(ctx) // it was granted or refused just now
		case <-patience.C:
			if err := p.giveUp(t); err != nil {
				return err
			}
		}
	}
}

// ask queues a turn for its caller, unless a system of its cools down.
func (p *Pool) ask(t *turn) error {
	p.mu.Lock()
	defer p.unlock()
	if s := p.cooling(p.group(t.secret).systems); s != nil {
		return &NoRoomError{Secret: t.secret.Name, System: s.name, After: s.after()}
	}
	p.queue(t)
	p.dispatch()
	return nil
}

// giveUp takes a turn back that has no room at its systems; nil where it has,
// or had just now.
func (p *Pool) giveUp(t *turn) error {
	p.mu.Lock()
	defer p.unlock()
	full := p.full(t.systems)
	if full == nil || !p.remove(t) {
		return nil
	}
	return &NoRoomError{Secret: t.secret.Name, System: full.name, After: full.after()}
}

// withdraw takes a turn back, and tells whether it was still waiting.
func (p *Pool) withdraw(t *turn) bool {
	p.mu.Lock()
	defer p.unlock()
	return p.remove(t)
}

// carryOut does a turn that has its places.
func (p *Pool) carryOut(t *turn, do func(context.Context) error) error {
	slow := time.AfterFunc(p.limits.Patience, func() { p.lend(t) })
	ctx, cancel := context.WithCancel(t.ctx)
	broken := context.AfterFunc(p.life, cancel)
	err := do(ctx)
	broken()
	cancel()
	slow.Stop()
	p.finish(t, err)
	return err
}
