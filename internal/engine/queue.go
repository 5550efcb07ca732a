package engine

import (
	"container/heap"
	"slices"
	"strings"

	"github.com/rota-dev/rota/rotation"
)

// group is the queue of the secrets that need the same systems: if one of them
// can't start for lack of room, none can.
type group struct {
	key       string
	systems   []*system
	waiting   []*turn // in order
	state     groupState
	blockedOn *system // in stateBlocked
	index     int     // in its heap
}

// groupState says which heap a group is in.
type groupState int

const (
	stateIdle    groupState = iota // in none: nothing waits
	stateReady                     // in the pool's
	stateBlocked                   // in the one of a system without room
)

// groupHeap orders groups by the turn that each of them starts next. A group is
// in a heap only while it has turns waiting, or while it is being taken out.
type groupHeap []*group

func (h groupHeap) Len() int { return len(h) }
func (h groupHeap) Less(i, j int) bool {
	if len(h[i].waiting) == 0 || len(h[j].waiting) == 0 {
		return len(h[j].waiting) > 0
	}
	return h[i].waiting[0].before(h[j].waiting[0])
}
func (h groupHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *groupHeap) Push(x any) {
	g := x.(*group)
	g.index = len(*h)
	*h = append(*h, g)
}
func (h *groupHeap) Pop() any {
	old := *h
	g := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return g
}

// system is the bulkhead of an outside system: it bounds the turns in flight
// there. It exists for as long as a group needs it.
type system struct {
	breaker
	name     string
	inFlight int
	groups   int       // that need it
	blocked  groupHeap // groups that wait for room here
}

// groupOf finds or makes the group of a secret. The lock is held.
func (p *Pool) groupOf(s *rotation.Secret) *group {
	all := slices.Compact(slices.Sorted(slices.Values(s.Systems)))
	key := strings.Join(all, "\x00")
	if g, ok := p.groups[key]; ok {
		return g
	}
	g := &group{key: key}
	for _, name := range all {
		sys := p.systems[name]
		if sys == nil {
			sys = &system{name: name}
			p.systems[name] = sys
		}
		sys.groups++
		g.systems = append(g.systems, sys)
	}
	p.groups[key] = g
	return g
}

// firstFull is a system without room, nil if all have some.
func (p *Pool) firstFull(systems []*system) *system {
	for _, s := range systems {
		if !p.hasRoom(s) {
			return s
		}
	}
	return nil
}

// firstOpen is a system whose circuit is open and may not be probed yet, nil if
// there is none.
func (p *Pool) firstOpen(systems []*system) *system {
	for _, s := range systems {
		if s.open(p.limits) && !p.hasRoom(s) {
			return s
		}
	}
	return nil
}

// hasRoom reports whether one more turn may start at a system: while its circuit
// is open, a single probe after the cooldown.
func (p *Pool) hasRoom(s *system) bool {
	if s.open(p.limits) {
		return !s.probing && s.inFlight == 0 && s.retryAfter() == 0
	}
	return s.inFlight < p.limits.PerSystem
}

// next takes the first turn that has room off the queue, nil if there is none. A
// group without room blocks on the system that has none, and becomes ready again
// when that system frees a slot.
func (p *Pool) next() *turn {
	for p.ready.Len() > 0 {
		g := heap.Pop(&p.ready).(*group)
		if s := p.firstFull(g.systems); s != nil {
			p.block(g, s)
			p.unblockAll(g)
			continue
		}
		t := g.waiting[0]
		g.waiting[0] = nil
		g.waiting = g.waiting[1:]
		p.waiting--
		if len(g.waiting) > 0 {
			heap.Push(&p.ready, g)
		} else {
			g.state, g.waiting = stateIdle, nil
		}
		// The turn occupies its slots when it starts, right after this.
		defer p.unblockAll(g)
		return t
	}
	return nil
}

func (p *Pool) block(g *group, s *system) {
	g.state, g.blockedOn = stateBlocked, s
	heap.Push(&s.blocked, g)
}

func (p *Pool) unblockAll(g *group) {
	for _, s := range g.systems {
		p.unblock(s)
	}
}

// unblock makes one group ready that waits for room at the system, if there is
// some now. Whatever takes a group out of the ready heap calls it again, so that
// no slot stays free while a turn waits for it.
func (p *Pool) unblock(s *system) {
	for s.blocked.Len() > 0 && p.hasRoom(s) {
		g := heap.Pop(&s.blocked).(*group)
		if other := p.firstFull(g.systems); other != nil {
			p.block(g, other)
			continue
		}
		g.state = stateReady
		heap.Push(&p.ready, g)
		return
	}
}

// prune drops a system, and the group that needs nothing else, once nothing
// waits or is in flight there and its circuit is closed: names come and go with
// configurations.
func (p *Pool) prune(s *system) {
	if s.inFlight > 0 || s.timeouts > 0 || s.groups != 1 {
		return
	}
	g, ok := p.groups[s.name]
	if !ok || g.state != stateIdle || len(g.waiting) > 0 {
		return
	}
	delete(p.groups, s.name)
	delete(p.systems, s.name)
}

// skip ends the first n turns that wait in a group.
func (p *Pool) skip(g *group, n int, system string, why error) {
	for _, t := range g.waiting[:n] {
		p.refuse(t, system, why)
	}
	p.waiting -= n
	g.waiting = slices.Delete(g.waiting, 0, n)
	p.fix(g)
}

// interactive counts the turns in a group that a caller waits for. They come
// first.
func (g *group) interactive() int {
	n := slices.IndexFunc(g.waiting, func(t *turn) bool { return !t.interactive })
	if n < 0 {
		return len(g.waiting)
	}
	return n
}

// remove takes one turn off the queue, and reports whether it was there.
func (p *Pool) remove(t *turn) bool {
	g := t.group
	if g == nil {
		return false
	}
	i := slices.Index(g.waiting, t)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	p.waiting--
	p.fix(g)
	return true
}

// fix restores a group's position in its heap after turns were removed, or takes
// it out if nothing waits any more.
func (p *Pool) fix(g *group) {
	h := p.heapOf(g)
	if len(g.waiting) > 0 {
		heap.Fix(h, g.index)
		return
	}
	if h != nil {
		heap.Remove(h, g.index)
	}
	g.state, g.waiting = stateIdle, nil
	p.unblockAll(g)
}

// heapOf is the heap that a group is in, nil for none.
func (p *Pool) heapOf(g *group) *groupHeap {
	switch g.state {
	case stateReady:
		return &p.ready
	case stateBlocked:
		return &g.blockedOn.blocked
	default:
		return nil
	}
}
