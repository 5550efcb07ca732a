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

// Pool runs turns, several at once and within its limits, for as long as it is
// open. A turn that waits costs no goroutine. It starts when there is room at all
// of its secret's systems. Turns with the same systems start in order, those that
// a caller waits for ahead of those that are merely due.
type Pool struct {
	limits Limits

	running sync.WaitGroup  // turns in flight
	life    context.Context // of all of them: the pool's own end
	cancel  context.CancelFunc

	mu       sync.Mutex
	seq      uint64
	groups   map[string]*group
	systems  map[string]*system
	ready    groupHeap      // groups that may have room
	slots    map[*turn]bool // turns that occupy a worker slot
	inFlight int
	waiting  int
	closed   error   // why nothing new starts; nil while open
	refused  []*turn // to be told so, with err, once the lock is free
}

// turn is one secret to work on, waiting or in flight.
type turn struct {
	secret      *rotation.Secret
	ctx         context.Context
	do          func(context.Context) error // nil if a caller of Do runs it
	granted     chan struct{}               // closed when that caller may start
	end         func(error)                 // called once, from another goroutine
	interactive bool                        // a caller waits for it
	seq         uint64
	group       *group
	systems     []*system
	err         error // why it didn't start
}

// before reports which of two turns starts first.
func (t *turn) before(other *turn) bool {
	if t.interactive != other.interactive {
		return t.interactive
	}
	return t.seq < other.seq
}

// NewPool makes an open pool.
func NewPool(l Limits) *Pool {
	p := &Pool{
		limits: l.withDefaults(), groups: map[string]*group{}, systems: map[string]*system{},
		slots: map[*turn]bool{},
	}
	p.life, p.cancel = context.WithCancel(context.Background())
	return p
}

// Go calls do with ctx once there is room for the secret, and then end with its
// error, or with a [*SkippedError] if do was never called. It doesn't wait; end
// is called from another goroutine.
func (p *Pool) Go(ctx context.Context, s *rotation.Secret, do func(context.Context) error, end func(error)) {
	p.add(&turn{secret: s, ctx: ctx, do: do, end: end})
}

// add queues turns, and starts those that have room.
func (p *Pool) add(turns ...*turn) {
	p.mu.Lock()
	defer p.unlock()
	for _, t := range turns {
		p.enqueue(t)
	}
	p.dispatch()
}

// enqueue puts a turn in line with the others of its systems. The lock is held.
func (p *Pool) enqueue(t *turn) {
	if p.closed != nil {
		p.refuse(t, "", p.closed)
		return
	}
	g := p.groupOf(t.secret)
	if s := p.firstOpen(g.systems); s != nil && t.interactive {
		p.refuse(t, s.name, s.last) // fail fast: a caller is waiting
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
	g.state = stateReady
	heap.Push(&p.ready, g)
}

// refuse ends a turn that didn't start. The lock is held.
func (p *Pool) refuse(t *turn, system string, why error) {
	t.err = &rotation.SecretError{Secret: t.secret.Name, Err: &SkippedError{System: system, Err: why}}
	p.refused = append(p.refused, t)
}

// dispatch starts every turn that has room. The lock is held.
func (p *Pool) dispatch() {
	for len(p.slots) < p.limits.Workers {
		t := p.next()
		if t == nil {
			return
		}
		if t.ctx.Err() != nil {
			p.refuse(t, "", context.Cause(t.ctx))
			continue
		}
		p.start(t)
		p.running.Add(1)
		if t.granted != nil {
			close(t.granted)
			continue
		}
		go func() {
			defer p.running.Done()
			t.end(p.run(t, t.do))
		}()
	}
}

// start occupies a turn's slots.
func (p *Pool) start(t *turn) {
	suspect := false
	for _, s := range t.systems {
		s.inFlight++
		s.probing = s.open(p.limits)
		suspect = suspect || s.timeouts > 0
	}
	p.inFlight++
	if !suspect {
		// A system that timed out lately is likely to be slow again: its turns
		// take no worker slot from others.
		p.slots[t] = true
	}
}

// yieldSlot frees the worker slot of a slow turn for another.
func (p *Pool) yieldSlot(t *turn) {
	p.mu.Lock()
	defer p.unlock()
	delete(p.slots, t)
	p.dispatch()
}

// finish frees a turn's slots and reports to its systems' breakers.
func (p *Pool) finish(t *turn, err error) {
	p.mu.Lock()
	defer p.unlock()
	delete(p.slots, t)
	p.inFlight--
	for _, s := range t.systems {
		s.inFlight--
	}
	p.report(t.systems, err)
	for _, s := range t.systems {
		s.probing = false
		p.unblock(s)
		p.prune(s)
	}
	p.dispatch()
}

// unlock releases the lock, then ends the turns that were refused: their
// callbacks may ask for more.
func (p *Pool) unlock() {
	refused := p.refused
	p.refused = nil
	p.mu.Unlock()
	if len(refused) > 0 {
		go func() {
			for _, t := range refused {
				t.end(t.err)
			}
		}()
	}
}

// Close starts nothing new: what waits ends with a [*SkippedError] that wraps
// why. Turns in flight go on; see [Pool.Wait].
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

// Wait waits until nothing is in flight. The pool must be closed.
func (p *Pool) Wait() { p.running.Wait() }

// Cancel ends the contexts of the turns in flight, whoever asked for them.
func (p *Pool) Cancel() { p.cancel() }

// Load is how busy a pool is.
type Load struct {
	Workers int `json:"workers"` // worker slots
	Busy    int `json:"busy"`    // turns in flight
	Waiting int `json:"waiting"`
	// OpenCircuits are the systems that timed out too often, by name.
	OpenCircuits []string `json:"cooling,omitempty"`
}

// Load returns how busy the pool is now.
func (p *Pool) Load() Load {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := Load{Workers: p.limits.Workers, Busy: p.inFlight, Waiting: p.waiting}
	for name, s := range p.systems {
		if s.open(p.limits) {
			l.OpenCircuits = append(l.OpenCircuits, name)
		}
	}
	slices.Sort(l.OpenCircuits)
	return l
}

// NoRoomError means that there is no room at a secret's systems now.
type NoRoomError struct {
	System string
	After  time.Duration // how long to wait before asking again, at least
}

func (e *NoRoomError) Error() string {
	return fmt.Sprintf("no room at %s", e.System)
}

// Do calls do in this goroutine once there is room. It waits for a worker slot
// until ctx ends, but for room at the secret's systems no longer than
// Limits.Patience: after that, or at once while a circuit is open, it returns a
// [*NoRoomError].
func (p *Pool) Do(ctx context.Context, s *rotation.Secret, do func(context.Context) error) error {
	refused := make(chan error, 1)
	t := &turn{secret: s, ctx: ctx, granted: make(chan struct{}), end: func(err error) { refused <- err }}
	if err := p.request(t); err != nil {
		return err
	}
	patience := time.NewTicker(p.limits.Patience)
	defer patience.Stop()
	for {
		select {
		case <-t.granted:
			defer p.running.Done()
			return p.run(t, do)
		case err := <-refused:
			return err
		case <-ctx.Done():
			if p.withdraw(t) {
				return &rotation.SecretError{Secret: s.Name, Err: context.Cause(ctx)}
			}
			ctx = context.WithoutCancel(ctx) // it was granted or refused just now
		case <-patience.C:
			if err := p.giveUp(t); err != nil {
				return err
			}
		}
	}
}

// request queues a turn for a caller of Do, unless a circuit is open.
func (p *Pool) request(t *turn) error {
	p.mu.Lock()
	defer p.unlock()
	if s := p.firstOpen(p.groupOf(t.secret).systems); s != nil {
		return &rotation.SecretError{Secret: t.secret.Name, Err: &NoRoomError{System: s.name, After: s.retryAfter()}}
	}
	p.enqueue(t)
	p.dispatch()
	return nil
}

// giveUp withdraws a turn that has no room at its systems; nil if it has some, or
// has started.
func (p *Pool) giveUp(t *turn) error {
	p.mu.Lock()
	defer p.unlock()
	full := p.firstFull(t.systems)
	if full == nil || !p.remove(t) {
		return nil
	}
	return &rotation.SecretError{Secret: t.secret.Name, Err: &NoRoomError{System: full.name, After: full.retryAfter()}}
}

// withdraw takes a turn off the queue, and reports whether it was still waiting.
func (p *Pool) withdraw(t *turn) bool {
	p.mu.Lock()
	defer p.unlock()
	return p.remove(t)
}

// run carries out a turn that has its slots.
func (p *Pool) run(t *turn, do func(context.Context) error) error {
	slow := time.AfterFunc(p.limits.Patience, func() { p.yieldSlot(t) })
	ctx, cancel := context.WithCancel(t.ctx)
	stop := context.AfterFunc(p.life, cancel)
	err := do(ctx)
	stop()
	cancel()
	slow.Stop()
	p.finish(t, err)
	return err
}
